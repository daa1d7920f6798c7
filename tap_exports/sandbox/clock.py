"""The only source of time in the sandbox, and the timestamp forms of the providers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone


class Clock:
    """A clock that runs in real time from `start` and that a test can move forward."""

    def __init__(self, start: datetime | None = None) -> None:
        """Start at `start` (aware) or at the real time."""
        self._start = start or datetime.now(timezone.utc)
        self._origin = time.monotonic()
        self._ahead = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the sandbox's time, aware, in UTC."""
        return self._start + timedelta(seconds=time.monotonic() - self._origin + self._ahead)

    def advance(self, seconds: float) -> None:
        """Move the clock forward.

        Raises:
            ValueError: `seconds` is negative: jobs and signed URLs must not get younger.
        """
        if seconds < 0:
            msg = f"the clock cannot go back ({seconds} seconds)"
            raise ValueError(msg)
        with self._lock:
            self._ahead += seconds


class LocalClock(Clock):
    """A provider's own clock, which is ahead of the sandbox's or behind it."""

    def __init__(self, clock: Clock, ahead: Callable[[], float]) -> None:
        """Be as many seconds ahead of `clock` as `ahead` says at that time."""
        self._clock = clock
        self._ahead_now = ahead

    def now(self) -> datetime:
        """Return the provider's time, aware, in UTC."""
        return self._clock.now() + timedelta(seconds=self._ahead_now())

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock forward."""
        self._clock.advance(seconds)


def iso_ms(moment: datetime) -> str:
    """Return `2024-01-31T12:00:00.000Z`, which also sorts as text."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def iso_s(moment: datetime) -> str:
    """Return `2024-01-31T12:00:00Z`."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def parse_iso(text: str) -> datetime:
    """Return the aware moment of an ISO 8601 date or date-time; without an offset it is UTC.

    Raises:
        ValueError: the text is neither.
    """
    moment = datetime.fromisoformat(_with_offset(text))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _with_offset(text: str) -> str:
    # Python 3.10 reads neither "Z" nor fractions of other lengths than 3 and 6 digits.
    return text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text
