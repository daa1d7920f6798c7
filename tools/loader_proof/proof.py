"""Load one case with one loader and judge what landed."""

from __future__ import annotations

import gzip
import json
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

import msgspec
import pyarrow as pa
from pyarrow import parquet

from tools.loader_proof.cases import Case, volume_messages, volume_row, volume_streams
from tools.loader_proof.compare import differences, renamed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tools.loader_proof.cases import Message
    from tools.loader_proof.loaders import Loader, Place

TIMEOUT_SECONDS = 300
QUIET_SECONDS = 6.0
ENCODER = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What stands in one cell of the table, and the losses behind it."""

    summary: str
    details: tuple[str, ...] = ()


def prove(loader: Loader, home: Path, case: Case, place: Place) -> Verdict:
    """Run `case` through `loader` and compare rows, values and the echoed STATE with the truth."""
    began = time.monotonic()
    stdout = ""
    for number, run in enumerate(case.runs):
        done = _load(loader, home, run, place)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            return Verdict("fails", (f"run {number + 1}, exit code {done.returncode}: {last[:160]}",))
        stdout = done.stdout
    seconds = time.monotonic() - began
    details = _losses(loader, home, case, place) + _state_loss(case, stdout)
    return Verdict(_summary(details, seconds), details)


def _load(loader: Loader, home: Path, run: Iterable[Message], place: Place) -> subprocess.CompletedProcess[str]:
    config = place.directory / "config.json"
    config.write_text(json.dumps(loader.config(place)))
    command = [str(home / loader.executable), "--config", str(config)]
    text = ENCODER.encode_lines(list(run)).decode()
    return subprocess.run(command, check=False, input=text, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)


def _losses(loader: Loader, home: Path, case: Case, place: Place) -> tuple[str, ...]:
    found: list[str] = []
    everything = loader.read(home, place, [stream.name for stream, _ in case.expected])
    for stream, expected in case.expected:
        landed = everything[stream.name]
        counted = differences(stream, expected, landed)
        found += [f"{number} × {what}" for what, number in counted.items()]
        names = renamed(stream, landed)
        found += [f"other spelling: {', '.join(names)}"] if names else []
    return tuple(found)


def _state_loss(case: Case, stdout: str) -> tuple[str, ...]:
    if not case.states:
        return ()
    lines = stdout.splitlines()
    same = bool(lines) and json.loads(lines[-1]) == case.states[-1]
    return () if same else (f"last STATE not echoed: {lines[-1:]}",)


def _summary(details: tuple[str, ...], seconds: float) -> str:
    return f"{'differs' if details else 'equal'}, {seconds:.1f} s"


def state_is_safe(loader: Loader, home: Path, place: Place) -> Verdict:
    """Kill `loader` with its input still open: each STATE that it gave out must cover only rows that landed."""
    config = place.directory / "config.json"
    config.write_text(json.dumps(loader.config(place)))
    command = [str(home / loader.executable), "--config", str(config)]
    alive, claimed = _last_state_before_kill(command)
    if not alive:
        return Verdict("fails")
    if claimed is None:
        return Verdict("no STATE before the end")
    names = [stream.name for stream in volume_streams()]
    pairs = [
        (name, claimed["bookmarks"][name]["rows"], len(rows)) for name, rows in loader.read(home, place, names).items()
    ]
    details = [f"{name}: STATE covers {rows} rows, {landed} landed" for name, rows, landed in pairs if landed < rows]
    return Verdict("untrue" if details else "true", tuple(details))


def batch_is_read(loader: Loader, home: Path, place: Place, form: str) -> Verdict:
    """Send one BATCH message that names a file of 100 rows, as gzipped JSON Lines or as Parquet."""
    stream, rows = volume_streams(1)[0], [volume_row(number) for number in range(100)]
    file = place.directory / f"part.{form}"
    if form == "jsonl":
        file.write_bytes(gzip.compress(ENCODER.encode_lines(rows)))
    else:
        parquet.write_table(pa.Table.from_pylist(rows), file)
    encoding = {"format": form, "compression": "gzip" if form == "jsonl" else None}
    batch = {"type": "BATCH", "stream": stream.name, "encoding": encoding, "manifest": [file.as_uri()]}
    return prove(loader, home, Case(form, "", ((stream.schema(), batch),), ((stream, rows),)), place)


def _last_state_before_kill(command: list[str]) -> tuple[bool, dict[str, Any] | None]:
    seen: list[str] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        stdin, stdout = cast("IO[bytes]", child.stdin), cast("IO[bytes]", child.stdout)
        reader = threading.Thread(target=lambda lines: seen.extend(map(bytes.decode, lines)), args=(stdout,))
        reader.start()
        with suppress(BrokenPipeError):
            stdin.write(ENCODER.encode_lines(list(volume_messages(rows=12_500))))
            stdin.flush()
        time.sleep(QUIET_SECONDS)
        alive = child.poll() is None
        child.kill()
        reader.join()
    return alive, json.loads(seen[-1]) if seen else None
