"""A pool of daemon threads, which never delays the end of the process."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Workers(Generic[T]):
    """At most `count` daemon threads, which start callables in order of submission."""

    def __init__(self, count: int, name: str) -> None:
        """Start no thread yet."""
        self._tasks: queue.SimpleQueue[tuple[Future[T], Callable[[], T]] | None] = queue.SimpleQueue()
        self._count, self._name = count, name
        self._threads: list[threading.Thread] = []

    def submit(self, task: Callable[[], T]) -> Future[T]:
        """Queue a callable and return the future of its result or error; threads start as needed."""
        future: Future[T] = Future()
        self._tasks.put((future, task))
        if len(self._threads) < self._count:
            thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def close(self) -> None:
        """End the threads once the queue is empty; returns at once. Do not call `submit` afterwards."""
        for _ in self._threads:
            self._tasks.put(None)

    def _work(self) -> None:
        while item := self._tasks.get():
            fulfil(*item)


def fulfil(future: Future[T], task: Callable[[], T]) -> None:
    """Call a callable and keep its result or error in a future, unless that was cancelled."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(task())
    except BaseException as error:  # noqa: BLE001 - the future raises it to its reader
        future.set_exception(error)
