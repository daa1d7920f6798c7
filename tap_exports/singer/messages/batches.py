"""BATCH messages: rows go to parts in a storage, a message names each part once it is whole, STATE follows it.

docs/decisions/0006-batches.md says why parts, names and STATE are as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from singer_sdk.helpers._batch import BaseBatchFileEncoding, SDKBatchMessage

from tap_exports.engine.model import JOB_ID, OPERATION_ID, Column, Rows
from tap_exports.engine.publish.columns import to_batch
from tap_exports.engine.publish.form import Part, PartForm, Published, part_name
from tap_exports.engine.publish.jsonl import JsonLinesPart
from tap_exports.engine.publish.lines import ENCODER, record_lines
from tap_exports.engine.publish.storage import Storage
from tap_exports.singer.columns import VERSION, VERSION_COLUMN, to_column
from tap_exports.singer.messages.batch_settings import BatchSettings
from tap_exports.singer.messages.held_state import HeldState
from tap_exports.singer.messages.protocols import BatchedStream
from tap_exports.singer.messages.writer import MessageWriter

if TYPE_CHECKING:
    from types import TracebackType

_SCOPES = (JOB_ID, OPERATION_ID, "job_id")


class Batches:
    """The batches of one stream, and the STATE that goes with them.

    As a context it closes the last part: announced at a regular end and where the stream fails, as its rows were read
    like any others; taken back, STATE included, where the run is ended by a signal or the storage refuses.

    Args:
        settings: What the parts are.
        stream: The stream, its version already set.
        version: Of a full read, or None.
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
        """Announce what waits, or take it back."""
        try:
            if kind is None or issubclass(kind, Exception):
                self.writer.close()
        finally:
            if self.writer.waits:
                self.writer.discard()
                self._held.roll_back()

    def evolve(self) -> None:
        """Announce what waits and take the columns that the stream has now."""
        names, schema = self._stream.selected_names, self._stream.schema
        self.writer.use([to_column(name, prop) for name, prop in schema["properties"].items() if name in names])

    def write_state(self) -> None:
        """Write STATE; the part ends where a job does, otherwise STATE keeps quiet about the rows in it."""
        tap = self._stream.tap
        if not self.writer.waits:
            tap.write_state()
        elif self._held.is_proof(of_job=bool(self.writer.scope)):
            self.writer.close()
        else:
            with self._held.shown():
                tap.write_state()

    def take(self, rows: Rows, version: int | None) -> bool:
        """Announce a part that was written elsewhere, if it is one; a checkpoint that covers its rows follows."""
        if isinstance(rows, Published):
            self._stream.tap.writer.write_message(self.writer.counted(self._stream.name, rows, version))
        return isinstance(rows, Published)

    def _announce(self, messages: Iterable[SDKBatchMessage]) -> None:
        for message in messages:
            self._stream.tap.writer.write_message(message)
        self._stream.tap.write_state()


class PartWriter(MessageWriter):
    """Takes the place of the message writer for the rows of one stream: they go to parts.

    Args:
        settings: What the parts are.
        announce: Writes the BATCH messages of whole parts; STATE may follow.
        opening: Called before the first row of new parts is taken.
        versioned: Whether rows carry the version of a full read, which RECORD messages have outside the record.
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
        self._parts: dict[str, Part] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._version: int | None = None
        self._columns: list[Column] = []
        self.scope = ""

    @property
    def waits(self) -> bool:
        """Tell whether rows wait in a part that is not announced."""
        return bool(self._parts)

    def use(self, columns: list[Column]) -> None:
        """Close what is open and take other columns."""
        self.close()
        version = [VERSION_COLUMN] if self._versioned else []
        self._columns = [*columns, *version]

    def counted(self, stream: str, part: Published, version: int | None) -> SDKBatchMessage:
        """Return the message of a part that was written elsewhere; later parts go on with the next number."""
        self.close()
        self.enter(part)
        key = (stream, self.scope)
        self._numbers[key] = self._numbers.get(key, 0) + 1
        self._version = version
        return self._message(stream, part.url)

    def enter(self, rows: Rows) -> None:
        """Begin new parts where rows are of another job than those before."""
        scope = next((str(rows.constants[k]) for k in _SCOPES if rows.constants.get(k) is not None), "")
        if scope != self.scope:
            self.close()
            self.scope = scope

    def write_rows(self, stream: str, rows: Rows, names: frozenset[str], version: int | None, at: datetime) -> None:
        """Write a batch; `time_extracted` has no place in a part."""
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
        """Write what stream maps made."""
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
        """Publish and announce what is open.

        Raises:
            StopError: The storage refuses.
        """
        if self._parts:
            messages = [self._message(stream, part.publish()) for stream, part in self._parts.items()]
            self._announce(messages)
            self._parts.clear()  # not before: a signal in between takes the rows back, they come again

    def _message(self, stream: str, url: str) -> SDKBatchMessage:
        encoding = BaseBatchFileEncoding(self._settings.format, self._settings.compression)
        return SDKBatchMessage(stream=stream, encoding=encoding, manifest=[url], version=self._version)

    def discard(self) -> None:
        """Remove what is open; never fails."""
        for part in self._parts.values():
            part.discard()
        self._parts.clear()
