"""The rows behind a declared provider, and the files that hold them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from tap_exports.sandbox.declared.backwards import instant, shown

FIRST = datetime(2026, 1, 1, tzinfo=timezone.utc)
SPAN = timedelta(days=90)
TEXTS = ("plain", 'with "quotes", a comma', "line\r\nfeed", "Grüße 日本", "007", None, "1e5")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows, evenly over 90 days; values include what files spoil easily.

    Attributes:
        key: The column by which windows cut; `moment` where there are none.
        rows: All of them, oldest first.
    """

    key: str
    rows: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, key: str, count: int) -> Table:
        """Return a table with so many rows."""
        step = SPAN / max(1, count)
        made = (
            {"row_id": f"{n:06d}", "name": TEXTS[n % len(TEXTS)], "amount": f"{n}.10", key: FIRST + n * step}
            for n in range(count)
        )
        return cls(key, tuple(made))

    def within(self, asked: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the rows of a request's window; a bound that it does not name is open."""
        low = instant(asked.get("start"))
        high = instant(asked.get("end"), last=True) if "end" in asked else instant(asked.get("until"))
        ends_before = timedelta(0) if "end" in asked else timedelta(microseconds=1)
        kept = (row for row in self.rows if low is None or row[self.key] >= low)
        return [row for row in kept if high is None or row[self.key] <= high - ends_before]

    def plain(self, rows: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
        """Return rows, or all, with instants as text."""
        return [{**row, self.key: shown(row[self.key])} for row in (self.rows if rows is None else rows)]

    def encoded(self, rows: list[dict[str, Any]], form: str) -> bytes:
        """Return the file of some rows: `csv`, `tsv`, `json` (one object a line, as most write it) or `jsonl`."""
        plain = self.plain(rows)
        if form in {"json", "jsonl"}:
            return b"".join(json.dumps(row).encode() + b"\n" for row in plain)
        text = io.StringIO(newline="")
        names = list(self.rows[0]) if self.rows else ["row_id", "name", "amount", self.key]
        writer = csv.DictWriter(text, names, delimiter="\t" if form == "tsv" else ",", lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(plain)
        return text.getvalue().encode()
