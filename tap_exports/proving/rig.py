"""One history: a sandbox of its own, a run that is disturbed, runs that are not, and what a target holds in the end."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tap_exports.proving.matrix import Case
from tap_exports.proving.processes import Running, start
from tap_exports.proving.reader import ROW_ID, Held, Reader, Tap

RUNS = 4  # after the disturbed one, at most
RUN_SECONDS = 60
LOOK_SECONDS = 0.01
KEY = "sandbox-declared-key"
GIVEN = frozenset({"config.json", "box.json", "sandbox.log", "log"})
SPAN = {"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-03-31"}


@dataclass(frozen=True, slots=True)
class History:
    """What a case came to.

    Attributes:
        case: What went wrong.
        held: What the target holds.
        truth: The rows at the source, by key.
        first: Jobs that the first run made.
        made: Jobs that were made in all.
    """

    case: Case
    held: Held
    truth: Mapping[str, Any]
    first: int
    made: int


def play(declaration: Path, case: Case, rows: int, reader: Reader | None = None) -> History:
    """Play a case in a sandbox of its own.

    Args:
        declaration: The file.
        case: What goes wrong in the first run.
        rows: Rows at the source.
        reader: What reads them; default: this tap.
    """
    reader = reader or Tap(SPAN)
    with tempfile.TemporaryDirectory(prefix="tap-exports-prove-") as name:
        folder = Path(name)
        knobs = {"rows": rows, **case.knobs}
        with _sandbox(folder, declaration, knobs) as ready:
            control, provider = ready["control_url"], next(iter(ready["api_urls"]))
            reader.prepare(folder, json.loads((folder / "box.json").read_text(encoding="utf-8")))
            _ask(f"{control}/_faults", json.dumps(case.plan).encode())
            held = Held()
            _run(reader, folder, held, case, lambda: _made(control, provider))
            first = _made(control, provider)
            _ask(f"{control}/_faults", b"")
            for _ in range(RUNS):
                _run(reader, folder, held, Case("undisturbed"), lambda: 0)
                if held.codes[-1] == 0:
                    break
            held.text += kept_files(folder)
            truth = {row[ROW_ID]: row for row in _ask(f"{control}/_truth/{provider}/rows")}
            return History(case, held, truth, first, _made(control, provider))


def kept_files(folder: Path) -> Iterator[str]:
    """Yield what a reader left on the disk, apart from its configuration."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() not in GIVEN:
            yield path.read_bytes().decode(errors="replace")


def _made(control: str, provider: str) -> int:
    return int(_ask(f"{control}/_spend")[provider]["jobs_created"])


@contextlib.contextmanager
def _sandbox(folder: Path, declaration: Path, knobs: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """Serve a declaration while the block runs; yields addresses."""
    command = [sys.executable, "-m", "tap_exports.sandbox", "--declaration", str(declaration), "--job-seconds", "0"]
    command += ["--write-config", str(folder / "box.json")]
    named = _name(declaration)
    for knob, value in knobs.items():
        command += ["--knob", f"{named}.{knob}={value}"]
    process = start(command, folder / "sandbox.log")
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _name(declaration: Path) -> str:
    return str(yaml.safe_load(declaration.read_text(encoding="utf-8"))["name"])


def _run(reader: Reader, folder: Path, held: Held, case: Case, made: Callable[[], int]) -> None:
    """Run the reader with what the target holds; a case may kill it."""
    process = start(reader.command(folder, held), folder / "log")
    limit = threading.Timer(RUN_SECONDS, process.kill)
    limit.start()
    if case.kill_after_jobs is not None:
        threading.Thread(target=_kill_after, args=(process, made, case.kill_after_jobs), daemon=True).start()
    held.lines.append(_listen(reader, process, held, case.kill_at))
    held.codes.append(process.wait())
    limit.cancel()
    said = (folder / "log").read_text(encoding="utf-8", errors="replace")
    held.text.append(said)
    held.words = reader.reason(said) or held.words
    reader.landed(folder, held)


def _listen(reader: Reader, process: Running, held: Held, kill_at: int | None) -> int:
    """Take what a process writes until it ends or is killed; return the lines."""
    count = 0
    with process.stdout as stdout:
        for line in stdout:
            if line.endswith(b"\n"):
                reader.take(line, held)
                held.text.append(line.decode())
                count += 1
            if count == kill_at:
                process.kill()
                break
    return count


def _kill_after(process: Running, made: Callable[[], int], jobs: int) -> None:
    while process.poll() is None:
        if made() >= jobs:
            process.kill()
            return
        time.sleep(LOOK_SECONDS)


def _ask(url: str, body: bytes | None = None) -> Any:  # noqa: ANN401 - JSON
    with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=10) as reply:  # noqa: S310 - loopback
        text = reply.read()
    return json.loads(text) if text else None
