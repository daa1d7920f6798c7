"""Changes of STATE that jobs request and the main thread makes.

A worker never touches the ledger: it hands a change over, and the job goes on once the main thread has made it and the
durable ledger and STATE were written. So both hold an intent before its POST and a job's id before its first poll (P2),
whatever the number of workers.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tap_exports.engine.jobs.steps import Change
from tap_exports.engine.model import Checkpoint
from tap_exports.engine.thrift import Due, Thrift

E = TypeVar("E")
RESTS = 4  # times what a write of ledger and STATE took, until the next one: what comes meanwhile is written together
LONGEST_REST_SECONDS = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class _Handed:
    """A change, and what to call once STATE with it was written."""

    change: Change
    then: Callable[[], object]


class Durable(Protocol):
    """What keeps intents and jobs beside STATE.

    Attributes:
        keeps: Whether what it wrote outlives the process.
        is_named: Whether the configuration names its place: the default one may go with the machine or container.
    """

    @property
    def keeps(self) -> bool: ...  # noqa: D102 - see above

    @property
    def is_named(self) -> bool: ...  # noqa: D102 - see above

    def note_read(self, stream: str, fingerprint: str) -> None:
        """Record that all rows of a job are written, before it leaves STATE."""

    def write(self) -> None:
        """Write what changed in STATE; on return it outlives the process.

        Raises:
            LedgerError: It cannot be written.
        """


class _Nothing:
    """Keeps nothing beside STATE."""

    keeps = is_named = False

    def note_read(self, stream: str, fingerprint: str) -> None:
        """Do nothing."""

    def write(self) -> None:
        """Do nothing."""


class Journal:
    """Queue of changes from workers to the main thread; call each method only from the side that its section names.

    Args:
        durable: Is written before STATE.
        thrift: Knows of STATE that was held back.
    """

    def __init__(self, durable: Durable | None = None, thrift: Thrift | None = None) -> None:
        """Start empty."""
        self._durable, self._thrift = durable or _Nothing(), thrift or Thrift()
        self._queue: queue.SimpleQueue[_Handed | None] = queue.SimpleQueue()
        self._is_ending, self._is_put_off, self._rests_until = False, False, float("-inf")
        self._waiting: list[_Handed] = []
        self._unwritten: list[_Handed] = []
        self._creating: set[Change] = set()
        self._before: list[Callable[[], object]] = []

    # For workers

    @property
    def is_durable(self) -> bool:
        """Return whether intents and jobs are kept beside STATE, which may then follow later."""
        return self._durable.keeps

    def hand_over(self, change: Change, then: Callable[[], object]) -> None:
        """Queue a change; `then` is called in the main thread once STATE with it was written.

        An intent that comes while the run is ending is neither made nor answered. One that was made counts as a
        creation under way until `answered`.
        """
        self._queue.put(_Handed(change, then))

    def answered(self, intent: Change) -> None:
        """Note that what was intended is done, or failed."""
        self._creating.discard(intent)
        self._queue.put(None)

    def wake(self) -> None:
        """Have the main thread pump if it waits."""
        self._queue.put(None)

    # For the main thread

    def before_changes(self, act: Callable[[], object]) -> None:
        """Have something called each time before queued changes are made; it may queue more."""
        self._before.append(act)

    def note_read(self, stream: str, fingerprint: str) -> None:
        """Record that all rows of a job are written; call it before the job leaves the stream's ledger.

        A later run whose STATE does not show that reads the same job again.
        """
        self._durable.note_read(stream, fingerprint)

    def pump(self) -> Iterator[Checkpoint]:
        """Make all queued changes and yield one checkpoint for them; none when there are no changes."""
        self._is_put_off = self._rest > 0
        if self._is_put_off:
            return
        self._prepare()
        while not self._queue.empty():
            while not self._queue.empty():
                self._take(self._queue.get())
            self._prepare()  # what came may be the word that there is room by now
        yield from self._make()

    def _prepare(self) -> None:
        for act in () if self._is_ending else self._before:
            act()

    def _take(self, handed: _Handed | None) -> None:
        if handed:
            self._waiting.append(handed)

    def until(self, future: Future[E]) -> Iterator[Checkpoint]:
        """Make changes as they arrive until a future is done."""
        future.add_done_callback(lambda _: self._queue.put(None))
        yield from self.pump()
        while not future.done():
            with contextlib.suppress(queue.Empty):
                self._take(self._queue.get(timeout=self._patience))
            yield from self.pump()
            if self._thrift.owed_in == 0:
                yield Checkpoint(Due.LATER)

    @property
    def _rest(self) -> float:
        """Return the seconds for which changes still wait for others, so that they are written together."""
        return 0.0 if self._is_ending else self._rests_until - time.monotonic()

    @property
    def _patience(self) -> float | None:
        """Return the seconds until something is to be written although nothing comes; None where nothing is."""
        times = [self._thrift.owed_in, max(0.0, self._rest) if self._waiting or self._is_put_off else None]
        return min((seconds for seconds in times if seconds is not None), default=None)

    def along(self, events: Iterable[E]) -> Iterator[E | Checkpoint]:
        """Yield events and make queued changes between them, so that other jobs proceed while a long file is read."""
        for event in events:
            yield event
            yield from self.pump()

    def end(self) -> None:
        """Withdraw intents that no worker acted upon, and accept no new ones."""
        self._is_ending = True
        for handed in self._unwritten:
            if handed.change.retract:
                handed.change.retract()
        self._unwritten.clear()

    def settle(self, seconds: float) -> Iterator[Checkpoint]:
        """Wait up to `seconds` for replies to pending creations, then make all queued changes. Call it after `end`."""
        deadline = time.monotonic() + seconds
        while self._creating and (left := deadline - time.monotonic()) > 0:
            try:
                handed = self._queue.get(timeout=left)
            except queue.Empty:
                break
            self._take(handed)
            yield from self._make()
        yield from self.pump()

    def _make(self) -> Iterator[Checkpoint]:
        """Make the changes, write the durable ledger, and have STATE written: at once where a creation follows."""
        waiting, self._waiting = self._waiting, []
        for handed in waiting:
            if handed.change.retract and self._is_ending:
                continue
            handed.change.make()
            self._unwritten.append(handed)
        if self._unwritten:
            began = time.monotonic()
            self._durable.write()
            yield Checkpoint(self._due())
            now = time.monotonic()
            self._rests_until = now + min(RESTS * (now - began), LONGEST_REST_SECONDS)
        while self._unwritten:
            self._release(self._unwritten.pop(0))

    def _due(self) -> Due:
        """Return when STATE with the changes is due, which the durable ledger has by now, if one is kept."""
        kept = Due.SOON if self._durable.keeps and self._durable.is_named else Due.NOW
        dues = {kept if handed.change.due is Due.KEPT else handed.change.due for handed in self._unwritten}
        return next(due for due in Due if due in dues)

    def _release(self, handed: _Handed) -> None:
        if handed.change.retract:
            self._creating.add(handed.change)
        handed.then()
