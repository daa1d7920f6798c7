"""How often STATE may be written, so that its text does not grow with the square of the number of jobs."""

from __future__ import annotations

import time
from enum import Enum

BURST_BYTES = 1 << 17
BYTES_PER_SECOND = 1 << 13
SMALL_BYTES = 1 << 12  # STATE of a few open jobs needs no allowance
FACT_SECONDS = 1.0
SLACK_BYTES = 1  # of floats that add up seconds


class Due(Enum):
    """When STATE has to be written."""

    NOW = "now"  # before a job is created
    KEPT = "kept"  # the same, but for the journal only: `SOON` where a durable ledger holds it by then
    SOON = "soon"  # rows or jobs are proven: once there is an allowance
    LATER = "later"  # what no creation and no row waits for: the same, and at most once a second


class Thrift:
    """The allowance for STATE that need not be written at once: a burst, then so many bytes a second.

    Small STATE is written whenever it changes, one of 100 kB every twelve seconds, one of a megabyte every two minutes.
    A run that is killed in between repeats what it did since.
    """

    def __init__(self) -> None:
        """Start with the whole burst."""
        self._level, self._at = float(BURST_BYTES), time.monotonic()
        self._written_at, self._size = float("-inf"), 0
        self._is_owed = False

    def allows(self, due: Due) -> bool:
        """Return whether STATE may be written now; where it may not, it is owed."""
        now = time.monotonic()
        self._level = min(BURST_BYTES, self._level + (now - self._at) * BYTES_PER_SECOND)
        self._at = now
        waits = due is Due.LATER and now - self._written_at < FACT_SECONDS
        spares = self._size > SMALL_BYTES and self._level < -SLACK_BYTES
        self._is_owed = due is not Due.NOW and (waits or spares)
        return not self._is_owed

    def spent(self, size: int) -> None:
        """Note a STATE that was written."""
        self._level, self._size = max(self._level, 0.0) - size, size
        self._written_at = self._at = time.monotonic()

    @property
    def owed_in(self) -> float | None:
        """Return the seconds until STATE that was held back may be written; None where none was."""
        if not self._is_owed:
            return None
        now = time.monotonic()
        refilled = self._at - self._level / BYTES_PER_SECOND
        return max(0.0, self._written_at + FACT_SECONDS - now, refilled - now)
