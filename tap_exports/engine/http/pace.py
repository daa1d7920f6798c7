"""Keeps the pace that a provider allows: a gate in front of every request."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Protocol

from tap_exports.engine.clock import Clock

MINUTE = 60.0


class Answered(Protocol):
    """What a gate may learn from."""

    @property
    def status(self) -> int:
        """Return the HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers; names compare without case."""


class RateGate(Protocol):
    """Called around every attempt of a request, retries included, from any thread."""

    def before(self) -> None:
        """Return once the request may be sent."""

    def after(self, reply: Answered) -> None:
        """Learn from a reply, whatever its status."""


class Pace:
    """At most so many requests in any 60 seconds.

    Args:
        per_minute: Requests allowed, at least 1.
        clock: Measures and waits.
    """

    def __init__(self, per_minute: int, clock: Clock) -> None:
        """Start with the whole allowance."""
        self._starts: deque[float] = deque(maxlen=per_minute)
        self._clock = clock
        self._lock = threading.Lock()

    def before(self) -> None:
        """Take the next free slot and wait until it is due."""
        with self._lock:
            now = self._clock.monotonic()
            full = len(self._starts) == self._starts.maxlen
            due = max(now, self._starts[0] + MINUTE) if full else now
            self._starts.append(due)
        if due > now:
            self._clock.sleep(due - now)

    def after(self, reply: Answered) -> None:
        """Learn nothing: the pace is fixed."""
