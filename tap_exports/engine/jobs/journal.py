"""Changes of STATE that worker threads request and the main thread makes.

A worker never touches the ledger: it hands a change over and waits until the main thread has made it and the durable
ledger and STATE were written. So both hold an intent before its POST and a job's id before its first poll (P2),
whatever the number of workers.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from tap_exports.engine.model import Checkpoint
from tap_exports.errors import RunEndingError

LOOK_SECONDS = 0.2
E = TypeVar("E")


def _unset() -> threading.Event:
    """Return a new event; `threading` is looked up per call, since the simulation puts a stand-in in its place."""
    return threading.Event()


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """A change of STATE.

    Attributes:
        make: Makes it.
        retract: Withdraws an intent; None for a fact, which cannot be withdrawn.
        done: Set once STATE with the change was written.
    """

    make: Callable[[], object]
    retract: Callable[[], object] | None = None
    done: threading.Event = field(default_factory=_unset)


class Durable(Protocol):
    """What keeps intents and jobs beside STATE."""

    def note_read(self, stream: str, fingerprint: str) -> None:
        """Record that all rows of a job are written, before it leaves STATE."""

    def write(self) -> None:
        """Write what changed in STATE; on return it outlives the process.

        Raises:
            LedgerError: It cannot be written.
        """


class _Nothing:
    """Keeps nothing beside STATE."""

    def note_read(self, stream: str, fingerprint: str) -> None:
        """Do nothing."""

    def write(self) -> None:
        """Do nothing."""


class Journal:
    """Queue of changes from workers to the main thread; call each method only from the side that its section names.

    Args:
        durable: Is written before STATE.
    """

    def __init__(self, durable: Durable | None = None) -> None:
        """Start empty."""
        self._durable = durable or _Nothing()
        self._queue: queue.SimpleQueue[_Change | None] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._unwritten: list[_Change] = []
        self._creating: set[_Change] = set()

    # For workers

    def commit(self, change: Callable[[], object]) -> None:
        """Queue the change for a fact and wait until STATE with it was written.

        Raises:
            RunEndingError: The run is ending; the main thread still makes the change.
        """
        self._hand_over(_Change(change))

    @contextmanager
    def creation(self, intend: Callable[[], object], retract: Callable[[], object]) -> Iterator[None]:
        """Wait until STATE with the intent was written; create the job inside the context.

        Args:
            intend: Records the intent.
            retract: Withdraws it, if the run ends before this worker continues.

        Raises:
            RunEndingError: The run is ending; nothing may be created.
        """
        intent = _Change(intend, retract)
        self._hand_over(intent)
        try:
            yield
        finally:
            self._creating.discard(intent)
            self._queue.put(None)

    def _hand_over(self, change: _Change) -> None:
        self._queue.put(change)
        while not change.done.wait(LOOK_SECONDS):
            if self._ending.is_set():
                msg = "the run is ending"
                raise RunEndingError(msg)

    # For the main thread

    def note_read(self, stream: str, fingerprint: str) -> None:
        """Record that all rows of a job are written; call it before the job leaves the stream's ledger.

        A later run whose STATE does not show that reads the same job again.
        """
        self._durable.note_read(stream, fingerprint)

    def pump(self) -> Iterator[Checkpoint]:
        """Make all queued changes and yield one checkpoint for them; none when there are no changes."""
        waiting = []
        while not self._queue.empty():
            waiting.append(self._queue.get())
        yield from self._make(waiting)

    def until(self, future: Future[E]) -> Iterator[Checkpoint]:
        """Make changes as they arrive until a future is done."""
        future.add_done_callback(lambda _: self._queue.put(None))
        yield from self.pump()
        while not future.done():
            yield from self._make([self._queue.get()])
            yield from self.pump()

    def along(self, events: Iterable[E]) -> Iterator[E | Checkpoint]:
        """Yield events and make queued changes between them, so that other jobs proceed while a long file is read."""
        for event in events:
            yield event
            yield from self.pump()

    def end(self) -> None:
        """End the run for waiting workers: withdraw intents that no worker acted upon, accept no new ones."""
        self._ending.set()
        for change in self._unwritten:
            if change.retract:
                change.retract()
        self._unwritten.clear()

    def settle(self, seconds: float) -> Iterator[Checkpoint]:
        """Wait up to `seconds` for replies to pending creations, then make all queued changes. Call it after `end`."""
        deadline = time.monotonic() + seconds
        while self._creating and (left := deadline - time.monotonic()) > 0:
            try:
                change = self._queue.get(timeout=left)
            except queue.Empty:
                break
            yield from self._make([change])
        yield from self.pump()

    def _make(self, waiting: Iterable[_Change | None]) -> Iterator[Checkpoint]:
        for change in waiting:
            if change is None or (change.retract and self._ending.is_set()):
                continue
            change.make()
            self._unwritten.append(change)
        if self._unwritten:
            self._durable.write()
            yield Checkpoint()
        while self._unwritten:
            self._release(self._unwritten.pop(0))

    def _release(self, change: _Change) -> None:
        if change.retract:
            self._creating.add(change)
        change.done.set()
