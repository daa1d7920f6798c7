"""Which notation the values of columns are written in, where they do not fit their types as they stand."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from tap_exports.engine.decode.cast import PATTERNS, fits
from tap_exports.engine.decode.dialect import CsvDialect, has_time
from tap_exports.engine.decode.notation import Notation
from tap_exports.engine.model import Kind

_NULLS = ("NULL", "null", "Null", "\\N", "NA", "N/A", "n/a", "#N/A", "None", "none", "nil", "(null)", "NaN", "nan", "-")
_MARKS = (
    (",", None),
    (",", "."),
    (".", ","),
    (",", " "),
    (".", " "),
    (".", "'"),
    (",", "'"),
    (",", "\u00a0"),
    (",", "\u202f"),
)
_WORDS = (
    ("yes", "no"),
    ("y", "n"),
    ("1", "0"),
    ("t", "f"),
    ("on", "off"),
    ("ja", "nein"),
    ("oui", "non"),
    ("sí", "no"),
)
_DAYS = (
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y%m%d",
    "%d.%m.%y",
    "%m/%d/%y",
)
_NAMED_DAYS = ("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y")
_TIMES = (" %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", " %H:%M:%S.%f", "T%H:%M:%S", " %H:%M:%S %z")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the first rows.

    Attributes:
        name: The property.
        kind: Its declared type.
        texts: Its texts that are not empty.
        bare: Those that stand without quotes.
    """

    name: str
    kind: Kind
    texts: Sequence[str]
    bare: Collection[str]


def guesses(columns: Sequence[Column], dialect: CsvDialect) -> tuple[dict[str, Any], str] | None:
    """Return the settings under which all texts fit, and a remark where others would read them too; None without any.

    Args:
        columns: What the first rows show.
        dialect: In which it stands.
    """
    found, nulls = [column for column in columns if column.kind in PATTERNS or column.kind is Kind.STRING], set[str]()
    for column in found:
        nulls |= {text for text in _misfits(column, dialect) if text in _NULLS and text in column.bare}
    found = [_without(column, {*nulls, *dialect.null_values}) for column in found]
    changes: dict[str, Any] = {"null_values": [*dialect.null_values, *sorted(nulls)]} if nulls else {}
    numbers = [column for column in found if column.kind in {Kind.NUMBER, Kind.INTEGER}]
    changes_of_numbers, doubts = _first(numbers, _number_settings(), dialect)
    changes |= changes_of_numbers
    changes |= _first([column for column in found if column.kind is Kind.BOOLEAN], _word_settings(), dialect)[0]
    dates: dict[str, str] = {}
    for column in found:
        if column.kind in {Kind.DATE, Kind.DATETIME}:
            chosen, doubt = _first([column], _date_settings(column), dialect)
            dates |= chosen.get("date_formats", {})
            doubts += doubt
    changes |= {"date_formats": {**dialect.date_formats, **dates}} if dates else {}
    settled = replace(dialect, **changes)
    return None if any(_misfits(column, settled) for column in found) else (changes, doubts)


def _first(
    columns: Sequence[Column], settings: Iterable[Mapping[str, Any]], dialect: CsvDialect
) -> tuple[dict[str, Any], str]:
    """Return the first settings under which all texts fit, and the first others that give other values."""
    if not any(_misfits(column, dialect) for column in columns):
        return {}, ""
    fitting = [(each, _values(columns, replace(dialect, **each))) for each in settings]
    good = [(each, values) for each, values in fitting if values is not None]
    if not good:
        return {}, ""
    chosen, values = {name: value for name, value in good[0][0].items() if value is not None}, good[0][1]
    other = next((each for each, others in good[1:] if others != values), None)
    return chosen, f" (or {json.dumps(other, ensure_ascii=False)}: the first rows fit both)" if other else ""


def _values(columns: Sequence[Column], dialect: CsvDialect) -> list[list[str | None]] | None:
    """Return the texts in the notation of their types, or None where one does not fit."""
    found = [_canonical(column, dialect) for column in columns]
    if all(all(fits(texts, column.kind).to_pylist()) for column, texts in zip(columns, found, strict=True)):
        return [texts.to_pylist() for texts in found]
    return None


def _canonical(column: Column, dialect: CsvDialect) -> pa.StringArray:
    return Notation(dialect).canonical(pa.array(column.texts, pa.string()), column.name, column.kind)


def _misfits(column: Column, dialect: CsvDialect) -> set[str]:
    """Return the texts that do not fit; of text, those that the escape of another system means null by."""
    if column.kind is Kind.STRING:
        return {"\\N"} & set(column.bare)
    mask = fits(_canonical(column, dialect), column.kind).to_pylist()
    return {text for text, is_good in zip(column.texts, mask, strict=True) if not is_good}


def _without(column: Column, nulls: Collection[str]) -> Column:
    kept = [text for text in column.texts if text not in nulls or text not in column.bare]
    return replace(column, texts=kept, bare=frozenset(column.bare).difference(nulls))


def _number_settings() -> Iterable[Mapping[str, Any]]:
    return ({"decimal": decimal, "thousands": thousands} for decimal, thousands in _MARKS)


def _word_settings() -> Iterable[Mapping[str, Any]]:
    return ({"true_values": [true], "false_values": [false]} for true, false in _WORDS)


def _date_settings(column: Column) -> Iterable[Mapping[str, Any]]:
    days = (*_DAYS, *_NAMED_DAYS)
    forms = [day + time for day in days for time in _TIMES] if column.kind is Kind.DATETIME else days
    return ({"date_formats": {column.name: form}} for form in forms if has_time(form) == (column.kind is Kind.DATETIME))
