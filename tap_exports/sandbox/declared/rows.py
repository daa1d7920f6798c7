"""The rows behind a declared provider, and the files that hold them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from tap_exports.sandbox.declared.backwards import instant, put, shown

FIRST = datetime(2026, 1, 1, tzinfo=timezone.utc)
SPAN = timedelta(days=90)
TEXTS = ("plain", 'with "quotes", a comma', "line\r\nfeed", "Grüße 日本", "007", None, "1e5")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Form:
    """How files are written.

    Attributes:
        name: `csv`, `tsv`, `json` or `jsonl`.
        rows_at: Keys of the list of rows in an object; empty: one object a line, and for `json` an empty list for none.
        arrays: Whether rows are arrays.
    """

    name: str
    rows_at: str = ""
    arrays: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows, evenly over 90 days; values include what files spoil easily.

    Attributes:
        key: The column by which windows cut; `moment` where there are none.
        rows: All of them, oldest first.
        names: Of the columns.
    """

    key: str
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, key: str, count: int) -> Table:
        """Return a table with so many rows."""
        step = SPAN / max(1, count)
        made = (
            {"row_id": f"{n:06d}", "name": TEXTS[n % len(TEXTS)], "amount": f"{n}.10", key: FIRST + n * step}
            for n in range(count)
        )
        return cls(key, tuple(made))

    @property
    def names(self) -> list[str]:
        """Return the names of the columns."""
        return ["row_id", "name", "amount", self.key]

    def within(self, asked: Mapping[str, str], place: int = 0, places: int = 1) -> list[Row]:
        """Return the rows of a request's window; a bound that it does not name is open.

        Args:
            asked: What filled the holes of the request.
            place: Of the item that the request names.
            places: Number of items, which share the rows.
        """
        low = instant(asked.get("start"))
        high = instant(asked.get("end"), last=True) if "end" in asked else instant(asked.get("until"))
        ends_before = timedelta(0) if "end" in asked else timedelta(microseconds=1)
        kept = (row for row in self.rows[place::places] if low is None or row[self.key] >= low)
        return [row for row in kept if high is None or row[self.key] <= high - ends_before]

    def plain(self, rows: Sequence[Row] | None = None) -> list[Row]:
        """Return rows, or all, with instants as text."""
        return [{**row, self.key: shown(row[self.key])} for row in (self.rows if rows is None else rows)]

    def encoded(self, rows: Sequence[Row], form: Form, outer: object = None) -> bytes:
        """Return the file of some rows.

        Args:
            rows: The rows.
            form: How they are written.
            outer: The object around the list of rows, where there is one.
        """
        plain: list[Any] = self.plain(rows)
        if form.name in {"json", "jsonl"}:
            plain = [list(row.values()) for row in plain] if form.arrays else plain
            if form.rows_at:
                return json.dumps(put(outer, form.rows_at, plain)).encode()
            if form.arrays:
                return json.dumps(plain).encode()
            if form.name == "json" and not plain:
                return b"[]"
            return b"".join(json.dumps(row).encode() + b"\n" for row in plain)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.names, delimiter="\t" if form.name == "tsv" else ",", lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(plain)
        return text.getvalue().encode()
