"""Whether a page of JSON rows fits its columns as it is: one compiled check, no Python per value.

It only ever says yes where `conform` would find nothing to do; a page without a yes is looked at value by value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from tap_exports.engine.decode.cast import rfc3339
from tap_exports.engine.decode.layout import Layout
from tap_exports.engine.decode.names import is_reserved
from tap_exports.engine.model import Kind, Row

_TYPES: Mapping[Kind, Any] = {
    Kind.STRING: str | None,
    Kind.INTEGER: int | None,
    Kind.NUMBER: int | float | None,
    Kind.BOOLEAN: bool | None,
    Kind.DATE: date | None,
    Kind.DATETIME: datetime | None,
}
_KEY_TYPES: Mapping[Kind, Any] = {
    Kind.STRING: str,
    Kind.INTEGER: int,
    Kind.NUMBER: int | float,
    Kind.BOOLEAN: bool,
    Kind.DATE: date,
    Kind.DATETIME: datetime,
}
_ANY_KEY = str | int | float | bool | dict[str, Any] | list[Any]
_CONTAINERS = {Kind.OBJECT: dict, Kind.ARRAY: list}
_TO_SECONDS = len("2026-01-01T00:00:00Z")
_TO_MICROSECONDS = len("2026-01-01T00:00:00.000000Z")


@dataclass(frozen=True, slots=True)
class Fitting:
    """Rows that fit, read as their types.

    Attributes:
        typed: A struct for each row.
        fields: The struct's field of each column that is an instant.
    """

    typed: Sequence[Any]
    fields: Mapping[str, str]

    def instants(self, name: str) -> list[datetime] | None:
        """Return the instants of a column, or None where one is missing, has no offset or is finer than microseconds.

        Args:
            name: The column.
        """
        field = self.fields.get(name)
        found: list[Any] = list(map(attrgetter(field), self.typed)) if field else [None]
        return found if all(each is not None and each.tzinfo is not None for each in found) else None


@dataclass(frozen=True, slots=True)
class Shape:
    """The compiled check of a layout.

    Attributes:
        rows: A list of structs with a field for each column, and no other.
        instants: The field of each column that is an instant.
        containers: Fields of objects and arrays, and their types.
    """

    rows: Any
    instants: Mapping[str, str]
    containers: Mapping[str, type]

    def fit(self, rows: Sequence[Row]) -> Fitting | None:
        """Return the rows as their types, or None where one may not fit."""
        try:
            typed = msgspec.convert(rows, self.rows)
        except msgspec.ValidationError:
            return None
        for field, kind in self.containers.items():
            if not set(map(type, map(attrgetter(field), typed))) <= {kind, type(None)}:
                return None
        plain = all(_is_plain([row.get(name) for row in rows]) for name in self.instants)
        return Fitting(typed, self.instants) if plain else None


def fit(rows: Sequence[Row], layout: Layout) -> Fitting | None:
    """Return rows as their types, or None where one may not fit or `conform` would rename something.

    Args:
        rows: A page, which stays as it is.
        layout: The columns; a deselected one fits whatever it holds.
    """
    columns = {name: Kind.ANY if name in layout.deselected else c.kind for name, c in layout.columns.items()}
    if layout.instants or any(map(is_reserved, columns)) or not columns.keys().isdisjoint(layout.aliases):
        return None
    shape = _shape(tuple(columns.items()), layout.keys)
    return shape.fit(rows) if shape else None


@lru_cache(maxsize=64)
def _shape(columns: tuple[tuple[str, Kind], ...], keys: tuple[str, ...]) -> Shape | None:
    """Return the check of some columns, or None where a name cannot be that of a field or a key is no column."""
    fields = {f"f{number}": column for number, column in enumerate(columns)}
    names = {field: name for field, (name, _) in fields.items()}
    if not set(keys) <= set(names.values()):
        return None
    types: list[Any] = [
        (field, _KEY_TYPES.get(kind, _ANY_KEY)) if name in keys else (field, _TYPES.get(kind, Any), None)
        for field, (name, kind) in fields.items()
    ]
    try:
        row = msgspec.defstruct("Row", types, rename=names, forbid_unknown_fields=True, gc=False, kw_only=True)
    except ValueError:
        return None
    instants = {name: field for field, (name, kind) in fields.items() if kind is Kind.DATETIME}
    containers = {field: _CONTAINERS[kind] for field, (_, kind) in fields.items() if kind in _CONTAINERS}
    return Shape(list[row], instants, containers)  # type: ignore[valid-type] # a type made at run time


def _is_plain(texts: list[str | None]) -> bool:
    """Tell whether instants are RFC 3339 as the tap writes them; msgspec takes other forms too, and rounds."""
    found = list(filter(None, texts))
    if max(map(len, found), default=0) > _TO_MICROSECONDS:
        return False
    whole = "".join(found)
    in_utc = whole.count("Z") == whole.count("T") == len(found) and whole.isascii()
    return (in_utc and min(map(len, found), default=_TO_SECONDS) >= _TO_SECONDS) or all(
        rfc3339(text) == text for text in found
    )
