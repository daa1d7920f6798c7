"""Lists that move while their pages are read: the one place where all providers cut a page out of a list."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Generic, TypeVar

T = TypeVar("T")
ABSENT = "absent"


@dataclass(slots=True)
class Memory:
    """What became of one list since the fault plan was set.

    Attributes:
        reads: requests for a page so far.
        turned: whether a page behind the first was asked for.
        gone: keys of the records that were deleted.
        late: keys of the records that are not there yet; None before the first read.
    """

    reads: int = 0
    turned: bool = False
    gone: set[Hashable] = field(default_factory=set)
    late: set[Hashable] | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """How one request sees a list; the defaults are the honest way.

    Attributes:
        ties: whether records that sort alike come in another order with each request.
        delete: records that are deleted in front of the second page when it is first asked for.
        insert: records at the start of the list that come with the second page only.
        total: said instead of the true total; negative: so much too low; `absent`: none is said.
        ignore_page: whether each page is the first.
        memory: of the list.
    """

    ties: bool = False
    delete: int = 0
    insert: int = 0
    total: int | str | None = None
    ignore_page: bool = False
    memory: Memory = field(default_factory=Memory)

    def said(self, true: int) -> int | None:
        """Return the total that the answer names, None for none."""
        if self.total is None:
            return true
        if self.total == ABSENT:
            return None
        error = int(self.total)
        return max(0, true + error) if error < 0 else error


HONEST = Listing()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page as it is answered.

    Attributes:
        rows: its records.
        total: what is said of the whole list; None for nothing.
        end: place in the list behind the last record.
        more: whether there are records behind it.
    """

    rows: Sequence[T]
    total: int | None
    end: int
    more: bool

    def pages(self, size: int) -> int | None:
        """Return the number of pages that the said total makes."""
        return None if self.total is None else -(-self.total // size)


def totals(**said: int | None) -> dict[str, int]:
    """Return the fields of an answer that tell how long a list is; those of None are left out."""
    return {name: value for name, value in said.items() if value is not None}


def paged(
    listing: Listing,
    rows: Sequence[T],
    start: int,
    size: int,
    *,
    key: Callable[[T], Hashable],
    tie: Callable[[T], Any] = lambda _row: None,
) -> Page[T]:
    """Return a page of a list.

    Args:
        listing: how the request sees the list.
        rows: the whole list, in its order.
        start: place of the first record.
        size: records of a page.
        key: tells records apart.
        tie: what the list is sorted by; by default no order is promised.
    """
    start = 0 if listing.ignore_page else start
    if listing is not HONEST:
        rows = _moved(listing, rows, start, key)
        rows = _shuffled(rows, tie, listing.memory.reads) if listing.ties else rows
    return Page(rows[start : start + size], listing.said(len(rows)), start + size, start + size < len(rows))


def _moved(listing: Listing, rows: Sequence[T], start: int, key: Callable[[T], Hashable]) -> Sequence[T]:
    memory = listing.memory
    memory.reads += 1
    if memory.late is None:
        memory.late = set(map(key, rows[: listing.insert]))
    if start and not memory.turned:
        memory.turned = True
        there = [key(row) for row in rows if key(row) not in memory.late]
        memory.gone, memory.late = set(there[: listing.delete]), set()
    hidden = memory.gone | memory.late
    return [row for row in rows if key(row) not in hidden] if hidden else rows


def _shuffled(rows: Sequence[T], tie: Callable[[T], Any], turn: int) -> list[T]:
    draw = random.Random(turn)
    shuffled: list[T] = []
    for _, group in groupby(rows, key=tie):
        alike = list(group)
        draw.shuffle(alike)
        shuffled += alike
    return shuffled
