"""Where rows are measured: sizes, prepared data, services, and sides that take turns."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from bench import services
from bench.process import BrokenRunError, Ran, run
from bench.results import Results, Row

Command = list[str | Path]
# Called before every run of a side: it clears what the last run left and returns the command.
Make = Callable[[], Command]
Check = Callable[[Mapping[str, Ran]], None]
QUICK = 20
USUAL = 5  # runs of a side


@dataclass
class Lab:
    """One call of the benchmark.

    Attributes:
        folder: Where data, files of runs and results are kept.
        results: The figures so far.
        quick: Try everything at 1/20 of its size, once.
        repetitions: Of every side.
    """

    folder: Path
    results: Results
    quick: bool
    repetitions: int

    def say(self, line: str) -> None:
        """Tell how it goes."""
        print(line, flush=True)

    @property
    def data(self) -> Path:
        """Return the folder of prepared data, which is served."""
        return self.folder / "data"

    @property
    def runs(self) -> Path:
        """Return the folder of what runs need and leave."""
        return self.folder / ("runs-quick" if self.quick else "runs")

    def size(self, full: int) -> int:
        """Return a size, a twentieth of it in a trial."""
        return max(1, full // QUICK) if self.quick else full

    def times(self, full: int) -> int:
        """Return how often, in proportion to `repetitions`; a trial does everything once."""
        return 1 if self.quick else max(1, full * self.repetitions // USUAL)

    def table(self, rows: int, form: str = "csv") -> str:
        """Return the name of a prepared table, made now unless it is there."""
        return self._prepared(f"rows-{rows}.{form}")

    def pages(self, count: int) -> Path:
        """Return the folder that holds `pages/`, made now unless it is there."""
        return self.data / self._prepared(f"list-{count}")

    def prepared(self, name: str) -> str:
        """Return the name of other prepared data, such as `wide-1000.csv`; see `bench/prepare.py`."""
        return self._prepared(name)

    def _prepared(self, name: str) -> str:
        # In a process of its own: see the note on memory in bench/process.py.
        subprocess.run([sys.executable, "-m", "bench.prepare", self.data, name], check=True)
        return name

    def place(self, name: str) -> Path:
        """Return an empty folder for files of runs."""
        made = self.runs / name
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        return made

    @contextmanager
    def served(
        self, *, data: Path | None = None, job_seconds: float = 0, latency: float = 0
    ) -> Iterator[tuple[str, str]]:
        """Serve and yield the origins of files and of the API."""
        with (
            services.nginx(self.data) as files,
            services.api(data or self.data, files, job_seconds=job_seconds, latency=latency) as api,
        ):
            yield files, api

    def row(self, work: str) -> Row:
        """Return a new row."""
        return Row(work, datetime.now(timezone.utc).isoformat(timespec="seconds"), self.quick)

    def alternate(self, row: Row, sides: Mapping[str, Make], check: Check | None = None, times: int = 5) -> Row:
        """Run the sides in turn, as often as asked, and let a check look at the first round.

        A side that cannot run says why in `row.missing`; the others go on.
        """
        open_sides = dict(sides)
        for turn in range(self.times(times)):
            round_: dict[str, Ran] = {}
            for side, make in list(open_sides.items()):
                if ran := self.once(row, side, make):
                    round_[side] = ran
                else:
                    del open_sides[side]
            if check and not turn:
                check(round_)
        return row

    def once(self, row: Row, side: str, make: Make) -> Ran | None:
        """Run a side once; return None where it cannot run, and note why."""
        try:
            command = make()
            row.commands[side] = shown(command, self.folder)
            ran = run(command)
        except BrokenRunError as error:
            row.missing[side] = shown([str(error)], self.folder)
            self.say(f"    {side}: {error}")
            return None
        row.add(side, ran)
        self.say(f"    {side}: {ran.wall:.2f} s wall, {ran.cpu:.2f} s CPU, {ran.peak_mb:.0f} MB, {ran.lines} lines")
        return ran


def shown(command: Sequence[str | Path], folder: Path) -> str:
    """Return a command without the paths of this machine."""
    text = " ".join(map(str, command))
    own = Path(sys.executable).parent
    names = {environment(name): f"{name}/bin" for name in ("airbyte", "targets", "tap")} | {own: "bin"}
    for path, name in {folder.resolve(): ".bench", folder: ".bench", **names}.items():
        text = text.replace(str(path), name)
    return text


def environment(name: str) -> Path:
    """Return the programs of an environment beside the one that this runs in; the Makefile makes them."""
    return Path(f"{sys.prefix}-{name}") / "bin"


def program(name: str, *arguments: str | Path, python: Path | None = None) -> Command:
    """Return the command of a peer; `python` when it lives in another environment."""
    return [python or sys.executable, "-m", f"bench.peers.{name}", *arguments]


def airbyte(config: Path) -> Command:
    """Return the command of the connector of Airbyte's CDK."""
    return program("airbyte", config, python=environment("airbyte") / "python")
