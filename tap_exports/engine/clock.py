"""Time and waiting, passed in so that tests can move both."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta, timezone
from typing import Protocol

from tap_exports.errors import RunEndingError

MILLISECOND = timedelta(milliseconds=1)
FIRST_YEAR, LAST_YEAR = 1900, 2199  # of what a person may ask for


class Clock(Protocol):
    """What the engine knows of time."""

    def now(self) -> datetime:
        """Return the current instant in UTC."""

    def monotonic(self) -> float:
        """Return seconds that only grow, for measuring spans."""

    def sleep(self, seconds: float) -> None:
        """Wait for some seconds.

        Raises:
            RunEndingError: The run is ending.
        """


class WakingClock(Clock, Protocol):
    """A clock by which a thread waits that others may wake."""

    def wait(self, woken: threading.Event, seconds: float | None) -> None:
        """Wait until an event is set, for some seconds at most; None: for as long as it takes."""


class SkewedClock(Clock, Protocol):
    """A clock that knows how far another one is ahead of it."""

    @property
    def skew_seconds(self) -> float | None:
        """Return the seconds by which the other clock is ahead; negative: behind; None: not known."""


class SystemClock:
    """The machine's clock; every wait ends early once `stop` is set."""

    def __init__(self) -> None:
        """Start with the run not ending."""
        self.stop = threading.Event()

    def now(self) -> datetime:
        """Return the current instant in UTC."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Return seconds of the monotonic clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for some seconds; a run that ends ends the wait with `RunEndingError`."""
        if self.stop.wait(max(0.0, seconds)):
            msg = "the run is ending"
            raise RunEndingError(msg)

    def wait(self, woken: threading.Event, seconds: float | None) -> None:
        """Wait until an event is set, for some seconds at most; the end of the run does not end it."""
        woken.wait(seconds)


_LENGTH = len("2026-01-01T00:00:00.000Z")


def to_text(instant: datetime) -> str:
    """Return an instant as ISO 8601 in UTC with milliseconds and `Z`, as the providers write it."""
    return f"{instant.astimezone(timezone.utc).isoformat(timespec='milliseconds')[:-6]}Z"


def from_text(text: str) -> datetime:
    """Return the instant that ISO 8601 text names; text without an offset is UTC.

    Raises:
        ValueError: The text is not ISO 8601, or names an instant outside the years 1 to 9999 of UTC.
    """
    text = text.strip()
    if len(text) == _LENGTH and text[19] == "." and text[23] == "Z":  # the form that lists hold by the million
        return datetime.fromisoformat(f"{text[:23]}+00:00")
    instant = datetime.fromisoformat(_with_six_digits(text.replace("Z", "+00:00").replace("z", "+00:00")))
    if instant.tzinfo is None:
        return instant.replace(tzinfo=timezone.utc)
    try:
        instant.astimezone(timezone.utc)
    except OverflowError as error:
        raise ValueError(str(error)) from None
    return instant


def _with_six_digits(text: str) -> str:
    """Pad or cut a fraction of a second to six digits: Python 3.10 reads only three or six."""
    head, dot, tail = text.partition(".")
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return f"{head}.{tail[:digits][:6]:0<6}{tail[digits:]}" if dot else text
