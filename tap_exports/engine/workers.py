"""Threads that run callables."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Workers(Generic[T]):
    """A fixed number of daemon threads that run callables in the order in which they were handed in."""

    def __init__(self, count: int, name: str) -> None:
        """Start no thread yet."""
        self._tasks: queue.SimpleQueue[tuple[Future[T], Callable[[], T]] | None] = queue.SimpleQueue()
        self._count, self._name = count, name
        self._threads: list[threading.Thread] = []

    def submit(self, task: Callable[[], T]) -> Future[T]:
        """Hand in a callable; its result or error comes with the future."""
        future: Future[T] = Future()
        self._tasks.put((future, task))
        if len(self._threads) < self._count:
            thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def close(self) -> None:
        """Let the threads end once the queue is empty."""
        for _ in self._threads:
            self._tasks.put(None)

    def _work(self) -> None:
        while item := self._tasks.get():
            future, task = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(task())
            except BaseException as error:  # noqa: BLE001 - a future carries whatever the task raised to its reader
                future.set_exception(error)
