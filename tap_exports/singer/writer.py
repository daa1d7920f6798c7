"""The one place that writes messages: whole batches in single writes, never half a line.

Rows go through a msgspec encoder over Structs made for their columns; SCHEMA, STATE and the rest through the SDK's own
serialisation. One `time_extracted` stands for a batch.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
from singer_sdk.singerlib.encoding.base import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import Message
from singer_sdk.singerlib.json import serialize_json

from tap_exports.engine.model import Row, Rows
from tap_exports.errors import Terminated

try:
    import fcntl
except ImportError:  # Windows has no fcntl, and no pipe to resize
    fcntl = None  # type: ignore[assignment] # the name stays bound to nothing there

if TYPE_CHECKING:
    Field = pa.Field[Any]
    Values = pa.Array[Any]

_ESCAPED = re.compile(r"[\\\"\x00-\x1f]")
PIPE_BYTES = 1 << 20
F_SETPIPE_SZ = 1031
BROKEN_PIPE_EXIT = 141
ENCODER = msgspec.json.Encoder(decimal_format="number")
NUMBERS = msgspec.json.Decoder(float_hook=Decimal)


class RecordLine(msgspec.Struct, gc=False):
    """A RECORD message; the field order is that of the SDK."""

    type: str
    stream: str
    record: Any
    version: int | msgspec.UnsetType
    time_extracted: str


class MessageWriter(GenericSingerWriter[bytes, Message]):
    """Writes messages to standard output, each write whole lines."""

    def __init__(self) -> None:
        """Ask the pipe for a larger buffer where the system knows that (Linux)."""
        super().__init__()
        self._writing = False
        self._signal: int | None = None
        with contextlib.suppress(OSError, ValueError, AttributeError, io.UnsupportedOperation):
            fcntl.fcntl(sys.stdout.fileno(), F_SETPIPE_SZ, PIPE_BYTES)

    def serialize_message(self, message: Message) -> bytes:
        """Return a message as a line of JSON, without its end."""
        return serialize_json(message.to_dict()).encode()

    def write_message(self, message: Message) -> None:
        """Write one message."""
        self._write(self.format_message(message) + b"\n")

    def write_rows(self, stream: str, rows: Rows, names: frozenset[str], version: int | None, at: datetime) -> None:
        """Write a batch as RECORD messages.

        Args:
            stream: The stream's name.
            rows: The batch.
            names: The selected properties; others are left out.
            version: Of a full-table read, or None.
            at: `time_extracted` of the batch.
        """
        self.write_records(stream, records_of(rows, names), version, at)

    def write_records(self, stream: str, records: Iterable[Any], version: int | None, at: datetime) -> None:
        """Write records, each a dict or a Struct, as RECORD messages."""
        shown = msgspec.UNSET if version is None else version
        time = at.isoformat()
        self._write(ENCODER.encode_lines([RecordLine("RECORD", stream, r, shown, time) for r in records]))

    def interrupt(self, signal_number: int) -> None:
        """End the run: at once, or after the write that is under way; a second signal does not wait.

        Raises:
            Terminated: With the exit code that shells give to the signal.
        """
        if self._writing and self._signal is None:
            self._signal = signal_number
            return
        raise Terminated(128 + signal_number)

    def _write(self, data: bytes) -> None:
        self._writing = True
        try:
            _write_all(data)
        except BrokenPipeError:
            raise Terminated(BROKEN_PIPE_EXIT) from None
        finally:
            self._writing = False
        if self._signal is not None:
            raise Terminated(128 + self._signal)


def _write_all(data: bytes) -> None:
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError, AttributeError):
        _write_redirected(data)
        return
    sys.stdout.flush()
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _write_redirected(data: bytes) -> None:
    """Write where standard output is replaced by an object without a descriptor, as tests do."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        sys.stdout.write(data.decode())
    else:
        buffer.write(data)


def records_of(rows: Rows, names: frozenset[str]) -> list[Any]:
    """Return the records of a batch, selected properties only, ready for the encoder."""
    constants = _constants(rows, names)
    if isinstance(rows.data, list):
        return [{k: v for k, v in row.items() if k in names} | constants for row in rows.data]
    fields = [f for f in rows.data.schema if f.name in names]
    make = record_maker((*(f.name for f in fields), *constants))
    columns = [column_values(f, rows.data.column(f.name)) for f in fields]
    if not columns:
        return [make(*map(_encoded, constants.values())) for _ in range(rows.data.num_rows)]
    return list(map(make, *columns, *(repeat(_encoded(v)) for v in constants.values())))


def dicts_of(rows: Rows, names: frozenset[str]) -> list[Row]:
    """Return the records of a batch as dicts with plain values, for the SDK's stream maps."""
    if isinstance(rows.data, list):
        return records_of(rows, names)
    fields = [f for f in rows.data.schema if f.name in names]
    columns = [_decoded(f, rows.data.column(f.name)) for f in fields]
    constants = _constants(rows, names)
    keys = [f.name for f in fields]
    if not keys:
        return [dict(constants) for _ in range(rows.data.num_rows)]
    return [dict(zip(keys, values, strict=True)) | constants for values in zip(*columns, strict=True)]


def _constants(rows: Rows, names: frozenset[str]) -> Row:
    """Return the selected constants that no column of the batch stands for."""
    own = rows.data.schema.names if isinstance(rows.data, pa.RecordBatch) else rows.data[0] if rows.data else ()
    return {k: v for k, v in rows.constants.items() if k in names and k not in own}


@lru_cache(maxsize=256)
def record_maker(names: tuple[str, ...]) -> Callable[..., Any]:
    """Return what makes a record of values in the order of these names: a Struct, which is encoded fastest.

    A dict where a name has to be escaped in JSON, such as a header with a quote or a line break: no Struct may have it.
    """
    if any(_ESCAPED.search(name) for name in names):
        return lambda *values: dict(zip(names, values, strict=True))
    fields = [(f"c{i}", Any) for i in range(len(names))]
    return msgspec.defstruct("Row", fields, rename={f"c{i}": n for i, n in enumerate(names)}, gc=False)


def is_raw(field: Field) -> bool:
    """Tell whether a text column holds the exact text of JSON values."""
    return bool(field.metadata and field.metadata.get(b"json") == b"raw")


def column_values(field: Field, column: Values) -> Sequence[Any]:
    """Return the values of a column for the encoder."""
    values: list[Any] = column.to_pylist()
    if not is_raw(field):
        return values
    return [None if v is None else msgspec.Raw(v.encode()) for v in values]


def _decoded(field: Field, column: Values) -> Sequence[Any]:
    values: list[Any] = column.to_pylist()
    if not is_raw(field):
        return values
    return [None if v is None else NUMBERS.decode(v) for v in values]


def _encoded(value: object) -> msgspec.Raw:
    return msgspec.Raw(ENCODER.encode(value))
