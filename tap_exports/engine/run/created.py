"""Streams of windowed or full exports: plan, create, wait, read, prove, commit."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple

from tap_exports.engine import windows
from tap_exports.engine.api import Deletes, Names, creation_costs
from tap_exports.engine.clock import Clock, to_text
from tap_exports.engine.fields import of_request
from tap_exports.engine.jobs import LOST, Absence, Lifecycle, Outcome, describe, looking_on
from tap_exports.engine.ledger import Entry, StreamState
from tap_exports.engine.model import Action, Checkpoint, Event, Proven, Request, Status, Step, Window
from tap_exports.engine.read.files import Reads, RunsAhead
from tap_exports.engine.read.proof import Proof
from tap_exports.engine.read.tally import Tally, discarded, receipt
from tap_exports.engine.run import mismatch
from tap_exports.engine.run.export import Export, step_of
from tap_exports.engine.run.failures import BAD_READS, READS_OF_ONE_JOB, Failures
from tap_exports.engine.run.frontier import Frontier
from tap_exports.engine.run.growth import LAG
from tap_exports.engine.run.lengths import Lengths, check_capped, ended_badly, explained, lengths_of
from tap_exports.engine.run.recall import recall, tell
from tap_exports.engine.run.sizes import Sizes, is_for_size
from tap_exports.errors import (
    BadContentError,
    FileGoneError,
    GuardError,
    JobLostError,
    NotReadyError,
    RunEndingError,
    TapError,
    TooFewRowsError,
    TooLargeError,
    TooOldError,
)

LOGGER = logging.getLogger("tap-exports.run")
NO_LONGER_REQUESTED = "no longer requested"

__all__ = ["Export", "ExportRun"]


class Running(NamedTuple):
    """A request that was submitted, and how its job ends."""

    request: Request
    future: Future[Outcome]


@dataclass(slots=True)
class ExportRun:
    """One run of an export stream.

    Attributes:
        export: The request.
        lifecycle: Creates and waits for jobs.
        reader: Reads the files of a job.
        state: Bookmark and ledger.
        clock: Current time, for the end of the last window and for receipts.
    """

    export: Export
    lifecycle: Lifecycle
    reader: Reads
    state: StreamState
    clock: Clock
    _waiting: deque[Request] = field(default_factory=deque)
    _running: deque[Running] = field(default_factory=deque)
    _left: set[str] = field(default_factory=set)  # fingerprints of what was submitted and is not read whole
    _is_shortest: bool = False  # even the shortest window was too large
    _absent: dict[str, Absence] = field(default_factory=dict)  # by fingerprint: jobs that are polled again
    _has_more: bool = False
    _failures: Failures = field(init=False)
    _frontier: Frontier | None = field(init=False)
    _lengths: Lengths = field(init=False)

    def __post_init__(self) -> None:
        """Read how far the stream is proven; nothing in the state is changed."""
        export = self.export
        self._failures = Failures(export.stream)
        self._lengths = lengths_of(export, self.state, self.lifecycle, self._is_fixed)
        self._frontier = Frontier(self.state, export.replication_key, export.start) if export.replication_key else None

    def _is_fixed(self, request: Request) -> bool:
        return self.state.entry(request.fingerprint) is not None or request.window in self.state.kept_cuts

    def start(self) -> None:
        """Plan the requests and submit the first ones, so that jobs run while earlier streams are read."""
        requests = self._due()
        self._warn_of_cells(requests)
        if self._frontier:
            self._frontier.settle()
        self._forget_strangers(requests)
        self._waiting.extend(requests)
        self._has_more = len(requests) >= windows.MOST
        if self._has_more:
            LOGGER.warning("%s: %s", self.export.stream, windows.MORE)
        self._hand_in()

    def _due(self, *, is_plan: bool = False) -> list[Request]:
        """Return what is due, around jobs that exist already where there is no STATE; these go into the ledger."""
        requests = self.requests()
        found = recall(self.export, self.lifecycle, self.state, requests, self.clock.now())
        for request, job in () if is_plan else found:
            tell(self.export.stream, request, job)
        return self.requests() if found else requests

    def _warn_of_cells(self, requests: Sequence[Request]) -> None:
        """Warn of a job whose window other settings cut: the durable ledger and a recall bring it without its basis."""
        cell, first = self.export.cell, self.export.start and windows.floor_millisecond(self.export.start)
        kept = [r.window for r in requests if r.window and self.state.entry(r.fingerprint)] if cell else []
        if cell and (odd := next((w for w in kept if not windows.lies_in_cell(w, cell, first)), None)):
            mismatch.warn_of_cells(self.export.stream, f"a job of {odd}")

    def requests(self) -> list[Request]:
        """Return one request for each unproven window, in order; windows of open jobs are kept as they are."""
        return self.export.requests(self.state, self._frontier, self.clock.now())

    def plan(self) -> Iterator[Step]:
        """Yield what the run is going to do; nothing is created, and no STATE is written."""
        requests, api = self._due(is_plan=True), self.lifecycle.api
        yield from (Step(Action.DELETE, job=job_id) for job_id in self._deletable())
        yield from (Step(Action.DROP, e.window, e.id, NO_LONGER_REQUESTED) for e in self._strangers(requests))
        waiting = deque(requests)
        while waiting:
            request = self._lengths.next(waiting)
            given = api.given(request) if isinstance(api, Names) else None
            yield Step(Action.COLLECT, job=given) if given else step_of(request, self.state)
        if len(requests) >= windows.MOST:
            yield Step(Action.SKIP, note=windows.MORE)
        if not requests:
            export, bookmark = self.export, self._frontier.bookmark if self._frontier else None
            yield Step(Action.SKIP, note=windows.why_nothing(bookmark, export.start, export.until))

    def events(self) -> Iterator[Event]:
        """Yield the events of all windows in order; the bookmark stays before one that fails, later ones are proven.

        With `detach`, a job that still runs is left to the next run.

        Raises:
            TapError: The first failure, after all windows.
        """
        try:
            yield from self._delete_loaded()
            while self._running or self._hand_in_new():
                yield from self.lifecycle.journal.until(self._running[0].future)
                yield from self._finish(self._running.popleft())
                self._hand_in()
            self._failures.end()
            if not (self._left or self._waiting or self._has_more):
                yield Proven()
        finally:
            for running in self._running:
                running.future.cancel()
            if isinstance(self.reader, RunsAhead):
                self.reader.release()

    def _finish(self, running: Running) -> Iterator[Event]:
        """Yield the events of a job that ended; a failure is kept until the other windows are read."""
        request = running.request
        try:
            outcome = running.future.result()
            yield from discarded(outcome)
            if outcome.job.status.is_terminal:
                yield from self._collect(outcome)
            else:
                LOGGER.info("%s: job %s is left to the next run", self.export.stream, outcome.job.id)
        except RunEndingError:
            raise
        except TapError as error:
            too_large = isinstance(self._lengths, Sizes) and is_for_size(error)
            if too_large and not self._is_shortest and (parts := self._lengths.parts(request)):
                yield from self._cut(request, parts, error)
                return
            error = explained(self._lengths, request, error)
            self._lengths.ended(request, None)
            self._is_shortest = self._is_shortest or (too_large and request.window not in self.state.kept_cuts)
            if self._failures.add(error, more=bool(self._running or self._waiting)) or self._is_shortest:
                self._waiting.clear()
        else:
            self._failures.passed()

    def _cut(self, request: Request, parts: list[Request], error: TapError) -> Iterator[Checkpoint]:
        """Request the parts of a window that is too large in its place; the length is in STATE before."""
        told = (self.export.stream, request.window, error, len(parts))
        LOGGER.info("%s: %s is too large (%s): requesting it in %d parts", *told)
        self._lengths.cut(request, parts)
        self._left.discard(request.fingerprint)
        yield Checkpoint()
        if self.lifecycle.settings.detach:
            self._waiting.extendleft(reversed(parts))
        else:
            self._running.extendleft(reversed([self._submitted(part) for part in parts]))

    def _hand_in(self) -> None:
        """Submit requests until twice `max_concurrent_jobs` are in flight; the limit keeps the ledger small.

        With `detach`, only those that have a job: the others, an intent may lead to none, wait for `_hand_in_new`.
        """
        settings = self.lifecycle.settings
        if settings.detach:
            entries = [(r, self.state.entry(r.fingerprint)) for r in self._waiting]
            for request in [r for r, entry in entries if entry and entry.id]:
                self._waiting.remove(request)
                self._running.append(self._submitted(request))
        varies = self.export.grows or self.export.sizes_itself
        most = min(2 * settings.max_concurrent_jobs, LAG) if varies else 2 * settings.max_concurrent_jobs
        while not settings.detach and self._waiting and len(self._running) < most:
            self._running.append(self._submitted(self._lengths.next(self._waiting)))

    def _hand_in_new(self) -> bool:
        """With `detach`, submit a request without a job while fewer than `max_concurrent_jobs` are open."""
        if not self._waiting or self.lifecycle.open_jobs >= self.lifecycle.settings.max_concurrent_jobs:
            return False
        self._running.append(self._submitted(self._lengths.next(self._waiting)))
        return True

    def _submitted(self, request: Request) -> Running:
        self._left.add(request.fingerprint)
        future = self.lifecycle.start(request, self.state)
        future.add_done_callback(self._run_ahead)
        return Running(request, future)

    def _run_ahead(self, future: Future[Outcome]) -> None:
        """Prefetch the files of a completed job; called in the worker thread in which the job ended."""
        if isinstance(self.reader, RunsAhead) and not future.cancelled() and not future.exception():
            outcome = future.result()
            if outcome.job.status is Status.COMPLETED:
                self.reader.run_ahead(outcome)

    def _collect(self, outcome: Outcome) -> Iterator[Event]:
        """Read a completed job; raise for one that ended otherwise."""
        tally, proof = Tally(waives=self._waived(outcome)), Proof()
        if outcome.job.status is not Status.COMPLETED:
            error = ended_badly(self.export, self._lengths, outcome)
            yield from self._close(outcome, tally, error, status=outcome.job.status.value)
        try:
            self._check_echo(outcome)
            check_capped(self.export, self._lengths, outcome)
            yield from self._keep_cut(outcome.request.window)
            read = proof.watched(self.reader.read(outcome, self.state, tally))
            yield from self.lifecycle.journal.along(read)
            is_whole = proof.required(describe(self.export.stream, outcome.job, outcome.request.window))
        except (JobLostError, NotReadyError) as error:
            yield from self._ask_again(outcome, tally, error)
        except TooOldError as error:
            if outcome.job.given or not self.lifecycle.may_replace:
                yield from self._note_refusal(outcome, tally, error)
            yield from self._replace(outcome, tally, error, Status.FAILED.value)
        except TooFewRowsError as error:
            yield from self._bear_few_rows(outcome, tally, error)
        except TooLargeError as error:
            yield from self._close(outcome, tally, error)
        except TapError as error:
            yield from self._note_failed_read(outcome, tally, error)
        else:
            if is_whole and not outcome.job.is_capped:
                self._left.discard(outcome.request.fingerprint)
            yield from self._prove(outcome, tally)

    def _check_echo(self, outcome: Outcome) -> None:
        """Hold what a job shows of its request against it.

        Raises:
            BadContentError: They differ: its file is not what was asked for.
        """
        if differs := self.lifecycle.contradiction(outcome.request, outcome.job):
            where = describe(self.export.stream, outcome.job, outcome.request.window)
            msg = f"{where}: the job has another {differs} than was asked for; its file is not read"
            raise BadContentError(msg)

    def _ask_again(self, outcome: Outcome, tally: Tally, error: JobLostError | NotReadyError) -> Iterator[Event]:
        """Poll a job again that a reader did not find; if it or its file is gone, submit its window again, once.

        Raises:
            JobLostError: It was submitted again already, or another job would cost money.
            NotReadyError: It is completed, and cannot be read all the same.
        """
        request = outcome.request
        absence = self._absent.setdefault(request.fingerprint, self.lifecycle.absence(outcome.requested_at))
        if isinstance(error, FileGoneError) or absence.is_gone(self.clock.monotonic()):
            if isinstance(error, NotReadyError):
                yield from self._note_failed_read(outcome, tally, error)
            yield from self._replace(outcome, tally, error, LOST)
            return
        pause, made = self.lifecycle.pause(absence), outcome.attempts
        future = self.lifecycle.start(request, self.state, resubmitted=outcome.resubmitted, pause=pause, created=made)
        self._running.appendleft(Running(request, future))

    def _replace(self, outcome: Outcome, tally: Tally, error: TapError, status: str) -> Iterator[Event]:
        """Discard a job with a receipt and submit its window again, once.

        Raises:
            TapError: It was submitted again already, the configuration names the job, or another would cost money.
        """
        request = outcome.request
        yield receipt(outcome, tally, status, error.message)
        if outcome.resubmitted or outcome.job.given:
            raise error
        beside = outcome if self.state.may_be_anothers(request) else None
        if beside and not self.lifecycle.may_replace:
            self.state.look_on(request)
            yield Checkpoint()
            raise looking_on(error)
        self.lifecycle.refuse_to_pay_again(error)
        LOGGER.warning("%s: %s; submitting the window again, once", self.export.stream, error)
        self.state.close(request, outcome.job)
        yield Checkpoint()
        self._absent.pop(request.fingerprint, None)
        future = self.lifecycle.start(request, self.state, resubmitted=True, beside=beside)
        self._running.appendleft(Running(request, future))

    def _bear_few_rows(self, outcome: Outcome, tally: Tally, error: TooFewRowsError) -> Iterator[Event]:
        """Fail in the first run, request another export in the second, and believe what that one says.

        A window in which little happened would stop its stream for ever. Another export is not bought for that.

        Raises:
            TooFewRowsError: In the first run.
        """
        entry = self.state.entry(outcome.request.fingerprint)
        if not outcome.resubmitted and not (entry and entry.bad_reads):
            yield from self._note_refusal(outcome, tally, error)
        if not outcome.resubmitted and not creation_costs(self.lifecycle.api):
            yield from self._replace(outcome, tally, error, Status.FAILED.value)
            return
        LOGGER.warning("%s; a second read shows the same, so the window is taken for proven", error)
        self._left.discard(outcome.request.fingerprint)
        yield from self._prove(outcome, tally)

    def _note_refusal(self, outcome: Outcome, tally: Tally, error: TapError) -> Iterator[Event]:
        """Record that a guard refused a job, which stays in the ledger.

        Raises:
            TapError: The error.
        """
        self.state.note_bad_read(outcome.request.fingerprint, None)
        yield Checkpoint()
        yield receipt(outcome, tally, Status.FAILED.value, error.message)
        raise error

    def _waived(self, outcome: Outcome) -> Collection[type[GuardError]]:
        """Return the guards that do not hold a job which an earlier run refused, since no other can be had."""
        entry = self.state.entry(outcome.request.fingerprint)
        is_kept = outcome.job.given or not self.lifecycle.may_replace
        return (TooOldError,) if is_kept and entry and entry.bad_reads else ()

    def _keep_cut(self, window: Window | None) -> Iterator[Checkpoint]:
        """Record that rows of a window are about to be written whose key holds its start: it is not cut otherwise."""
        export, cuts = self.export, self.state.kept_cuts
        if window and export.sizes_itself and export.keeps_cuts and window not in cuts:
            self.state.keep_cuts([*cuts, window])
            yield Checkpoint()

    def _close(self, outcome: Outcome, tally: Tally, error: TapError, status: str = "") -> Iterator[Event]:
        """Drop a job of which nothing can be used, with a receipt.

        Raises:
            TapError: The error.
        """
        yield receipt(outcome, tally, status or Status.FAILED.value, None if status else error.message)
        if isinstance(error, TooLargeError) or not self.state.may_be_anothers(outcome.request):
            self.state.close(outcome.request, outcome.job)
        else:
            self.state.look_on(outcome.request)
        yield Checkpoint()
        raise error

    def _note_failed_read(self, outcome: Outcome, tally: Tally, error: TapError) -> Iterator[Event]:
        """Count a failed read of a job; after two, the ledger drops the job and the next run creates a new one.

        Raises:
            TapError: The error; with the way out, where another job would cost money.
        """
        yield receipt(outcome, tally, Status.FAILED.value, error.message)
        if isinstance(error, BAD_READS):
            allowed = READS_OF_ONE_JOB if self.lifecycle.may_replace else None
            self.state.note_bad_read(outcome.request.fingerprint, allowed)
            yield Checkpoint()
            self.lifecycle.refuse_to_pay_again(error)
        raise error

    def _prove(self, outcome: Outcome, tally: Tally) -> Iterator[Event]:
        """Move the bookmark over a window whose rows are all written, then close its job.

        The order matters: no STATE covers a job whose receipt is not written, and a signal in between leaves a job that
        the bookmark covers, never a window to export twice.
        """
        request, job = outcome.request, outcome.job
        yield receipt(outcome, tally, Status.COMPLETED.value, done_at=to_text(self.clock.now()))
        for warning in job.warnings:
            LOGGER.warning("%s: job %s: %s", request.stream, job.id, warning)
        if request.window and self._frontier:
            self._frontier.prove(request.window)
        self._lengths.ended(request, tally.rows + tally.rejects)
        if self.export.delete_after_load and not self._is_adopted(request):
            self.state.delete_later(job.id)
        self.lifecycle.journal.note_read(request.stream, request.fingerprint)
        self.state.close(request, job)
        LOGGER.info(
            "%s: job %s proven: %d rows, %d rejects, %d bytes",
            request.stream,
            job.id,
            tally.rows,
            tally.rejects,
            tally.bytes,
            extra=of_request(request, job.id, tally.rows),
        )
        yield Checkpoint()

    def _is_adopted(self, request: Request) -> bool:
        entry = self.state.entry(request.fingerprint)
        return entry is not None and entry.adopted

    def _delete_loaded(self) -> Iterator[Checkpoint]:
        """Delete the jobs that the previous run proved: the incoming STATE shows that the target has their rows.

        A refused deletion stops no data: what is left of the list is kept for the next run.
        """
        api, deletable = self.lifecycle.api, self._deletable()
        for job_id in self.state.deletions:
            if isinstance(api, Deletes) and job_id in deletable:
                try:
                    api.delete(job_id)
                except RunEndingError:
                    raise
                except TapError as error:
                    LOGGER.warning("%s: %s; the next run tries to delete job %s", self.export.stream, error, job_id)
                    return
                LOGGER.info("%s: job %s deleted, its rows are loaded", self.export.stream, job_id)
            self.state.deleted(job_id)
            yield Checkpoint()

    def _deletable(self) -> list[str]:
        """Return the ids of the jobs that the run deletes at the provider."""
        deletes = isinstance(self.lifecycle.api, Deletes) and self.export.delete_after_load
        return self.state.deletions if deletes else []

    def _strangers(self, requests: Sequence[Request]) -> list[Entry]:
        """Return the ledger entries that match no request of this run."""
        asked = {request.fingerprint for request in requests}
        return [entry for entry in self.state.entries if entry.fingerprint not in asked]

    def _forget_strangers(self, requests: Sequence[Request]) -> None:
        """Drop the strangers from the ledger; the jobs at the provider are not touched."""
        for entry in self._strangers(requests):
            job = f"job {entry.id}" if entry.id else "a job whose creation got no reply"
            LOGGER.warning("%s: %s is %s; dropped from the ledger", self.export.stream, job, NO_LONGER_REQUESTED)
            self.state.forget(entry.fingerprint)
