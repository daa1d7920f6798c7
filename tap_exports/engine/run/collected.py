"""Streams that read the completed jobs of others, incremental on the jobs' creation time; they create nothing."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from tap_exports.engine import windows
from tap_exports.engine.api import Collects
from tap_exports.engine.clock import MILLISECOND, Clock, to_text
from tap_exports.engine.jobs import LOST, STALLED, Outcome, Statuses, describe
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Action, Checkpoint, Event, Job, Proven, Receipt, Request, Status, Step, Window
from tap_exports.engine.read.files import Reads
from tap_exports.engine.read.proof import Proof
from tap_exports.engine.read.tally import Tally, receipt
from tap_exports.engine.run.created import Export
from tap_exports.engine.run.failures import BAD_READS, READS_OF_ONE_JOB, Failures
from tap_exports.engine.run.listed import LONGEST_OPEN
from tap_exports.engine.run.reopened import replay_command
from tap_exports.errors import FileGoneError, JobLostError, RejectLimitError, TapError, TooFewRowsError, TooOldError

LOGGER = logging.getLogger("tap-exports.run")
LOOKS = 3  # at a job that the list shows and that is not found
_FAILED = Status.FAILED.value


@dataclass(slots=True)
class CollectRun:
    """One run of an export stream in `collect` mode; the attributes are those of `ExportRun`.

    Attributes:
        statuses: Status words that the configuration explains.
        stall_seconds: A job without any change for so long is passed (`job_stall_timeout_seconds`).
        grace_seconds: A job that is younger and not found is left to the next run (`job_grace_seconds`).
    """

    export: Export
    api: Collects
    reader: Reads
    state: StreamState
    clock: Clock
    statuses: Statuses = field(default_factory=Statuses)
    stall_seconds: float = 3600
    grace_seconds: float = 300

    def start(self) -> None:
        """Do nothing: this run creates no job."""

    def plan(self) -> Iterator[Step]:
        """Yield what the run is going to do; lists the jobs of others, creates nothing."""
        window = self._due()
        if window is None:
            yield Step(Action.SKIP, note=windows.why_nothing(self.state.instant, self.export.start, self.export.until))
            return
        for job in self._found(window):
            if not (job.status.is_terminal or self._has_stalled(job)):
                yield Step(Action.SKIP, job=job.id, note=f'it is "{job.raw_status}"; later jobs wait for it')
                return
            completed = job.status is Status.COMPLETED
            note = "" if completed else f'it is "{job.raw_status}": it has no rows, or is passed'
            yield Step(Action.COLLECT if completed else Action.SKIP, job=job.id, note=note)

    def events(self) -> Iterator[Event]:
        """Yield the rows of every completed job, oldest first; stop before the first job that is still open.

        No job is read before the list of all jobs is: the api raises where it is not proven whole.

        Raises:
            TapError: What stopped the stream: the bookmark stands at the last job that was proven. Or the first job
                that is gone, too old or bad in a second run: it is passed, and the bookmark stands behind it.
        """
        window = self._due()
        if window is None:
            return
        request, is_whole, failures = self._request(), True, Failures(self.export.stream)
        for job in self._found(window):
            if job.created_at:
                yield from self._advance(windows.floor_millisecond(job.created_at) - MILLISECOND)
            if self._has_stalled(job):
                yield self._passed(request, job)
                is_whole = False
                continue
            if not job.status.is_terminal:
                LOGGER.info("%s: job %s is %s; the next run reads it", self.export.stream, job.id, job.raw_status)
                return
            is_whole = (yield from self._read(request, job, failures)) and is_whole
        self._keep_only(None)
        yield from self._advance(window.end)
        failures.end()
        yield Proven(is_whole)

    def _request(self) -> Request:
        return Request(self.export.provider, self.export.stream, self.export.params)

    def _found(self, window: Window) -> list[Job]:
        """Return the jobs that were created in a window, oldest first."""
        return sorted(map(self.statuses.applied, self.api.completed(self._request(), window)), key=_age)

    def _due(self) -> Window | None:
        export = self.export
        return windows.due_here(
            self.state.instant, export.start, export.until, self.clock.now(), export.settling_seconds
        )

    def _has_stalled(self, job: Job) -> bool:
        """Return whether an open job has not changed for `stall_seconds`, or is older than any job may become."""
        if job.status.is_terminal or job.created_at is None:
            return False
        now, changed = self.clock.now(), max(job.created_at, job.updated_at or job.created_at)
        return now - changed >= timedelta(seconds=self.stall_seconds) or now - job.created_at > LONGEST_OPEN

    def _passed(self, request: Request, job: Job) -> Receipt:
        """Return the receipt of a job that is passed although it may still end."""
        reason = (
            f'it is "{job.raw_status}", without a change for {self.stall_seconds:.0f} s (job_stall_timeout_seconds) or '
            f"for more than {LONGEST_OPEN.days} days; it is passed, and not read if it ends later"
        )
        LOGGER.warning("%s: job %s: %s", self.export.stream, job.id, reason)
        request = Request(request.provider, request.stream, {**request.params, "job_id": job.id})
        return receipt(Outcome(request, job, job.created_at or self.clock.now(), 0.0, 0), Tally(), STALLED, reason)

    def _read(self, request: Request, job: Job, failures: Failures) -> Generator[Event, None, bool]:
        """Yield the rows of a job; return whether they are all. The failure of a job that is passed is kept."""
        params = {**request.params, "job_id": job.id}
        request = Request(request.provider, request.stream, params)
        outcome = Outcome(request, job, job.created_at or self.clock.now(), 0.0, 0)
        entry = self.state.entry(request.fingerprint)
        tally, proof = Tally(waives=(TooFewRowsError,) if entry and entry.bad_reads else ()), Proof()
        if job.status is not Status.COMPLETED:
            LOGGER.warning("%s: job %s ended as %s; it has no rows", self.export.stream, job.id, job.raw_status)
            yield receipt(outcome, tally, job.status.value)
            return False
        self._keep_only(request.fingerprint)
        if self.state.entry(request.fingerprint) is None:
            self.state.opened(request, job, outcome.requested_at)
        try:
            yield from proof.watched(self._patiently(outcome, tally))
            is_whole = proof.required(describe(self.export.stream, job, None))
        except TapError as error:
            yield receipt(outcome, tally, LOST if isinstance(error, JobLostError) else _FAILED, error.message)
            if not (yield from self._may_pass(request, job, error)):
                raise
            where = "" if job.id in error.message else f"job {job.id} of others: "
            failures.lose(type(error)(f"{where}{error.message}; it is passed{self._way_back(outcome)}"))
            return False
        yield receipt(outcome, tally, Status.COMPLETED.value, done_at=to_text(self.clock.now()))
        return is_whole

    def _way_back(self, outcome: Outcome) -> str:
        if self.export.replication_key is None:
            return ""  # the next run reads everything
        made = outcome.requested_at
        return f", {replay_command(self.export.stream, made, made)} has it read again"

    def _patiently(self, outcome: Outcome, tally: Tally) -> Iterator[Event]:
        """Yield the rows of a job; begin again where it is not found, since the list may be ahead of a replica."""
        look = 1
        while True:
            try:
                yield from self.reader.read(outcome, self.state, tally)
            except JobLostError as error:  # noqa: PERF203 - the next look is due only because this one failed
                if isinstance(error, FileGoneError) or tally.rows or look == LOOKS:
                    raise
                self.clock.sleep(look)
                look += 1
            else:
                return

    def _may_pass(self, request: Request, job: Job, error: TapError) -> Generator[Event, None, bool]:
        """Return whether the stream goes on behind a job of others that cannot be read.

        One that is gone or too old will not come back, unless it is so young that it may not have arrived everywhere.
        One with bad contents is read once more by the next run.
        """
        if isinstance(error, (JobLostError, TooOldError)):
            age = self.clock.now() - (job.created_at or self.clock.now())
            return isinstance(error, TooOldError) or age >= timedelta(seconds=self.grace_seconds)
        if not isinstance(error, (*BAD_READS, RejectLimitError)):
            return False
        entry = self.state.entry(request.fingerprint)
        if entry and entry.bad_reads:
            return True
        self.state.note_bad_read(request.fingerprint, READS_OF_ONE_JOB)
        yield Checkpoint()
        return False

    def _keep_only(self, fingerprint: str | None) -> None:
        """Drop all ledger entries but one: the ledger holds the read position of one job, and jobs are read in turn."""
        for entry in self.state.entries:
            if entry.fingerprint != fingerprint:
                self.state.forget(entry.fingerprint)

    def _advance(self, instant: datetime) -> Iterator[Checkpoint]:
        """Move the bookmark forward to an instant; do nothing if it is there or past it.

        Before a job, that is the millisecond before its creation: jobs created in one millisecond are passed together.
        """
        bookmark = self.state.instant
        if self.export.replication_key and (bookmark is None or instant > bookmark):
            self.state.advance(self.export.replication_key, to_text(instant))
            for entry in self.state.entries:
                if entry.requested_at <= instant:
                    self.state.forget(entry.fingerprint)
            yield Checkpoint()


def _age(job: Job) -> tuple[bool, datetime, str]:
    """Order jobs by creation, then by id; those without an instant come last."""
    return job.created_at is None, job.created_at or datetime.max.replace(tzinfo=timezone.utc), job.id
