"""Settings of a lifecycle and the outcome of a job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tap_exports.engine.model import Job, Request


@dataclass(frozen=True, slots=True)
class JobSettings:
    """Settings of the same names that control polling; `detach` is `job_wait: detach`."""

    poll_interval_seconds: float = 2
    poll_interval_max_seconds: float = 60
    job_stall_timeout_seconds: float = 3600
    max_concurrent_jobs: int = 4
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
        lost: The job that was lost while it was polled and that this one replaces, or None.
        resubmitted: Whether this job replaces a lost one; a second loss stops the stream.
    """

    request: Request
    job: Job
    requested_at: datetime
    wait_seconds: float
    attempts: int
    lost: Job | None = None
    resubmitted: bool = False


def describe(stream: str, job: Job, window: object) -> str:
    """Return `stream window, job id` for messages."""
    return f"{stream} {window}, job {job.id}" if window else f"{stream}, job {job.id}"
