"""Lifecycle of one provider's jobs: created or re-attached to, polled, replaced once if they are gone or stalled."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from datetime import datetime
from functools import partial

from tap_exports.engine.activity import Activity
from tap_exports.engine.api import Polls, creation_costs
from tap_exports.engine.clock import WakingClock
from tap_exports.engine.jobs.absence import Absence
from tap_exports.engine.jobs.creation import PAY_AGAIN, Creation
from tap_exports.engine.jobs.journal import Journal
from tap_exports.engine.jobs.looks import Known, Looks
from tap_exports.engine.jobs.outcome import JobSettings, Outcome
from tap_exports.engine.jobs.poller import Poller
from tap_exports.engine.jobs.pursuit import Pursuit
from tap_exports.engine.jobs.statuses import Statuses
from tap_exports.engine.jobs.steps import Change, Pause, Steps
from tap_exports.engine.jobs.turns import Turns
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Job, Request, Status
from tap_exports.engine.workers import Workers
from tap_exports.errors import JobLostError, JobStalledError, RunEndingError, StopError, TapError

LOGGER = logging.getLogger("tap-exports.jobs")


def _still_runs(future: Future[Outcome]) -> bool:
    """Return whether a request that is done leaves a job at the provider that did not end."""
    if error := future.exception():
        return isinstance(error, JobStalledError)
    outcome = future.result()
    return isinstance(outcome.error, JobStalledError) or not (outcome.error or outcome.job.status.is_terminal)


def _paid(error: TapError) -> TapError:
    msg = f"{error.message}; the job was paid for, so it is kept and the next run looks again; {PAY_AGAIN}"
    return type(error)(msg)


def looking_on(error: TapError) -> TapError:
    """Return the error of a found job of which nothing can be used, with what the next run does."""
    then = "it was found and not created here, so it may be that of another tap: the next run looks for the own one"
    return type(error)(f"{error.message}; {then}")


class Lifecycle:
    """Creates and waits for the jobs of one provider.

    Args:
        api: The provider's verbs.
        journal: Takes the changes of STATE.
        clock: Time and waiting.
        settings: Intervals and limits.
        statuses: Status words that the configuration explains.
        activity: Notes what the jobs do.
        poller: Resumes jobs whose wait is over; one for all providers of a run.
        workers: Threads that it shares with other accounts; None for threads of its own.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - one place where everything about jobs comes together
        self,
        api: Polls,
        journal: Journal,
        clock: WakingClock,
        settings: JobSettings,
        statuses: Statuses = Statuses(),  # noqa: B008 - frozen
        activity: Activity | None = None,
        poller: Poller | None = None,
        workers: Workers[None] | None = None,
    ) -> None:
        """Keep the parts; no thread starts before the first job."""
        self.api = api
        self.journal = journal
        self._clock = clock
        self.settings = settings
        most = settings.max_concurrent_jobs, settings.max_concurrent_requests
        self._turns: Turns[Outcome] = Turns(journal, poller or Poller(clock), *most, workers)
        self.statuses = statuses
        self.activity = activity or Activity(clock)
        self._looks = Looks(api, clock, settings, statuses, self.activity)
        self._creation = Creation(api, journal, clock, settings, statuses, self.activity, self._looks.cadence)
        self._open: set[str] = set()

    # For the main thread

    def start(
        self,
        request: Request,
        state: StreamState,
        *,
        resubmitted: bool = False,
        pause: float = 0,
        created: int = 0,
        beside: Outcome | None = None,
    ) -> Future[Outcome]:
        """Create the job of a request or re-attach to it, and wait for its end; returns at once.

        Args:
            request: The request.
            state: The state of its stream.
            resubmitted: Whether a job of this request was lost while it was read; a second loss stops the stream.
            pause: Seconds to wait before.
            created: Jobs that this run created for the request, where the job is asked for again.
            beside: A job that was found and cannot be read: the own one is looked for before another is created.
        """
        entry = state.entry(request.fingerprint)
        requested_at = entry.requested_at if entry else beside.requested_at if beside else self._clock.now()
        self._creation.own(request.stream, state)
        is_free = not creation_costs(self.api)
        pursuit = Pursuit(
            request, state, entry, resubmitted, requested_at, state.closed, is_free=is_free, earlier=created
        )
        pursuit.other = beside.job if beside else None
        self._open.add(request.fingerprint)
        self.activity.asked(request, entry.id if entry else None)
        steps = self._pursue(pursuit, pause)
        if entry:
            future = self._turns.attach(request.stream, steps)
        else:
            future = self._turns.create(request.stream, steps, first=resubmitted)
        future.add_done_callback(partial(self._count, request))
        return future

    def absence(self, requested_at: datetime) -> Absence:
        """Return the count of misses of a job that is read, by when its creation began."""
        age = (self._clock.now() - requested_at).total_seconds()
        return Absence(self.settings.job_grace_seconds, self._clock.monotonic() - age)

    def pause(self, absence: Absence) -> float:
        """Return the seconds until a job that was missing is looked for again."""
        return min(absence.misses * self.settings.poll_interval_seconds, self.settings.poll_interval_max_seconds)

    @property
    def open_jobs(self) -> int:
        """Return how many requests have a job that did not end, or are about to get one."""
        return len(self._open)

    def _count(self, request: Request, future: Future[Outcome]) -> None:
        """Take a job that ended out of the count; one that stalled is still at the provider."""
        self.activity.left(request)
        if future.cancelled() or not _still_runs(future):
            self._open.discard(request.fingerprint)

    def watch(self, request: Request, job: Job) -> Future[Outcome]:
        """Wait for the end of a job that the configuration names; it is not in the ledger. Returns at once."""
        self.activity.asked(request, job.id)
        return self._turns.watch(self._watch(request, job))

    # Steps, in workers

    def _watch(self, request: Request, job: Job) -> Steps[Outcome]:
        began, now = self._clock.monotonic(), self._clock.now()
        job = yield from self._looks.look(request, job)
        return Outcome(request, job, job.created_at or now, self._clock.monotonic() - began, 0)

    def _pursue(self, pursuit: Pursuit, pause: float) -> Steps[Outcome]:
        """Pursue the job of a request to its end; what has no entry sends no request before it waits for its intent."""
        if pause:
            yield Pause(pause)
        began = self._clock.monotonic()
        job = (yield from self._attached(pursuit)) or (yield from self._creation.create(pursuit))
        failure: TapError | None = None
        try:
            job = yield from self._look_after(pursuit, job)
        except (JobLostError, JobStalledError) as error:
            yield from self._discard(pursuit, job, error)
            try:
                job = yield from self._look_after(pursuit, (yield from self._create_another(pursuit)))
            except RunEndingError:
                raise
            except TapError as caught:  # the receipt of the discarded job must not be lost with it
                failure = caught
                if isinstance(caught, JobStalledError):
                    failure = self._hanging(caught)
                    yield Change(pursuit.note_stall)
        return pursuit.outcome(job, self._clock.monotonic() - began, failure)

    def _create_another(self, pursuit: Pursuit) -> Steps[Job]:
        """Create a job in place of a discarded one.

        Raises:
            StopError: With `detach`, as many jobs as allowed are open.
        """
        most = self.settings.max_concurrent_jobs
        if self.settings.detach and self.open_jobs > most:
            msg = f"{pursuit.request.stream}: {most} jobs are open (max_concurrent_jobs)"
            raise StopError(f"{msg}; the next run requests the window of the discarded job again")
        return (yield from self._creation.create(pursuit))

    def _look_after(self, pursuit: Pursuit, job: Job) -> Steps[Job]:
        """Wait for a job's end; with `detach` poll once, or not at all if the job was just created."""
        if self.settings.detach and pursuit.created:
            return job
        known = Known(
            pursuit.answered_at or pursuit.requested_at,
            pursuit.progress,
            pursuit.replaced,
            pursuit.note_progress,
        )
        seen = yield from self._looks.look(pursuit.request, job, known)
        if seen.id != job.id:
            LOGGER.warning("%s: job %s ended before job %s in its place: used", pursuit.request.stream, seen.id, job.id)
            yield Change(partial(pursuit.return_to, seen, job))
        return seen

    def _discard(self, pursuit: Pursuit, job: Job, error: JobLostError | JobStalledError) -> Steps[None]:
        """Discard a job that is gone, or that was stalled in enough runs, so that another one may be created, once.

        Raises:
            TapError: The job stays in the ledger.
        """
        stalled = isinstance(error, JobStalledError)
        if stalled:
            yield Change(pursuit.note_stall)
        if stalled and not job.given and (pursuit.resubmitted or pursuit.stalls + 1 < self.settings.job_stalls_max):
            raise self._hanging(error)
        if pursuit.resubmitted or job.given:
            raise error
        if pursuit.may_be_anothers and not self.may_replace:
            yield Change(pursuit.look_on)
            raise looking_on(error)
        self.refuse_to_pay_again(error)
        LOGGER.warning("%s: %s; submitting the window again, once", pursuit.request.stream, error)
        self.activity.asked(pursuit.request)
        yield Change(partial(pursuit.discard, job, error))

    def _hanging(self, error: TapError) -> TapError:
        """Return the error of a job that hangs and stays in the ledger, with what later runs do."""
        if not self.may_replace:
            return _paid(error)
        runs = self.settings.job_stalls_max
        then = f"a job that hangs in {runs} run{'s' if runs > 1 else ''} is requested again (job_stalls_max)"
        return type(error)(f"{error.message}; {then}")

    @property
    def may_replace(self) -> bool:
        """Return whether another job may be created in place of one: it costs nothing, or a setting allows it."""
        return self.settings.recreate_paid_jobs or not creation_costs(self.api)

    def refuse_to_pay_again(self, error: TapError) -> None:
        """Raise `error` where another job would cost money that the settings do not allow.

        Raises:
            TapError: It does; the job stays in the ledger.
        """
        if not self.may_replace:
            raise _paid(error) from error

    def _attached(self, pursuit: Pursuit) -> Steps[Job | None]:
        """Return the open job of the ledger, or the job that was created for its intent; None if there is neither."""
        entry = pursuit.entry
        if entry is None or entry.id is None:
            return (yield from self._creation.find(pursuit, earlier=True)) if entry else None
        LOGGER.info("%s: re-attaching to job %s", pursuit.request.stream, entry.id)
        return Job(
            entry.id,
            Status.PENDING,
            created_at=entry.requested_at,
            credits=entry.credits,
            warnings=entry.warnings,
            is_capped=entry.is_capped,
            data=pursuit.request.params,
        )

    def contradiction(self, request: Request, job: Job) -> str:
        """Return what a job shows that differs from its request, or an empty string."""
        return self._creation.contradiction(request, job)

    def earliest(self, requested_at: datetime) -> datetime:
        """Return the earliest instant, by the provider's clock, of a job whose creation began then by ours."""
        return self._creation.earliest(requested_at)
