"""Creation of jobs: intent, POST, and what follows where its outcome is unknown."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from shlex import quote

from tap_exports.engine.activity import Activity
from tap_exports.engine.api import Echoes, Finds, FreeToRepeat, Polls, Submits, TellsTime, creation_costs
from tap_exports.engine.clock import Clock
from tap_exports.engine.fields import of_request
from tap_exports.engine.jobs import busy
from tap_exports.engine.jobs.cadence import Cadence
from tap_exports.engine.jobs.journal import Journal
from tap_exports.engine.jobs.outcome import JobSettings, describe
from tap_exports.engine.jobs.pursuit import Pursuit
from tap_exports.engine.jobs.search import find_job
from tap_exports.engine.jobs.statuses import Statuses
from tap_exports.engine.jobs.steps import Change, Steps
from tap_exports.engine.ledger import CLOCK_SKEW, StreamState
from tap_exports.engine.model import Job, Request
from tap_exports.engine.thrift import Due
from tap_exports.errors import StopError, TapError, UnsettledError, is_outcome_unknown

LOGGER = logging.getLogger("tap-exports.jobs")
CREATIONS_PER_REQUEST = 3
DATE_SLACK = timedelta(seconds=10)  # skew below five seconds is not told, and a clock drifts
PAY_AGAIN = "`recreate_paid_jobs: true` allows another one, at its price"


@dataclass(frozen=True, slots=True)
class Creation:
    """Creates the jobs of one provider, or finds those that it created; their steps run in workers.

    Attributes:
        api: The provider's verbs.
        journal: Takes the changes of STATE.
        clock: Time and waiting.
        settings: Intervals and limits.
        statuses: Status words that the configuration explains.
        activity: Notes what the jobs do.
        cadence: Knows how many jobs have ended.
    """

    api: Polls
    journal: Journal
    clock: Clock
    settings: JobSettings
    statuses: Statuses
    activity: Activity
    cadence: Cadence
    _owners: dict[str, str] = field(default_factory=dict)  # fingerprint by job
    _owning: set[str] = field(default_factory=set)  # streams

    def own(self, stream: str, state: StreamState) -> None:
        """Take note of the jobs in the ledger of a stream, once: none of them answers another request."""
        if stream not in self._owning:
            self._owning.add(stream)
            self._owners.update({entry.id: entry.fingerprint for entry in state.entries if entry.id})

    def create(self, pursuit: Pursuit) -> Steps[Job]:
        """Create the job of a request and return it; nothing is sent before the first wait, which is for the intent.

        Raises:
            StopError: A reply was lost and the provider cannot tell whether a job exists, or three creations left none.
        """
        if pursuit.other and isinstance(self.api, Finds):
            intent = Change(pursuit.sought, pursuit.forget, self._due)
            yield intent
            try:
                if job := (yield from self.find(pursuit, earlier=True)):
                    return job
            finally:
                self.journal.answered(intent)
        for _ in range(CREATIONS_PER_REQUEST):
            pursuit.requested_at = self.clock.now()
            intent = Change(pursuit.intended, pursuit.forget, self._due)
            yield intent
            try:
                if job := (yield from self._submit(pursuit)):
                    pursuit.created += not job.given
                    return job
            finally:
                self.journal.answered(intent)
        msg = f"{pursuit.request.stream}: {CREATIONS_PER_REQUEST} creations got no reply and left no job"
        raise StopError(f"{msg}; the next run asks again")

    @property
    def _due(self) -> Due:
        """Return when STATE with an intent is due: before the POST, unless no later run would look for the job.

        A creation that costs nothing need not wait for STATE once a durable ledger holds its intent.
        """
        if isinstance(self.api, FreeToRepeat):
            return Due.SOON
        return Due.NOW if creation_costs(self.api) else Due.KEPT

    @property
    def _id_due(self) -> Due:
        """Return when STATE with a job's id is due: before its first poll, unless the durable ledger keeps it too."""
        return Due.SOON if self.journal.is_durable else self._due

    def _submit(self, pursuit: Pursuit) -> Steps[Job | None]:
        """Send the creating request. A refusal removes the intent; after an unknown outcome the job is looked for."""
        request = pursuit.request
        try:
            patience = self.settings.job_stall_timeout_seconds
            answer = yield from busy.submit(self._submits(), pursuit, self.clock, self.cadence, patience)
        except TapError as error:
            if not is_outcome_unknown(error):
                yield Change(pursuit.forget)
                raise
            LOGGER.warning("%s: %s; looking for the job", request.stream, error)
            return (yield from self.find(pursuit))
        job = self.statuses.applied(answer)
        if not job.given:
            self._refuse_other(pursuit, job)
        return (yield from self._adopt(pursuit, job, "given" if job.given else "created"))

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

    def earliest(self, requested_at: datetime) -> datetime:
        """Return the earliest creation, by the provider's clock, of a job whose creation began at an instant of ours.

        A clock that is ahead makes no difference: the replies' `Date` and the jobs' may come from different machines.
        """
        return requested_at + min(timedelta(), self._skew or timedelta()) - CLOCK_SKEW

    @property
    def _skew(self) -> timedelta | None:
        """Return how far the provider's clock is ahead, by the `Date` of its replies, or None."""
        if not isinstance(self.api, TellsTime):
            return None
        self.api.time.now()  # asks for a reply where there was none
        seconds = self.api.time.skew_seconds
        return None if seconds is None else timedelta(seconds=seconds)

    def _submits(self) -> Submits:
        if isinstance(self.api, Submits):
            return self.api
        msg = f"{type(self.api).__name__} cannot create jobs"
        raise StopError(msg)

    def find(self, pursuit: Pursuit, *, earlier: bool = False) -> Steps[Job | None]:
        """Find, adopt and return the job whose creation got no reply; None when another one may be created.

        Args:
            pursuit: The request.
            earlier: Whether an earlier run sent the creating request.

        Raises:
            UnsettledError: The job may exist; the provider cannot tell, or another one would cost money.
        """
        request, at = pursuit.request, pursuit.requested_at
        if isinstance(self.api, FreeToRepeat):
            LOGGER.info("%s: a second job costs nothing at %s, so one is created", request.stream, request.provider)
            return None
        if isinstance(self.api, Finds):
            possible, skew = self.earliest(at), self._skew
            likely = possible if skew is None else at + skew - DATE_SLACK
            read = pursuit.closed.created_at or possible
            created = (max(possible, read), max(likely, read))
            seconds = self.settings.lost_reply_search_seconds
            closed = pursuit.closed_ids
            if job := (yield from find_job(self.api, self.clock, request, created, closed, seconds)):
                return (yield from self._adopt(pursuit, self.statuses.applied(job), "found"))
        if not self._may_create_again(pursuit, earlier=earlier):
            raise UnsettledError(self._unknown(pursuit))
        LOGGER.info("%s: %s has no such job, so none was created", request.stream, request.provider)
        return None

    def _may_create_again(self, pursuit: Pursuit, *, earlier: bool) -> bool:
        """Return whether a job that was not found may be created again.

        Where a job costs money its absence is certain only in a later run, once `job_grace_seconds` have passed.
        """
        finds, costs = isinstance(self.api, Finds), creation_costs(self.api)
        if not costs or self.settings.recreate_paid_jobs:
            return finds or self.settings.recreate_paid_jobs
        age = (self.clock.now() - pursuit.requested_at).total_seconds()
        return finds and earlier and age >= self.settings.job_grace_seconds

    def _unknown(self, pursuit: Pursuit) -> str:
        request, at = pursuit.request, pursuit.requested_at
        finds = isinstance(self.api, Finds)
        how = "does not show it, the next run looks again" if finds else "offers no way to find it"
        return (
            f"{request.stream}: a job may have been created at {at:%Y-%m-%d %H:%M:%S} UTC, its reply was lost and "
            f"{request.provider} {how}: nothing is created again. If there is none, "
            f"`tap-exports forget {quote(request.stream)} --lost-reply` has it created; {PAY_AGAIN}"
        )

    def _adopt(self, pursuit: Pursuit, job: Job, how: str) -> Steps[Job]:
        request = pursuit.request
        LOGGER.info(
            "%s: job %s %s for %s",
            request.stream,
            job.id,
            how,
            request.window or "the full export",
            extra=of_request(request, job.id),
        )
        if not job.given:
            self._owners.setdefault(job.id, request.fingerprint)
        self.activity.created(request, job)
        pursuit.answered_at = self.clock.now()  # the reply may come minutes after the first attempt
        yield Change(partial(pursuit.opened, job, adopted=how == "found"), due=self._id_due)
        return job
