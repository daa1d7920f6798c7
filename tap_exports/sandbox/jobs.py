"""A job's life: queued, processing, then an end that the fault plan may choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from tap_exports.sandbox.clock import Clock

QUEUED, PROCESSING, COMPLETED, FAILED = "queued", "processing", "completed", "failed"
CANCELLED, VANISHED = "cancelled", "vanished"
_QUEUED_SHARE = 0.25
_ENDS = {"complete": COMPLETED, "fail": FAILED, "vanish": VANISHED}
OUTCOMES = frozenset({*_ENDS, "hang"})


@dataclass(frozen=True, slots=True)
class JobPlan:
    """How one job goes.

    Attributes:
        seconds: from creation to the end, on the sandbox's clock.
        polls: the job ends with this status read (from 1) instead, whatever the time.
        outcome: `complete`, `fail`, `hang` (never ends) or `vanish` (the job is no longer known).
        status: ends with this status instead of that of `outcome`; it may be one that no document names.
        reason: the provider's error text, where it gives one.
    """

    seconds: float = 0.2
    polls: int | None = None
    outcome: str = "complete"
    status: str | None = None
    reason: str = "the sandbox was told to fail this job"


@dataclass(frozen=True, slots=True)
class Phase:
    """Where a job stands: its name, the share of the work that is done (0 to 1), since when, and why it failed."""

    name: str
    share: float
    since: datetime
    reason: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.name not in {QUEUED, PROCESSING}


class Life(Protocol):
    """What a provider needs of a job."""

    created: datetime

    def observe(self) -> Phase:
        """Count one status read and return the phase."""

    def phase(self) -> Phase:
        """Return the phase without counting a read."""


class Ended:
    """The life of a job that ended before the sandbox started, or was stopped."""

    def __init__(self, created: datetime, end: Phase) -> None:
        """Stay in the phase `end` for ever."""
        self.created = created
        self._end = end

    def observe(self) -> Phase:
        """Return the end."""
        return self._end

    def phase(self) -> Phase:
        """Return the end."""
        return self._end


class Job:
    """A job that moves with the clock, or with the number of times that somebody looks."""

    def __init__(self, clock: Clock, plan: JobPlan, ready: Callable[[], bool] = lambda: True) -> None:
        """Create the job now.

        Args:
            clock: the sandbox's clock.
            plan: how it goes.
            ready: whether the result is there; a job does not end before.
        """
        self.created = clock.now()
        self._plan = plan
        self._clock = clock
        self._ready = ready
        self._reads = 0
        self._last_read = self.created

    def observe(self) -> Phase:
        """Count one status read and return the phase."""
        self._reads += 1
        if self._plan.polls is not None and self._reads <= self._plan.polls:
            self._last_read = self._clock.now()
        return self.phase()

    def phase(self) -> Phase:
        """Return the phase without counting a read."""
        share = self._share()
        if self._plan.outcome == "hang" or not self._ready():
            share = min(share, 0.5)
        name = QUEUED if share < _QUEUED_SHARE else PROCESSING
        if share >= 1:
            name = self._plan.status or _ENDS[self._plan.outcome]
        return Phase(name, share, self._since(share), self._plan.reason if name == FAILED else None)

    def _share(self) -> float:
        if self._plan.polls is not None:
            return min(1.0, self._reads / max(self._plan.polls, 1))
        elapsed = (self._clock.now() - self.created).total_seconds()
        return min(1.0, elapsed / self._plan.seconds) if self._plan.seconds > 0 else 1.0

    def _since(self, share: float) -> datetime:
        if self._plan.polls is not None:
            return self._last_read
        reached = 1.0 if share >= 1 else _QUEUED_SHARE if share >= _QUEUED_SHARE else 0.0
        return self.created + timedelta(seconds=self._plan.seconds * reached)


def at_work(clock: Clock, seconds: float) -> Job:
    """Return a job that somebody else created: a third of its `seconds` has passed."""
    job = Job(clock, JobPlan(seconds=seconds))
    job.created -= timedelta(seconds=seconds / 3)
    return job
