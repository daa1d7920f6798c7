"""Doubles that tests of the engine share."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

START = datetime(2026, 7, 1, tzinfo=timezone.utc)


class FakeClock:
    """A clock that moves only when someone sleeps.

    Attributes:
        sleeps: Every wait, in seconds, in order.
        stop: As in the system's clock: once set, a sleep ends at once.
    """

    def __init__(self, start: datetime = START) -> None:
        self.sleeps: list[float] = []
        self.stop = threading.Event()
        self._now = start
        self._seconds = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._seconds

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.sleeps.append(seconds)
            if not self.stop.is_set():
                self.advance(max(0.0, seconds))

    def wait(self, woken: threading.Event, seconds: float | None) -> None:
        if seconds is None:
            woken.wait()
        elif not woken.is_set():
            self.sleep(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass without anybody waiting."""
        self._seconds += seconds
        self._now += timedelta(seconds=seconds)
