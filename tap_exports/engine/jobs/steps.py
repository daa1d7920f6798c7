"""Steps in the life of a job, and what it waits for between two of them; meanwhile it holds no thread.

A step is a generator: it yields what it waits for, and is resumed by any thread once that is over.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tap_exports.engine.thrift import Due

T = TypeVar("T")


class Wait(Protocol):
    """A wait for time to pass."""

    def left(self, now: float) -> float:
        """Return the seconds after which to ask again, by the monotonic clock; 0 or less once the wait is over."""


@dataclass(slots=True, eq=False)
class Pause:
    """A wait of fixed length, from when it is first asked.

    Attributes:
        seconds: Its length.
        until: When it is over, by the monotonic clock; None before it began.
    """

    seconds: float
    until: float | None = None

    def left(self, now: float) -> float:
        """Return the seconds that are left of it."""
        self.until = now + self.seconds if self.until is None else self.until
        return self.until - now


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """A change of STATE that the main thread makes; the wait is over once STATE with it was written.

    Attributes:
        make: Makes it.
        retract: Withdraws an intent; None for a fact, which cannot be withdrawn.
        due: Whether the wait is over before STATE with it was written, where it may not be written yet; the durable
            ledger is written in any case.
    """

    make: Callable[[], object]
    retract: Callable[[], object] | None = None
    due: Due = Due.SOON


Steps = Generator[Wait | Change, None, T]
