"""The threads that convert files, or wait for who does; shared by all streams, the one whose turn it is goes first."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

from tap_exports.engine.workers import fulfil

T = TypeVar("T")
Queued = tuple[Future[Any], Callable[[], Any]]


class Pool:
    """Daemon threads over one queue per owner; an owner's work begins in its order.

    Args:
        size: Returns how many threads there may be, as it is now; asked in any thread, so it must be quick.
    """

    def __init__(self, size: Callable[[], int]) -> None:
        """Start no thread yet."""
        self._size = size
        self._queues: dict[Hashable, deque[Queued]] = {}  # none is empty; in the order of their first work
        self._first: Hashable = None
        self._changed = threading.Condition()
        self._threads = self._idle = 0

    def submit(self, owner: Hashable, work: Callable[[], T]) -> Future[T]:
        """Queue work and return the future of its result or error."""
        future: Future[T] = Future()
        with self._changed:
            self._queues.setdefault(owner, deque()).append((future, work))
            self._changed.notify()
        self.grow()
        return future

    def prefer(self, owner: Hashable) -> None:
        """Let the work of an owner go before that of all others, until another one is preferred."""
        with self._changed:
            self._first = owner

    def drop(self, owner: Hashable) -> None:
        """Cancel the work of an owner that has not begun."""
        with self._changed:
            dropped = self._queues.pop(owner, deque())
        for future, _ in dropped:
            future.cancel()

    def grow(self) -> None:
        """Start a thread if there is work for one; call it again once work has begun, since there may be more room."""
        with self._changed:
            waiting = sum(map(len, self._queues.values()))
            if waiting <= self._idle or self._threads >= self._size():
                return
            self._threads += 1
            name = f"convert-{self._threads}"
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while True:
            fulfil(*self._next())

    def _next(self) -> Queued:
        with self._changed:
            self._idle += 1
            while not self._queues:
                self._changed.wait()
            self._idle -= 1
            owner = self._first if self._first in self._queues else next(iter(self._queues))
            queue = self._queues[owner]
            queued = queue.popleft()
            if not queue:
                del self._queues[owner]
            return queued
