"""Lists of a model: their pages turn while records come and go, ties move and totals lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tests.simulation.jobs import Account
from tests.simulation.world import Json


@dataclass(frozen=True)
class Turned:
    """One page of a list.

    Attributes:
        rows: Its records.
        total: What the provider says how many there are, or None.
        pages: What it says how many pages there are, or None.
        is_last: Whether there is no further one.
    """

    rows: list[Json]
    total: int | None
    pages: int | None
    is_last: bool


def turned(
    account: Account, name: str, rows: Sequence[Json], at: tuple[int, int], key: str = "", *, newest: bool = False
) -> Turned:
    """Return a page of a list.

    Args:
        account: Whose list.
        name: Its name, for troubles.
        rows: All records as a replica knows them.
        at: Number of the page, counted from 1, and records in a page; the account may cap them.
        key: Field that the list is sorted by; without one it has no order but that in which records are kept.
        newest: Whether the newest come first.
    """
    world, records, (number, asked) = account.world, list(rows), at
    if world.trouble("ties in any order"):
        world.draw.shuffle(records)
    if key:
        records.sort(key=lambda row: row[key], reverse=newest)
    size = min(asked, account.page)
    pages = max(1, math.ceil(len(records) / size))
    if (gone := world.trouble("a record is deleted after page", number)) and gone.value == name:
        account.delete_one(records[:size])
    lie = world.trouble("totals")
    total, told = _totals(lie.value if lie else "", len(records), pages, size)
    return Turned(records[(number - 1) * size : number * size], total, told, number >= pages)


def _totals(lie: str, count: int, pages: int, size: int) -> tuple[int | None, int | None]:
    """Return what is said of records and pages."""
    if lie == "zero":
        return 0, 0
    if lie == "absent":
        return None, None
    if lie == "low":
        return min(size, count), 1
    return (count + 1, pages) if lie == "high" else (count, pages)
