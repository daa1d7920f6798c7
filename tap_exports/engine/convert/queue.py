"""The conversions of one stream: handed in as jobs complete, begun in that order when the executor is free.

Threads of this process convert the files of the stream whose turn it is. Elsewhere there may be more room than one
stream fills, so the files of all streams are converted side by side, those of the stream whose turn it is first.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from typing import Generic, TypeVar

from tap_exports.engine.convert.converter import Converter
from tap_exports.engine.jobs import Outcome

AHEAD = 4  # files handed in and not yet announced, for each that is converted at once
LETTING_GO_SECONDS = 1  # for running conversions to remove their unfinished parts

T = TypeVar("T")


class Conversions(Generic[T]):
    """Conversions by job; in this process nothing begins before the first `take`, which is the stream's turn.

    Args:
        converter: Converts files.
        convert: Converts the file of a job; runs in a thread, once the executor is free.
        suits: Returns whether jobs can be converted now.
    """

    def __init__(self, converter: Converter, convert: Callable[[Outcome], T], suits: Callable[[], bool]) -> None:
        """Start no thread yet."""
        self._converter, self._convert, self._suits = converter, convert, suits
        self._begun: dict[str, Future[T | None]] = {}
        self._running: set[Future[T | None]] = set()
        self._waiting: deque[Outcome] = deque()
        self._ending = threading.Event()
        self._lock = threading.RLock()
        self._begins = not converter.executor.is_here

    @property
    def has_ended(self) -> bool:
        """Return whether the stream was released."""
        return self._ending.is_set()

    def add(self, outcome: Outcome) -> None:
        """Queue a completed job; its file is converted once its stream may begin and the spool has room."""
        with self._lock:
            self._waiting.append(outcome)
            if self._begins:
                self._fill()

    def take(self, outcome: Outcome) -> Future[T | None]:
        """Return the conversion of a job, submitting it unless it is running; submit those of the next jobs."""
        self._converter.executor.pool.prefer(self)
        with self._lock:
            self._begins = True
            self._waiting = deque(each for each in self._waiting if each.job.id != outcome.job.id)
            future = self._begun.pop(outcome.job.id, None) or self.submit(partial(self._convert, outcome))
            self._fill()
        return future

    def submit(self, work: Callable[[], T]) -> Future[T | None]:
        """Have a thread do some work once the executor is free; the future holds None if the run is ending by then."""
        future: Future[T | None] = self._converter.executor.pool.submit(self, partial(self._in_slot, work))
        self._running.add(future)
        future.add_done_callback(self._ended)
        return future

    def _fill(self) -> None:
        """Hand in what is ready: the executor begins a file when it is free."""
        most = AHEAD * self._converter.executor.most
        while self._waiting and len(self._begun) < most and self._converter.has_room():
            outcome = self._waiting.popleft()
            if self._suits():
                self._begun[outcome.job.id] = self.submit(partial(self._convert, outcome))

    def _in_slot(self, work: Callable[[], T]) -> T | None:
        executor = self._converter.executor
        with executor.slot(self._ending.is_set):
            executor.pool.grow()
            return None if self._ending.is_set() else work()

    def _ended(self, future: Future[T | None]) -> None:
        with self._lock:
            self._running.discard(future)
            if self._begins and not self._ending.is_set():
                self._fill()

    def release(self) -> None:
        """Discard conversions that were not read; running ones stop at their next batch and remove unfinished parts."""
        self._ending.set()
        with self._lock:
            self._begun.clear()
            self._waiting.clear()
        self._converter.executor.pool.drop(self)
        wait(set(self._running), LETTING_GO_SECONDS)
