"""One history: a sandbox of its own, a run that is disturbed, runs that are not, and what a target holds in the end."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import yaml

from tap_exports.proving.matrix import Case

RUNS = 4  # after the disturbed one, at most
RUN_SECONDS = 60
LOOK_SECONDS = 0.01
KEY = "sandbox-declared-key"
SPAN = {"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-03-31"}
QUICK = {
    "progress": "never",
    "poll_interval_seconds": 0.05,
    "poll_interval_max_seconds": 0.2,
    "job_stall_timeout_seconds": 2,
    "job_grace_seconds": 1,
    "lost_reply_search_seconds": 1,
    "request_timeout_seconds": 10,
}


@dataclass(slots=True)
class Held:
    """What a target holds: rows by key, the last STATE, everything that was printed.

    Attributes:
        rows: By key, of the export's stream.
        state: The last one, or None.
        proofs: Of the receipts.
        text: All output, for the search for secrets.
        codes: Exit codes, run by run.
        lines: Lines of stdout, run by run.
        words: The last error that a run said.
    """

    rows: dict[str, Any] = field(default_factory=dict)
    state: Any = None
    proofs: set[str] = field(default_factory=set)
    text: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    words: str = ""

    def take(self, line: bytes) -> None:
        """Take one line of the tap's stdout."""
        message = json.loads(line)
        if message["type"] == "STATE":
            self.state = message["value"]
        elif message["type"] == "RECORD" and "_export_" in message["stream"]:
            self.rows[message["record"]["row_id"]] = message["record"]
        elif message["type"] == "RECORD" and message["stream"] == "export_jobs":
            self.proofs |= {message["record"].get("proof") or ""}


@dataclass(frozen=True, slots=True)
class History:
    """What a case came to.

    Attributes:
        case: What went wrong.
        held: What the target holds.
        truth: The rows at the source, by key.
        made: Jobs that were made in all.
    """

    case: Case
    held: Held
    truth: Mapping[str, Any]
    made: int


def play(declaration: Path, case: Case, rows: int) -> History:
    """Play a case in a sandbox of its own.

    Args:
        declaration: The file.
        case: What goes wrong in the first run.
        rows: Rows at the source.
    """
    with tempfile.TemporaryDirectory(prefix="tap-exports-prove-") as name:
        folder = Path(name)
        knobs = {"rows": rows, **case.knobs}
        with _sandbox(folder, declaration, knobs) as ready:
            control, provider = ready["control_url"], next(iter(ready["api_urls"]))
            config = json.loads((folder / "box.json").read_text(encoding="utf-8"))
            (folder / "config.json").write_text(
                json.dumps({**config, **QUICK, **SPAN, "ledger": str(folder / "ledger.json")}), encoding="utf-8"
            )
            _ask(f"{control}/_faults", json.dumps(case.plan).encode())
            held = Held()
            _run(folder, held, case, lambda: _made(control, provider))
            _ask(f"{control}/_faults", b"")
            for _ in range(RUNS):
                _run(folder, held, Case("undisturbed"), lambda: 0)
                if held.codes[-1] == 0:
                    break
            truth = {row["row_id"]: row for row in _ask(f"{control}/_truth/{provider}/rows")}
            return History(case, held, truth, _made(control, provider))


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
    with (folder / "sandbox.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)  # noqa: S603 - our own command
    try:
        yield json.loads(cast("IO[bytes]", process.stdout).readline())
    finally:
        process.terminate()
        process.communicate()


def _name(declaration: Path) -> str:
    return str(yaml.safe_load(declaration.read_text(encoding="utf-8"))["name"])


def _run(folder: Path, held: Held, case: Case, made: Callable[[], int]) -> None:
    """Run the tap with the STATE that the target holds; a case may kill it."""
    command = [sys.executable, "-m", "tap_exports", "--config", str(folder / "config.json")]
    if held.state is not None:
        (folder / "state.json").write_text(json.dumps(held.state), encoding="utf-8")
        command += ["--state", str(folder / "state.json")]
    with (folder / "log").open("w+b") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)  # noqa: S603 - our own command
        stdout = cast("IO[bytes]", process.stdout)
        limit = threading.Timer(RUN_SECONDS, process.kill)
        limit.start()
        if case.kill_after_jobs is not None:
            threading.Thread(target=_kill_after, args=(process, made, case.kill_after_jobs), daemon=True).start()
        count = 0
        for line in stdout:
            if line.endswith(b"\n"):
                held.take(line)
                held.text.append(line.decode())
                count += 1
            if count == case.kill_at:
                process.kill()
                break
        stdout.close()
        held.codes.append(process.wait())
        limit.cancel()
        held.lines.append(count)
        log.seek(0)
        said = log.read().decode(errors="replace")
    held.text.append(said)
    errors = [line for line in said.splitlines() if "ERROR" in line]
    held.words = errors[-1] if errors else ""


def _kill_after(process: subprocess.Popen[bytes], made: Callable[[], int], jobs: int) -> None:
    while process.poll() is None:
        if made() >= jobs:
            process.kill()
            return
        time.sleep(LOOK_SECONDS)


def _ask(url: str, body: bytes | None = None) -> Any:  # noqa: ANN401 - JSON
    with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=10) as reply:  # noqa: S310 - loopback
        text = reply.read()
    return json.loads(text) if text else None
