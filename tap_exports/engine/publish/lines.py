"""Encodes batches of rows as lines of JSON, a column at a time.

Columns of a file are joined to lines by Arrow's kernels, from literals and values, without a Python object per value.
Reasons: docs/decisions/0007-record-lines.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tap_exports.engine.model import Row, Rows

if TYPE_CHECKING:
    Field = pa.Field[Any]
    Values = pa.Array[Any]

ENCODER = msgspec.json.Encoder(decimal_format="number")
NUMBERS = msgspec.json.Decoder(float_hook=Decimal)
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}  # the backslash first
_FIRST_PRINTABLE = 0x20


def record_lines(rows: Rows, names: frozenset[str], head: bytes = b"", tail: bytes = b"") -> bytes | memoryview:
    """Return the selected properties of each row as a JSON object on a line of its own.

    Args:
        rows: The batch; data columns come first, its constants after them.
        names: The selected properties; others are left out.
        head: Bytes before each object.
        tail: Bytes after each object, before the line break.
    """
    if isinstance(rows.data, list):
        return around(ENCODER.encode_lines(_records(rows.data, _constants(rows, names), names)), head, tail)
    ends = [f"{_key(k)}{ENCODER.encode(v).decode()}" for k, v in _constants(rows, names).items()]
    fields = [(f, c) for f, c in zip(rows.data.schema, rows.data.columns, strict=True) if f.name in names]
    if not fields:
        return b"%b{%b}%b\n" % (head, ",".join(ends).encode(), tail) * len(rows)
    parts, literal = list[Any](), head.decode() + "{"
    for field, column in fields:
        before, values, after = _spliced(field, column)
        parts += [f"{literal}{_key(field.name)}{before}", values]
        literal = f"{after},"
    end = ",".join([literal[:-1], *ends])
    return _joined([*parts, f"{end}}}{tail.decode()}\n"])


def around(lines: bytes, head: bytes, tail: bytes) -> bytes | memoryview:
    """Put bytes before and after each line. `lines` must hold no line break inside a line, as in encoded JSON."""
    if not lines or not (head or tail):
        return lines
    framed = lines.replace(b"\n", tail + b"\n" + head)
    return b"".join((head, memoryview(framed)[: len(framed) - len(head)]))


def dicts_of(rows: Rows, names: frozenset[str]) -> list[Row]:
    """Return the records of a batch as dicts with plain values, for the SDK's stream maps."""
    if isinstance(rows.data, list):
        return _records(rows.data, _constants(rows, names), names)
    fields = [f for f in rows.data.schema if f.name in names]
    columns = [_decoded(f, rows.data.column(f.name)) for f in fields]
    constants = _constants(rows, names)
    keys = [f.name for f in fields]
    if not keys:
        return [dict(constants) for _ in range(rows.data.num_rows)]
    return [dict(zip(keys, values, strict=True)) | constants for values in zip(*columns, strict=True)]


def _records(data: list[Row], constants: Row, names: frozenset[str]) -> list[Row]:
    """Return records of the selected properties; the rows are not changed, because pages are compared later."""
    if dropped := set().union(*data) - names:
        data = [{name: value for name, value in row.items() if name not in dropped} for row in data]
    return [row | constants for row in data] if constants else data


def _constants(rows: Rows, names: frozenset[str]) -> Row:
    """Return the selected constants, except those that the batch has as a column."""
    own = rows.data.schema.names if isinstance(rows.data, pa.RecordBatch) else rows.data[0] if rows.data else ()
    return {k: v for k, v in rows.constants.items() if k in names and k not in own}


def _key(name: str) -> str:
    return ENCODER.encode(name).decode() + ":"


def _joined(parts: Sequence[Any]) -> memoryview:
    """Join the parts of each line; null values become `null`."""
    join: Any = pc.binary_join_element_wise  # its stub takes no literals beside arrays
    lines: pa.StringArray = join(*parts, "", null_handling="replace", null_replacement="null")
    return _bytes(lines)


def _spliced(field: Field, column: Values) -> tuple[str, Values, str]:
    """Return the JSON text of a column: the literal before each value, the values, the literal after each value."""
    if is_raw(field) and pa.types.is_string(field.type):
        return "", column, ""
    if pa.types.is_integer(field.type) or pa.types.is_boolean(field.type):
        return "", pc.cast(column, pa.string()), ""
    escaped: Values | None = None
    if isinstance(column, pa.StringArray):
        escaped = column if _is_time(field) else _escaped(column)
    if escaped is None:
        return "", _encoded(column), ""
    if not escaped.null_count:
        return '"', escaped, '"'
    join: Any = pc.binary_join_element_wise
    return "", join('"', escaped, '"', ""), ""


def _escaped(texts: pa.StringArray) -> pa.StringArray | None:
    """Return texts escaped for JSON, without quotes, or None if they hold a control character not in `_ESCAPES`."""
    whole = bytes(_bytes(texts))
    for plain, shown in _ESCAPES.items():
        if plain.encode() in whole:
            texts = pc.replace_substring(texts, pattern=plain, replacement=shown)
    return None if _has_controls(texts) else texts


def _has_controls(texts: pa.StringArray) -> bool:
    whole = _bytes(texts)
    codes: Any = pa.Array.from_buffers(pa.uint8(), len(whole), [None, pa.py_buffer(whole)])
    return len(whole) > 0 and pc.min(codes).as_py() < _FIRST_PRINTABLE


def _bytes(texts: pa.StringArray) -> memoryview:
    """Return the concatenated bytes of all texts, without a copy."""
    _, ends, data = texts.buffers()
    if data is None or ends is None:
        return memoryview(b"")
    offsets = memoryview(ends).cast("i")
    return memoryview(data)[offsets[texts.offset] : offsets[texts.offset + len(texts)]]


def _encoded(column: Values) -> pa.StringArray:
    """Return the JSON text of each value."""
    lines = ENCODER.encode_lines(column.to_pylist()).decode().split("\n")
    return pa.array(lines[:-1], pa.string())


def is_raw(field: Field) -> bool:
    """Return whether a text column holds the exact text of JSON values."""
    return bool(field.metadata and field.metadata.get(b"json") == b"raw")


def _is_time(field: Field) -> bool:
    """Return whether a text column holds dates or instants, which need no escapes."""
    return bool(field.metadata and b"kind" in field.metadata)


def _decoded(field: Field, column: Values) -> Sequence[Any]:
    values: list[Any] = column.to_pylist()
    if not is_raw(field):
        return values
    return [None if v is None else NUMBERS.decode(v) for v in values]
