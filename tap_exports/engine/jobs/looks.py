"""Looks at a job until it ends, stalls, or is gone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from tap_exports.engine.activity import Activity
from tap_exports.engine.api import Polls
from tap_exports.engine.clock import Clock
from tap_exports.engine.jobs.absence import Absence
from tap_exports.engine.jobs.cadence import SHORTEST_WAIT_SECONDS, Cadence
from tap_exports.engine.jobs.outcome import JobSettings, describe
from tap_exports.engine.jobs.statuses import Statuses
from tap_exports.engine.jobs.steps import Change, Pause, Steps, Wait
from tap_exports.engine.ledger import Progress
from tap_exports.engine.model import Job, Request, Status
from tap_exports.engine.thrift import Due
from tap_exports.errors import FileGoneError, JobLostError, JobStalledError, TryAgainError

LOGGER = logging.getLogger("tap-exports.jobs")
NOTED_SECONDS = 60  # between two records of a job's progress in STATE


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a job before it is looked at.

    Attributes:
        requested_at: When its creation was answered in this run, or began; None for a job that this tap did not create.
        progress: What it showed in an earlier run, or None.
        replaced: The discarded job in whose place it was created, and that may complete first; or None.
        note: Records in the ledger what it shows, for the next run; None for a job that is not in the ledger.
    """

    requested_at: datetime | None = None
    progress: Progress | None = None
    replaced: Job | None = None
    note: Callable[[Progress], object] | None = None


@dataclass(slots=True)
class _Watch:
    """One wait for the end of a job; instants are of the monotonic clock.

    Attributes:
        request: What the job answers.
        known: What was known of the job before.
        began: Start of the wait.
        absence: Polls in a row that did not find it.
        pending_until: Until then, a job that is missing is not readable yet.
        overdue_at: `job_timeout_seconds` after its creation; None while its age is not known.
        moved_at: When status or counts changed last.
        noted_at: When progress was recorded last.
        looked_at: The poll before this one.
        shown: What it showed last, or None.
        noted: What of it is recorded.
    """

    request: Request
    known: Known
    began: float
    absence: Absence
    pending_until: float
    overdue_at: float | None
    moved_at: float
    noted_at: float
    looked_at: float
    shown: Progress | None = None
    noted: Progress | None = None


