"""Leaves out rows that were sent unchanged in an earlier run (`lookback_rows`), for targets that only append."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import (
    COPY,
    DIGEST,
    FILE,
    JOB_ID,
    OPERATION_ID,
    ROW,
    WINDOW_END,
    WINDOW_START,
    Checkpoint,
    Event,
    Proven,
    Row,
    Rows,
    Step,
)
from tap_exports.engine.place import digests_of_records

LOGGER = logging.getLogger("tap-exports.run")
BYTES = 8  # of a digest that STATE keeps: one row in 2^64 is taken for another one, times the rows that are kept
LINEAGE = frozenset({COPY, DIGEST, FILE, JOB_ID, OPERATION_ID, ROW, WINDOW_END, WINDOW_START})


class Run(Protocol):
    """A run whose rows may come again."""

    def start(self) -> None:
        """Begin what can run ahead."""

    def plan(self) -> Iterator[Step]:
        """Yield what the run is going to do."""

    def events(self) -> Iterator[Event]:
        """Yield the events to write."""


@dataclass(slots=True)
class UnchangedRun:
    """A run without the rows that STATE knows to be sent; how often a row stands in it counts.

    With each Checkpoint STATE holds what this run read so far, and nothing of earlier ones: a row that changed, and
    then changed back, comes again. So a run that is broken off lets some unchanged rows come again in the next one.

    Attributes:
        stream: The stream's name.
        run: Reads the rows.
        state: Keeps the digests of rows.
        most: How many; where there are more, those that were read first are forgotten, and come again.
    """

    stream: str
    run: Run
    state: StreamState
    most: int
    _known: Counter[bytes] = field(init=False)
    _read: deque[bytes] = field(init=False)
    _left_out: int = 0
    _has_more: bool = False

    def __post_init__(self) -> None:
        """Read what STATE keeps."""
        self._known, self._read = Counter(_parts(self.state.sent)), deque(maxlen=self.most)

    def start(self) -> None:
        """Begin what can run ahead."""
        self.run.start()

    def plan(self) -> Iterator[Step]:
        """Yield what the run is going to do."""
        yield from self.run.plan()

    def events(self) -> Iterator[Event]:
        """Yield the events of the run, with the rows that are new or changed.

        Raises:
            TapError: As of the run.
        """
        for event in self.run.events():
            if isinstance(event, Rows):
                if kept := self._sifted(event):
                    yield kept
                continue
            if self._has_more and isinstance(event, (Checkpoint, Proven)):
                self.state.keep_sent(b"".join(self._read))
                self._has_more = False
                if isinstance(event, Proven):
                    yield Checkpoint()
            yield event
        if self._left_out:
            LOGGER.info("%s: %d rows were sent unchanged before and are left out", self.stream, self._left_out)

    def _sifted(self, rows: Rows) -> Rows | None:
        """Return the rows that STATE does not know, None where it knows all."""
        digests = [digest[:BYTES] for digest in digests_of_records([_data(row) for row in _records(rows)])]
        is_new = [not self._takes(digest) for digest in digests]
        self._read.extend(digests)
        self._has_more = True
        self._left_out += len(is_new) - sum(is_new)
        if all(is_new):
            return rows
        if not any(is_new):
            return None
        if isinstance(rows.data, pa.RecordBatch):
            return Rows(rows.data.filter(pa.array(is_new)), rows.constants)
        return Rows([row for row, new in zip(rows.data, is_new, strict=True) if new], rows.constants)

    def _takes(self, digest: bytes) -> bool:
        """Return whether a row was sent before; each sending counts for one row."""
        known = self._known[digest] > 0
        if known:
            self._known[digest] -= 1
        return known


def _records(rows: Rows) -> list[Row]:
    if isinstance(rows.data, pa.RecordBatch):
        found: list[dict[str, Any]] = rows.data.to_pylist()
        return found
    return rows.data


def _data(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in LINEAGE}


def _parts(kept: bytes) -> Iterator[bytes]:
    return (kept[at : at + BYTES] for at in range(0, len(kept) - len(kept) % BYTES, BYTES))
