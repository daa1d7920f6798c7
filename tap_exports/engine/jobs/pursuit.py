"""One request and the job that a worker pursues for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tap_exports.engine.jobs.outcome import LOST, Outcome
from tap_exports.engine.ledger import Closed, Entry, StreamState
from tap_exports.engine.model import Job, Request


@dataclass(slots=True)
class Pursuit:
    """Progress of one worker on one request; only the main thread may read or change the ledger.

    Attributes:
        request: The request.
        state: The stream's state; changed only through the journal.
        entry: The ledger's entry when the request was submitted.
        resubmitted: As in `Outcome`.
        requested_at: When the creation of the current job began.
        closed: Closed full exports of earlier runs, which must not be adopted.
        created: Jobs created for the request in this run.
        lost: As in `Outcome`.
        lost_as: As in `Outcome`.
    """

    request: Request
    state: StreamState
    entry: Entry | None
    resubmitted: bool
    requested_at: datetime
    closed: Closed
    created: int = 0
    lost: Job | None = None
    lost_as: str = LOST

    @property
    def stalls(self) -> int:
        """Return how many earlier runs found the job stalled."""
        return self.entry.stalls if self.entry else 0

    def forget(self) -> None:
        """Remove the request from the ledger; only the journal may call it."""
        self.state.forget(self.request.fingerprint)

    def note_stall(self) -> None:
        """Count this run as one that found the job stalled; only the journal may call it."""
        self.state.note_stall(self.request.fingerprint)

    def outcome(self, job: Job, waited: float) -> Outcome:
        """Return the outcome with the job as last seen, and the seconds that it took."""
        return Outcome(
            self.request, job, self.requested_at, waited, self.created, self.lost, self.lost_as, self.resubmitted
        )
