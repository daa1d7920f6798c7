"""Measures many open jobs: threads, memory, bytes of STATE, the first row and the whole wait, against the bars.

`python -m bench.many organizations 10000` reads as many organizations of Closient, `… accounts 1000` as many accounts
with one organization each, `… streams 1000` as many exports of
Exelensia, and `… makespan 1000` waits for as many jobs of 10 s, 200 at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.request import urlopen

from bench.process import BrokenRunError
from bench.seeds import KEY
from bench.server import Api, serve
from bench.table import FIELDS
from bench.tap import Settings, Tap, exelensia

LEDGER = "closient_exports"
ARCHIVED = (LEDGER, "closient_export_records")
DATA_EXPORT = "/dashboard/api/v1/data-export/([^/]+)"
MOST_MB, MOST_THREADS, MOST_STATES, MOST_STREAMS_MB, MOST_OF_IDEAL = 300, 50, 20, 20, 1.05
LOOK_SECONDS = 0.05
TABLE = f"{','.join(FIELDS)}\n1{',' * (len(FIELDS) - 1)}\n".encode()


class Stub(Api):
    """Exelensia and Closient; every file has one row."""

    def __init__(self, job_seconds: float) -> None:
        """Begin without jobs."""
        super().__init__(Path(), "", job_seconds)
        self._began: dict[str, float] = {}
        self._archive = _archive()
        self._ids = itertools.count(1)
        self._span: list[float] = []

    def routes(self) -> dict[str, Callable[..., bytes]]:
        """Return what answers which path."""
        return {
            DATA_EXPORT: self._begin,
            f"{DATA_EXPORT}/([^/]+)": lambda _, __, job: self._job(job),
            "/_span": lambda _: json.dumps(self._span[-1] - self._span[0] if self._span else 0.0).encode(),
            "/file/archive": lambda _: self._archive,
            "/file/.*": lambda _: TABLE,
            **super().routes(),
        }

    def _begin(self, _: Mapping[str, str], __: str) -> bytes:
        job = f"{next(self._ids):022d}"  # as long as a shortuuid
        self._began[job] = time.monotonic()
        return self._job(job)

    def _job(self, job: str) -> bytes:
        self._span = [*self._span[:1], time.monotonic()]
        is_over = time.monotonic() - self._began[job] >= self.job_seconds
        files = {"download_url": f"{self.files}/archive", "archive_format": "zip"} if is_over else {}
        return json.dumps({"job_id": job, "status": "completed" if is_over else "processing", **files}).encode()


def _archive() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("manifest.json", "{}")
        archive.writestr("products/a.yaml", "id: 1\nname: a\n")
    return packed.getvalue()


@contextmanager
def served(job_seconds: float) -> Iterator[str]:
    """Serve from a process of its own and yield the origin."""
    command = [sys.executable, "-m", "bench.many", "serve", "0", "--job-seconds", str(job_seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip() if process.stdout else ""
        finally:
            process.kill()


@dataclass
class Seen:
    """What a run of the tap showed.

    Attributes:
        seconds: From its start to its end.
        first: Seconds to the first RECORD.
        records: Their number.
        states: Bytes of each STATE message.
        peak_mb: Greatest resident memory.
        threads: The most at once.
        span: Seconds from the first creation to the last look at a job.
    """

    seconds: float = 0.0
    first: float = 0.0
    records: int = 0
    states: list[int] = field(default_factory=list)
    peak_mb: float = 0.0
    threads: int = 0
    span: float = 0.0

    def look(self, process: int) -> None:
        """Look at the memory and the threads of a process."""
        told = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
        self.threads = max(self.threads, int(told.get("Threads", "0")))
        self.peak_mb = max(self.peak_mb, int(told.get("VmHWM", "0 kB").split()[0]) / 1024)


def run(tap: Tap) -> Seen:
    """Run the tap to its end, and look at it meanwhile.

    Raises:
        BrokenRunError: It failed.
    """
    seen, began = Seen(), time.monotonic()
    with tempfile.TemporaryFile() as log, subprocess.Popen(tap.command, stdout=subprocess.PIPE, stderr=log) as process:
        over = threading.Event()

        def watch() -> None:
            while not over.wait(LOOK_SECONDS):
                seen.look(process.pid)

        watcher = threading.Thread(target=watch)
        watcher.start()
        for line in process.stdout or ():
            if line.startswith(b'{"type":"RECORD"'):
                seen.first = seen.first or time.monotonic() - began
                seen.records += 1
            elif line.startswith(b'{"type":"STATE"'):
                seen.states.append(len(line))
        over.set()
        watcher.join()
        if process.wait():
            log.seek(0)
            raise BrokenRunError(log.read()[-2000:].decode())
    seen.seconds = time.monotonic() - began
    return seen


def closient(api: str, folder: Path, count: int, at_once: int) -> Tap:
    """Return a tap of so many organizations."""
    block = {"api_key": KEY, "api_url": api, "organization_ids": [f"{number:022d}" for number in range(count)]}
    config: Settings = {
        "allow_private_hosts": True,
        "progress": "never",
        "ledger": str(folder / "ledger.json"),
        "max_concurrent_jobs": at_once,
        "closient": block,
    }
    return Tap(folder, config, ARCHIVED)


def accounts(api: str, folder: Path, count: int, at_once: int) -> Tap:
    """Return a tap of so many accounts of Closient with one organization each."""
    tap = closient(api, folder, 1, at_once)
    named = [{"name": f"tenant-{number}", "api_key": f"key-of-tenant-{number:06d}"} for number in range(count)]
    block = {key: value for key, value in tap.config["closient"].items() if key != "api_key"}
    return Tap(folder, {**tap.config, "closient": {**block, "accounts": named}}, ARCHIVED)


def streams(api: str, folder: Path, count: int, at_once: int) -> Tap:
    """Return a tap of so many streams."""
    names = [f"rows-{number}.csv" for number in range(count)]
    more = {"ledger": str(folder / "ledger.json"), "max_concurrent_jobs": at_once}
    return Tap(folder, exelensia(api, *names, **more), [f"exelensia_export_{number}" for number in range(count)])


MAKERS = {"streams": streams, "accounts": accounts}


def measure(task: str, count: int, at_once: int, job_seconds: float, *, with_archives: bool = True) -> Seen:
    """Run one task; without its archives, Closient's jobs are only waited for."""
    make = MAKERS.get(task, closient)
    with served(job_seconds) as api, tempfile.TemporaryDirectory() as folder:
        tap = make(api, Path(folder), count, at_once)
        seen = run(tap if with_archives else replace(tap, streams=[LEDGER]))
        with urlopen(f"{api}/_span") as reply:
            seen.span = float(reply.read())
    return seen


