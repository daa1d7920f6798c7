"""Kill the tap and a real loader as one process group, then run both again: no job twice, all rows there.

    python -m tools.killed [--loader target-jsonl] [--provider cornect]

Each loader at the end of a pipe and under Meltano, ended by SIGKILL, SIGTERM and Ctrl-C, once when the jobs are created
and once while their files are read. Prints a line a story; the exit code is 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.crash.scenarios import SCENARIOS
from tools.demo.environments import ROOT, Environments
from tools.demo.processes import Call, run
from tools.demo.project import QUIET, Project
from tools.demo.source import Row, Source, sandbox
from tools.demo.truth import Jobs, truths
from tools.killed.loaders import LOADERS, Loader, Place, by_meltano, pipe
from tools.loader_proof import loaders as proven
from tools.loader_proof.postgres import server

TAP = Path(sys.executable).parent
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
PINNED = ("target-postgres",)  # target-exports comes with the tap, target-jsonl needs a source distribution
WAYS = ("pipe", "meltano")
CREATED, READ = "created", "read"
WAIT_SECONDS, LOOK_SECONDS, MORE_SECONDS = 60, 0.05, 0.1


@dataclass(frozen=True, slots=True)
class Story:
    """One story: which loader, how it runs, and what ends it at which moment."""

    provider: str
    loader: Loader
    way: str
    number: signal.Signals
    moment: str

    def __str__(self) -> str:
        """Return it for the table."""
        return f"{self.provider}, {self.loader.name} by {self.way}, {self.number.name} once {self.moment}"


@dataclass(frozen=True, slots=True)
class Stage:
    """What all stories use: environments, a Meltano project, a PostgreSQL server."""

    environments: Environments
    project: Project
    postgres: str
    jsonl: Path

    def programs(self, loader: str) -> Path:
        """Return the directory of a loader's programs."""
        own = {"target-jsonl": self.jsonl, "target-exports": TAP}
        return own.get(loader) or self.environments.programs(loader)

    def play(self, story: Story, folder: Path, number: int) -> list[str]:
        """Play a story and return what is wrong."""
        place = Place(folder, f"killed_{number}", self.postgres)
        logs = (folder / "sandbox.log", folder / "sandbox.json")
        with sandbox(TAP, logs[1], logs[0], story.provider, job_seconds=1) as source:
            jobs = Jobs()
            jobs.look(source)
            call = self._call(story, place, source)
            _strike(call, story, source)
            struck = len(creations(source, story.provider))
            before = sum(map(len, story.loader.read(place, self._python(story)).values()))
            run(call)
            wrong = list(self._wrong(story, place, source, jobs))
        print(f"{story}: {struck} jobs, {before} rows kept; {'; '.join(wrong) or 'no job twice, all rows'}", flush=True)
        return wrong

    def _python(self, story: Story) -> Path:
        return self.programs(story.loader.name) / "python"

    def _call(self, story: Story, place: Place, source: Source) -> Call:
        env = {**os.environ, **QUIET, "XDG_STATE_HOME": str(place.folder / "state")}
        log = place.folder / "run.log"
        if story.way == "pipe":
            return Call(pipe(self.programs(story.loader.name), TAP, story.loader, place, source), log, env)
        env |= {**source.environment(), **story.loader.variables(place)}
        env["MELTANO_DATABASE_URI"] = f"sqlite:///{place.folder / 'meltano.db'}"
        return Call(by_meltano(self.environments, story.loader, source), log, env, self.project.home)

    def _wrong(self, story: Story, place: Place, source: Source, jobs: Jobs) -> Iterator[str]:
        for asked, number in Counter(map(asked_for, creations(source, story.provider))).items():
            if number > 1:
                yield f"created {number} times: {asked}"
        tables = story.loader.read(place, self._python(story))
        for truth in truths(source, jobs):
            if "_export_" in truth.stream:
                due, there = (keys(rows, truth.keys) for rows in (truth.rows, tables.get(truth.stream, [])))
                if lost := due - there:
                    yield f"{truth.stream}: {lost.total()} of {due.total()} rows are missing"


def keys(rows: list[Row], names: tuple[str, ...]) -> Counter[str]:
    """Return the keys of rows, each once; rows without a key are counted."""
    folded = [{name.casefold(): value for name, value in row.items()} for row in rows]
    found = Counter(json.dumps([str(row.get(name.casefold())) for name in names]) for row in folded)
    return Counter(dict.fromkeys(found, 1)) if names else found


def creations(source: Source, provider: str) -> list[Row]:
    """Return the requests that have created a job."""
    method, path = SCENARIOS[provider].creation
    return [
        entry
        for entry in source.requests()
        if entry["method"] == method
        and entry["path"].startswith(path)
        and entry["status"] in {200, 201}
        and not entry["path"].endswith("/download")
    ]


def asked_for(entry: Row) -> str:
    """Return what a creation asks for."""
    return json.dumps([entry["path"], entry["query"], entry["body_json"]], sort_keys=True)


def _strike(call: Call, story: Story, source: Source) -> None:
    """Run a command and end its whole process group at the moment of the story."""
    with call.running() as process:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline and process.poll() is None and not _is_reached(story, source):
            time.sleep(LOOK_SECONDS)
        time.sleep(MORE_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, story.number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(WAIT_SECONDS)


def _is_reached(story: Story, source: Source) -> bool:
    made = creations(source, story.provider)
    if story.moment == CREATED or not made:
        return bool(made)
    requests = source.requests()
    return any(entry["origin"] == "files" for entry in requests[requests.index(made[0]) :])


def main() -> int:
    """Play all stories."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--loader", action="append", choices=[loader.name for loader in LOADERS])
    parser.add_argument("--provider", action="append", choices=["exelensia", "cornect", "packagex", "closient"])
    options = parser.parse_args()
    environments = Environments(ROOT / ".demo")
    environments.install("meltano", *PINNED)
    jsonl = next(each for each in proven.LOADERS if each.name == "jsonl").install(environments.folder)
    project = Project(environments, TAP, "killed")
    project.define(*PINNED, others={"target-jsonl": jsonl, "target-exports": TAP})
    loaders = [each for each in LOADERS if not options.loader or each.name in options.loader]
    drawn = itertools.product(options.provider or ("exelensia", "cornect"), loaders, WAYS, SIGNALS, (CREATED, READ))
    broken = 0
    with server() as postgres:
        stage = Stage(environments, project, postgres, jsonl)
        for number, each in enumerate(drawn):
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                broken += bool(stage.play(Story(*each), Path(folder), number))
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