class Looks:
    """Looks at the jobs of one provider. Safe to use from several threads.

    Args:
        api: Gives the status of a job.
        clock: Time and waiting.
        settings: Intervals and limits.
        statuses: Status words that the configuration explains.
        activity: Notes how the jobs stand.
    """

    def __init__(self, api: Polls, clock: Clock, settings: JobSettings, statuses: Statuses, activity: Activity) -> None:
        """Keep the parts; the intervals adapt to the jobs that end."""
        self._api = api
        self._clock = clock
        self._settings = settings
        self._statuses = statuses
        self._activity = activity
        self.cadence = Cadence(settings)

    def look(self, request: Request, job: Job, known: Known = Known()) -> Steps[Job]:
        """Wait for a job's end and return it; with `detach` poll once.

        The job that it replaces is polled too, and returned if it completes first.

        Args:
            request: What the job answers.
            job: The job as it was seen last.
            known: What else is known of it.

        Raises:
            JobLostError: Several polls in a row did not find it, for `job_grace_seconds` since it was last seen, and
                so long after its creation.
            JobStalledError: It made no progress for `job_stall_timeout_seconds`, over all runs, or has not ended within
                `job_timeout_seconds`.
        """
        watch = self._watch(request, known)
        seen = yield from self._glance(watch, job) if self._settings.detach else self._wait(watch, job)
        charged = seen.credits if seen.credits is not None else job.credits
        capped = seen.is_capped or job.is_capped
        return replace(seen, credits=charged, warnings=seen.warnings or job.warnings, is_capped=capped)

    def _watch(self, request: Request, known: Known) -> _Watch:
        now, settings = self._clock.monotonic(), self._settings
        created = now - self._age(known.requested_at) if known.requested_at else None
        pending_until = now if created is None else created + settings.job_grace_seconds
        overdue_at = None if created is None else created + settings.job_timeout_seconds
        absence = Absence(settings.job_grace_seconds, created)
        if created is None:
            absence.share = 0
        watch = _Watch(request, known, now, absence, pending_until, overdue_at, now, now, now)
        if known.progress:
            watch.moved_at = now - self._age(known.progress.since)
            watch.shown = watch.noted = known.progress
        return watch

    def _age(self, instant: datetime) -> float:
        """Return the seconds since an instant, which may come from a clock that was ahead."""
        return max(0.0, (self._clock.now() - instant).total_seconds())

    def _glance(self, watch: _Watch, job: Job) -> Steps[Job]:
        """Poll once, or until a job that is missing counts as gone; one that was just created is taken for pending.

        A job whose age nobody tells is waited for: no run could tell that it hangs.
        """
        while (seen := self._poll(watch, job)) is None:
            if self._clock.monotonic() < watch.pending_until:
                return job
            yield self._rest(watch, job, watch.absence.misses)
        if seen.status.is_terminal:
            return seen
        if late := self._completed_first(watch):
            return late
        if watch.overdue_at is None:
            return (yield from self._wait(watch, seen))
        yield from self._time_left(watch, seen)
        yield from self._note(watch)
        return seen

    def _wait(self, watch: _Watch, job: Job) -> Steps[Job]:
        while True:
            seen = self._poll(watch, job)
            now = self._clock.monotonic()
            if seen is None:
                yield self._rest(watch, job, watch.absence.misses)
                continue
            if seen.status.is_terminal:
                self.cadence.ended(watch.request.stream, watch.looked_at - watch.began, now - watch.began)
                return seen
            if late := self._completed_first(watch):
                return late
            left = yield from self._time_left(watch, seen)
            watch.looked_at, job = now, seen
            if now - watch.noted_at >= NOTED_SECONDS:
                yield from self._note(watch)
            yield self._rest(watch, seen, left)

    def _poll(self, watch: _Watch, job: Job) -> Job | None:
        """Return the job as it stands, or None if it is missing and not yet gone."""
        try:
            seen = self._statuses.applied(self._api.poll(job))
        except JobLostError as error:
            if isinstance(error, FileGoneError) or watch.absence.is_gone(self._clock.monotonic()):
                raise
            LOGGER.debug("%s: %s; looking again", watch.request.stream, error)
            return None
        LOGGER.debug("%s: job %s is %s", watch.request.stream, job.id, seen.raw_status)
        self._activity.polled(watch.request, seen)
        now = self._clock.monotonic()
        watch.absence.seen()
        if watch.overdue_at is None and seen.created_at:
            watch.overdue_at = now - self._age(seen.created_at) + self._settings.job_timeout_seconds
        shown = Progress.of(seen, self._clock.now())
        if watch.shown is None or shown.mark != watch.shown.mark:
            watch.shown, watch.moved_at = shown, now
        return seen

    def _completed_first(self, watch: _Watch) -> Job | None:
        """Return the replaced job if it has completed after all."""
        if watch.known.replaced is None:
            return None
        try:
            seen = self._statuses.applied(self._api.poll(watch.known.replaced))
        except (JobLostError, TryAgainError):
            return None
        return seen if seen.status is Status.COMPLETED else None

    def _note(self, watch: _Watch) -> Steps[None]:
        """Record what a job shows, if it shows something else than what is recorded."""
        if watch.known.note and watch.shown and watch.shown != watch.noted:
            yield Change(partial(watch.known.note, watch.shown), due=Due.LATER)
            watch.noted, watch.noted_at = watch.shown, self._clock.monotonic()

    def _rest(self, watch: _Watch, job: Job, most: float) -> Wait:
        if job.poll_after:
            return Pause(max(SHORTEST_WAIT_SECONDS, min(job.poll_after, most)))
        return self.cadence.rest(watch.request.stream, watch.began, self._clock.monotonic(), most)

    def _time_left(self, watch: _Watch, job: Job) -> Steps[float]:
        """Return the seconds until a job counts as stalled.

        Raises:
            JobStalledError: None are left.
        """
        now, settings = self._clock.monotonic(), self._settings
        idle, overdue_at = now - watch.moved_at, watch.overdue_at
        left = settings.job_stall_timeout_seconds - idle
        left = left if overdue_at is None else min(left, overdue_at - now)
        if left > 0:
            return left
        yield from self._note(watch)
        reason = f"made no progress for {idle:.0f} s (job_stall_timeout_seconds)"
        if idle < settings.job_stall_timeout_seconds:
            reason = f"has not ended within {settings.job_timeout_seconds} s (job_timeout_seconds)"
        if job.status is Status.UNKNOWN:
            setting = f"{watch.request.provider}.statuses"
            reason = f'status "{job.raw_status}" is not known: say what it means in the setting {setting}; it {reason}'
        msg = f"{describe(watch.request.stream, job, watch.request.window)}: {reason}; the bookmark stays"
        raise JobStalledError(msg)
