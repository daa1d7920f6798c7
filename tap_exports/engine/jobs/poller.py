"""One heap of due times and one thread, for all open jobs of a run."""

from __future__ import annotations

import heapq
import threading
from itertools import count
from typing import Protocol

from tap_exports.engine.clock import WakingClock
from tap_exports.engine.jobs.steps import Wait

SLACK_SECONDS = 1e-6  # of a float that adds up waits


class Sleeper(Protocol):
    """What waits."""

    def resume(self) -> None:
        """Have a worker go on; returns at once."""

    def close(self) -> None:
        """End for good: the run is ending."""


class Poller:
    """Resumes what waits once it is due. Safe to use from several threads.

    Args:
        clock: Time and waiting.
    """

    def __init__(self, clock: WakingClock) -> None:
        """Start no thread before something waits."""
        self._clock = clock
        self._heap: list[tuple[float, int, Wait, Sleeper]] = []
        self._numbers = count()
        self._lock, self._woken = threading.Lock(), threading.Event()
        self._is_running = self._is_ended = False

    def after(self, wait: Wait, sleeper: Sleeper) -> None:
        """Resume a sleeper once a wait is over."""
        with self._lock:
            is_ended = self._is_ended
            if not is_ended:
                self._push(wait, sleeper, self._clock.monotonic())
                self._woken.set()
        if is_ended:
            sleeper.close()

    def end(self) -> None:
        """End all that wait, and the thread; what comes later ends at once."""
        with self._lock:
            self._is_ended, waiting, self._heap = True, self._heap, []
            self._woken.set()
        for *_, sleeper in waiting:
            sleeper.close()

    def _push(self, wait: Wait, sleeper: Sleeper, now: float) -> None:
        heapq.heappush(self._heap, (now + wait.left(now), next(self._numbers), wait, sleeper))
        if not self._is_running:
            self._is_running = True
            threading.Thread(target=self._run, name="poller", daemon=True).start()

    def _run(self) -> None:
        while not self._is_ended:
            self._woken.clear()
            self._clock.wait(self._woken, self._pass())

    def _pass(self) -> float | None:
        """Resume what is due; return the seconds until something else is, None where nothing waits."""
        due = list[Sleeper]()
        with self._lock:
            now = self._clock.monotonic()
            while self._heap and self._heap[0][0] <= now + SLACK_SECONDS:
                _, _, wait, sleeper = heapq.heappop(self._heap)
                if wait.left(now) > SLACK_SECONDS:
                    self._push(wait, sleeper, now)
                else:
                    due.append(sleeper)
            left = self._heap[0][0] - now if self._heap else None
        for sleeper in due:
            sleeper.resume()
        return left
