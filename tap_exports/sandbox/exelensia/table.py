"""The CSV of an export: columns and rows out of extractions.

The documents leave the columns open. Here they are the schema's field keys in the schema's order; an array stands as
JSON text in one cell, or, when it is expanded, as one row per item with one column per field of the item.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from tap_exports.sandbox.cells import csv_line
from tap_exports.sandbox.exelensia.results import Row
from tap_exports.sandbox.web import to_json


@dataclass(frozen=True, slots=True)
class Layout:
    """How the file is laid out where the documents leave it open.

    Attributes:
        header: `key` or `label` of the fields.
        newline: between rows.
        expanded: names of the columns of an expanded array, `dotted` (`lines.amount`) or `plain` (`amount`).
        keep_empty: whether a result with an empty array keeps one row when that array is expanded.
    """

    header: str = "key"
    newline: str = "\n"
    expanded: str = "dotted"
    keep_empty: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows of one export."""

    fields: list[dict[str, Any]]
    expand: str | None
    layout: Layout

    @property
    def columns(self) -> list[str]:
        """Return the header row."""
        return [name for field in self.fields for name in self._names(field)]

    def rows(self, results: Iterable[Row]) -> Iterator[list[str | None]]:
        """Yield the cells of every row; None is null."""
        for result in results:
            for item in self._items(result["extraction"]):
                yield [_text(cell) for field in self.fields for cell in self._cells(field, result["extraction"], item)]

    def write(self, file: BinaryIO, results: Iterable[Row]) -> None:
        """Write the file, UTF-8; an empty text is `""`, null is nothing."""
        newline = self.layout.newline
        file.write((csv_line(self.columns) + newline).encode())
        file.writelines((csv_line(cells) + newline).encode() for cells in self.rows(results))

    def _names(self, field: dict[str, Any]) -> list[str]:
        name: str = field[self.layout.header]
        if field["key"] != self.expand or "items" not in field:
            return [name]
        inner: list[str] = [item[self.layout.header] for item in field["items"]["fields"]]
        return [f"{name}.{each}" for each in inner] if self.layout.expanded == "dotted" else inner

    def _items(self, extraction: Row) -> list[Any]:
        if self.expand is None:
            return [None]
        return list(extraction[self.expand] or ()) or ([None] if self.layout.keep_empty else [])

    def _cells(self, field: dict[str, Any], extraction: Row, item: Any) -> list[Any]:
        if field["key"] != self.expand:
            return [extraction[field["key"]]]
        if "items" not in field:
            return [item]
        return [(item or {}).get(inner["key"]) for inner in field["items"]["fields"]]


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return to_json(value, ascii_only=False).decode()
    return f"{value:f}" if not isinstance(value, int) else str(value)
