"""Run a generator ahead of its consumer, in a thread."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
DEPTH = 1  # items buffered: each holds a batch of rows
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _End:
    """Marks the end of a generator, with the error that it raised or None."""

    error: BaseException | None


def ahead(source: Generator[T, None, None], depth: int = DEPTH) -> Generator[T, None, None]:
    """Yield what a generator yields, in its order, while a thread makes the next items.

    Close this generator when you stop early: closing waits until the thread has finished its current item, ends the
    thread and closes the source.

    Args:
        source: Makes the items; runs in the thread.
        depth: Most items buffered.

    Raises:
        BaseException: What the generator raised, after all items that it yielded before.
    """
    waiting: queue.Queue[T | _End] = queue.Queue(depth)
    stop = threading.Event()
    thread = threading.Thread(target=_make, args=(source, waiting, stop), name="ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := waiting.get(), _End):
            yield item
        if item.error:
            raise item.error
    finally:
        stop.set()
        while thread.is_alive():
            with contextlib.suppress(queue.Empty):
                waiting.get(timeout=_LOOK_SECONDS)
        thread.join()


def _make(source: Generator[T, None, None], waiting: queue.Queue[T | _End], stop: threading.Event) -> None:
    error: BaseException | None = None
    try:
        with contextlib.closing(source):
            for item in source:
                waiting.put(item)
                if stop.is_set():
                    break
    except BaseException as raised:  # noqa: BLE001 - the reader raises it
        error = raised
    waiting.put(_End(error))
