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
        lag_seconds: each read shows the job as it was so long ago; a new one is not known before.
        replicas: one read in so many is answered by a replica that does not lag.
    """

    seconds: float = 0.2
    polls: int | None = None
    outcome: str = "complete"
    status: str | None = None
    reason: str = "the sandbox was told to fail this job"
    lag_seconds: float = 0.0
    replicas: int = 1


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

    def arrived(self) -> bool:
        """Return whether the replica that answers has heard of the job."""


def is_known(life: Life) -> bool:
    """Return whether the provider shows the job: it has arrived and has not vanished."""
    return life.arrived() and life.phase().name != VANISHED


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

    def arrived(self) -> bool:
        """Return that it is there."""
        return True


class Job:
    """A job that moves with the clock, or with the number of times that somebody looks."""

    def __init__(
        self,
        clock: Clock,
        plan: JobPlan,
        ready: Callable[[], bool] = lambda: True,
        turn: Callable[[], int | None] = lambda: None,
    ) -> None:
        """Create the job now.

        Args:
            clock: the sandbox's clock.
            plan: how it goes.
            ready: whether the result is there; a job does not end before.
            turn: number of the request that is being answered; None where nothing lags.
        """
        self.created = clock.now()
        self._plan = plan
        self._clock = clock
        self._ready = ready
        self._turn = turn
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

    def arrived(self) -> bool:
        """Return whether the replica that answers has heard of the job."""
        return self._age() >= 0 or not self._plan.lag_seconds

    def _age(self) -> float:
        """Return the seconds that the job is old for the replica that answers."""
        turn, lag = self._turn(), self._plan.lag_seconds
        lags = turn is not None and (self._plan.replicas <= 1 or turn % self._plan.replicas != 0)
        return (self._clock.now() - self.created).total_seconds() - (lag if lags else 0.0)

    def _share(self) -> float:
        if not self.arrived():
            return 0.0
        if self._plan.polls is not None:
            return min(1.0, self._reads / max(self._plan.polls, 1))
        return min(1.0, self._age() / self._plan.seconds) if self._plan.seconds > 0 else 1.0

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
