"""BATCH messages: rows are written to parts in a storage; a message announces each finished part, STATE follows it.

docs/decisions/0006-batches.md gives the reasons for part sizes, part names and the order of STATE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from singer_sdk.helpers._batch import BaseBatchFileEncoding, SDKBatchMessage

from tap_exports.engine.model import JOB_ID, OPERATION_ID, Column, Rows
from tap_exports.engine.model.accounts import shared_name
from tap_exports.engine.publish.columns import to_batch
from tap_exports.engine.publish.form import Part, PartForm, Published, part_name
from tap_exports.engine.publish.jsonl import JsonLinesPart
from tap_exports.engine.publish.lines import ENCODER, record_lines
from tap_exports.engine.publish.storage import Storage
from tap_exports.engine.thrift import Due
from tap_exports.singer.columns import VERSION, VERSION_COLUMN, to_column
from tap_exports.singer.messages.batch_settings import BatchSettings
from tap_exports.singer.messages.held_state import HeldState
from tap_exports.singer.messages.protocols import BatchedStream
from tap_exports.singer.messages.writer import MessageWriter

if TYPE_CHECKING:
    from types import TracebackType

_SCOPES = (JOB_ID, OPERATION_ID, "job_id")


class Batches:
    """The batches of one stream, and the STATE that covers them.

    Leaving the context closes the last part. At a regular end and after an error of the stream it is announced; after a
    signal or an error of the storage it is discarded, and STATE is rolled back.

    Args:
        settings: Format, storage and size of parts.
        stream: The stream, its version already set.
        version: Version of a full-table read, or None.
    """

    def __init__(self, settings: BatchSettings, stream: BatchedStream, version: int | None) -> None:
        """Open the storage."""
        self._stream = stream
        self._held = HeldState(stream.name, stream.tap.covered)
        versioned = version is not None and bool(stream.config["emit_activate_version_messages"])
        self.writer = PartWriter(settings, self._announce, self._held.mark, versioned=versioned)
        self.evolve()

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Announce the open part, or discard it and roll STATE back."""
        try:
            if kind is None or issubclass(kind, Exception):
                self.writer.close()
        finally:
            if self.writer.waits:
                self.writer.discard()
                self._held.roll_back()

    def evolve(self) -> None:
        """Announce the open part and use the stream's current columns from now on."""
        names, schema = self._stream.selected_names, self._stream.schema
        self.writer.use([to_column(name, prop) for name, prop in schema["properties"].items() if name in names])

    def write_state(self, due: Due) -> None:
        """Write STATE or hold it back; one that proves a job closes the open part first, any other omits its rows."""
        tap = self._stream.tap
        if not self.writer.waits:
            tap.write_state(due)
        elif self._held.is_proof(of_job=bool(self.writer.scope)):
            self.writer.close()
        else:
            with self._held.shown():
                tap.write_state(due)

    def take(self, rows: Rows, version: int | None) -> bool:
        """Announce `rows` and return True if they are a part that a converter published; else return False."""
        if isinstance(rows, Published):
            self._stream.tap.writer.write_message(self.writer.counted(shared_name(self._stream.name), rows, version))
        return isinstance(rows, Published)

    def _announce(self, messages: Iterable[SDKBatchMessage]) -> None:
        for message in messages:
            self._stream.tap.writer.write_message(message)
        self._stream.tap.write_state(Due.SOON)


