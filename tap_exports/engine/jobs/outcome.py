"""Settings of a lifecycle and the outcome of a job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tap_exports.engine.model import Job, Request
from tap_exports.errors import TapError

LOST = "lost"  # in a receipt: the provider no longer knew the job
STALLED = "stalled"  # in a receipt: the job was discarded since it made no progress
UNUSED = "unused"  # in a receipt: the job that it replaced completed first


@dataclass(frozen=True, slots=True)
class JobSettings:
    """Settings of the same names that control jobs; `detach` is `job_wait: detach`."""

    poll_interval_seconds: float = 2
    poll_interval_max_seconds: float = 60
    job_grace_seconds: float = 300
    job_stall_timeout_seconds: float = 3600
    job_stalls_max: int = 2
    job_timeout_seconds: float = 86400
    lost_reply_search_seconds: float = 120
    job_reuse_seconds: float = 3600
    recreate_paid_jobs: bool = False
    max_concurrent_jobs: int = 4
    max_concurrent_requests: int = 4
    detach: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """A job that ended, or with `detach` one that may still be running.

    Attributes:
        request: The request that the job answers.
        job: The job as last seen.
        requested_at: When its creation began.
        wait_seconds: From the start of its creation, or from re-attaching, to its end.
        attempts: Jobs that were created for this request in this run.
        lost: The job that was discarded while it was polled and that this one replaces, or None.
        lost_as: The status of its receipt: `lost`, `stalled` or `unused`.
        resubmitted: Whether this job replaces a discarded one; a second loss stops the window.
        error: Why there is no job in place of the discarded one; `job` is that one then.
    """

    request: Request
    job: Job
    requested_at: datetime
    wait_seconds: float
    attempts: int
    lost: Job | None = None
    lost_as: str = LOST
    resubmitted: bool = False
    error: TapError | None = None


def describe(stream: str, job: Job, window: object) -> str:
    """Return `stream window, job id` for messages."""
    return f"{stream} {window}, job {job.id}" if window else f"{stream}, job {job.id}"
