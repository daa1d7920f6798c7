"""Rows that wait to be loaded: RECORD messages decoded to Arrow columns, and parts that BATCH messages name."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from target_exports.errors import LoadError
from target_exports.kinds import DOCUMENT, INTEGER, Kind, Schema, kind_of

LOGGER = logging.getLogger("target-exports")
VERSION = "_sdc_table_version"
_ABSENT = msgspec.Raw(b"null")
Columns = dict[str, Kind]
if TYPE_CHECKING:
    Values = pa.Array[Any]
_ODD = re.compile(r'["\\\x00-\x1f]')


@dataclass
class Shape:
    """What a SCHEMA message declares.

    Attributes:
        stream: The stream's name.
        schema: Its JSON Schema.
        keys: Its key properties.
        unknown: Properties that records have and the schema lacks; they become JSON columns.
    """

    stream: str
    schema: Schema
    keys: tuple[str, ...]
    unknown: tuple[str, ...] = ()

    @cached_property
    def columns(self) -> Columns:
        """Return the columns by name."""
        declared = {name: kind_of(prop) for name, prop in self.schema.get("properties", {}).items()}
        others = {name: INTEGER if name == VERSION else DOCUMENT for name in (*self.keys, *self.unknown)}
        return {**declared, **{name: kind for name, kind in others.items() if name not in declared}}

    def admit(self, names: Iterable[str]) -> None:
        """Make columns of the properties that the schema lacks."""
        unknown = sorted(set(names) - self.columns.keys())
        if told := [name for name in unknown if name != VERSION]:
            LOGGER.warning("%s: SCHEMA lacks %s, which rows have: loaded as JSON", self.stream, ", ".join(told))
        if unknown:
            self.unknown += tuple(unknown)
            for cached in ("columns", "is_plain", "_row", "_decoder", "_line_decoder"):
                self.__dict__.pop(cached, None)

    @cached_property
    def is_plain(self) -> bool:
        """Return whether all names are such as a struct of msgspec can have; others are decoded a column at a time."""
        return not any(_ODD.search(name) for name in self.columns)

    def table(self, records: Sequence[msgspec.Raw]) -> pa.Table:
        """Return records as columns `c0`, `c1` and so on, in the order of `columns`.

        Raises:
            LoadError: A value is not of its declared type.
        """
        text = b"[%b]" % b",".join(records)
        if self.is_plain:
            with suppress(msgspec.ValidationError):
                return self._table(self._decoder.decode(text))
        rows = msgspec.json.decode(text, type=list[dict[str, msgspec.Raw]])
        self.admit(set[str]().union(*rows))
        values = {name: [row.get(name, _ABSENT) for row in rows] for name in self.columns}
        return _named([self._decoded(name, values[name]) for name in self.columns])

    def _decoded(self, name: str, values: list[msgspec.Raw]) -> Values:
        """Decode a column whose records are not as declared, or whose names are not plain."""
        kind = self.columns[name]
        try:
            return _array(values if kind.decoded is msgspec.Raw else _decode(values, kind.decoded), kind)
        except msgspec.ValidationError as error:
            with suppress(ValueError):
                if kind is INTEGER:
                    return pa.array([_whole(bytes(value)) for value in values], pa.string())
            raise LoadError(f'{self.stream}: column "{name}": a value is not of its declared type: {error}') from None

    def tables_of_lines(self, lines: bytes) -> Iterator[tuple[int | None, pa.Table]]:
        """Yield the records of RECORD lines of this stream as `table` does, with their version; one pass over the text.

        Raises:
            ValidationError: A record is not as declared; `table` takes it, or says more.
        """
        found = self._line_decoder.decode_lines(lines)
        for version, run in groupby(found, attrgetter("version")):
            yield version, self._table([line.record for line in run])

    @cached_property
    def _line_decoder(self) -> msgspec.json.Decoder[Any]:
        line = msgspec.defstruct("Line", [("record", self._row), ("version", int | None, None)], gc=False)
        return msgspec.json.Decoder(line)

    @cached_property
    def _decoder(self) -> msgspec.json.Decoder[list[Any]]:
        return msgspec.json.Decoder(list[self._row])  # type: ignore[name-defined] # made at run time

    @cached_property
    def _row(self) -> type[msgspec.Struct]:
        fields = [
            (f"c{at}", kind.decoded, msgspec.field(name=name, default=_ABSENT if kind.decoded is msgspec.Raw else None))
            for at, (name, kind) in enumerate(self.columns.items())
        ]
        return msgspec.defstruct("Row", fields, gc=False, forbid_unknown_fields=True)

    def _table(self, rows: Sequence[Any]) -> pa.Table:
        columns = enumerate(self.columns.values())
        return _named([_array(list(map(attrgetter(f"c{at}"), rows)), kind) for at, kind in columns])


def _decode(values: list[msgspec.Raw], wanted: Any) -> list[Any]:
    found: list[Any] = msgspec.json.decode(b"[%b]" % b",".join(values), type=list[wanted])
    return found


def _array(values: list[Any], kind: Kind) -> Values:
    """Return a column: integers and booleans as such, the rest as text."""
    if kind.decoded is msgspec.Raw:
        texts: list[bytes | None] = list(map(bytes, values))
        return pa.array(
            [None if text == b"null" else text for text in texts] if b"null" in texts else texts, pa.string()
        )
    if kind is not INTEGER:
        return pa.array(values, pa.string() if kind.decoded == (str | None) else pa.bool_())
    try:
        return pa.array(values, pa.int64())
    except (OverflowError, pa.ArrowInvalid):
        return pa.array([None if value is None else str(value) for value in values], pa.string())


def _whole(text: bytes) -> str | None:
    """Return the digits of a whole number in any notation, such as `5.0`.

    Raises:
        ValueError: It is none.
    """
    if text == b"null":
        return None
    number = Decimal(text.decode()) if text[:1] in b"-0123456789" else Decimal("0.5")
    if number != number.to_integral_value():
        raise ValueError
    return f"{number:.0f}"


def _named(columns: Sequence[Values]) -> pa.Table:
    return pa.table(columns, names=[f"c{at}" for at in range(len(columns))])
