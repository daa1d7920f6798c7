"""The files of an export: JSON of three shapes, CSV with nested values merged or flattened."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo
from decimal import Decimal
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tap_exports.sandbox.cells import csv_line
from tap_exports.sandbox.clock import iso_ms
from tap_exports.sandbox.jsonfile import write_json
from tap_exports.sandbox.packagex.seed import Row
from tap_exports.sandbox.web import Refusal, to_json

# Pattern letters of date-fns and what strftime calls them; it has no name for two, which are put in afterwards.
_PIECE = re.compile(r"'[^']*'|yyyy|MMMM|MMM|MM|dd|HH|hh|mm|ss|SSS|a|xxx|.", re.DOTALL)
_MILLISECONDS, _OFFSET = "\x01", "\x02"
_STRFTIME = {
    "yyyy": "%Y",
    "MMMM": "%B",
    "MMM": "%b",
    "MM": "%m",
    "dd": "%d",
    "HH": "%H",
    "hh": "%I",
    "mm": "%M",
    "ss": "%S",
    "a": "%p",
    "SSS": _MILLISECONDS,
    "xxx": _OFFSET,
}
_TIMESTAMPS: dict[str, Callable[[datetime], int | str]] = {
    "epoch": lambda moment: int(moment.timestamp()),
    "text": lambda moment: str(int(moment.timestamp())),
    "iso": iso_ms,
}


def shown(value: Any, timestamps: str) -> Any:
    """Return a value with its moments written as `epoch` (whole seconds), `text` (the same as text) or `iso`."""
    if isinstance(value, dict):
        return {name: shown(each, timestamps) for name, each in value.items()}
    if isinstance(value, list):
        return [shown(each, timestamps) for each in value]
    return _TIMESTAMPS[timestamps](value) if isinstance(value, datetime) else value


@dataclass(frozen=True, slots=True)
class JsonFile:
    """Rows as JSON; `root` as in `write_json`."""

    rows: Callable[[], Iterable[Row]]
    root: str
    timestamps: str

    def write(self, file: BinaryIO) -> None:
        """Write the file, row by row."""
        write_json(file, (shown(row, self.timestamps) for row in self.rows()), self.root)


@dataclass(frozen=True, slots=True)
class Format:
    """The `csv_field_options` of a request: `pattern` is strftime's, `columns` empty for all."""

    zone: tzinfo
    pattern: str
    columns: tuple[str, ...]

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Format:
        """Read the options.

        Raises:
            Refusal: 400, with the name of the field in its details.
        """
        unknown = sorted(set(given) - {"timezone", "datetime_format", "columns"})
        columns = given.get("columns", {})
        if unknown or not isinstance(columns, Mapping):
            raise _invalid(unknown[0] if unknown else "columns")
        pattern = given.get("datetime_format", "yyyy-MM-dd HH:mm:ss")
        if not isinstance(pattern, str):
            raise _invalid("datetime_format")
        code = "".join(_code(match.group()) for match in _PIECE.finditer(pattern))
        return cls(_zone(given.get("timezone", "UTC")), code, tuple(name for name, on in columns.items() if on))

    def date(self, moment: datetime) -> str:
        """Return a moment as the pattern says, in the zone."""
        local = moment.astimezone(self.zone)
        text = local.strftime(self.pattern).replace(_MILLISECONDS, f"{local.microsecond // 1000:03d}")
        offset = f"{local:%z}"
        return text.replace(_OFFSET, f"{offset[:3]}:{offset[3:5]}")


@dataclass(frozen=True, slots=True)
class CsvFile:
    """Rows as CSV; `nesting` is `merge` or `flatten`."""

    rows: Callable[[], Iterable[Row]]
    nesting: str
    format: Format

    def write(self, file: BinaryIO) -> None:
        """Write the file, UTF-8; in `flatten` the rows decide on the columns, so they are read twice."""
        columns = list(dict.fromkeys(name for row in self.rows() for name, _ in self._values(row)))
        file.write((csv_line(columns) + "\n").encode())
        for row in self.rows():
            cells = self._cells(row)
            file.write((csv_line([cells.get(name) for name in columns]) + "\n").encode())

    def _cells(self, row: Row) -> dict[str, str | None]:
        return {name: self._text(value) for name, value in self._values(row)}

    def _values(self, row: Row) -> Iterable[tuple[str, Any]]:
        wanted = {name: row.get(name) for name in self.format.columns} if self.format.columns else row
        return _flat(wanted) if self.nesting == "flatten" else wanted.items()

    def _text(self, value: Any) -> str | None:
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, datetime):
            return self.format.date(value)
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, list) and value and all(isinstance(each, dict) and "name" in each for each in value):
            return ", ".join(each["name"] for each in value)
        return to_json(value, ascii_only=False).decode()


def formula_file(rows: list[Row], form: Format) -> Callable[[BinaryIO], None]:
    """Return how to write rows that are held out, made harmless: an apostrophe before what looks like a formula."""
    safe = [{name: _harmless(value) for name, value in row.items()} for row in rows]
    return CsvFile(lambda: safe, "merge", form).write


def error_file(errors: list[tuple[Row, str]], form: Format) -> Callable[[BinaryIO], None]:
    """Return how to write the rows that failed, one line with id and reason each."""
    rows = [{"id": row["id"], "error": reason} for row, reason in errors]
    return CsvFile(lambda: rows, "merge", Format(form.zone, form.pattern, ())).write


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith("=") else value


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for name, each in pairs:
            yield from _flat(each, f"{path}.{name}" if path else str(name))
    elif not isinstance(value, dict | list):
        yield path, value


def _code(piece: str) -> str:
    if piece.startswith("'"):
        return (piece[1:-1] or "'").replace("%", "%%")
    return _STRFTIME.get(piece, piece.replace("%", "%%"))


def _zone(name: Any) -> tzinfo:
    if name == "UTC":
        return timezone.utc
    try:
        return ZoneInfo(name)
    except (TypeError, ValueError, ZoneInfoNotFoundError):
        raise _invalid("timezone") from None


def _invalid(name: str) -> Refusal:
    field = f"csv_field_options.{name}"
    return Refusal(400, f"{field} is not valid", code="validation_error", details=[field])
