"""The jobs of one provider: which of them may be created, and which threads their requests take.

A life that waits is an entry: in a line for a slot, in the heap of the poller, or in the queue of the journal. Only a
step between two waits takes a thread, one of `max_concurrent_requests`.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from tap_exports.engine.jobs.journal import Journal
from tap_exports.engine.jobs.poller import Poller
from tap_exports.engine.jobs.slots import Slots
from tap_exports.engine.jobs.steps import Change, Steps
from tap_exports.engine.workers import Workers
from tap_exports.errors import RunEndingError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class _Life(Generic[T]):
    """The life of one job.

    Attributes:
        turns: What resumes it.
        steps: Its steps.
        future: Their outcome.
        stream: The stream that holds a slot for it; None where it takes none.
    """

    turns: Turns[T]
    steps: Steps[T]
    future: Future[T]
    stream: str | None

    def resume(self) -> None:
        """Have a worker go on; returns at once."""
        self.turns.resume(self)

    def close(self) -> None:
        """End for good: the run is ending."""
        self.steps.close()
        self.turns.fail(self, RunEndingError("the run is ending"))


class Turns(Generic[T]):
    """Lives of the jobs of one provider.

    Args:
        journal: Takes the changes of STATE; whoever pumps it hands out the slots.
        poller: Resumes lives whose wait is over.
        jobs: Most jobs that are created and open at once.
        requests: Most steps at once.
        workers: Threads that several accounts share; None for threads of its own.
    """

    def __init__(
        self, journal: Journal, poller: Poller, jobs: int, requests: int, workers: Workers[None] | None = None
    ) -> None:
        """Start no thread before the first life."""
        self._journal, self._poller = journal, poller
        self._slots: Slots[_Life[T]] = Slots(jobs)
        self._workers: Workers[None] = workers or Workers(requests, "jobs")
        self._most, self._busy = requests, 0
        self._creations: deque[_Life[T]] = deque()  # their intents are written
        self._others: deque[_Life[T]] = deque()
        self._lines = deque([self._creations, self._others])
        self._lock = threading.Lock()
        journal.before_changes(self._hand_out)

    def watch(self, steps: Steps[T]) -> Future[T]:
        """Begin a life that creates no job, at once; return its outcome."""
        life = _Life(self, steps, Future[T](), None)
        life.future.set_running_or_notify_cancel()
        life.resume()
        return life.future

    def attach(self, stream: str, steps: Steps[T]) -> Future[T]:
        """Begin the life of a job that exists, at once; it takes a slot even where none is free."""
        life = _Life(self, steps, Future[T](), stream)
        life.future.set_running_or_notify_cancel()
        with self._lock:
            self._slots.take(stream)
        life.resume()
        return life.future

    def create(self, stream: str, steps: Steps[T], *, first: bool = False) -> Future[T]:
        """Begin the life of a job that does not exist, once there is a slot for it; until then it can be cancelled.

        Args:
            stream: The stream that wants it.
            steps: They must not send a request before the first wait, which is for the intent.
            first: Whether it goes before the others of the stream.
        """
        life = _Life(self, steps, Future[T](), stream)
        with self._lock:
            self._slots.line_up(stream, life, first=first)
        self._journal.wake()
        return life.future

    def _hand_out(self) -> None:
        """Begin lives in the main thread while there are slots, so that their intents are written together."""
        while self._slots.is_awaited and (life := self._next()):
            self._advance(life)

    def _next(self) -> _Life[T] | None:
        with self._lock:
            while granted := self._slots.grant():
                stream, life = granted
                if life.future.set_running_or_notify_cancel():
                    return life
                self._slots.give_back(stream)
        return None

    def resume(self, life: _Life[T], *, creates: bool = False) -> None:
        """Have a worker go on with a life; with `creates` behind other creations only."""
        with self._lock:
            (self._creations if creates else self._others).append(life)
            if self._busy >= self._most:  # whoever ends a step goes on with it
                return
            self._busy += 1
        self._workers.submit(self._work)

    def _work(self) -> None:
        """Go on with one life. Creations and looks take turns, so that neither waits for all of the others.

        The next one lines up behind what other accounts have submitted meanwhile; another worker may take it before.
        """
        with self._lock:
            self._lines.rotate()
            line = next(filter(None, self._lines), None)
            if line is None:
                self._busy -= 1
                return
            life = line.popleft()
        self._advance(life)
        with self._lock:
            if not (self._creations or self._others):
                self._busy -= 1
                return
        self._workers.submit(self._work)

    def _advance(self, life: _Life[T]) -> None:
        """Take the next step of a life, up to its next wait."""
        try:
            wait = next(life.steps)
        except StopIteration as end:
            self._leave(life)
            life.future.set_result(end.value)
        except BaseException as error:  # noqa: BLE001 - the future raises it to its reader
            self.fail(life, error)
        else:
            if isinstance(wait, Change):
                self._journal.hand_over(wait, partial(self.resume, life, creates=wait.retract is not None))
            else:
                self._poller.after(wait, life)

    def fail(self, life: _Life[T], error: BaseException) -> None:
        """End a life with an error."""
        self._leave(life)
        life.future.set_exception(error)

    def _leave(self, life: _Life[T]) -> None:
        """Free the slot of a life; the main thread hands it out."""
        if life.stream is None:
            return
        with self._lock:
            self._slots.give_back(life.stream)
            is_awaited = self._slots.is_awaited
        if is_awaited:
            self._journal.wake()