class PartWriter(MessageWriter):
    """A message writer that writes the rows of one stream to parts instead of RECORD messages.

    Args:
        settings: Format, storage and size of parts.
        announce: Writes the BATCH messages of finished parts, then STATE.
        opening: Called before the first row is written while no part is open.
        versioned: Whether rows carry the version of a full-table read as a column.
    """

    def __init__(
        self,
        settings: BatchSettings,
        announce: Callable[[list[SDKBatchMessage]], None],
        opening: Callable[[], None],
        *,
        versioned: bool = False,
    ) -> None:
        """Open the storage."""
        super().__init__()
        self._settings, self._announce, self._opening, self._versioned = settings, announce, opening, versioned
        self._storage = Storage(settings.root, settings.prefix, settings.options)
        self._storage.clear()
        self._parts: dict[str, Part] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._version: int | None = None
        self._columns: list[Column] = []
        self.scope = ""

    @property
    def waits(self) -> bool:
        """Return whether a part is open, so that rows are written but not announced."""
        return bool(self._parts)

    def use(self, columns: list[Column]) -> None:
        """Close the open parts and use other columns from now on."""
        self.close()
        version = [VERSION_COLUMN] if self._versioned else []
        self._columns = [*columns, *version]

    def counted(self, stream: str, part: Published, version: int | None) -> SDKBatchMessage:
        """Return the BATCH message of a part that a converter published, and count it for the names of later parts."""
        self.close()
        self.enter(part)
        key = (stream, self.scope)
        self._numbers[key] = self._numbers.get(key, 0) + 1
        self._version = version
        return self._message(stream, part.url)

    def enter(self, rows: Rows) -> None:
        """Close the open parts if rows belong to another job than those before; call before writing rows."""
        scope = next((str(rows.constants[k]) for k in _SCOPES if rows.constants.get(k) is not None), "")
        if scope != self.scope:
            self.close()
            self.scope = scope

    def write_rows(self, stream: str, rows: Rows, names: frozenset[str], version: int | None, at: datetime) -> None:
        """Write a batch to parts; `at` is ignored, as parts have no `time_extracted`."""
        del at
        self._version = version
        if self._versioned:
            names, rows = names | {VERSION}, Rows(rows.data, {**rows.constants, VERSION: version})
        for piece in self._pieces(stream, rows):
            part = self._part(stream)
            if isinstance(part, JsonLinesPart):
                part.add(record_lines(piece, names), len(piece))
            else:
                part.add(to_batch(piece, self._columns, stream))
        self._close_full(stream)

    def write_records(self, stream: str, records: Sequence[Any], version: int | None, at: datetime) -> None:
        """Write records from stream maps to JSON lines parts; `at` is ignored."""
        del at
        self._version = version
        added = {VERSION: version} if self._versioned else {}
        rest = iter(records)
        while some := list(islice(rest, self._room(stream))):
            part = self._part(stream)
            if isinstance(part, JsonLinesPart):
                part.add(ENCODER.encode_lines([{**record, **added} for record in some]), len(some))
            self._close_full(stream)

    def _pieces(self, stream: str, rows: Rows) -> Iterator[Rows]:
        start = 0
        while start < len(rows):
            self._close_full(stream)
            end = start + self._room(stream)
            yield Rows(rows.data[start:end], rows.constants)
            start = end

    def _room(self, stream: str) -> int:
        return self._settings.rows - (self._parts[stream].rows if stream in self._parts else 0)

    def _close_full(self, stream: str) -> None:
        if not self._room(stream):
            self.close()

    def _part(self, stream: str) -> Part:
        if not self._parts:
            self._opening()
        if stream not in self._parts:
            key = (stream, self.scope)
            self._numbers[key] = self._numbers.get(key, 0) + 1
            form = PartForm(self._settings.format, self._settings.compression, self._columns)
            self._parts[stream] = form.begin(self._storage, part_name(stream, self.scope, self._numbers[key]))
        return self._parts[stream]

    def close(self) -> None:
        """Publish and announce the open parts.

        Raises:
            StopError: The storage failed.
        """
        if self._parts:
            messages = [self._message(stream, part.publish()) for stream, part in self._parts.items()]
            self._announce(messages)
            self._parts.clear()  # last: after a signal in between, the next run reads the rows again

    def _message(self, stream: str, url: str) -> SDKBatchMessage:
        encoding = BaseBatchFileEncoding(self._settings.format, self._settings.compression)
        return SDKBatchMessage(stream=stream, encoding=encoding, manifest=[url], version=self._version)

    def discard(self) -> None:
        """Remove the open parts; raises nothing."""
        for part in self._parts.values():
            part.discard()
        self._parts.clear()
