"""Rows: batches of them, pages of a list, rejected ones, and exact numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa

Row = dict[str, Any]
_SHORT = 16  # characters of a decimal with at most 15 digits, which a float shows again


class Place(NamedTuple):
    """Where a row belongs in its window, from whatever job it comes: `_sdc_row_digest` and `_sdc_row_copy`.

    Attributes:
        digest: 32 hex digits, equal for equal rows.
        copy: The ordinal among the equal rows of the window, from 1.
    """

    digest: str
    copy: int


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch of rows, in the order of the source.

    Attributes:
        data: Arrow columns for files (a field with metadata `json: raw` holds the exact text of numbers), or a list of
            records for JSON pages. Holds selected columns only.
        constants: Columns with one value for all rows of the batch (lineage).
    """

    data: pa.RecordBatch | list[Row]
    constants: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.data.num_rows if isinstance(self.data, pa.RecordBatch) else len(self.data)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    Attributes:
        items: The records, in the provider's order; nobody changes them, the next page is held against them.
        total: The provider's own count of the whole list, or None.
        pages: The provider's own count of pages, or None.
        last: Whether the provider says that nothing follows; None when it does not say.
        size: How many records a full page has, as the provider says; None when it does not say.
    """

    items: Sequence[Row]
    total: int | None = None
    pages: int | None = None
    last: bool | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that could not be used.

    Attributes:
        file: The file's name.
        row: Its 1-based ordinal in the file.
        column: The column, or an empty string where the whole row is at fault.
        code: `ragged`, `undecodable`, `type` or `extra`.
        message: What is wrong, with the value shortened.
        raw: The text of the row, shortened to 10,000 characters.
    """

    file: str
    row: int
    column: str
    code: str
    message: str
    raw: str


def exact_number(text: str) -> float | Decimal:
    """Return the number of a JSON text with a fraction or an exponent, as float only where that loses nothing."""
    if len(text) <= _SHORT and "e" not in text and "E" not in text:
        return float(text)
    number = Decimal(text)
    short = float(text)
    return short if Decimal(repr(short)) == number else number
