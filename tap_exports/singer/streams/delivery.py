"""Turns the events of a run into messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tap_exports.engine.model import (
    ACCOUNT,
    EXTRA,
    Checkpoint,
    Column,
    Event,
    NewColumns,
    Proven,
    Rejected,
    Rows,
)
from tap_exports.singer import logs
from tap_exports.singer.messages.emitter import Emitter
from tap_exports.singer.streams.catalog import CatalogStream
from tap_exports.singer.streams.cleaning import cleaned

if TYPE_CHECKING:
    from tap_exports.singer.messages.batches import Batches


@dataclass(slots=True)
class Counts:
    """Totals of a stream, for its closing log line."""

    rows: int = 0
    rejects: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Delivery:
    """Writes the events of one stream's run.

    Attributes:
        stream: The stream.
        version: Version of a full-table read, or None.
        batches: Takes the rows in batch mode, else None.
        counts: Totals so far.
        is_whole: True once the run yielded a `Proven` of everything: only then may the version be activated.
    """

    stream: CatalogStream
    version: int | None
    batches: Batches | None
    counts: Counts = field(default_factory=Counts)
    is_whole: bool = False

    def deliver(self, events: Iterable[Event]) -> None:
        """Write all events in their order."""
        with self.batches or nullcontext():
            for event in self.stream.tap.journal.along(iter(events)):
                self._handle(event)

    def _handle(self, event: Event) -> None:
        if isinstance(event, Rows):
            self._write_rows(event if self.stream.account is None else self._marked(event))
        elif isinstance(event, Checkpoint):
            (self.batches or self.stream.tap).write_state(event.due)
        elif isinstance(event, NewColumns):
            self._evolve(event.columns)
        elif isinstance(event, Proven):
            self.is_whole = event.is_whole
        elif isinstance(event, Rejected):
            self.counts.rejects += 1
            self.stream.tap.reports.reject(self.stream.name, self._cleaned(event))
        else:
            self.counts.bytes += event.bytes
            self.stream.tap.activity.read(event)
            logs.measure_job(event)
            self.stream.tap.reports.receipt(replace(event, clock_skew_seconds=self.stream.skew_seconds))

    def _marked(self, rows: Rows) -> Rows:
        """Return rows that say whose account they are from."""
        return replace(rows, constants={**rows.constants, ACCOUNT: self.stream.account})

    def _evolve(self, columns: Sequence[Column]) -> None:
        """Announce new columns before the first row that holds them, under names as clean as the row's own."""
        stream, cut = self.stream, self.stream.tap.redactor.cut_signed
        own = {c.name for c in columns if not stream.is_user_data and c.name not in stream.user_fields}
        stream.evolve(replace(c, name=cut(c.name), schema=cut(c.schema)) if c.name in own else c for c in columns)
        if self.batches:
            self.batches.evolve()
        self.stream.write_schema()

    def _write_rows(self, rows: Rows) -> None:
        limit = self.stream.ABORT_AT_RECORD_COUNT
        room = None if limit is None else limit - self.counts.rows
        if room is not None and len(rows) > room:
            self.emit(Rows(rows.data[:room], rows.constants))
            self.counts.rows += room
            self.stream.stop_at_limit(self.counts.rows)
        self.emit(rows)
        self.stream.tap.activity.wrote(self.stream.name, len(rows))
        self.counts.rows += len(rows)

    def emit(self, rows: Rows) -> None:
        """Write rows; they count for nothing."""
        stream = self.stream
        if not stream.is_user_data and isinstance(rows.data, list):
            rows = Rows(cleaned(rows.data, stream.tap.redactor, stream.free_texts, stream.user_fields), rows.constants)
        if self.batches and self.batches.take(rows, self.version):
            return
        if EXTRA in stream.lineage:
            rows = Rows(rows.data, {EXTRA: None, **rows.constants})
        if self.batches:
            self.batches.writer.enter(rows)
        writer = self.batches.writer if self.batches else stream.tap.writer
        Emitter(writer, stream.shared_name, stream.selected_names, self.version).emit(
            rows, stream.stream_maps, stream.schema if stream.deselects_nested else None, stream.mask
        )

    def _cleaned(self, rejected: Rejected) -> Rejected:
        """Return a reject whose texts are as clean as the record would have been."""
        if self.stream.is_user_data:
            return rejected
        reject, cut = rejected.reject, self.stream.tap.redactor.cut_signed
        return replace(rejected, reject=replace(reject, raw=cut(reject.raw), message=cut(reject.message)))
