"""The threads that convert: the stream whose turn it is first, then the others, and no more than there is room for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError

import pytest

from tap_exports.engine.convert.pool import Pool

SECONDS = 5


class Held:
    """Work that is told when it begins and ends when it may."""

    def __init__(self) -> None:
        self.begun: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._may_end = threading.Semaphore(0)

    def work(self, name: str) -> Callable[[], str]:
        def run() -> str:
            self.begun.put(name)
            assert self._may_end.acquire(timeout=SECONDS)
            return name

        return run

    def end(self, count: int = 1) -> None:
        self._may_end.release(count)

    def next(self) -> str:
        return self.begun.get(timeout=SECONDS)

    def nothing_begins(self) -> bool:
        with pytest.raises(queue.Empty):
            self.begun.get(timeout=0.1)
        return True


def test_the_stream_whose_turn_it_is_goes_first() -> None:
    """Work that it hands in later too; the others follow stream by stream, each in its own order."""
    held, pool = Held(), Pool(lambda: 1)
    futures = [pool.submit(owner, held.work(f"{owner}{n}")) for owner, n in (("a", 1), ("b", 1), ("a", 2), ("c", 1))]
    assert held.next() == "a1"
    pool.prefer("c")
    futures.append(pool.submit("c", held.work("c2")))
    held.end(5)
    assert [held.next() for _ in range(4)] == ["c1", "c2", "b1", "a2"]
    assert [future.result(SECONDS) for future in futures] == ["a1", "b1", "a2", "c1", "c2"]


def test_threads_follow_the_room() -> None:
    """None beyond it; where it grew, work that begins makes room for more."""
    room = 1
    held, pool = Held(), Pool(lambda: room)
    for number in range(4):
        pool.submit("a", held.work(str(number)))
    assert held.next() == "0"
    assert held.nothing_begins()
    room = 3
    pool.grow()
    pool.grow()
    pool.grow()
    assert {held.next(), held.next()} == {"1", "2"}
    assert held.nothing_begins()
    held.end(4)
    assert held.next() == "3"


def test_dropped_work_never_begins() -> None:
    """That of others does; an error is its reader's."""
    held, pool = Held(), Pool(lambda: 1)
    running = pool.submit("a", held.work("a1"))
    assert held.next() == "a1"
    waiting, other = pool.submit("a", held.work("a2")), pool.submit("b", lambda: 1 // 0)
    pool.drop("a")
    with pytest.raises(CancelledError):
        waiting.result(SECONDS)
    held.end()
    assert running.result(SECONDS) == "a1"
    with pytest.raises(ZeroDivisionError):
        other.result(SECONDS)
    assert held.nothing_begins()
