"""The export jobs of Cornect and their files."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from tap_exports.sandbox.cells import csv_line
from tap_exports.sandbox.clock import iso_s
from tap_exports.sandbox.cornect.directory import Row
from tap_exports.sandbox.files import Content
from tap_exports.sandbox.jobs import COMPLETED, PROCESSING, QUEUED, Life
from tap_exports.sandbox.jsonfile import write_json
from tap_exports.sandbox.web import to_json

_STATUSES = {QUEUED: "pending"}
_WORKING = {QUEUED, PROCESSING, COMPLETED}
MEDIA_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for, resolved: `positions` are those of the companies that the file is to hold."""

    name: str
    source_type: str
    export_format: str
    positions: Sequence[int]


@dataclass(frozen=True, slots=True)
class Export:
    """One export job; `total` is what it tells as `total_records`."""

    id: str
    workspace_id: str
    order: Order
    total: int
    path: str
    content: Content
    life: Life

    def head(self) -> Row:
        """Return the job as the answer to its creation shows it."""
        return {
            "id": self.id,
            "name": self.order.name,
            "status": self._status(),
            "export_format": self.order.export_format,
            "source_type": self.order.source_type,
        }

    def record(self) -> Row:
        """Return the job as the API shows it."""
        phase = self.life.phase()
        done = phase.name == COMPLETED
        if done:
            self.content.make()
        return {
            **self.head(),
            "workspace_id": self.workspace_id,
            "total_records": self.total,
            "processed_records": int(self.total * phase.share) if phase.name in _WORKING else 0,
            "file_size_bytes": self.content.path.stat().st_size if done else None,
            "created_at": iso_s(self.life.created),
            "completed_at": iso_s(phase.since) if phase.ended else None,
        }

    def _status(self) -> str:
        name = self.life.phase().name
        return _STATUSES.get(name, name)


def writer(rows: Callable[[], Iterable[Row]], kind: str, root: str, *, packed: bool) -> Callable[[BinaryIO], None]:
    """Return how to write the file of an export.

    Args:
        rows: the companies.
        kind: `csv` or `json`.
        root: of JSON; see `write_json`.
        packed: whether the file is gzip.
    """

    def write(file: BinaryIO) -> None:
        if packed:
            with gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="") as inner:
                _write(inner, rows(), kind, root)
        else:
            _write(file, rows(), kind, root)

    return write


def _write(file: Any, rows: Iterable[Row], kind: str, root: str) -> None:
    if kind == "json":
        write_json(file, rows, root)
        return
    for number, row in enumerate(rows):
        if number == 0:
            file.write((csv_line(row) + "\n").encode())
        file.write((csv_line(map(_text, row.values())) + "\n").encode())


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "; ".join(value)
    return to_json(value, ascii_only=False).decode()
