"""How declared columns become columns of Parquet; one schema for all parts of a stream.

| declared | Parquet | because |
|---|---|---|
| string | string | |
| integer | int64 | targets create 64-bit columns; a larger value stops the stream |
| number | string | no numeric type holds every number that a provider may write |
| boolean | boolean | |
| date | date32 | |
| date-time | timestamp, microseconds, UTC | UTC where it has no offset; a more precise value stops the stream |
| array | list of string, int64 or boolean, else of JSON text | as its declared items; targets iterate over it |
| object, any | string | the JSON text |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tap_exports.engine.model import Column, Kind, Rows
from tap_exports.errors import StopError

if TYPE_CHECKING:
    Values = pa.Array[Any]
    Field = pa.Field[Any]

UTC = pa.timestamp("us", "UTC")
TYPES: Mapping[Kind, pa.DataType] = {
    Kind.INTEGER: pa.int64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.DATE: pa.date32(),
    Kind.DATETIME: UTC,
}
_AS_JSON = frozenset({Kind.NUMBER, Kind.OBJECT, Kind.ANY})
_ITEMS = {"string": Kind.STRING, "integer": Kind.INTEGER, "boolean": Kind.BOOLEAN}
_ZONE = r"[T ].*(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)\z"
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_REMEDY = {
    Kind.INTEGER: "give the column the type number or string in `schema`",
    Kind.DATETIME: "give the column the type string in `schema`",
}


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Return the schema of all parts of a stream."""
    return pa.schema([pa.field(column.name, _type(column)) for column in columns])


def to_batch(rows: Rows, columns: Sequence[Column], where: str) -> pa.RecordBatch:
    """Return a batch of rows in the declared types.

    Args:
        rows: The batch; a column that it lacks is null.
        columns: The columns wanted, in order.
        where: The stream, for messages.

    Raises:
        StopError: A value does not fit its Parquet type; the message names the column and what to do.
    """
    return pa.RecordBatch.from_arrays([_checked(rows, c, where) for c in columns], schema=arrow_schema(columns))


def _type(column: Column) -> pa.DataType:
    if column.kind is Kind.ARRAY:
        return pa.list_(TYPES.get(_item_kind(column), pa.string()))
    return TYPES.get(column.kind, pa.string())


def _item_kind(column: Column) -> Kind:
    """Return the type of an array's items where it is declared and simple, else `ANY`."""
    items = (column.schema or {}).get("items")
    raw = items.get("type", []) if isinstance(items, Mapping) else []
    types = {t for t in ([raw] if isinstance(raw, str) else raw) if t != "null"}
    return _ITEMS.get(types.pop(), Kind.ANY) if len(types) == 1 else Kind.ANY


def _checked(rows: Rows, column: Column, where: str) -> Values:
    try:
        return _column(rows, column)
    except (pa.ArrowException, OverflowError) as error:
        told, kind = str(error).partition("\n")[0][:120], column.kind.value
        msg = f'{where}: column "{column.name}" holds a value that Parquet cannot store as {kind}: {told}'
        remedy = _REMEDY.get(column.kind, "check the column's type")
        raise StopError(f"{msg}; {remedy}, or use batch_config.encoding.format jsonl") from error


def _column(rows: Rows, column: Column) -> Values:
    data, name = rows.data, column.name
    if isinstance(data, pa.RecordBatch):
        if name in data.schema.names:
            return _converted(data.column(name), data.schema.field(name), column)
    elif any(name in row for row in data):
        missing = rows.constants.get(name)
        return _built([row.get(name, missing) for row in data], column)
    if rows.constants.get(name) is None:
        return pc.cast(pa.nulls(len(rows)), _type(column))
    constant: Values = pa.repeat(_built([rows.constants[name]], column)[0], len(rows))
    return constant


def _converted(values: Values, field: Field, column: Column) -> Values:
    """Cast a column of a file: typed values, text, or the exact text of JSON (`json: raw`)."""
    if column.kind is Kind.ARRAY:
        return _built([None if v is None else _DECODER.decode(v) for v in values.to_pylist()], column)
    if column.kind is Kind.ANY and not (field.metadata or {}).get(b"json"):
        return _built(values.to_pylist(), column)
    return _cast(values, column.kind)


def _cast(values: Values, kind: Kind) -> Values:
    return _instants(values) if kind is Kind.DATETIME else pc.cast(values, TYPES.get(kind, pa.string()))


def _built(values: Sequence[Any], column: Column) -> Values:
    """Build a column from the values of JSON rows."""
    if column.kind in _AS_JSON:
        return pa.array(_texts(values), pa.string())
    if column.kind in {Kind.DATE, Kind.DATETIME}:
        return _cast(pa.array(values, pa.string()), column.kind)
    if column.kind is Kind.ARRAY and _item_kind(column) is Kind.ANY:
        values = [None if v is None else _texts(v) for v in values]
    return pa.array(values, _type(column))


def _texts(values: Sequence[Any]) -> list[str | None]:
    """Return the JSON text of each value; null stays null."""
    lines = _ENCODER.encode_lines(values).decode().split("\n")
    return [None if v is None else line for v, line in zip(values, lines, strict=False)]


def _instants(texts: Values) -> Values:
    """Cast texts to instants, in one call if all have an offset; otherwise those without one get a Z first."""
    with suppress(pa.ArrowInvalid):
        return pc.cast(texts, UTC)
    short = pc.replace_substring_regex(texts, pattern=r"(\.[0-9]{6})0+", replacement=r"\1")
    marks = pc.if_else(pc.match_substring_regex(short, _ZONE), pa.scalar(""), pa.scalar("Z"))
    return pc.cast(_joined(short, marks), UTC)


def _joined(texts: Values, marks: Values) -> Values:
    join: Any = pc.binary_join_element_wise  # its stub takes no separator beside arrays
    joined: Values = join(texts, marks, "")
    return joined
