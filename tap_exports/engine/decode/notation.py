"""From the notation of a file (decimal comma, `31.12.2026`, `yes`) to the one that types are checked in.

What is not in the notation becomes a text that fits no type: a reject, never another value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tap_exports.engine.decode.dialect import CsvDialect, has_time
from tap_exports.engine.decode.instants import instant_text
from tap_exports.engine.decode.layout import Layout
from tap_exports.engine.model import Column, Kind

Translate = Callable[[str], str]
_NONE_OF_IT = "\0"  # begins a text that no type takes
_DASH = len("2026")  # where ISO 8601 has its first dash


@dataclass(frozen=True, slots=True)
class Notation:
    """How the values of one file are written.

    Attributes:
        dialect: As configured.
        instants: Columns that may hold seconds since 1970.
    """

    dialect: CsvDialect = field(default_factory=CsvDialect)
    instants: frozenset[str] = frozenset()

    @classmethod
    def of(cls, layout: Layout) -> Notation:
        """Return the notation of a layout."""
        return cls(layout.csv, layout.instants)

    def canonical(self, texts: pa.StringArray, name: str, kind: Kind) -> pa.StringArray:
        """Return a column in the notation of its type; the same column where nothing says otherwise.

        Args:
            texts: The column as in the file.
            name: The property.
            kind: Its declared type.
        """
        if name in self.dialect.date_formats:
            return translated(texts, _dates(self.dialect.date_formats[name]))
        if name in self.instants:
            return translated(texts, _instants) if _may_be_seconds(texts) else texts
        translate = self.of_kind(kind)
        return translated(texts, translate) if translate else texts

    def kind(self, column: Column) -> Kind:
        """Return what the values of a column are checked as: a column with a date format holds dates."""
        form = self.dialect.date_formats.get(column.name)
        if form is None or column.kind not in {Kind.STRING, Kind.ANY}:
            return column.kind
        return Kind.DATETIME if has_time(form) else Kind.DATE

    def of_kind(self, kind: Kind) -> Translate | None:
        """Return what translates the values of a type, or None where they stand as they are."""
        dialect = self.dialect
        if kind in {Kind.INTEGER, Kind.NUMBER} and (dialect.decimal != "." or dialect.thousands):
            return _numbers(dialect.decimal, dialect.thousands)
        if kind is Kind.BOOLEAN and (dialect.true_values or dialect.false_values):
            return _words(dialect)
        return None


def translated(texts: pa.StringArray, translate: Translate) -> pa.StringArray:
    """Translate each different value once; null stays null, and an empty text, which is one in every notation."""
    encoded: Any = texts.dictionary_encode()
    values = [translate(value) if value else value for value in encoded.dictionary.to_pylist()]
    return pa.array(values, pa.string()).take(encoded.indices)


def _dates(form: str) -> Translate:
    timed = has_time(form)

    def translate(text: str) -> str:
        try:
            moment = datetime.strptime(text, form)  # noqa: DTZ007 - the format says whether it has a zone
        except ValueError:
            return _NONE_OF_IT + text
        return moment.isoformat() if timed else moment.date().isoformat()

    return translate


def _numbers(decimal: str, thousands: str | None) -> Translate:
    mark, group = re.escape(decimal), re.escape(thousands or "")
    grouped = rf"[1-9][0-9]{{0,2}}(?:{group}[0-9]{{3}})+|" if thousands else ""
    number = re.compile(rf"-?(?:{grouped}[0-9]+)(?:{mark}[0-9]+)?(?:[eE][+-]?[0-9]+)?")

    def translate(text: str) -> str:
        if not number.fullmatch(text):
            return _NONE_OF_IT + text
        return (text.replace(thousands, "") if thousands else text).replace(decimal, ".")

    return translate


def _words(dialect: CsvDialect) -> Translate:
    words: Mapping[str, str] = {
        **{word.casefold(): "true" for word in dialect.true_values or ("true",)},
        **{word.casefold(): "false" for word in dialect.false_values or ("false",)},
    }
    return lambda text: words.get(text.casefold(), _NONE_OF_IT + text)


def _instants(text: str) -> str:
    return str(instant_text(text))


def _may_be_seconds(texts: pa.StringArray) -> bool:
    """Tell whether a value is not written like a date, in one quick look."""
    dashes: Any = pc.find_substring(texts, "-")
    return bool(pc.any(pc.not_equal(dashes, pa.scalar(_DASH)), min_count=0).as_py())
