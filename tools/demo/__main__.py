"""Run the main job end to end, twice, and compare every value: `make demo`.

Sandbox, tap, Meltano and an embedded database; everything is kept below `.demo/`, and everything that was started is
stopped again, also after Ctrl-C.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.demo import landed
from tools.demo.compare import Comparison, Loader, Verdict
from tools.demo.environments import ROOT, Environments
from tools.demo.processes import FailedError
from tools.demo.project import Project
from tools.demo.source import Source, sandbox
from tools.demo.truth import Jobs, truths

FOLDER = ROOT / ".demo"
LOADER = "target-exports"
JOB = "all-exports"
ENDINGS = (signal.SIGINT, signal.SIGTERM)
CLOSING_LINE = re.compile(r"\b(\w+): (\d+) rows, \d+ rejects, \d+ bytes in ")
ABOUT = """\
equal: every value of every row. The loader is target-exports (docs/loaders.md); below, the rows of each job
beside its receipt (`tap-exports load FILE --verify`)."""
HEAD = ("stream", "at the source", "loaded", "equal", "new in run 2", "sent by run 2")


class Demo:
    """One demonstration in a folder."""

    def __init__(self, folder: Path) -> None:
        """Start without a database."""
        self.began = time.monotonic()
        self.folder = folder
        self.environments = Environments(folder, self.say)
        self.project = Project(self.environments, self.environments.programs("tap"))
        self.database, self.state, self.ledgers = folder / "exports.duckdb", folder / "meltano.db", folder / "state"
        self.comparison = Comparison(Loader(keeps_digits=True))
        self.jobs = Jobs()

    def say(self, text: str) -> None:
        """Print what is being done, with the seconds since the start."""
        print(f"[{time.monotonic() - self.began:5.1f} s] {text}", flush=True)

    def run(self) -> bool:
        """Set up, run twice, compare; return whether everything is equal."""
        self._prepare()
        with sandbox(self.project.tap, self.folder / "config.json", self.folder / "logs" / "sandbox.log") as source:
            self.say(f"sandbox of {', '.join(source.providers)} at {source.url}")
            self._load(source, 1)
            source.grow()
            self.say("the source has grown")
            verdicts, sent = self._load(source, 2)
        print("", table(verdicts, sent), ABOUT, "", sep="\n")
        return self._conclude(verdicts)

    def _prepare(self) -> None:
        self.environments.install("build", "tap", "meltano")
        self.environments.add_wheel()
        self.project.define(others={LOADER: self.project.tap})
        self._forget()

    def _forget(self) -> None:
        """Remove the database, the STATE and the ledgers of an earlier demonstration; what is installed stays."""
        for pattern in (f"{self.database.name}*", f"{self.state.name}*"):
            for path in self.folder.glob(pattern):
                path.unlink()
        shutil.rmtree(self.ledgers, ignore_errors=True)

    def _load(self, source: Source, number: int) -> tuple[list[Verdict], dict[str, int]]:
        self.jobs.look(source)
        self.say(f"run {number}: meltano run {JOB}")
        places = {"TARGET_EXPORTS_PATH": str(self.database), "MELTANO_DATABASE_URI": f"sqlite:///{self.state}"}
        places["XDG_STATE_HOME"] = str(self.ledgers)
        log = self.project.run(f"run-{number}", [JOB], {**source.environment(), **places})
        sent: dict[str, int] = {}
        for stream, rows in CLOSING_LINE.findall(log.read_text(encoding="utf-8")):
            sent[stream] = sent.get(stream, 0) + int(rows)
        tables = landed.read(landed.DUCKDB, self._python, str(self.database), "main")
        return self.comparison.judge(list(truths(source, self.jobs)), tables), sent

    @property
    def _python(self) -> Path:
        return self.project.tap / "python"

    def _conclude(self, verdicts: Sequence[Verdict]) -> bool:
        wrong = [verdict for verdict in verdicts if verdict.count]
        for verdict in wrong:
            print(f"{verdict.stream}: {verdict.count} rows differ", *verdict.differences, sep="\n  ")
        rows = sum(verdict.loaded for verdict in verdicts)
        result = f"{len(wrong)} streams differ" if wrong else f"{len(verdicts)} streams, {rows} rows, all values equal"
        self.say(result)
        verified = subprocess.run(
            [self.project.tap / "tap-exports", "load", self.database, "--verify", "--format", "text"], check=False
        )
        python, database = (path.relative_to(ROOT) for path in (self._python, self.database))
        query = "select provider, stream, status, rows from export_jobs order by requested_at"
        print(f"\nThe database is {database}. To query it:\n")
        connect = f"c = duckdb.connect('{database}', read_only=True)"
        print(f"  {python} -c \"import duckdb; {connect}; c.sql('{query}').show()\"\n")
        return not wrong and not verified.returncode


def table(verdicts: Sequence[Verdict], sent: dict[str, int]) -> str:
    """Return the verdicts as a table."""
    lines = [HEAD, *(_line(verdict, sent) for verdict in sorted(verdicts, key=lambda each: each.stream))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    aligned = [
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    ]
    return "\n".join([aligned[0], "-" * len(aligned[0]), *aligned[1:]])


def _line(verdict: Verdict, sent: dict[str, int]) -> tuple[str, ...]:
    numbers = (verdict.source, verdict.loaded, "NO" if verdict.count else "yes", verdict.new)
    return (verdict.stream, *map(str, numbers), str(sent.get(verdict.stream, 0)))


def _interrupted(*_: object) -> None:
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not stop the stopping
    raise KeyboardInterrupt


def main() -> int:
    """Run the demonstration.

    Returns:
        0 when every value is equal, 1 when not or when something cannot be run, 130 after an interruption.
    """
    for number in ENDINGS:
        signal.signal(number, _interrupted)
    try:
        return 0 if Demo(FOLDER).run() else 1
    except KeyboardInterrupt:
        print("interrupted; everything that was started is stopped", file=sys.stderr)
        return 130
    except (FailedError, subprocess.CalledProcessError) as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
