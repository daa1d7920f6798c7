"""Jobs whose archive feeds several streams: created once, downloaded once, closed by the last stream that reads them.

The ledger of one stream holds the entries, whether it is selected or not, so that a run after a crash re-attaches to
the same jobs whichever streams it syncs. A deselected stream does not join, and an archive that only it needs is not
fetched.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from tap_exports.engine.api import Opens, Polls
from tap_exports.engine.archive import ArchiveLimits, Inventory, Survey, survey
from tap_exports.engine.clock import Clock, to_text
from tap_exports.engine.jobs import LOST, Lifecycle, Outcome
from tap_exports.engine.ledger import CLOSED_AT_ONE_INSTANT, Entry, StreamState
from tap_exports.engine.model import Action, Checkpoint, Event, Job, RemoteFile, Request, Row, Status, Step
from tap_exports.engine.read.files import Download
from tap_exports.engine.read.tally import Limits, Tally, discarded, receipt
from tap_exports.engine.run.export import step_of
from tap_exports.engine.run.failures import BAD_READS, READS_OF_ONE_JOB
from tap_exports.engine.run.shared_job import SharedJob, located, release
from tap_exports.errors import (
    CountError,
    FileGoneError,
    JobFailedError,
    JobLostError,
    NotReadyError,
    TapError,
)

LOGGER = logging.getLogger("tap-exports.run")


class Archives(Polls, Opens, Protocol):
    """An API whose completed jobs are one archive each."""

    def inventory(self, job: Job) -> Inventory:
        """Return what the job's resource declares about its archive."""

    def manifest(self, found: Survey) -> Inventory:
        """Return what the manifest inside the archive declares."""

    def constants(self, job: Job) -> Row:
        """Return the columns that every row of a job has."""


