"""Polling of a job until it ends, stalls, or is gone."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime

from tap_exports.engine.api import Polls
from tap_exports.engine.clock import Clock
from tap_exports.engine.jobs.cadence import SHORTEST_WAIT_SECONDS, Cadence
from tap_exports.engine.jobs.outcome import JobSettings, describe
from tap_exports.engine.jobs.statuses import Statuses
from tap_exports.engine.model import Job, Request, Status
from tap_exports.errors import JobLostError, JobStalledError

LOGGER = logging.getLogger("tap-exports.jobs")
LOOKS_FOR_A_MISSING_JOB = 3  # polls in a row that must not find a job before it counts as gone


@dataclass(slots=True)
class _Watch:
    """One wait for the end of a job; instants are of the monotonic clock.

    Attributes:
        request: What the job answers.
        began: Start of the wait.
        unseen_until: A job that was never seen is pending until then, not gone.
        overdue_at: `job_timeout_seconds` after its creation.
        moved_at: When status or counts changed last.
        looked_at: The poll before this one.
        seen: Whether a poll has found it.
        misses: Polls in a row that did not find it.
    """

    request: Request
    began: float
    unseen_until: float
    overdue_at: float
    moved_at: float
    looked_at: float
    seen: bool = False
    misses: int = 0


class Poller:
    """Polls the jobs of one provider. Safe to use from several threads.

    Args:
        api: Gives the status of a job.
        clock: Time and waiting.
        settings: Intervals and limits.
        statuses: Status words that the configuration explains.
    """

    def __init__(self, api: Polls, clock: Clock, settings: JobSettings, statuses: Statuses) -> None:
        """Keep the parts; the intervals adapt to the jobs that end."""
        self._api = api
        self._clock = clock
        self._settings = settings
        self._statuses = statuses
        self.cadence = Cadence(settings)

    def look(self, request: Request, job: Job, requested_at: datetime | None = None) -> Job:
        """Wait for a job's end; with `detach` poll once.

        Args:
            request: What the job answers.
            job: The job as known.
            requested_at: When its creation began; None for a job that this tap did not create.

        Raises:
            JobLostError: The provider does not know it: in several polls in a row and, for a job that was never seen,
                until `job_grace_seconds` after its creation.
            JobStalledError: It made no progress for `job_stall_timeout_seconds`, or has not ended within
                `job_timeout_seconds`.
        """
        watch = self._watch(request, requested_at)
        seen = self._glance(watch, job) if self._settings.detach else self._wait(watch, job)
        charged = seen.credits if seen.credits is not None else job.credits
        capped = seen.is_capped or job.is_capped
        return replace(seen, credits=charged, warnings=seen.warnings or job.warnings, is_capped=capped)

    def _watch(self, request: Request, requested_at: datetime | None) -> _Watch:
        now, settings = self._clock.monotonic(), self._settings
        age = (self._clock.now() - requested_at).total_seconds() if requested_at else 0.0
        unseen_until = now + settings.job_grace_seconds - age if requested_at else now
        return _Watch(request, now, unseen_until, now + settings.job_timeout_seconds - age, now, now)

    def _glance(self, watch: _Watch, job: Job) -> Job:
        """Poll once, or until a job that is missing counts as gone; one that was just created is taken for pending."""
        while (seen := self._poll(watch, job)) is None:
            if self._clock.monotonic() < watch.unseen_until:
                return job
            self._rest(watch, job, watch.misses)
        if not seen.status.is_terminal:
            self._time_left(watch, seen)
        return seen

    def _wait(self, watch: _Watch, job: Job) -> Job:
        while True:
            seen = self._poll(watch, job)
            now = self._clock.monotonic()
            if seen is None:
                self._rest(watch, job, watch.misses)
                continue
            if seen.status.is_terminal:
                self.cadence.ended(watch.request.stream, watch.looked_at - watch.began, now - watch.began)
                return seen
            if (seen.raw_status, seen.progress, seen.rows) != (job.raw_status, job.progress, job.rows):
                watch.moved_at, job = now, seen
            left, watch.looked_at = self._time_left(watch, seen), now
            self._rest(watch, seen, left)

    def _poll(self, watch: _Watch, job: Job) -> Job | None:
        """Return the job as it stands, or None if it is missing and not yet gone."""
        try:
            seen = self._statuses.applied(self._api.poll(job))
        except JobLostError as error:
            watch.misses += 1
            pending = not watch.seen and self._clock.monotonic() < watch.unseen_until
            if not pending and watch.misses >= LOOKS_FOR_A_MISSING_JOB:
                raise
            LOGGER.debug("%s: %s; looking again", watch.request.stream, error)
            return None
        LOGGER.debug("%s: job %s is %s", watch.request.stream, job.id, seen.raw_status)
        watch.seen, watch.misses = True, 0
        return seen

    def _rest(self, watch: _Watch, job: Job, most: float) -> None:
        if job.poll_after:
            self._clock.sleep(max(SHORTEST_WAIT_SECONDS, min(job.poll_after, most)))
        else:
            self.cadence.rest(self._clock, watch.request.stream, watch.began, most)

    def _time_left(self, watch: _Watch, job: Job) -> float:
        """Return the seconds until a job counts as stalled.

        Raises:
            JobStalledError: None are left.
        """
        now, settings = self._clock.monotonic(), self._settings
        idle = now - watch.moved_at
        left = min(settings.job_stall_timeout_seconds - idle, watch.overdue_at - now)
        if left > 0:
            return left
        reason = f"made no progress for {idle:.0f} s (job_stall_timeout_seconds)"
        if idle < settings.job_stall_timeout_seconds:
            reason = f"has not ended within {settings.job_timeout_seconds} s (job_timeout_seconds)"
        if job.status is Status.UNKNOWN:
            setting = f"{watch.request.provider}.statuses"
            reason = f'status "{job.raw_status}" is not known: say what it means in the setting {setting}; it {reason}'
        msg = f"{describe(watch.request.stream, job, watch.request.window)}: {reason}; the bookmark stays"
        raise JobStalledError(msg)
