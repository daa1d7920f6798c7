"""Streams of windowed or full exports: plan, create, wait, read, prove, commit."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tap_exports.engine import windows
from tap_exports.engine.api import Deletes
from tap_exports.engine.clock import Clock, to_text
from tap_exports.engine.jobs import Lifecycle, Outcome, describe
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Checkpoint, Event, Proven, Request, Status, Window
from tap_exports.engine.read.files import Reads, RunsAhead
from tap_exports.engine.read.proof import Proof
from tap_exports.engine.read.tally import LOST, Tally, receipt
from tap_exports.errors import BadContentError, CountError, JobFailedError, JobLostError, TapError

LOGGER = logging.getLogger("tap-exports.run")
READS_OF_ONE_JOB = 2


@dataclass(frozen=True, slots=True)
class Export:
    """The request of one export stream, from its configuration.

    Attributes:
        provider: The provider's name.
        stream: The stream's name.
        params: Parameters that define the export; passed to the api unchanged.
        replication_key: The bookmark's name for windowed exports, None for full ones.
        start: Start of the first window, or None for no lower bound.
        until: Upper bound (`end_date`), or None for now.
        settling_seconds: A window ends at now minus this.
        max_window_days: Longest span of a window.
        delete_after_load: Whether a proven job is deleted at the start of the next run.
    """

    provider: str
    stream: str
    params: Mapping[str, Any]
    replication_key: str | None = None
    start: datetime | None = None
    until: datetime | None = None
    settling_seconds: float = 60
    max_window_days: float | None = None
    delete_after_load: bool = False


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
    _running: deque[Future[Outcome]] = field(default_factory=deque)
    _left: set[str] = field(default_factory=set)  # fingerprints of what is due and not read whole

    def start(self) -> None:
        """Plan the requests and submit the first ones, so that jobs run while earlier streams are read."""
        requests = self.requests()
        self._forget_strangers({r.fingerprint for r in requests})
        self._waiting.extend(requests)
        self._left = {r.fingerprint for r in requests}
        self._hand_in()

    def requests(self) -> list[Request]:
        """Return one request for each unproven window, in order; windows of open jobs are kept as they are."""
        export = self.export
        if export.replication_key is None:
            return [self._request(None)]
        bookmark = self.state.instant
        span = windows.due(bookmark, export.start, export.until, self.clock.now(), export.settling_seconds)
        taken = windows.usable(self._open_windows(), bookmark or export.start, export.until)
        return [
            self._request(w) for w in windows.plan(span, export.max_window_days, taken, follows=bookmark is not None)
        ]

    def _request(self, window: Window | None) -> Request:
        return Request(self.export.provider, self.export.stream, self.export.params, window)

    def _open_windows(self) -> list[Window]:
        """Return the windows of open jobs whose request matches the current configuration."""
        return [
            e.window
            for e in self.state.entries
            if e.window is not None and e.fingerprint == self._request(e.window).fingerprint
        ]

    def events(self) -> Iterator[Event]:
        """Yield the events of all windows in order; a window that fails ends the stream before its bookmark moves.

        With `detach`, windows after a job that still runs are not read: the bookmark cannot pass that job.

        Raises:
            TapError: What stopped the stream.
        """
        held = False
        try:
            yield from self._delete_loaded()
            while self._running:
                yield from self.lifecycle.journal.until(self._running[0])
                outcome = self._running.popleft().result()
                held = held or not outcome.job.status.is_terminal
                if held:
                    LOGGER.info("%s: job %s is left to the next run", self.export.stream, outcome.job.id)
                else:
                    yield from self._collect(outcome)
                    self._hand_in()
            if not self._left:
                yield Proven()
        finally:
            for future in self._running:
                future.cancel()
            if isinstance(self.reader, RunsAhead):
                self.reader.release()

    def _hand_in(self) -> None:
        """Submit requests until twice `max_concurrent_jobs` are in flight; the limit keeps the ledger small."""
        while self._waiting and len(self._running) < 2 * self.lifecycle.settings.max_concurrent_jobs:
            future = self.lifecycle.start(self._waiting.popleft(), self.state)
            future.add_done_callback(self._run_ahead)
            self._running.append(future)

    def _run_ahead(self, future: Future[Outcome]) -> None:
        """Prefetch the files of a completed job; called in the worker thread in which the job ended."""
        if isinstance(self.reader, RunsAhead) and not future.cancelled() and not future.exception():
            outcome = future.result()
            if outcome.job.status is Status.COMPLETED:
                self.reader.run_ahead(outcome)

    def _collect(self, outcome: Outcome) -> Iterator[Event]:
        """Read a completed job; raise for one that ended otherwise."""
        tally, proof = Tally(), Proof()
        if outcome.lost:
            yield receipt(replace(outcome, job=outcome.lost), tally, LOST)
        if outcome.job.status is not Status.COMPLETED:
            yield from self._close_failed(outcome)
        try:
            read = proof.watched(self.reader.read(outcome, self.state, tally))
            yield from self.lifecycle.journal.along(read)
            is_whole = proof.required(describe(self.export.stream, outcome.job, outcome.request.window))
        except JobLostError as error:
            yield from self._ask_again(outcome, tally, error)
        except TapError as error:
            yield from self._note_failed_read(outcome, error)
            yield receipt(outcome, tally, Status.FAILED.value, error.message)
            raise
        else:
            if is_whole and not outcome.job.is_capped:
                self._left.discard(outcome.request.fingerprint)
            yield from self._prove(outcome, tally)

    def _ask_again(self, outcome: Outcome, tally: Tally, error: JobLostError) -> Iterator[Event]:
        """Submit the window of a lost job again, once; the new job takes the lost one's place in the order."""
        yield receipt(outcome, tally, LOST, error.message)
        if outcome.resubmitted:
            raise error
        LOGGER.warning("%s: %s; submitting the window again, once", self.export.stream, error)
        self.state.close(outcome.request, outcome.job)
        yield Checkpoint()
        self._running.appendleft(self.lifecycle.start(outcome.request, self.state, resubmitted=True))

    def _close_failed(self, outcome: Outcome) -> Iterator[Event]:
        job = outcome.job
        self.state.close(outcome.request, outcome.job)
        yield Checkpoint()
        yield receipt(outcome, Tally(), job.status.value)
        where = describe(self.export.stream, job, outcome.request.window)
        reason = f": {job.reason}" if job.reason else ""
        msg = f'{where}: ended as "{job.raw_status}"{reason}; the window stays open, the next run asks again'
        raise JobFailedError(msg)

    def _note_failed_read(self, outcome: Outcome, error: TapError) -> Iterator[Event]:
        """Count a failed read of a job; after two, the ledger drops the job and the next run creates a new one."""
        if isinstance(error, (BadContentError, CountError)):
            self.state.note_bad_read(outcome.request.fingerprint, READS_OF_ONE_JOB)
            yield Checkpoint()

    def _prove(self, outcome: Outcome, tally: Tally) -> Iterator[Event]:
        """Move the bookmark over a window whose rows are all written, then close its job.

        The order matters: a signal in between leaves a job that the bookmark covers, never a window to export twice.
        """
        request, job = outcome.request, outcome.job
        for warning in job.warnings:
            LOGGER.warning("%s: job %s: %s", request.stream, job.id, warning)
        if request.window and self.export.replication_key:
            self.state.advance(self.export.replication_key, to_text(request.window.end))
        if self.export.delete_after_load:
            self.state.delete_later(job.id)
        self.state.close(request, job)
        LOGGER.info(
            "%s: job %s proven: %d rows, %d rejects, %d bytes",
            request.stream,
            job.id,
            tally.rows,
            tally.rejects,
            tally.bytes,
        )
        yield Checkpoint()
        yield receipt(outcome, tally, Status.COMPLETED.value, done_at=to_text(self.clock.now()))

    def _delete_loaded(self) -> Iterator[Checkpoint]:
        """Delete the jobs that the previous run proved: the incoming STATE shows that the target has their rows."""
        for job_id in self.state.deletions:
            if isinstance(self.lifecycle.api, Deletes) and self.export.delete_after_load:
                self.lifecycle.api.delete(job_id)
                LOGGER.info("%s: job %s deleted, its rows are loaded", self.export.stream, job_id)
            self.state.deleted(job_id)
            yield Checkpoint()

    def _forget_strangers(self, asked: set[str]) -> None:
        """Drop ledger entries that match no request of this run; the jobs at the provider are not touched."""
        for entry in self.state.entries:
            if entry.fingerprint not in asked:
                job = f"job {entry.id}" if entry.id else "a job whose creation got no reply"
                LOGGER.warning("%s: %s is no longer requested; dropped from the ledger", self.export.stream, job)
                self.state.forget(entry.fingerprint)
