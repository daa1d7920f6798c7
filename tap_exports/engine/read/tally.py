"""Counts of what was read of one job, their limits, and the receipt of the job."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from tap_exports.engine.clock import to_text
from tap_exports.engine.jobs import Outcome
from tap_exports.engine.model import Receipt, Reject, Status
from tap_exports.errors import CountError, GuardError, RejectLimitError

LOGGER = logging.getLogger("tap-exports.run")


@dataclass(frozen=True, slots=True)
class Limits:
    """Rejects allowed in a stream, and how its counts are verified.

    Attributes:
        verify_counts: `fail`, `warn` or `off`: what a count that differs does.
        rejects_max_count: Rows that may be rejected per file.
        rejects_max_ratio: The same as a share of the file's rows, 0 to 1; the larger of both limits applies.
    """

    verify_counts: str = "fail"
    rejects_max_count: int = 0
    rejects_max_ratio: float = 0


@dataclass(slots=True)
class Tally:
    """Counts of one job while it is read.

    Attributes:
        rows: Rows written or covered by STATE, all files.
        rejects: Rows rejected, all files.
        bytes: Bytes downloaded.
        sha256: Digest of the only or last file.
        read_seconds: Spent on downloading, decoding and writing.
        agrees: Whether nothing is known to be missing; False once a count of the provider differs.
        counted: Whether the provider gave a count, or digests of all files, that were compared.
        summed: Whether every file so far had the digest that is given of it.
        ended: Whether the end of the rows is proven.
        file_rows: Rows of the current file, written or covered by STATE.
        file_rejects: Rows rejected of the current file.
        waives: Errors of guards that are logged only, since the same job was refused before and no other can be had.
        last_reject: The most recent reject, for messages.
    """

    rows: int = 0
    rejects: int = 0
    bytes: int = 0
    sha256: str | None = None
    read_seconds: float = 0
    agrees: bool = True
    counted: bool = False
    summed: bool = True
    ended: bool = True
    file_rows: int = 0
    file_rejects: int = 0
    waives: Collection[type[GuardError]] = ()
    last_reject: Reject | None = field(default=None, repr=False)

    def begin_file(self, rows_done: int = 0) -> None:
        """Start counting a file whose first `rows_done` rows are covered by STATE."""
        self.file_rows, self.file_rejects = rows_done, 0
        self.rows += rows_done

    def add(self, rows: int) -> None:
        """Count rows of the current file."""
        self.rows += rows
        self.file_rows += rows

    def reject(self, stream: str, reject: Reject, limits: Limits) -> None:
        """Count a reject of the current file.

        Raises:
            RejectLimitError: The file exceeds the limits, whatever rows follow.
        """
        self.rejects += 1
        self.file_rejects += 1
        self.last_reject = reject
        if not limits.rejects_max_ratio and self.file_rejects > limits.rejects_max_count:
            raise _too_many(stream, reject, self.file_rejects, limits)

    def end_file(self, stream: str, limits: Limits) -> None:
        """Check the rejects of a file against the limits; call it after the last row.

        Raises:
            RejectLimitError: There are more than both limits allow.
        """
        seen = self.file_rows + self.file_rejects
        allowed = max(limits.rejects_max_count, int(limits.rejects_max_ratio * seen))
        if self.last_reject and self.file_rejects > allowed:
            raise _too_many(stream, self.last_reject, self.file_rejects, limits)

    def verify(self, where: str, declared: int | None, limits: Limits, *, summed: bool = False) -> None:
        """Compare the rows read, rejects included, with the provider's count; None: there is none.

        Args:
            where: For the message.
            declared: The provider's count.
            limits: Say what a difference does.
            summed: Whether all files had the digests that are given of them.

        Raises:
            CountError: They differ and `verify_counts` is `fail`.
        """
        self.counted = self.counted or summed
        if declared is not None:
            self.counted = True
            self.agrees = check_count(where, self.rows + self.rejects, declared, limits) and self.agrees

    @property
    def proof(self) -> str:
        """Return the level of the proof: `A` for a count or digest that agrees, `B` for a proper end, else `C`."""
        if not self.ended:
            return "C"
        return "A" if self.counted and self.agrees else "B"


@contextmanager
def advised(advice: Callable[[], str]) -> Iterator[None]:
    """Let the error of too many rejects end with advice."""
    try:
        yield
    except RejectLimitError as error:
        raise RejectLimitError(error.message + advice()) from error


def check_count(where: str, read: int, declared: int, limits: Limits) -> bool:
    """Return whether a number of rows equals the provider's own count.

    Raises:
        CountError: They differ and `verify_counts` is `fail`.
    """
    if declared == read:
        return True
    msg = f"{where}: {read} rows read, the provider counts {declared} (verify_counts: {limits.verify_counts})"
    if limits.verify_counts == "fail":
        raise CountError(msg)
    if limits.verify_counts == "warn":
        LOGGER.warning("%s", msg)
    return False


def _too_many(stream: str, reject: Reject, count: int, limits: Limits) -> RejectLimitError:
    where = f"file {reject.file}, row {reject.row}" + (f', column "{reject.column}"' if reject.column else "")
    return RejectLimitError(
        f"{stream}: {where}: {reject.message}; {count} rows rejected, allowed are {limits.rejects_max_count} "
        f"(rejects_max_count) or a share of {limits.rejects_max_ratio} (rejects_max_ratio)"
    )


def discarded(outcome: Outcome) -> Iterator[Receipt]:
    """Yield the receipt of the job that was discarded while it was polled, if there is one.

    Raises:
        TapError: There is no job in its place.
    """
    if outcome.lost:
        yield receipt(replace(outcome, job=outcome.lost), Tally(), outcome.lost_as)
    if outcome.error:
        raise outcome.error


def receipt(
    outcome: Outcome, tally: Tally, status: str, reason: str | None = None, done_at: str | None = None
) -> Receipt:
    """Return the receipt of a job that ended, whatever its status; `reason` replaces the job's own."""
    request, job = outcome.request, outcome.job
    window = request.window
    return Receipt(
        provider=request.provider,
        job_id=job.id,
        stream=request.stream,
        fingerprint=request.fingerprint,
        status=status,
        window_start=to_text(window.start) if window and window.start else None,
        window_end=to_text(window.end) if window else None,
        requested_at=to_text(outcome.requested_at),
        completed_at=done_at,
        wait_seconds=round(outcome.wait_seconds, 3),
        read_seconds=round(tally.read_seconds, 3),
        attempts=outcome.attempts,
        rows=tally.rows,
        rejects=tally.rejects,
        bytes=tally.bytes,
        sha256=tally.sha256,
        credits_charged=job.credits,
        proof=tally.proof if status == Status.COMPLETED.value else None,
        reason=reason or job.reason,
        warnings=job.warnings,
    )
