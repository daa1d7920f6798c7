"""Lifecycle of one provider's jobs: intent, creation, lost replies, jobs that are gone or stalled."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta
from functools import partial

from tap_exports.engine.api import Echoes, Finds, FreeToRepeat, Polls, Submits, creation_costs
from tap_exports.engine.clock import Clock
from tap_exports.engine.jobs import busy
from tap_exports.engine.jobs.journal import Journal
from tap_exports.engine.jobs.outcome import STALLED, JobSettings, Outcome, describe
from tap_exports.engine.jobs.poller import Poller
from tap_exports.engine.jobs.pursuit import Pursuit
from tap_exports.engine.jobs.search import find_job
from tap_exports.engine.jobs.statuses import Statuses
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Job, Request, Status
from tap_exports.engine.workers import Workers
from tap_exports.errors import JobLostError, JobStalledError, StopError, TapError, is_outcome_unknown

LOGGER = logging.getLogger("tap-exports.jobs")
CLOCK_SKEW = timedelta(minutes=5)
CREATIONS_PER_REQUEST = 3
PAY_AGAIN = "`recreate_paid_jobs: true` allows another one, at its price"


class Lifecycle:
    """Creates and waits for the jobs of one provider.

    Args:
        api: The provider's verbs.
        journal: Takes the changes of STATE.
        clock: Time and waiting.
        settings: Intervals and limits.
        statuses: Status words that the configuration explains.
    """

    def __init__(
        self,
        api: Polls,
        journal: Journal,
        clock: Clock,
        settings: JobSettings,
        statuses: Statuses = Statuses(),  # noqa: B008 - frozen
    ) -> None:
        """Keep the parts; no thread starts before the first job."""
        self.api = api
        self.journal = journal
        self._clock = clock
        self.settings = settings
        self._workers: Workers[Outcome] = Workers(settings.max_concurrent_jobs, "jobs")
        self.statuses = statuses
        self._poller = Poller(api, clock, settings, statuses)
        self._open: set[str] = set()
        self._owners: dict[str, str] = {}

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
        self._owners |= {e.id: e.fingerprint for e in state.entries if e.id}
        pursuit = Pursuit(request, state, entry, resubmitted, requested_at, state.closed)
        self._open.add(request.fingerprint)
        future = self._workers.submit(lambda: self._pursue(pursuit))
        future.add_done_callback(partial(self._count, request))
        return future

    @property
    def open_jobs(self) -> int:
        """Return how many requests have a job that did not end, or are about to get one."""
        return len(self._open)

    def _count(self, request: Request, future: Future[Outcome]) -> None:
        """Take a job that ended out of the count; one that stalled is still at the provider."""
        error = None if future.cancelled() else future.exception()
        runs = isinstance(error, JobStalledError) or (
            not future.cancelled() and not error and not future.result().job.status.is_terminal
        )
        if not runs:
            self._open.discard(request.fingerprint)

    def watch(self, request: Request, job: Job) -> Future[Outcome]:
        """Wait in a worker for the end of a job that the configuration names; it is not in the ledger."""
        return self._workers.submit(lambda: self._watch(request, job))

    # In a worker

    def _watch(self, request: Request, job: Job) -> Outcome:
        began, now = self._clock.monotonic(), self._clock.now()
        job = self._poller.look(request, job)
        return Outcome(request, job, job.created_at or now, self._clock.monotonic() - began, 0)

    def _pursue(self, pursuit: Pursuit) -> Outcome:
        began = self._clock.monotonic()
        job = self._attached(pursuit) or self._create(pursuit)
        try:
            job = self._look_after(pursuit, job)
        except (JobLostError, JobStalledError) as error:
            job = self._look_after(pursuit, self._replace(pursuit, job, error))
        return pursuit.outcome(job, self._clock.monotonic() - began)

    def _look_after(self, pursuit: Pursuit, job: Job) -> Job:
        """Wait for a job's end; with `detach` poll once, or not at all if the job was just created."""
        if self.settings.detach and pursuit.created:
            return job
        return self._poller.look(pursuit.request, job, pursuit.requested_at)

    def _replace(self, pursuit: Pursuit, job: Job, error: TapError) -> Job:
        """Discard a job that is gone, or that was stalled in enough runs, and create another one, once.

        Raises:
            TapError: The job stays in the ledger.
        """
        stalled = isinstance(error, JobStalledError)
        if stalled:
            self.journal.commit(pursuit.note_stall)
        if pursuit.resubmitted or job.given or (stalled and pursuit.stalls + 1 < self.settings.job_stalls_max):
            raise error
        self.refuse_to_pay_again(error)
        LOGGER.warning("%s: %s; submitting the window again, once", pursuit.request.stream, error)
        pursuit.lost, pursuit.resubmitted = replace(job, reason=error.message), True
        if stalled:
            pursuit.lost_as = STALLED
        self.journal.commit(partial(pursuit.state.close, pursuit.request, job) if stalled else pursuit.forget)
        return self._create(pursuit)

    def refuse_to_pay_again(self, error: TapError) -> None:
        """Raise `error` where another job would cost money that the settings do not allow.

        Raises:
            TapError: It does; the job stays in the ledger.
        """
        if creation_costs(self.api) and not self.settings.recreate_paid_jobs:
            msg = f"{error.message}; the job was paid for, so it is kept and the next run looks again; {PAY_AGAIN}"
            raise type(error)(msg) from error

    def _attached(self, pursuit: Pursuit) -> Job | None:
        """Return the open job of the ledger, or the job that was created for its intent; None if there is neither."""
        entry = pursuit.entry
        if entry is None or entry.id is None:
            return self._find(pursuit, earlier=True) if entry else None
        LOGGER.info("%s: re-attaching to job %s", pursuit.request.stream, entry.id)
        known = pursuit.request.params
        return Job(entry.id, Status.PENDING, created_at=entry.requested_at, credits=entry.credits, data=known)

    def _create(self, pursuit: Pursuit) -> Job:
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

    def _submit(self, pursuit: Pursuit) -> Job | None:
        """Send the creating request. A refusal removes the intent; after an unknown outcome the job is looked for."""
        request = pursuit.request
        try:
            patience = self.settings.job_stall_timeout_seconds
            job = self.statuses.applied(busy.submit(self._submits(), request, self._clock, patience))
        except TapError as error:
            if not is_outcome_unknown(error):
                self.journal.commit(pursuit.forget)
                raise
            LOGGER.warning("%s: %s; looking for the job", request.stream, error)
            return self._find(pursuit)
        if not job.given:
            self._refuse_other(pursuit, job)
        return self._adopt(pursuit, job, "given" if job.given else "created")

    def _refuse_other(self, pursuit: Pursuit, job: Job) -> None:
        """Refuse a job that answers another request; the intent stays, so that the next run looks for the own one.

        Raises:
            StopError: The ledger holds it for another request, it was read in an earlier run, or its echo differs.
        """
        request = pursuit.request
        where = describe(request.stream, job, request.window)
        if self._owners.setdefault(job.id, request.fingerprint) != request.fingerprint:
            msg = f"{where}: the creation was answered with the job of another window; nothing of it is read"
            raise StopError(msg)
        if job.created_at and job.id in pursuit.closed.ids:
            msg = f"{where}: the creation was answered with a job of an earlier run; nothing of it is read"
            raise StopError(msg)
        if differs := self.contradiction(request, job):
            msg = f"{where}: the creation was answered with a job of another {differs}; nothing of it is read"
            raise StopError(msg)

    def contradiction(self, request: Request, job: Job) -> str:
        """Return what a job shows that differs from its request, or an empty string."""
        return self.api.contradiction(request, job) if isinstance(self.api, Echoes) and not job.given else ""

    def _submits(self) -> Submits:
        if isinstance(self.api, Submits):
            return self.api
        msg = f"{type(self.api).__name__} cannot create jobs"
        raise StopError(msg)

    def _find(self, pursuit: Pursuit, *, earlier: bool = False) -> Job | None:
        """Find and adopt the job whose creation got no reply; None when another one may be created.

        Args:
            pursuit: The request.
            earlier: Whether an earlier run sent the creating request.

        Raises:
            StopError: The job may exist, and the provider offers no way to find it or another one would cost money.
        """
        request, at = pursuit.request, pursuit.requested_at
        if isinstance(self.api, FreeToRepeat):
            LOGGER.info("%s: a second job costs nothing at %s, so one is created", request.stream, request.provider)
            return None
        if isinstance(self.api, Finds):
            since = max(at - CLOCK_SKEW, pursuit.closed.created_at or at - CLOCK_SKEW)
            seconds = self.settings.lost_reply_search_seconds
            if job := find_job(self.api, self._clock, request, since, pursuit.closed.ids, seconds):
                return self._adopt(pursuit, self.statuses.applied(job), "found")
        if not self._may_create_again(pursuit, earlier=earlier):
            raise StopError(self._unknown(pursuit))
        LOGGER.info("%s: %s has no such job, so none was created", request.stream, request.provider)
        return None

    def _may_create_again(self, pursuit: Pursuit, *, earlier: bool) -> bool:
        """Return whether a job that was not found may be created again.

        Where a job costs money its absence is certain only in a later run, once `job_grace_seconds` have passed.
        """
        finds, costs = isinstance(self.api, Finds), creation_costs(self.api)
        if not costs or self.settings.recreate_paid_jobs:
            return finds or self.settings.recreate_paid_jobs
        age = (self._clock.now() - pursuit.requested_at).total_seconds()
        return finds and earlier and age >= self.settings.job_grace_seconds

    def _unknown(self, pursuit: Pursuit) -> str:
        request, at = pursuit.request, pursuit.requested_at
        how = "does not show it" if isinstance(self.api, Finds) else "offers no way to find it"
        return (
            f"{request.stream}: a job may have been created at {at:%Y-%m-%d %H:%M:%S} UTC, its reply was lost and "
            f"{request.provider} {how}: nothing is created again; {PAY_AGAIN}. See docs/state.md, “Lost replies”"
        )

    def _adopt(self, pursuit: Pursuit, job: Job, how: str) -> Job:
        request = pursuit.request
        LOGGER.info("%s: job %s %s for %s", request.stream, job.id, how, request.window or "the full export")
        self.journal.commit(partial(pursuit.state.opened, request, job, pursuit.requested_at))
        return job
