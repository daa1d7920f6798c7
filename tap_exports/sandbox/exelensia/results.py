"""All extraction results in the order of their creation, without holding generated ones in memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, overload

from tap_exports.sandbox.clock import iso_ms, parse_iso

Row = dict[str, Any]

GENERATED_SCHEMA_ID = "019760a0-0001-7000-8000-000000000009"
GENERATED_FROM = parse_iso("2025-01-15T00:00:00Z")
_STEP_MS = 5
_PLACES = ("Zürich", "São Paulo", "Łódź", "Reykjavík", "東京", "Oslo")


class Generated(Sequence[Row]):
    """Results of the load schema: 12 fields, one every 5 ms from 2025-01-15 on, made when they are asked for."""

    def __init__(self, size: int) -> None:
        """Offer `size` results."""
        self._size = size

    def __len__(self) -> int:
        """Return the number of results."""
        return self._size

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        """Make one result, or several."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(self._size))]
        created = iso_ms(GENERATED_FROM + timedelta(milliseconds=_STEP_MS * index))
        return {
            "id": f"019760a0-0039-7000-8000-{index:012x}",
            "process_id": "019760a0-0029-7000-8000-000000000001",
            "file_id": "019760a0-0019-7000-8000-000000000001",
            "schema_id": GENERATED_SCHEMA_ID,
            "status": "SUCCESS",
            "extraction": _load_row(index, created),
            "createdAt": created,
            "updatedAt": created,
        }


def _load_row(index: int, created: str) -> Row:
    mixed = index * 2654435761 % 2**32
    return {
        "record_id": f"R{index:09d}",
        "code": f"{mixed % 100000:05d}",
        "name": f'Supplier "{mixed % 997}", Unit {index % 13}',
        "note": f"Received in good order, item {index}.\r\nChecked by hand, see page {mixed % 400}; nothing to add.",
        "quantity": mixed % 10_000,
        "price": Decimal(mixed % 10_000_000) / 100,
        "ratio": Decimal(mixed) / Decimal(2**32),
        "active": mixed % 3 == 0,
        "due": f"20{20 + index % 10}-{1 + index % 12:02d}-{1 + index % 28:02d}",
        "seen_at": created,
        "place": _PLACES[mixed % len(_PLACES)],
        "remark": f"remark {index}" if index % 10 == 0 else None,
    }


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring results of one sequence."""

    rows: Sequence[Row]
    low: int
    high: int

    def __len__(self) -> int:
        """Return the number of results."""
        return self.high - self.low


class Results:
    """Seeded, generated and grown results, each part sorted by creation and later than the one before."""

    def __init__(self, seeded: list[Row], generated: int) -> None:
        """Start with seeded rows (sorted by `createdAt`) and a number of generated ones."""
        self._seeded = seeded
        self._generated = Generated(generated)
        self._grown: list[Row] = []

    def append(self, row: Row) -> None:
        """Add a result that is younger than all others.

        Raises:
            ValueError: it is not.
        """
        if self._grown and row["createdAt"] < self._grown[-1]["createdAt"]:
            msg = f"result of {row['createdAt']} is older than the youngest one"
            raise ValueError(msg)
        self._grown.append(row)

    def find(self, result_id: str) -> Row | None:
        """Return a seeded or grown result by its id."""
        return next((row for row in [*self._seeded, *self._grown] if row["id"] == result_id), None)

    def between(self, schema_id: str | None, low: str, high: str) -> Selection:
        """Return the results created from `low` to `high`, both inclusive, of one schema or of all.

        Args:
            schema_id: None for all schemas.
            low: ISO 8601 with milliseconds, or an empty text for no bound.
            high: the same.
        """
        parts = (_of_schema(rows, schema_id) for rows in (self._seeded, self._generated, self._grown))
        return Selection(tuple(_span(rows, low, high) for rows in parts))


@dataclass(frozen=True, slots=True)
class Selection(Sequence[Row]):
    """Results in the order of their creation, frozen at the moment of the selection."""

    spans: tuple[Span, ...]

    def __len__(self) -> int:
        """Return the number of results."""
        return sum(map(len, self.spans))

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        """Return one result, or several."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        for span in self.spans:
            if index < len(span):
                return span.rows[span.low + index]
            index -= len(span)
        raise IndexError(index)

    def __iter__(self) -> Iterator[Row]:
        """Yield the results one by one."""
        for span in self.spans:
            for index in range(span.low, span.high):
                yield span.rows[index]

    @property
    def key(self) -> tuple[tuple[int, int], ...]:
        """What tells this selection from others of the same schema."""
        return tuple((span.low, span.high) for span in self.spans)


def _of_schema(rows: Sequence[Row], schema_id: str | None) -> Sequence[Row]:
    if schema_id is None:
        return rows
    if isinstance(rows, Generated):
        return rows if schema_id == GENERATED_SCHEMA_ID else ()
    return [row for row in rows if row["schema_id"] == schema_id]


def _span(rows: Sequence[Row], low: str, high: str) -> Span:
    first = bisect_left(rows, low, key=_created) if low else 0
    last = bisect_right(rows, high, key=_created) if high else len(rows)
    return Span(rows, first, max(first, last))


def _created(row: Row) -> str:
    created: str = row["createdAt"]
    return created