@dataclass(slots=True)
class SharedJobs:
    """The jobs that the streams of one provider block share.

    Attributes:
        lifecycle: Creates and waits for jobs.
        api: Gives download URLs and the declared contents of jobs and archives.
        download: Downloads an archive into the spool.
        state: Returns the state that holds the ledger.
        requests: Jobs to create; ignored where `given` holds any.
        given: Existing jobs that the configuration names, to be read instead.
        archive_limits: Largest size and compression ratio of an archive.
        limits: Tolerated rejects, and what to do where counts differ.
        has_room: Returns whether an archive may stay in the spool for the next stream.
        clock: Measures read times and dates receipts.
        jobs: The jobs, in the order of `requests` or `given`; empty until the first `join`.
        planned_by: The stream that was the first to ask for the plan, or an empty string.
    """

    lifecycle: Lifecycle
    api: Archives
    download: Download
    state: Callable[[], StreamState]
    requests: Sequence[Request]
    given: Sequence[tuple[Request, Job]]
    archive_limits: ArchiveLimits
    limits: Limits
    has_room: Callable[[], bool]
    clock: Clock
    jobs: list[SharedJob] = field(default_factory=list)
    planned_by: str = ""

    def join(self, stream: str) -> None:
        """Register a stream as a reader of all jobs; the first one to join submits them."""
        if not self.jobs:
            self.jobs = self._handed_in()
        for job in self.jobs:
            job.readers.add(stream)

    def _handed_in(self) -> list[SharedJob]:
        if self.given:
            return [SharedJob(request, self.lifecycle.watch(request, job)) for request, job in self.given]
        state = self.state()
        for entry in self._strangers():
            LOGGER.warning("dropped job %s from the ledger: it belongs to another configuration", entry.id)
            state.forget(entry.fingerprint)
        jobs = [SharedJob(request) for request in self.requests]
        for job in jobs:
            if not self.lifecycle.settings.detach or state.entry(job.request.fingerprint):
                job.future = self.lifecycle.start(job.request, state)
        return jobs

    def _strangers(self) -> list[Entry]:
        """Return the ledger entries of another configuration; configured jobs leave the ledger as it is."""
        asked = {request.fingerprint for request in self.requests}
        return [] if self.given else [e for e in self.state().entries if e.fingerprint not in asked]

    def plan(self, stream: str) -> Iterator[Step]:
        """Yield what a run of a stream is going to do; only the first one that asks gets or creates jobs."""
        self.planned_by = self.planned_by or stream
        if stream != self.planned_by:
            yield Step(Action.COLLECT, note=f"from the archives of {self.planned_by}")
            return
        yield from (Step(Action.DROP, job=e.id, note="of another configuration") for e in self._strangers())
        yield from (Step(Action.COLLECT, job=job.id) for _, job in self.given)
        for request in () if self.given else self.requests:
            yield replace(step_of(request, self.state()), note=str(request.params.get("organization_id", "")))

    def wait(self, job: SharedJob) -> Generator[Event, None, Outcome | None]:
        """Wait for a job's outcome and return it, None where the job is left to be created by the next run.

        Yields the changes of STATE that other jobs make meanwhile. The first stream that waits for a job yields the
        receipt of one that was lost or stalled, too.

        Raises:
            TapError: There is no job.
        """
        if job.future is None:
            yield from self._hand_in_new()
        if job.future is None:
            return None
        yield from self.lifecycle.journal.until(job.future)
        for each in discarded(job.outcome):
            if not job.told:
                job.told = True
                yield each
        return job.outcome

    def _hand_in_new(self) -> Iterator[Event]:
        """With `detach`, create jobs while fewer than `max_concurrent_jobs` are open, after those of the ledger."""
        for job in self.jobs:
            if job.future:
                yield from self.lifecycle.journal.until(job.future)
        for job in self.jobs:
            if job.future is None and self.lifecycle.open_jobs < self.lifecycle.settings.max_concurrent_jobs:
                job.future = self.lifecycle.start(job.request, self.state())

    def inventory(self, job: SharedJob) -> Inventory:
        """Return the contents that the job declares, or the fetched manifest where the job lists no section."""
        told = self.api.inventory(job.outcome.job)
        if told.sections is None and job.found is not None:
            return self.api.manifest(job.found)
        return told

    def fetch(self, job: SharedJob) -> Iterator[Event]:
        """Download the archive unless it is in the spool; a job lost meanwhile is submitted again, once.

        With `detach` the new job is left to the next run: then its outcome is not terminal.

        Raises:
            TapError: The download failed, or the archive breaks a limit or differs from what the job declares.
        """
        if job.local is not None:
            return
        try:
            yield from self._fetch_or_retry(job)
        except JobLostError as error:
            yield from self._ask_again(job, error)
            if job.outcome.job.status.is_terminal:
                self.refuse_failed(job)
                self._fetch(job)

    def _fetch_or_retry(self, job: SharedJob) -> Iterator[Event]:
        """Download the archive; if the job is not found, look again for a while, since a 404 may pass."""
        absence = self.lifecycle.absence(job.outcome.requested_at)
        while True:
            try:
                return self._fetch(job)
            except (JobLostError, NotReadyError) as error:
                if isinstance(error, FileGoneError) or absence.is_gone(self.clock.monotonic()):
                    raise
                LOGGER.info("%s: %s; looking again", job.where, error)
            self.clock.sleep(self.lifecycle.pause(absence))
            yield from self.lifecycle.journal.pump()

    def _fetch(self, job: SharedJob) -> None:
        with self.lifecycle.activity.downloading(job.request):
            local = self.download(self._remote(job), lambda: self._remote(job))
        LOGGER.debug("%s: %s downloaded, %d bytes", job.where, local.name, local.size)
        job.local = local
        job.tally.bytes += local.size
        job.tally.sha256 = local.sha256
        with located(f"{job.where}: {local.name}"):
            self._check_size(job, local.size)
            found = survey(local.path, self.archive_limits)
        self._check_manifest(job, found)

    def verify(self, job: SharedJob, size: int, found: Survey) -> None:
        """Hold an archive that was read elsewhere against what the job declares, unless one was held before.

        Raises:
            CountError: They differ and `verify_counts` is `fail`.
        """
        if job.found is None:
            with located(job.where):
                self._check_size(job, size)
            self._check_manifest(job, found)

    def _remote(self, job: SharedJob) -> RemoteFile:
        return self.api.open(job.outcome.job)[0]

    def _check_size(self, job: SharedJob, size: int) -> None:
        declared = self.api.inventory(job.outcome.job).size
        if declared is not None and declared != size:
            job.tally.agrees = False
            self.complain(f"received {size} bytes, the provider declares {declared}")

    def _check_manifest(self, job: SharedJob, found: Survey) -> None:
        """Compare the manifest with the job; where only the manifest lists sections, log each failed one."""
        job.found = found
        told, own = self.api.inventory(job.outcome.job), self.api.manifest(found)
        if found.manifest is None:
            LOGGER.warning("%s: the archive has no manifest", job.where)
        if told.sections is None:
            for section in own.failed:
                LOGGER.warning("%s: %s", job.where, section.complaint)
        elif own.sections is not None and (differing := told.contradicted(own)):
            job.tally.agrees = False
            with located(job.where):
                self.complain(f"row counts of job and {found.manifest} differ: {', '.join(differing)}")

    def complain(self, what: str) -> None:
        """Report a count that differs: raise, warn or ignore it, as `verify_counts` says.

        Raises:
            CountError: `verify_counts` is `fail`.
        """
        msg = f"{what} (verify_counts: {self.limits.verify_counts})"
        if self.limits.verify_counts == "fail":
            raise CountError(msg)
        if self.limits.verify_counts == "warn":
            LOGGER.warning("%s", msg)

    def _ask_again(self, job: SharedJob, error: JobLostError) -> Iterator[Event]:
        outcome = job.outcome
        if self.given or outcome.resubmitted:
            raise error
        LOGGER.warning("%s: %s; submitting it again, once", job.where, error)
        yield receipt(outcome, Tally(), LOST, error.message)
        beside = outcome if self.state().may_be_anothers(job.request) else None
        self.state().forget(job.request.fingerprint)
        yield Checkpoint()
        job.future = self.lifecycle.start(job.request, self.state(), resubmitted=True, beside=beside)
        job.told = False
        yield from self.wait(job)

    def refuse_failed(self, job: SharedJob) -> None:
        """Raise unless a job completed.

        Raises:
            JobFailedError: It ended otherwise; the message gives the provider's reason.
        """
        ended = job.outcome.job
        if ended.status is not Status.COMPLETED:
            reason = f": {ended.reason}" if ended.reason else ""
            then = "it has no rows" if self.given else "the next run asks again"
            raise JobFailedError(f'{job.where}: ended as "{ended.raw_status}"{reason}; {then}')

    def leave(self, job: SharedJob, stream: str, error: TapError | None) -> Iterator[Event]:
        """Note that a stream has finished or failed to read a job; the last one closes it."""
        job.readers.discard(stream)
        job.error = job.error or error
        if not job.readers or not self.has_room():
            release(job)
        if not job.readers and job.has_ended and not self._awaits_others(job):
            yield from self._close(job)

    def _awaits_others(self, job: SharedJob) -> bool:
        """Return whether a completed job must be read again, since one of the same table is left to the next run."""
        completed = not job.error and job.outcome.job.status is Status.COMPLETED
        leaves = self.lifecycle.settings.detach and not self.given
        return completed and leaves and any(each.is_left for each in self.jobs)

    def _close(self, job: SharedJob) -> Iterator[Event]:
        """Drop a job that every stream has read from the ledger; keep a completed one that a stream could not read."""
        outcome, error = job.outcome, job.error
        status = Status.FAILED if error else outcome.job.status
        for warning in outcome.job.warnings:
            LOGGER.warning("%s: %s", job.where, warning)
        done_at = None if error else to_text(self.clock.now())
        yield receipt(outcome, job.tally, status.value, error.message if error else None, done_at)
        if not error or outcome.job.status is not Status.COMPLETED:
            self._drop(job, outcome.job)
        elif isinstance(error, BAD_READS) and not self.given:
            self.state().note_bad_read(job.request.fingerprint, READS_OF_ONE_JOB)
        yield Checkpoint()

    def _drop(self, job: SharedJob, ended: Job) -> None:
        if self.given:
            return
        if ended.status is Status.COMPLETED:
            self.lifecycle.journal.note_read(job.request.stream, job.request.fingerprint)
        self.state().close(job.request, ended, max(CLOSED_AT_ONE_INSTANT, len(self.requests)))
