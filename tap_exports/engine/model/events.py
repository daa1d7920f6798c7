"""Events: what a run yields, in the order in which it has to be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tap_exports.engine.model.columns import Column
from tap_exports.engine.model.rows import Reject, Rows
from tap_exports.engine.thrift import Due


@dataclass(frozen=True, slots=True)
class NewColumns:
    """Columns that the next rows hold and the schema does not know yet."""

    columns: Sequence[Column]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The ledger or a bookmark moved: write STATE before the generator goes on.

    Attributes:
        due: Whether that may be put off. What is put off is written with the next STATE.
    """

    due: Due = Due.SOON


@dataclass(frozen=True, slots=True)
class Proven:
    """A reader has read a job to its proper end, or a run has read all that its stream is due.

    Bookmarks move and versions are activated on this event only, never because nothing was complained of (P1).

    Attributes:
        is_whole: Whether nothing is known to be missing: the provider's counts agree, no part failed. Only then may a
            version be activated, whatever the user tolerates of a window.
    """

    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Rejected:
    """A quarantined row, and the job that it came from."""

    job_id: str
    reject: Reject


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one job did; a row of `export_jobs`. Times are ISO 8601 text, spans seconds."""

    provider: str
    job_id: str
    stream: str
    fingerprint: str
    status: str
    window_start: str | None = None
    window_end: str | None = None
    requested_at: str | None = None
    completed_at: str | None = None
    wait_seconds: float | None = None
    read_seconds: float | None = None
    attempts: int = 1
    rows: int = 0
    rejects: int = 0
    bytes: int = 0
    sha256: str | None = None
    credits_charged: int | None = None
    proof: str | None = None
    clock_skew_seconds: float | None = None
    reason: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def window(self) -> str | None:
        """Return the window as text, None for a full export."""
        return f"{self.window_start or ''}…{self.window_end}" if self.window_end else None


Event = Rows | NewColumns | Checkpoint | Proven | Rejected | Receipt
