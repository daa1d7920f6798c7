"""Streams over jobs that the configuration names by number, ascending; the bookmark is the last proven number."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from tap_exports.engine.clock import Clock, to_text
from tap_exports.engine.jobs import Lifecycle, Outcome, describe
from tap_exports.engine.ledger import Entry, StreamState, malformed
from tap_exports.engine.model import Action, Checkpoint, Event, Job, Proven, Request, Status, Step
from tap_exports.engine.read.files import Reads
from tap_exports.engine.read.pages import PageReader
from tap_exports.engine.read.proof import Proof
from tap_exports.engine.read.tally import Tally, discarded, receipt
from tap_exports.engine.run.export import step_of
from tap_exports.engine.run.failures import Failures
from tap_exports.engine.run.records import NO_NUMBER_DUE, StatusRun
from tap_exports.errors import (
    JobFailedError,
    JobLostError,
    JobStalledError,
    RunEndingError,
    TapError,
    TooFewRowsError,
    TooOldError,
    UnsettledError,
)

__all__ = ["GivenRun", "PageReader", "Reads", "StatusRun"]

CANNOT_HEAL = (TooFewRowsError, TooOldError)  # a completed run stays as it is
LOGGER = logging.getLogger("tap-exports.run")


@dataclass(slots=True)
class GivenRun:
    """One run over the configured jobs of a stream, and over the job that it may begin itself.

    Attributes:
        stream: The stream's name.
        provider: The provider's name.
        job_ids: The configured numbers.
        replication_key: The bookmark's name.
        on_failed: `stop`, `skip` (warn and move past it) or `pull` (read the rows that it processed).
        begin: The request that begins a run, or None; opt-in, since a run costs credits.
        lifecycle: Creates and waits for jobs.
        reader: Reads the rows of a job.
        state: Bookmark and ledger.
        clock: Current time, for receipts.
    """

    stream: str
    provider: str
    job_ids: Sequence[int]
    replication_key: str
    on_failed: str
    begin: Request | None
    lifecycle: Lifecycle
    reader: Reads
    state: StreamState
    clock: Clock
    _running: deque[Future[Outcome]] = field(default_factory=deque)
    _named: set[Future[Outcome]] = field(default_factory=set)  # those of configured jobs
    _left: set[int] = field(default_factory=set)  # numbers that are due and not proven
    _failures: Failures = field(init=False)
    _unanswered: Entry | None = None
    _answered: bool = False
    _held: bool = False
    _whole: bool = True

    def __post_init__(self) -> None:
        """Start without a failure."""
        self._failures = Failures(self.stream)

    def start(self) -> None:
        """Submit the jobs that are not proven and those in the ledger, ascending, then the job to begin, if any.

        A begin that got no reply is settled after the configured jobs: one of them may be the job that it began.
        """
        begun = self._begun()
        for stranger in self._strangers():
            LOGGER.warning("%s: dropped a begin of another configuration, which got no reply", self.stream)
            self.state.forget(stranger.fingerprint)
        self._left = self._due(begun)
        self._advance(self.state.proven_numbers)
        for number in sorted(self._left):
            self._running.append(self._job(number, begun.get(number)))
        if self.begin is None:
            return
        entry = self.state.entry(self.begin.fingerprint)
        if entry is None or (entry.id is None and not self._running):
            self._running.append(self.lifecycle.start(self.begin, self.state))
        elif entry.id is None:
            self._unanswered = entry

    def _begun(self) -> dict[int, Entry]:
        """Return the jobs in the ledger by number; they were paid for, so none is dropped whatever is configured."""
        return {self._number(entry.id): entry for entry in self.state.entries if entry.id is not None}

    def _strangers(self) -> list[Entry]:
        """Return the intents that are not of the configured begin."""
        own = self.begin.fingerprint if self.begin else None
        return [entry for entry in self.state.entries if entry.id is None and entry.fingerprint != own]

    def _due(self, begun: Mapping[int, Entry]) -> set[int]:
        """Return the numbers of the jobs that are not proven, those in the ledger included."""
        bookmark, proven = self.state.number, self.state.proven_numbers
        return {i for i in self.job_ids if (bookmark is None or i > bookmark) and i not in proven} | begun.keys()

    def plan(self) -> Iterator[Step]:
        """Yield what the run is going to do; nothing is changed or created."""
        begun = self._begun()
        due = self._due(begun)
        yield from (Step(Action.DROP, note="a begin of another configuration") for _ in self._strangers())
        for number in sorted(due):
            yield Step(Action.ATTACH if number in begun else Action.COLLECT, job=str(number))
        if self.begin and not any(e.fingerprint == self.begin.fingerprint for e in begun.values()):
            yield step_of(self.begin, self.state)
        elif not due:
            yield Step(Action.SKIP, note=NO_NUMBER_DUE)

    def _number(self, job_id: str) -> int:
        try:
            return int(job_id)
        except ValueError:
            raise malformed(self.stream, f'job "{job_id}" of its ledger is not a number') from None

    def _job(self, number: int, entry: Entry | None) -> Future[Outcome]:
        if entry and self.begin and entry.fingerprint == self.begin.fingerprint:
            return self.lifecycle.start(self.begin, self.state)
        request = Request(self.provider, self.stream, {"job_id": number})
        future = self.lifecycle.watch(request, Job(str(number), Status.PENDING))
        self._named.add(future)
        return future

    def events(self) -> Iterator[Event]:
        """Yield the rows of each job in ascending order; the bookmark stays before one that fails or still runs.

        Raises:
            TapError: The first failure, after all jobs.
        """
        try:
            yield from self._ended()
            if self._unanswered and not self._held:
                yield from self._settle(self._unanswered)
                yield from self._ended()
            self._failures.end()
            if not self._held:
                yield Proven(self._whole)
        finally:
            for future in self._running:
                future.cancel()

    def _ended(self) -> Iterator[Event]:
        """Yield the rows of the submitted jobs, each once it is terminal; a failure is kept until the end."""
        while self._running:
            yield from self.lifecycle.journal.until(self._running[0])
            try:
                yield from self._finish(self._outcome(self._running.popleft()))
            except RunEndingError:
                raise
            except TapError as error:
                self._failures.add(error, more=bool(self._running))

    def _outcome(self, future: Future[Outcome]) -> Outcome:
        """Return how a job ended.

        Raises:
            TapError: It failed; the message says how to go on where a configured job hangs or is gone, or where nobody
                knows whether a run was begun.
        """
        try:
            return future.result()
        except UnsettledError as error:
            msg = f"{error.message}. If a run was begun, its number among `operation_ids` settles it"
            raise UnsettledError(msg) from error
        except (JobLostError, JobStalledError) as error:
            if future not in self._named:
                raise
            msg = f"{error.message}; `operation_ids` without it moves past it"
            raise type(error)(msg) from error

    def _finish(self, outcome: Outcome) -> Iterator[Event]:
        yield from discarded(outcome)
        if outcome.job.status.is_terminal:
            yield from self._collect(outcome)
            return
        self._held = True
        LOGGER.info("%s: job %s is left to the next run", self.stream, outcome.job.id)

    def _settle(self, entry: Entry) -> Iterator[Event]:
        """Settle a begin that got no reply: take a configured job that was begun since, else find or begin one."""
        if self._answered:
            LOGGER.info("%s: a configured run settles the begin that got no reply; no run is begun", self.stream)
            self.state.forget(entry.fingerprint)
            yield Checkpoint()
        elif self.begin:
            self._running.append(self.lifecycle.start(self.begin, self.state))

    def _collect(self, outcome: Outcome) -> Iterator[Event]:
        proof, job = Proof(), outcome.job
        tally, is_whole = Tally(waives=CANNOT_HEAL if job.id in self.state.refused else ()), False
        if job.status is Status.COMPLETED or self.on_failed == "pull":
            try:
                read = proof.watched(self.reader.read(outcome, self.state, tally))
                yield from self.lifecycle.journal.along(read)
                is_whole = proof.required(describe(self.stream, job, None))
            except TapError as error:
                yield receipt(outcome, tally, Status.FAILED.value, error.message)
                if isinstance(error, CANNOT_HEAL):
                    self.state.keep_refused(self.state.refused | {job.id})
                    yield Checkpoint()
                raise
        elif self.on_failed == "stop":
            yield from self._close_failed(outcome)
        self._whole = self._whole and is_whole and job.status is Status.COMPLETED
        if job.status is not Status.COMPLETED:
            LOGGER.warning(
                '%s: job %s ended as "%s"; on_failed_run: %s', self.stream, job.id, job.raw_status, self.on_failed
            )
        yield receipt(outcome, tally, job.status.value, done_at=to_text(self.clock.now()))
        self._prove(job)
        LOGGER.info("%s: job %s proven: %d rows", self.stream, job.id, tally.rows)
        yield Checkpoint()

    def _prove(self, job: Job) -> None:
        """Record a job as proven, then drop its entry; after a signal in between, the job is not begun again."""
        number = int(job.id)
        self._left.discard(number)
        self.state.keep_refused(self.state.refused & set(map(str, self._left)))
        self._advance(self.state.proven_numbers | {number})
        for entry in self.state.entries:
            if entry.id == job.id:
                self.lifecycle.journal.note_read(self.stream, entry.fingerprint)
        self._forget(job)
        if self._unanswered and job.created_at:
            self._answered = self._answered or job.created_at >= self.lifecycle.earliest(self._unanswered.requested_at)

    def _advance(self, proven: set[int]) -> None:
        """Move the bookmark over the proven numbers below the first that is not, and keep those beyond it."""
        gap, bookmark = min(self._left, default=None), self.state.number
        passed = {number for number in proven if gap is None or number < gap}
        if passed:
            self.state.advance(self.replication_key, max(passed if bookmark is None else {*passed, bookmark}))
        if proven:
            self.state.keep_proven_numbers(proven - passed)

    def _forget(self, job: Job) -> None:
        for entry in self.state.entries:
            if entry.id == job.id:
                self.state.forget(entry.fingerprint)

    def _close_failed(self, outcome: Outcome) -> Iterator[Event]:
        job = outcome.job
        yield receipt(outcome, Tally(), job.status.value)
        self._forget(job)
        yield Checkpoint()
        reason = f": {job.reason}" if job.reason else ""
        msg = (
            f'{describe(self.stream, job, None)}: ended as "{job.raw_status}"{reason}; the bookmark stays. '
            "on_failed_run: skip moves past it, pull reads the rows that it processed"
        )
        raise JobFailedError(msg)
