"""Streams that read further files of the jobs that another stream creates: one job serves them all.

The leading stream writes each of its jobs into the ledgers of its followers too, in the same STATE. A follower reads a
job once it has left the leader's ledger, and creates none itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tap_exports.engine.changes import Changes
from tap_exports.engine.clock import Clock, to_text
from tap_exports.engine.jobs import Lifecycle, Outcome
from tap_exports.engine.ledger import Entry, StreamState
from tap_exports.engine.ledger.seconds import WholeSeconds
from tap_exports.engine.model import Action, Checkpoint, Event, Job, Receipt, Request, Status, Step
from tap_exports.engine.read.files import Reads
from tap_exports.engine.read.proof import Proof
from tap_exports.engine.read.tally import Tally
from tap_exports.engine.run.failures import BAD_READS, READS_OF_ONE_JOB, Failures
from tap_exports.engine.run.reopened import replay_command
from tap_exports.errors import (
    BadContentError,
    FileGoneError,
    JobLostError,
    NotReadyError,
    RejectLimitError,
    TapError,
)

LOGGER = logging.getLogger("tap-exports.run")
LEADER = "the leading stream"


class LeadingState(WholeSeconds):
    """The state of a stream whose jobs other streams read too.

    Args:
        stream: As in `StreamState`.
        bookmark: As in `StreamState`.
        changes: As in `StreamState`.
        followers: Returns the states of the other streams; asked when a job is created.
        overlaps: As in `WholeSeconds`.
    """

    def __init__(
        self,
        stream: str,
        bookmark: dict[str, Any],
        changes: Changes,
        followers: Callable[[], Sequence[StreamState]],
        *,
        overlaps: bool,
    ) -> None:
        """Check the dict; nothing in it is changed."""
        super().__init__(stream, bookmark, changes, overlaps=overlaps)
        self._followers = followers

    def opened(self, request: Request, job: Job, at: datetime, *, adopted: bool = False) -> None:
        """Note a job that now exists, here and at the followers."""
        super().opened(request, job, at, adopted=adopted)
        for follower in self._followers():
            follower.opened(request, job, at, adopted=adopted)

    def merge_entry(self, raw: Mapping[str, Any]) -> bool:
        """Record what the durable ledger holds and STATE does not; the followers then lack it as well."""
        is_new = super().merge_entry(raw)
        if is_new and raw.get("id") is not None:
            for follower in self._followers():
                follower.merge_entry(raw)
        return is_new


@dataclass(frozen=True, slots=True)
class FollowRun:
    """One run of a stream that follows another.

    Attributes:
        provider: The provider's name.
        stream: The stream's name.
        replication_key: The bookmark's name.
        lifecycle: Polls a job, and knows the status words of the configuration.
        reader: Reads this stream's file of a job.
        state: Its bookmark and ledger; the leader adds the jobs.
        leader: The leader's state; read only.
        clock: Time and waiting.
    """

    provider: str
    stream: str
    replication_key: str
    lifecycle: Lifecycle
    reader: Reads
    state: StreamState
    leader: StreamState
    clock: Clock

    def start(self) -> None:
        """Do nothing: the leader creates the jobs."""

    def plan(self) -> Iterator[Step]:
        """Yield what the run is going to do with the jobs that the leader has created in earlier runs."""
        for entry in sorted(self.state.entries, key=_order):
            held = _holds(self.leader, entry)
            yield Step(Action.COLLECT, entry.window, entry.id, f"once {LEADER} has read it" if held else "")
        yield Step(Action.COLLECT, note=f"of each job that {LEADER} creates and reads in this run")

    def events(self) -> Iterator[Event]:
        """Yield the rows of each job that the leader is done with, in the order of their windows.

        A job that the leader still holds is left to the next run, one that is gone is dropped, and so is one whose file
        was bad in two runs; later ones are read.

        Raises:
            TapError: The first job whose rows are lost, after all jobs; or what stopped the stream.
        """
        failures, has_gap = Failures(self.stream), False
        for entry in sorted(self.state.entries, key=_order):
            if _holds(self.leader, entry):
                LOGGER.info("%s: job %s is left to the next run", self.stream, entry.id)
                has_gap = True
                continue
            try:
                yield from self._collect_or_retry(entry, has_gap=has_gap)
            except JobLostError as error:
                if self._was_proven(entry):
                    failures.lose(JobLostError(self._loss(entry, error)))
                yield from self._let_go(entry)
            except (*BAD_READS, RejectLimitError) as error:
                self.state.note_bad_read(entry.fingerprint, READS_OF_ONE_JOB)
                if self.state.entry(entry.fingerprint):
                    has_gap = True
                    failures.add(error, more=False)
                else:
                    failures.lose(BadContentError(self._loss(entry, error)))
                yield Checkpoint()
        failures.end()

    def _collect_or_retry(self, entry: Entry, *, has_gap: bool) -> Iterator[Event]:
        """Yield the rows of a job; if it is not found, look again for a while, since a 404 may pass."""
        absence = self.lifecycle.absence(entry.requested_at)
        while True:
            try:
                return (yield from self._collect(entry, has_gap=has_gap))
            except (JobLostError, NotReadyError) as error:
                if isinstance(error, FileGoneError) or absence.is_gone(self.clock.monotonic()):
                    raise
                LOGGER.info("%s: %s; looking again", self.stream, error)
            self.clock.sleep(self.lifecycle.pause(absence))
            yield from self.lifecycle.journal.pump()

    def _collect(self, entry: Entry, *, has_gap: bool) -> Iterator[Event]:
        """Yield the rows of a job, and let go of it.

        Raises:
            NotReadyError: The leader has read it, and it is shown as not completed.
        """
        known = Job(str(entry.id), Status.PENDING, created_at=entry.requested_at)
        job = self.lifecycle.statuses.applied(self.lifecycle.api.poll(known))
        if not job.status.is_terminal and self._was_proven(entry):
            raise NotReadyError(f"{self.stream}: job {job.id} was completed, and is shown as {job.status.value} now")
        if job.status is Status.COMPLETED:
            request = Request(self.provider, self.stream, {"job_id": job.id}, entry.window)
            outcome = Outcome(request, job, entry.requested_at, 0.0, 0)
            tally, proof = Tally(), Proof()
            yield from proof.watched(self.reader.read(outcome, self.state, tally))
            proof.required(f"{self.stream}, job {job.id}")
            LOGGER.debug("%s: job %s read: %d rows, %d bytes", self.stream, job.id, tally.rows, tally.bytes)
            if not has_gap:
                self._advance(entry)
        if job.status.is_terminal:
            yield from self._let_go(entry)

    def _advance(self, entry: Entry) -> None:
        """Move the bookmark to the end of a job's window, never past that of the leader: it stands before a gap."""
        bookmark, proven = self.state.instant, self.leader.instant
        if entry.window is None or proven is None or entry.window.end > proven:
            return
        if bookmark is None or entry.window.end > bookmark:
            self.state.advance(self.replication_key, to_text(entry.window.end))

    def _let_go(self, entry: Entry) -> Iterator[Checkpoint]:
        self.state.forget(entry.fingerprint)
        yield Checkpoint()

    def _was_proven(self, entry: Entry) -> bool:
        """Return whether the leader proved the window, so that no later run exports it again."""
        proven, window = self.leader.instant, entry.window
        if window is None:
            return False
        beyond = any(w.start and window.start and w.start <= window.start < w.end for w in self.leader.proven)
        return beyond or (proven is not None and proven >= window.end)

    def _loss(self, entry: Entry, error: TapError) -> str:
        where = f"{self.stream} {entry.window}, job {entry.id}"
        start = entry.window.start if entry.window else None
        end = entry.window.end if entry.window else entry.requested_at
        again = replay_command(self.leader.stream, start or end, end)
        return f"{where}: {error.message}; its rows are lost; {again} has them exported again"


@dataclass(frozen=True, slots=True)
class Quiet:
    """A run that yields no receipts, for jobs whose receipts another stream yields."""

    run: Any

    def start(self) -> None:
        """Begin what can run ahead of the stream's turn."""
        self.run.start()

    def plan(self) -> Iterator[Step]:
        """Yield what the run is going to do."""
        yield from self.run.plan()

    def events(self) -> Iterator[Event]:
        """Yield all events but receipts."""
        return (event for event in self.run.events() if not isinstance(event, Receipt))


def _holds(leader: StreamState, entry: Entry) -> bool:
    open_entry = leader.entry(entry.fingerprint)
    return open_entry is not None and open_entry.id == entry.id


def _order(entry: Entry) -> tuple[datetime, datetime]:
    return (entry.window.end if entry.window else entry.requested_at), entry.requested_at
