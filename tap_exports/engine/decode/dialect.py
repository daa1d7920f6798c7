"""The `csv` block of an export: how a CSV file is written where it differs from RFC 4180."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from typing import Any

from tap_exports.engine.decode.records import Grammar
from tap_exports.errors import ConfigError

NUL = ("keep", "strip", "reject")
_TAB = "\\t"
_PROBES = (datetime(2026, 12, 31, 1, 2, tzinfo=timezone.utc), datetime(2009, 3, 4, 15, 16, 17, tzinfo=timezone.utc))


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """How a CSV file is written; the defaults lose nothing.

    Attributes:
        delimiter: One character, or None: a `sep=` line says it, else the header and the first rows show it.
        quote: One character, or empty: there are no quotes.
        escape: A character that makes the next one text, or None: quotes are doubled.
        encoding: A codec's name, or None: a byte order mark decides, else UTF-8. Holds for JSON files too.
        null_values: Unquoted texts that are null in every column.
        skip_rows: Lines above the header.
        comment: Lines that begin with this character are passed over, or None.
        footer_rows: Lines at the end that are no data.
        decimal: The decimal mark of numbers.
        thousands: What groups the digits of numbers, or None.
        date_formats: By column, the format (of `strptime`) of its dates or date-times.
        true_values: Words for true, without case; empty: `true`.
        false_values: Words for false, without case; empty: `false`.
        trailing_delimiter: Whether each row ends with a delimiter.
        nul: What happens with NUL characters: `keep`, `strip`, or `reject` the row.
    """

    delimiter: str | None = None
    quote: str = '"'
    escape: str | None = None
    encoding: str | None = None
    null_values: tuple[str, ...] = ()
    skip_rows: int = 0
    comment: str | None = None
    footer_rows: int = 0
    decimal: str = "."
    thousands: str | None = None
    date_formats: Mapping[str, str] = field(default_factory=dict)
    true_values: tuple[str, ...] = ()
    false_values: tuple[str, ...] = ()
    trailing_delimiter: bool = False
    nul: str = "keep"

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> CsvDialect:
        """Return the dialect of a `csv` block.

        Raises:
            ConfigError: A value is of no use, or two contradict each other.
        """
        known = {each.name: values[each.name] for each in fields(cls) if values.get(each.name) is not None}
        lists = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        tabs = {name: "\t" for name in ("delimiter", "thousands") if known.get(name) == _TAB}
        made = cls(**{**known, **lists, **tabs})
        for complaint in _complaints(made):
            raise ConfigError(f"config: csv: {complaint}")
        return made

    def values(self) -> dict[str, Any]:
        """Return the dialect as JSON values."""
        return asdict(self)

    def grammar(self, delimiter: bytes) -> Grammar:
        """Return what divides the text.

        Args:
            delimiter: The delimiter that was found, or set.
        """
        escape = "" if self.escape == self.quote else self.escape or ""
        return Grammar(delimiter, self.quote.encode(), escape.encode(), (self.comment or "").encode())


def has_time(form: str) -> bool:
    """Tell whether a date format holds a time of day."""
    return _PROBES[1].strftime(form) != _PROBES[1].replace(hour=4, minute=5, second=6).strftime(form)


def _complaints(dialect: CsvDialect) -> list[str]:
    """Return what is wrong, the first first."""
    marks = {name: getattr(dialect, name) for name in ("delimiter", "quote", "escape", "comment")}
    found = [f"{name} must be one ASCII character" for name, mark in marks.items() if mark and not _is_mark(mark)]
    used = [mark for name, mark in marks.items() if mark and (name != "escape" or mark != dialect.quote)]
    if dialect.delimiter == "":
        found.append("delimiter must be one ASCII character")
    if len(set(used)) < len(used):
        found.append("delimiter, quote, escape and comment must differ")
    if len(dialect.decimal) != 1 or dialect.decimal == dialect.thousands:
        found.append("decimal must be one character, and another than thousands")
    if {word.casefold() for word in dialect.true_values or ("true",)} & {
        word.casefold() for word in dialect.false_values or ("false",)
    }:
        found.append("a word is in true_values and in false_values")
    if dialect.nul not in NUL:
        found.append(f"nul must be one of {', '.join(NUL)}")
    if min(dialect.skip_rows, dialect.footer_rows) < 0:
        found.append("skip_rows and footer_rows must not be negative")
    found += [
        f'date_formats: "{form}" of "{name}" {why}'
        for name, form in dialect.date_formats.items()
        for why in _unfit(form)
    ]
    return found + ([] if _is_codec(dialect.encoding) else [f'"{dialect.encoding}" is not a known text encoding'])


def _is_mark(mark: str) -> bool:
    return len(mark) == 1 and mark.isascii() and mark not in "\r\n\0"


def _is_codec(encoding: str | None) -> bool:
    try:
        " ".encode(encoding or "utf-8")
        codecs.lookup(encoding or "utf-8")
    except (LookupError, UnicodeError):
        return False
    return True


def _unfit(form: str) -> list[str]:
    """Return why a date format is none: it has to give back the day that it wrote."""
    try:
        days = [datetime.strptime(probe.strftime(form), form).date() for probe in _PROBES]  # noqa: DTZ007 - days only
    except ValueError:
        return ["is not a format of strptime"]
    return [] if days == [probe.date() for probe in _PROBES] else ["does not tell day, month and year"]
