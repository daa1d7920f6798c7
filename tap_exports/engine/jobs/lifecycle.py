"""Lifecycle of one provider's jobs: intent and creation, lost replies, lost jobs, polling until the end."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from tap_exports.engine.api import Finds, FreeToRepeat, Polls, Submits
from tap_exports.engine.clock import Clock
from tap_exports.engine.jobs.cadence import SHORTEST_WAIT_SECONDS, Cadence
from tap_exports.engine.jobs.journal import Journal
from tap_exports.engine.jobs.outcome import JobSettings, Outcome, describe
from tap_exports.engine.ledger import Closed, Entry, StreamState
from tap_exports.engine.model import Job, Request, Status
from tap_exports.engine.workers import Workers
from tap_exports.errors import (
    BadContentError,
    JobLostError,
    JobStalledError,
    LimitError,
    LostReplyError,
    StopError,
    TapError,
)

LOGGER = logging.getLogger("tap-exports.jobs")
CLOCK_SKEW = timedelta(minutes=5)
LOOKS_FOR_A_LOST_JOB = 4
CREATIONS_PER_REQUEST = 3


@dataclass(slots=True)
class _Pursuit:
    """Progress of one worker on one request; only the main thread may read or change the ledger.

    Attributes:
        request: The request.
        state: The stream's state; changed only through the journal.
        entry: The ledger's entry when the request was submitted.
        resubmitted: As in `Outcome`.
        requested_at: When the creation of the current job began.
        closed: Closed full exports of earlier runs, which must not be adopted.
        created: Jobs created for the request in this run.
        lost: As in `Outcome`.
    """

    request: Request
    state: StreamState
    entry: Entry | None
    resubmitted: bool
    requested_at: datetime
    closed: Closed
    created: int = 0
    lost: Job | None = None

    def forget(self) -> None:
        """Remove the request from the ledger; only the journal may call it."""
        self.state.forget(self.request.fingerprint)


class Lifecycle:
    """Creates and waits for the jobs of one provider.

    Args:
        api: The provider's verbs.
        journal: Takes the changes of STATE.
        clock: Time and waiting.
        settings: Intervals and limits.
    """

    def __init__(self, api: Polls, journal: Journal, clock: Clock, settings: JobSettings) -> None:
        """Keep the parts; no thread starts before the first job."""
        self.api = api
        self.journal = journal
        self._clock = clock
        self.settings = settings
        self._workers: Workers[Outcome] = Workers(settings.max_concurrent_jobs, "jobs")
        self._cadence = Cadence(settings)

    # For the main thread

    def start(self, request: Request, state: StreamState, *, resubmitted: bool = False) -> Future[Outcome]:
        """Create the job of a request or re-attach to it, and wait for its end in a worker; returns at once.

        Args:
            request: The request.
            state: The state of its stream.
            resubmitted: Whether a job of this request was lost while it was read; a second loss stops the stream.
        """
        entry = state.entry(request.fingerprint)
        requested_at = entry.requested_at if entry else self._clock.now()
        pursuit = _Pursuit(request, state, entry, resubmitted, requested_at, state.closed)
        return self._workers.submit(lambda: self._pursue(pursuit))

    def watch(self, request: Request, job: Job) -> Future[Outcome]:
        """Wait in a worker for the end of a job that the configuration names; it is not in the ledger."""
        return self._workers.submit(lambda: self._watch(request, job))

    # In a worker

    def _watch(self, request: Request, job: Job) -> Outcome:
        began, now = self._clock.monotonic(), self._clock.now()
        job = self._look(request, job)
        return Outcome(request, job, job.created_at or now, self._clock.monotonic() - began, 0)

    def _pursue(self, pursuit: _Pursuit) -> Outcome:
        began = self._clock.monotonic()
        job = self._attached(pursuit) or self._create(pursuit)
        try:
            job = self._look_after(pursuit, job)
        except JobLostError as error:
            if pursuit.resubmitted:
                raise
            LOGGER.warning("%s: %s; submitting the window again, once", pursuit.request.stream, error)
            pursuit.lost, pursuit.resubmitted = job, True
            self.journal.commit(pursuit.forget)
            job = self._look_after(pursuit, self._create(pursuit))
        waited, p = self._clock.monotonic() - began, pursuit
        return Outcome(p.request, job, p.requested_at, waited, p.created, p.lost, p.resubmitted)

    def _look_after(self, pursuit: _Pursuit, job: Job) -> Job:
        """Wait for a job's end; with `detach` poll once, or not at all if the job was just created."""
        return job if self.settings.detach and pursuit.created else self._look(pursuit.request, job)

    def _look(self, request: Request, job: Job) -> Job:
        seen = self.api.poll(job) if self.settings.detach else self._wait(request, job)
        charged = seen.credits if seen.credits is not None else job.credits
        capped = seen.is_capped or job.is_capped
        return replace(seen, credits=charged, warnings=seen.warnings or job.warnings, is_capped=capped)

    def _attached(self, pursuit: _Pursuit) -> Job | None:
        """Return the open job of the ledger, or the job that was created for its intent; None if there is neither."""
        entry = pursuit.entry
        if entry is None or entry.id is None:
            return self._find(pursuit) if entry else None
        LOGGER.info("%s: re-attaching to job %s", pursuit.request.stream, entry.id)
        known = pursuit.request.params
        return Job(entry.id, Status.PENDING, created_at=entry.requested_at, credits=entry.credits, data=known)

    def _create(self, pursuit: _Pursuit) -> Job:
        """Create the job of a request.

        Raises:
            StopError: A reply was lost and the provider cannot tell whether a job exists, or three creations left none.
        """
        for _ in range(CREATIONS_PER_REQUEST):
            pursuit.requested_at = self._clock.now()
            intend = partial(pursuit.state.intend, pursuit.request, pursuit.requested_at)
            with self.journal.creation(intend, pursuit.forget):
                if job := self._submit(pursuit):
                    pursuit.created += not job.given
                    return job
        msg = f"{pursuit.request.stream}: {CREATIONS_PER_REQUEST} creations got no reply and left no job"
        raise StopError(f"{msg}; the next run asks again")

    def _submit(self, pursuit: _Pursuit) -> Job | None:
        """Send the creating request. A refusal removes the intent; after a lost reply the job is looked for."""
        request = pursuit.request
        try:
            job = self._submits().submit(request)
        except (LostReplyError, BadContentError, LimitError) as lost:  # an unreadable reply counts as lost
            LOGGER.warning("%s: %s; looking for the job", request.stream, lost)
            return self._find(pursuit)
        except TapError:
            self.journal.commit(pursuit.forget)
            raise
        return self._adopt(pursuit, job, "given" if job.given else "created")

    def _submits(self) -> Submits:
        if isinstance(self.api, Submits):
            return self.api
        msg = f"{type(self.api).__name__} cannot create jobs"
        raise StopError(msg)

    def _find(self, pursuit: _Pursuit) -> Job | None:
        """Find and adopt the job whose creation got no reply; None when it is certain that another may be created.

        Raises:
            StopError: The provider offers no way to find it; it may exist, so no other job may be created.
        """
        request, at = pursuit.request, pursuit.requested_at
        if isinstance(self.api, FreeToRepeat):
            LOGGER.info("%s: a second job costs nothing at %s, so one is created", request.stream, request.provider)
            return None
        if not isinstance(self.api, Finds):
            msg = (
                f"{request.stream}: a job may have been created at {at:%Y-%m-%d %H:%M:%S} UTC, its reply was lost and "
                f"{request.provider} offers no way to find it: nothing is created again. See docs/state.md, “Lost "
                "replies”"
            )
            raise StopError(msg)
        since = max(at - CLOCK_SKEW, pursuit.closed.created_at or at - CLOCK_SKEW)
        for look in range(LOOKS_FOR_A_LOST_JOB):
            if look:
                self._clock.sleep(max(SHORTEST_WAIT_SECONDS, self.settings.poll_interval_seconds * look))
            if job := self.api.find(request, since, pursuit.closed.ids):
                return self._adopt(pursuit, job, "found")
        LOGGER.info("%s: %s has no such job, so none was created", request.stream, request.provider)
        return None

    def _adopt(self, pursuit: _Pursuit, job: Job, how: str) -> Job:
        request = pursuit.request
        LOGGER.info("%s: job %s %s for %s", request.stream, job.id, how, request.window or "the full export")
        self.journal.commit(partial(pursuit.state.opened, request, job, pursuit.requested_at))
        return job

    def _wait(self, request: Request, job: Job) -> Job:
        """Poll a job until it ends.

        Raises:
            JobLostError: The provider no longer knows it.
            JobStalledError: It made no progress for `job_stall_timeout_seconds`.
        """
        began = moved_at = looked_at = self._clock.monotonic()
        while True:
            seen, now = self.api.poll(job), self._clock.monotonic()
            LOGGER.debug("%s: job %s is %s", request.stream, job.id, seen.raw_status)
            if seen.status.is_terminal:
                self._cadence.ended(request.stream, looked_at - began, now - began)
                return seen
            if (seen.raw_status, seen.progress) != (job.raw_status, job.progress):
                moved_at, job = now, seen
            left, looked_at = self._time_left(request, seen, moved_at), now
            if seen.poll_after:
                self._clock.sleep(max(SHORTEST_WAIT_SECONDS, min(seen.poll_after, left)))
            else:
                self._cadence.rest(self._clock, request.stream, began, left)

    def _time_left(self, request: Request, job: Job, moved_at: float) -> float:
        """Return the seconds until a job without progress counts as stalled.

        Raises:
            JobStalledError: None are left.
        """
        idle = self._clock.monotonic() - moved_at
        if idle < self.settings.job_stall_timeout_seconds:
            return self.settings.job_stall_timeout_seconds - idle
        reason = f"made no progress for {idle:.0f} s"
        if job.status is Status.UNKNOWN:
            reason = f'status "{job.raw_status}" is not in STATUSES (providers/{request.provider}/api.py) and {reason}'
        where = describe(request.stream, job, request.window)
        msg = f"{where}: {reason} (job_stall_timeout_seconds); the bookmark stays"
        raise JobStalledError(msg)
