"""Column types from samples: a type only where every value fits it without loss."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from typing import Any

import pyarrow as pa

from tap_exports.engine.decode.cast import BOOLEAN, DATE, INSTANT, rfc3339
from tap_exports.engine.decode.notation import Notation
from tap_exports.engine.model import Column, Kind

_SAFE_INTEGER = r"0|-?[1-9][0-9]{0,17}"  # fits 64 bits in every target
_SAFE_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?"  # `1.10` would come out as 1.1
_SAFE_DIGITS = 15
_INT64 = range(-(2**63), 2**63)

_KINDS: Mapping[type, Kind] = {
    bool: Kind.BOOLEAN,
    int: Kind.INTEGER,
    float: Kind.NUMBER,
    Decimal: Kind.NUMBER,
    str: Kind.STRING,
    dict: Kind.OBJECT,
    list: Kind.ARRAY,
}


def infer_columns(rows: Iterable[Mapping[str, Any]]) -> dict[str, Column]:
    """Return the columns of JSON rows, in the order of their first appearance.

    Integers beyond 64 bits and integers mixed with decimals are `NUMBER`; any other mix, and a column of nulls only,
    is `ANY`. Text is `DATETIME` where every value is an ISO 8601 instant with an offset; a bare date stays text.
    Objects and arrays carry the JSON Schema of what is in them, everything nullable.
    """
    kept = list(rows)
    names = dict.fromkeys(chain.from_iterable(kept))
    return {name: _column(name, [row[name] for row in kept if row.get(name) is not None]) for name in names}


def infer_text_columns(table: pa.Table | pa.RecordBatch, notation: Notation | None = None) -> dict[str, Column]:
    """Return the columns of a table of text, as a CSV sample gives it.

    A column is typed where every value that is not null fits: `true` and `false` in any letter case; integers of at
    most 18 digits in their shortest form; plain decimals of at most 15 digits whose text the number gives back, so that
    `007`, `1e5`, `+1`, `-0` and `1.10` stay text; valid dates; instants with an offset. Without any value it is text.

    Args:
        table: The sample.
        notation: How the file writes numbers and words; dates come in it as they will be typed.
    """
    notation = notation or Notation()
    return {name: Column(name, _text_kind(table.column(name).to_pylist(), notation)) for name in table.schema.names}


def _column(name: str, values: Sequence[Any]) -> Column:
    """Return the column for the values that are not null."""
    kind = _kind(values)
    if kind is Kind.STRING and all(map(_is_instant, values)):
        kind = Kind.DATETIME
    nested = kind in {Kind.OBJECT, Kind.ARRAY}
    return Column(name, kind, _schema(kind, values) if nested else None)


def _kind(values: Sequence[Any]) -> Kind:
    """Return the one kind that all values have."""
    kinds = {_KINDS.get(type(value), Kind.ANY) for value in values}
    if kinds == {Kind.INTEGER, Kind.NUMBER}:
        return Kind.NUMBER
    kind = kinds.pop() if len(kinds) == 1 else Kind.ANY
    return Kind.NUMBER if kind is Kind.INTEGER and any(value not in _INT64 for value in values) else kind


def _schema(kind: Kind, values: Sequence[Any]) -> dict[str, Any]:
    """Return the JSON Schema of values of one kind; `ANY` allows everything."""
    if kind is Kind.ANY:
        return {}
    schema: dict[str, Any] = {"type": [kind.value, "null"]}
    if kind is Kind.OBJECT:
        names = dict.fromkeys(chain.from_iterable(values))
        schema["properties"] = {name: _nested([value.get(name) for value in values]) for name in names}
    if kind is Kind.ARRAY:
        schema["items"] = _nested(list(chain.from_iterable(values)))
    return schema


def _nested(values: Sequence[Any]) -> dict[str, Any]:
    """Return the JSON Schema of what stands in one place of an object or array."""
    present = [value for value in values if value is not None]
    return _schema(_kind(present), present)


def _text_kind(texts: Sequence[str | None], notation: Notation) -> Kind:
    """Return the first kind that all texts fit without loss."""
    present = [text for text in texts if text is not None]
    for kind, is_one in _TEXT_KINDS.items():
        translate = notation.of_kind(kind)
        if present and all(map(is_one, map(translate, present) if translate else present)):
            return kind
    return Kind.STRING


def _is_number(text: str) -> bool:
    """Return whether a number shows the same digits again."""
    digits = sum(character.isdigit() for character in text)
    return bool(re.fullmatch(_SAFE_NUMBER, text)) and digits <= _SAFE_DIGITS and text != "-0"


def _is_instant(text: str) -> bool:
    """Return whether an instant has an offset and a year in UTC that dates have."""
    return re.fullmatch(INSTANT, text) is not None and rfc3339(text) is not None


def _matching(pattern: str) -> Callable[[str], bool]:
    """Return a test for whole texts."""
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None


_TEXT_KINDS: Mapping[Kind, Callable[[str], bool]] = {
    Kind.BOOLEAN: _matching(BOOLEAN),
    Kind.INTEGER: _matching(_SAFE_INTEGER),
    Kind.NUMBER: _is_number,
    Kind.DATE: _matching(DATE),
    Kind.DATETIME: _is_instant,
}
