"""A thread runs ahead of its reader: same items, same order, same errors, nothing left behind."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from tap_exports.engine.read.ahead import DEPTH, ahead


def numbers(made: list[int], end: int, error: Exception | None = None) -> Generator[int, None, None]:
    try:
        for number in range(end):
            made.append(number)
            yield number
        if error:
            raise error
    finally:
        made.append(-1)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "ahead"]


def test_items_come_in_order() -> None:
    made: list[int] = []
    assert list(ahead(numbers(made, 100))) == list(range(100))
    assert (made[-1], threads()) == (-1, [])


def test_it_runs_ahead_by_a_bounded_number() -> None:
    made: list[int] = []
    items = ahead(numbers(made, 100))
    next(items)
    reached = threading.Event()
    reached.wait(0.2)
    assert 1 < len(made) <= DEPTH + 3  # one read, those that wait, one that has no room, one being looked at
    items.close()


def test_an_error_comes_after_the_items_before_it() -> None:
    seen: list[int] = []
    with pytest.raises(ValueError, match="cut"):
        seen.extend(ahead(numbers([], 3, ValueError("cut"))))
    assert (seen, threads()) == ([0, 1, 2], [])


@pytest.mark.parametrize("read", [0, 1, 5])
def test_a_reader_that_stops_leaves_no_thread_and_closes_the_source(read: int) -> None:
    made: list[int] = []
    items = ahead(numbers(made, 1_000_000))
    for _ in range(read):
        next(items)
    items.close()
    assert threads() == []
    assert (made[-1:] == [-1]) is bool(read)
    assert len(made) < 1_000
