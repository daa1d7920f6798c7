"""Work that runs ahead of its reader, in a thread of its own."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
DEPTH = 1  # items that wait: each holds a batch of rows
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _End:
    """What a generator ended with."""

    error: BaseException | None


def ahead(source: Generator[T, None, None], depth: int = DEPTH) -> Generator[T, None, None]:
    """Yield what a generator yields, in its order, while a thread makes the next items.

    Whoever stops early has the thread finish the item that it is at; when this generator is closed no thread is left,
    and the source is closed.

    Args:
        source: Makes the items.
        depth: How many items may wait.

    Raises:
        BaseException: What the generator raised, after the items that came before.
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
