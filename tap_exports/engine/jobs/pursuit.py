"""One request and the job that a worker pursues for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from tap_exports.engine.jobs.outcome import LOST, STALLED, UNUSED, Outcome
from tap_exports.engine.ledger import Closed, Entry, Progress, StreamState
from tap_exports.engine.model import Job, Request, Status
from tap_exports.errors import JobStalledError, TapError


@dataclass(slots=True)
class Pursuit:
    """Progress of one worker on one request; only the main thread may read or change the ledger.

    Attributes:
        request: The request.
        state: The stream's state; changed only through the journal.
        entry: The ledger's entry when the request was submitted.
        resubmitted: As in `Outcome`.
        requested_at: When the creation of the current job began.
        answered_at: When the current job was created or found; None for one of an earlier run.
        closed: Closed full exports of earlier runs, which must not be adopted.
        is_free: Whether jobs cost nothing: a discarded one is used if it completes before the one in its place.
        created: Jobs created for the request by this pursuit.
        earlier: Jobs created for the request in this run before, whose reader found the job gone or not ready.
        lost: As in `Outcome`.
        lost_as: As in `Outcome`.
        adopted: Whether the current job was found; as in `Entry`.
        other: A job that was found and of which nothing could be used: the own one is looked for beside it, once.
    """

    request: Request
    state: StreamState
    entry: Entry | None
    resubmitted: bool
    requested_at: datetime
    closed: Closed
    is_free: bool
    answered_at: datetime | None = None
    created: int = 0
    earlier: int = 0
    lost: Job | None = None
    lost_as: str = LOST
    adopted: bool = False
    other: Job | None = None

    @property
    def stalls(self) -> int:
        """Return how many earlier runs found the job stalled."""
        return self.entry.stalls if self.entry else 0

    @property
    def progress(self) -> Progress | None:
        """Return what the job of the ledger showed in earlier runs; None for one that was created in this run."""
        return self.entry.progress if self.entry and not self.created else None

    @property
    def replaced(self) -> Job | None:
        """Return the discarded job that the current one replaces, and that may still complete first; or None.

        One that was adopted is let be: nobody knows whose it is, so that it must not be taken for a job of this tap.
        """
        if not self.is_free or self.other or (self.entry and self.entry.adopted):
            return None
        if self.lost:
            return self.lost
        named = self.entry.replaces if self.entry and not self.created else None
        return Job(named, Status.PENDING, data=self.request.params) if named else None

    @property
    def is_found(self) -> bool:
        """Return whether the current job was found, in this run or an earlier one."""
        return self.adopted or bool(self.entry and self.entry.adopted and not self.created)

    @property
    def may_be_anothers(self) -> bool:
        """Return whether the current job was found, and the own one was not looked for beside it yet."""
        return self.is_found and not (self.entry and self.entry.replaces)

    def look_on(self) -> None:
        """Drop a found job, so that the next run looks for another one; only the journal may call it."""
        self.state.look_on(self.request)

    def forget(self) -> None:
        """Remove the request from the ledger; only the journal may call it."""
        self.state.forget(self.request.fingerprint)

    @property
    def closed_ids(self) -> frozenset[str]:
        """Return the ids of jobs of the same request that must not be adopted: another one was due in their place."""
        jobs = {job.id for job in (self.lost, self.other) if job}
        return self.closed.ids | jobs | ({self.entry.replaces} if self.entry and self.entry.replaces else set())

    def intended(self) -> None:
        """Put the intent into the ledger, with the job that it replaces; only the journal may call it."""
        replaced = self.replaced
        self.state.intend(self.request, self.requested_at)
        self._note(replaced)

    def sought(self) -> None:
        """Put the intent of the own job beside one that was found into the ledger; only the journal may call it."""
        if self.other:
            self.state.seek(self.request, self.requested_at, self.other.id)

    def opened(self, job: Job, *, adopted: bool = False) -> None:
        """Put a job into the ledger, with the one that it replaces; only the journal may call it."""
        replaced, self.adopted = self.replaced, adopted
        self.state.opened(self.request, job, self.requested_at, adopted=adopted)
        self._note(replaced if replaced and replaced.id != job.id else None)
        first = self.other.id if self.other else self.entry.replaces if self.entry else None
        if adopted and first:  # found in the second search, which is the last one
            self.state.note_replaced(self.request.fingerprint, first)

    def _note(self, replaced: Job | None) -> None:
        if replaced:
            self.state.note_replaced(self.request.fingerprint, replaced.id)

    def note_progress(self, progress: Progress) -> None:
        """Record what the job shows; only the journal may call it."""
        self.state.note_progress(self.request.fingerprint, progress)

    def note_stall(self) -> None:
        """Count this run as one that found the job stalled; only the journal may call it."""
        self.state.note_stall(self.request.fingerprint)

    def discard(self, job: Job, error: TapError) -> None:
        """Drop a job that is lost or stalled; only the journal may call it.

        One that stalled may end later, so that of a full export must never be adopted.
        """
        if self.may_be_anothers:
            self.other = job
        if isinstance(error, JobStalledError):
            self.state.close(self.request, job)
        else:
            self.forget()
        self.lost, self.resubmitted = replace(job, reason=error.message), True
        self.lost_as = STALLED if isinstance(error, JobStalledError) else LOST

    def return_to(self, job: Job, unused: Job) -> None:
        """Take a discarded job that completed before the one in its place; only the journal may call it."""
        self.state.close(self.request, unused)
        self.state.opened(self.request, job, self.requested_at)
        self.lost = replace(unused, reason=f"job {job.id}, in whose place it was created, completed first")
        self.lost_as = UNUSED

    def outcome(self, job: Job, waited: float, error: TapError | None = None) -> Outcome:
        """Return the outcome with the job as last seen, and the seconds that it took."""
        attempts = self.earlier + self.created
        return Outcome(
            self.request, job, self.requested_at, waited, attempts, self.lost, self.lost_as, self.resubmitted, error
        )