def judged(task: str, seen: Seen, ideal: float) -> Iterator[tuple[str, str, str, bool]]:
    """Yield what was measured, the bar, and whether it is met."""
    total, last = sum(seen.states), seen.states[-1]
    yield "resident memory", f"{seen.peak_mb:.0f} MB", f"< {MOST_MB} MB", seen.peak_mb < MOST_MB
    yield "threads", str(seen.threads), f"< {MOST_THREADS}", seen.threads < MOST_THREADS
    told = f"{total / 1e6:.1f} MB in {len(seen.states)}, the last {last / 1e6:.2f} MB"
    if task in {"organizations", "accounts"}:
        yield "STATE", told, f"< {MOST_STATES} × the last", total < MOST_STATES * last
    else:
        yield "STATE", told, f"< {MOST_STREAMS_MB} MB", total < MOST_STREAMS_MB * 1e6
    if task == "makespan":
        yield "whole wait", f"{seen.span:.1f} s", f"{MOST_OF_IDEAL} × {ideal:.0f} s", seen.span <= MOST_OF_IDEAL * ideal


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.many", description=__doc__)
    parser.add_argument("task", choices=("organizations", "accounts", "streams", "makespan", "serve"))
    parser.add_argument("count", type=int)
    parser.add_argument("--at-once", type=int, help="open jobs (default: all; 200 of a makespan)")
    parser.add_argument("--job-seconds", type=float, help="default: 1; 10 of a makespan")
    return parser.parse_args()


def main() -> int:
    """Measure, and tell what was met."""
    given = arguments()
    is_makespan = given.task == "makespan"
    job_seconds = given.job_seconds if given.job_seconds is not None else 10.0 if is_makespan else 1.0
    if given.task == "serve":
        asyncio.run(serve(Stub(job_seconds), 0))
        return 0
    at_once = given.at_once or (200 if is_makespan else given.count)
    seen = measure(given.task, given.count, at_once, job_seconds, with_archives=not is_makespan)
    print(f"{given.task} {given.count:,}, {at_once:,} at once: {seen.records:,} rows in {seen.seconds:.1f} s", end="")
    print(f", the first after {seen.first:.1f} s")
    verdicts = list(judged(given.task, seen, job_seconds * given.count / at_once))
    for what, figure, bar, is_met in verdicts:
        print(f"  {what}: {figure} (bar: {bar}): {'met' if is_met else 'NOT MET'}")
    return 0 if all(is_met for *_, is_met in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
