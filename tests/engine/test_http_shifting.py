"""Lists from which records vanish while they are read."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest

from tap_exports.engine.http.shifting import newest_first, read_shifting, slot
from tap_exports.engine.model import Page, Row
from tap_exports.errors import StopError


class Shrinking:
    """A list whose server caps pages, loses its oldest records and gets new ones between two requests."""

    def __init__(self, size: int, cap: int, lose: list[int], *, grow: bool = False) -> None:
        self.rows: list[Row] = [{"id": str(n)} for n in range(size)]
        self.cap, self.lose, self.grow, self.next = cap, lose, grow, size

    def page(self, number: int, size: int) -> Page:
        size = min(size, self.cap)
        items = self.rows[(number - 1) * size : number * size]
        page = Page(list(items), last=number * size >= len(self.rows))
        del self.rows[: self.lose.pop(0) if self.lose else 0]
        if self.grow:
            self.rows.append({"id": str(self.next)})
            self.next += 1
        return page


def read(source: Shrinking) -> list[int]:
    return [int(row["id"]) for page in read_shifting(source.page, 100, "here") for row in page.items]


@pytest.mark.parametrize("size", [0, 1, 2, 99, 100, 101, 199, 1000])
@pytest.mark.parametrize("cap", [7, 25, 100])
def test_every_record_comes_once_in_order(size: int, cap: int) -> None:
    """A list that keeps still is read whole, also where the server caps its pages without a word."""
    assert read(Shrinking(size, cap, [])) == list(range(size))


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 20, 100])
def test_without_a_word_of_the_end_the_content_ends_a_list(size: int, *, told: bool) -> None:
    """A page that is shorter than asked for may be a full one: only one that shows nothing new ends the list."""
    source = Shrinking(size, 7, [])

    def page(number: int, asked: int) -> Page:
        return replace(source.page(number, asked), last=None, size=min(asked, 7) if told else None)

    assert [int(row["id"]) for page in read_shifting(page, 100, "here") for row in page.items] == list(range(size))
    assert [int(row["id"]) for row in newest_first(page, 100, "here")] == list(range(size))


def test_vanishing_records_leave_no_gap() -> None:
    """Page 2 begins 30 records too late once 30 have vanished: the reader steps back."""
    assert read(Shrinking(250, 100, [30])) == list(range(250))


def test_a_constant_count_hides_no_gap() -> None:
    """One record goes and one comes with each request: the count tells nothing, the overlap does."""
    source = Shrinking(250, 100, [1] * 20, grow=True)
    got = read(source)
    assert got == list(range(len(got)))
    assert len(got) >= 250


@pytest.mark.parametrize("seed", range(50))
def test_whatever_vanishes_what_stays_is_read(seed: int) -> None:
    """Of what stands in the list to the end, nothing before the last record that was read is missing."""
    chance = random.Random(seed)  # noqa: S311 - a case, not a secret
    source = Shrinking(
        chance.choice([7, 101, 999]), chance.choice([25, 100]), [chance.choice([0, 1, 40])] * 30, grow=True
    )
    got = read(source)
    assert got == sorted(set(got))
    assert {int(row["id"]) for row in source.rows if int(row["id"]) <= max(got)} <= set(got)


def test_a_server_that_turns_no_pages_is_found_out() -> None:
    rows = [{"id": str(n)} for n in range(100)]
    with pytest.raises(StopError, match=r"^here: \d+ pages in a row hold nothing new; the provider ignores the page"):
        list(read_shifting(lambda _number, _size: Page(rows, last=False), 100, "here"))


@pytest.mark.parametrize("limit", [25, 50, 100])
def test_a_slot_overlaps_and_reaches_beyond(limit: int) -> None:
    """A page begins at or before the last record that was read, and holds at least one after it."""
    for offset in range(5 * limit):
        number, size = slot(offset, limit)
        assert size <= limit
        assert (number - 1) * size <= offset < number * size - 1


def test_where_every_page_ends_two_are_joined() -> None:
    """419 is the last record of a page of 2, 3, 4, 5, 6 and 7, so that none of them overlaps."""
    source = Shrinking(450, 7, [])
    asked: list[tuple[int, int]] = []

    def fetch(number: int, size: int) -> Page:
        asked.append((number, size))
        return source.page(number, size)

    assert [int(row["id"]) for page in read_shifting(fetch, 7, "here") for row in page.items] == list(range(450))
    assert [later for later, earlier in pairwise(asked) if earlier == (later[0] - 1, later[1])] == [(61, 7)]


def test_newest_first_gives_each_record_once() -> None:
    """What is added while the list is read pushes records onto the next page, where they are passed over."""
    rows = [{"id": str(n)} for n in range(9, -1, -1)]

    def page(number: int, size: int) -> Page:
        items = rows[(number - 1) * size : number * size]
        rows.insert(0, {"id": f"new {number}"})
        return Page(items, last=number * size >= len(rows))

    assert [row["id"] for row in newest_first(page, 3, "here")] == [str(n) for n in range(9, -1, -1)]


def test_newest_first_ends_where_no_pages_turn() -> None:
    """A list whose provider ignores the page number is an error, not endless."""
    rows = [{"id": str(n)} for n in range(3)]
    with pytest.raises(StopError, match=r"^here: 11 pages in a row hold nothing new; the provider ignores the page"):
        list(newest_first(lambda _number, _size: Page(rows, last=False), 3, "here"))


def test_pages_that_never_overlap_are_no_endless_walk() -> None:
    """A provider that ignores the size of a page: the reader steps back for an overlap, but not for ever."""
    pages = iter(range(10_000))

    def fetch(number: int, _size: int) -> Page:
        first = 0 if number == 1 else 1000 * (1 + next(pages))
        return Page([{"id": str(first + n)} for n in range(100)], last=False)

    with pytest.raises(StopError, match=r"^here: \d+ pages in a row hold nothing new"):
        list(read_shifting(fetch, 100, "here"))
