"""What is fuzzed: a function per reader that takes any bytes, and raises only where a reader breaks its promise.

A reader may end in rows or in a `TapError`, which is a line for the user. Anything else is a defect: another exception,
rows out of order, a value that does not make a RECORD line, a STATE that is accepted and cannot be used.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tap_exports.engine.archive import ArchiveLimits, read_items, read_members, survey
from tap_exports.engine.archive.tars import BLOCK
from tap_exports.engine.clock import to_text
from tap_exports.engine.decode import CsvDialect, Layout, read, sample
from tap_exports.engine.ledger import StreamState, check_state
from tap_exports.engine.model import ROW, Column, Contract, Kind, LocalFile, Reject, Rows
from tap_exports.engine.publish.lines import ENCODER, record_lines
from tap_exports.errors import TapError

_ENCODINGS = (None, None, None, "latin-1", "utf-16", "cp1252", "utf-32", "shift_jis")
_KINDS = (Kind.STRING, Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN, Kind.DATE, Kind.DATETIME, Kind.OBJECT, Kind.ANY)
_LIMITS = ArchiveLimits(max_mb=4, max_ratio=100, max_members=500)


def csv(data: bytes) -> None:
    """Read CSV; the first bytes choose encoding, contract, types and rows to skip."""
    _rows(data, "csv")


def json_rows(data: bytes) -> None:
    """Read JSON in all its forms; the first bytes choose as for CSV."""
    _rows(data, "json")


def archive(data: bytes) -> None:
    """Read an archive as a run does: a pass over all members, then its documents.

    Bytes that are neither zip nor gzip are a tar, whose checksums are made right: no change to a tar.gz ever gets past
    the checksum of gzip.
    """
    packed = data if data.startswith((b"PK", b"\x1f\x8b")) else _packed(data)
    with _on_disk(packed) as path, contextlib.suppress(TapError):
        survey(path, _LIMITS)
        for member in read_members(path, _LIMITS):
            assert not member.path.startswith("/")  # noqa: S101 - what is held here is the promise
            assert ".." not in member.path.split("/")  # noqa: S101 - as above
            for item in islice(read_items(member, member.path), 1000):
                ENCODER.encode(item.value)


def documents(data: bytes) -> None:
    """Read a YAML document of an archive."""
    with contextlib.suppress(TapError):
        for item in islice(read_items(_Bytes(data), "a.yaml"), 1000):
            ENCODER.encode(item.value)


def state(data: bytes) -> None:
    """Read a STATE; one that is accepted must be usable and stay acceptable."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    with contextlib.suppress(TapError):
        check_state(value)
        for stream, bookmark in (value or {}).get("bookmarks", {}).items():
            _use(StreamState.detached(stream, bookmark))
        check_state(json.loads(json.dumps(value)))


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "csv": csv,
    "json": json_rows,
    "archive": archive,
    "documents": documents,
    "state": state,
}


def _packed(data: bytes) -> bytes:
    """Return a tar.gz of blocks; each that says that it is a header gets the checksum of one, and the end is there."""
    tar = bytearray(data + bytes(-len(data) % BLOCK + 2 * BLOCK))
    for at in range(0, len(tar), BLOCK):
        if tar[at + 257 : at + 262] == b"ustar":
            tar[at + 148 : at + 156] = b" " * 8
            tar[at + 148 : at + 156] = b"%06o\0 " % sum(tar[at : at + BLOCK])
    return gzip.compress(bytes(tar), 1, mtime=0)


class _Bytes:
    """A member of an archive that stands in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int = -1) -> bytes:
        piece, self._data = self._data[:size], self._data[size:]
        return piece


@contextmanager
def _on_disk(data: bytes) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(prefix="tap-exports-fuzz-") as file:
        file.write(data)
        file.flush()
        yield Path(file.name)


def _rows(data: bytes, form: str) -> None:
    choice, kinds, skip = (*data[:3], 0, 0, 0)[:3]
    names = "abcd"[: kinds % 5]
    columns = {name: Column(name, _KINDS[(kinds + n) % 8]) for n, name in enumerate(names)}
    contract = list(Contract)[(choice >> 3) % 3]
    layout = Layout(columns, contract=contract, csv=CsvDialect(encoding=_ENCODINGS[choice % 8]), skip_rows=skip % 4)
    with _on_disk(data[3:]) as path:
        file = LocalFile("rows", path, len(data) - 3, "")
        with contextlib.suppress(TapError):
            sample(file, form, layout, 50)
        with contextlib.suppress(TapError):
            _hold(read(file, form, layout), layout.skip_rows)


def _hold(events: Iterator[Any], before: int) -> None:
    """Hold the order of rows, that none is both delivered and rejected, and that each makes a line of JSON."""
    rejected: set[int] = set()
    for event in events:
        if isinstance(event, Reject):
            rejected.add(event.row)
        elif isinstance(event, Rows):
            ordinals = [record[ROW] for record in map(json.loads, _lines(event))]
            expected = sorted({*ordinals} - rejected)
            assert ordinals == expected, "ordinals repeat, run back, or belong to rejects"  # noqa: S101 - the promise
            assert ordinals[0] > before, "a row was delivered before"  # noqa: S101 - the promise
            before = ordinals[-1]


def _lines(rows: Rows) -> list[bytes]:
    names = chain.from_iterable(rows.data) if isinstance(rows.data, list) else rows.data.schema.names
    lines = bytes(record_lines(rows, frozenset(names))).split(b"\n")[:-1]
    assert len(lines) == len(rows), "a record is one line"  # noqa: S101 - the promise
    return lines


def _use(ledger: StreamState) -> None:
    """Do with a ledger what a run does; a bookmark that is none of its kind is refused with a line."""
    for kind in ("instant", "number"):
        with contextlib.suppress(TapError):
            getattr(ledger, kind)
    local = LocalFile("export.csv", Path("export.csv"), 1, "ab")
    for entry in ledger.entries:
        to_text(entry.requested_at)
        if entry.id is not None:
            ledger.rows_done(entry.id, local)
            ledger.note_rows(entry.id, local, 5)
        ledger.note_bad_read(entry.fingerprint, 2)
        ledger.forget(entry.fingerprint)
    for job_id in ledger.deletions:
        ledger.deleted(job_id)
