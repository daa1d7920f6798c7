"""The demonstration's five providers through three workers into PostgreSQL: every value is that of the source."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.cases import three
from tests.cluster.rig import WAIT_SECONDS, Rig
from tools.demo import landed
from tools.demo.compare import Comparison, Loader, Verdict
from tools.demo.environments import ROOT, Environments
from tools.demo.source import START_DATE, Row, Source, sandbox
from tools.demo.truth import Jobs, truths
from tools.loader_proof.postgres import server

PROGRAMS = Path(sys.executable).parent
TARGET = "target-postgres"
PLACE = re.compile(r"\| (\w+): (files are converted by|read by the tap itself)")
LOADER = {"default_target_schema": "exports", "use_copy": True, "hard_delete": True}


def five_providers(rig: Rig) -> str:
    """The five providers of the demonstration through three workers into PostgreSQL by BATCH, equal to the source.

    The source grows between two runs, and the second one is compared: the first reads the balance before it spends.
    """
    environments = Environments(ROOT / ".demo")
    environments.install(TARGET)
    with (
        sandbox(PROGRAMS, rig.folder / "source.json", rig.folder / "sandbox.log") as source,
        three(rig) as running,
        server() as url,
    ):
        verdicts: list[Verdict] = []
        comparison, jobs, pipe = Comparison(Loader()), Jobs(), Pipe(rig.folder, environments.programs(TARGET), url)
        for number in (1, 2):
            jobs.look(source)
            pipe.run(configured(source, f"dask:{running.address}", rig), number)
            tables = landed.read(landed.POSTGRES, pipe.programs / "python", url, "exports")
            verdicts = comparison.judge(list(truths(source, jobs)), tables)
            if number == 1:
                source.grow()
    assert not (wrong := different(verdicts)), wrong
    places = dict(PLACE.findall(pipe.log))
    away = sorted(name for name, said in places.items() if said.startswith("files"))
    for name in ("closient_export_records", "cornect_export_software", "packagex_export_shipments_errors"):
        assert name in away, pipe.log[-3000:]
    rows = sum(verdict.loaded for verdict in verdicts)
    return (
        f"two runs, {len(verdicts)} streams, {rows} rows, all values equal; {len(away)} of {len(places)} by the workers"
    )


def configured(source: Source, executor: str, rig: Rig) -> Row:
    batches = {"encoding": {"format": "jsonl"}, "storage": {"root": (rig.folder / "parts").as_uri()}}
    config = {**source.config, "start_date": START_DATE, "settling_seconds": 0, "poll_interval_seconds": 0.1}
    return {**config, "allow_private_hosts": True, "executor": executor, "batch_config": batches, "ledger": "none"}


@dataclass
class Pipe:
    """The tap into the target, each run from the STATE of the one before.

    Attributes:
        folder: Takes configurations, logs and STATE.
        programs: Where the target is.
        url: The database.
        log: What the tap said in the last run.
    """

    folder: Path
    programs: Path
    url: str
    log: str = ""

    def run(self, config: Row, number: int) -> None:
        """Run both to their ends."""
        state = self.folder / "state.json"
        own = {**LOADER, "sqlalchemy_url": self.url.replace("postgresql://", "postgresql+psycopg://")}
        tap = [sys.executable, "-m", "tap_exports", *self._with("tap", config)]
        tap += ["--state", str(state)] if state.exists() else []
        target = [str(self.programs / TARGET), *self._with("target", own)]
        told, err, heard = (self.folder / f"{name}-{number}" for name in ("states", "tap.log", "target.log"))
        with (
            told.open("wb") as states,
            err.open("wb") as log,
            heard.open("wb") as words,
            subprocess.Popen(tap, stdout=subprocess.PIPE, stderr=log) as process,
        ):
            loader = subprocess.Popen(target, stdin=process.stdout, stdout=states, stderr=words)
            codes = loader.wait(WAIT_SECONDS), process.wait(WAIT_SECONDS)
        self.log = err.read_text(encoding="utf-8")
        assert codes == (0, 0), self.log[-3000:] + heard.read_text(encoding="utf-8")[-3000:]
        state.write_bytes(told.read_bytes().splitlines()[-1])

    def _with(self, name: str, values: Row) -> list[str]:
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(values, default=str), encoding="utf-8")
        return ["--config", str(path)]


def different(verdicts: list[Verdict]) -> dict[str, tuple[str, ...]]:
    """Return what differs, by stream."""
    return {each.stream: each.differences for each in verdicts if each.count}
