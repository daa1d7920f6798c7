"""The first run of a stream, or one whose STATE was lost: jobs that exist are read before any is created (P2)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tap_exports.engine.api import Recalls, creation_costs
from tap_exports.engine.clock import to_text
from tap_exports.engine.jobs import Lifecycle
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Job, Request, Status, Window
from tap_exports.engine.run.export import Export
from tap_exports.errors import AuthError, TapError

LOGGER = logging.getLogger("tap-exports.run")
PLANNED_AHEAD = timedelta(minutes=5)  # from the plan of a last window to the creation of its job
UNAUTHORIZED = 401  # unlike 403, by which only the list may be refused
WHOLE_SECOND = timedelta(seconds=1)  # by which a provider may date a job too early

Found = tuple[Job, Window | None]
Answered = list[tuple[Request, Job]]


@dataclass(frozen=True, slots=True)
class Recall:
    """The search for jobs that somebody created for the very requests that a run is about to send.

    Attributes:
        export: The request of the stream.
        reuse_seconds: A completed job may be so old (`job_reuse_seconds`).
        open_seconds: A job that still runs may be so old (`job_timeout_seconds`).
        now: The current instant.
    """

    export: Export
    reuse_seconds: float
    open_seconds: float
    now: datetime

    def found(self, api: Recalls, planned: Sequence[Request]) -> Iterator[tuple[Request, Job]]:
        """Yield jobs that are as good as new ones, at most one for each planned request, with what they answer.

        A job answers a planned window if its own is the same and was settled when it was created. So does one whose
        window only begins with it, if its end was the latest possible then: the last window of an earlier run. The run
        plans anew around what is found.

        Raises:
            TapError: The provider could not be asked.
        """
        since = self.now - timedelta(seconds=max(self.reuse_seconds, self.open_seconds))
        listed = list(api.earlier(self.export.request(None), since))
        for request in planned:
            alike = [found for found in listed if self._answers(found, request.window)]
            if best := max(filter(self._is_fresh, alike), key=_merit, default=None):
                yield self.export.request(best[1]), best[0]
            elif alike:
                self._warn_of_old(alike)

    def _answers(self, found: Found, planned: Window | None) -> bool:
        job, window = found
        if window is None or planned is None:
            return window is planned
        if job.created_at is None or window.start != planned.start or window.end > planned.end:
            return False
        late = job.created_at - window.end - timedelta(seconds=self.export.settling_seconds)
        return late >= -WHOLE_SECOND and (window == planned or late <= PLANNED_AHEAD)

    def _is_fresh(self, found: Found) -> bool:
        job = found[0]
        if job.created_at is None:
            return False
        age = (self.now - job.created_at).total_seconds()
        if job.status.is_terminal:
            return job.status is Status.COMPLETED and age <= self.reuse_seconds
        return age <= self.open_seconds

    def _warn_of_old(self, alike: Iterable[Found]) -> None:
        jobs = ", ".join(job.id for job, _ in alike)
        LOGGER.warning(
            "%s: there is no STATE, and jobs of the same request exist that failed or are older than "
            "job_reuse_seconds (%d): %s; another one is created",
            self.export.stream,
            self.reuse_seconds,
            jobs,
        )


def recall(
    export: Export, lifecycle: Lifecycle, state: StreamState, planned: Sequence[Request], now: datetime
) -> Answered:
    """Take jobs that exist already into the ledger of a stream without STATE; return them with what they answer.

    Raises:
        TapError: The provider refused the key, or could not be asked and another job would cost money.
    """
    api, settings = lifecycle.api, lifecycle.settings
    if not isinstance(api, Recalls) or not settings.job_reuse_seconds or not state.is_blank:
        return []
    try:
        asked = Recall(export, settings.job_reuse_seconds, settings.job_timeout_seconds, now)
        found = list(asked.found(api, planned))
    except TapError as error:
        if creation_costs(api) or (isinstance(error, AuthError) and error.status == UNAUTHORIZED):
            raise
        LOGGER.warning("%s: jobs that exist already could not be looked for: %s", export.stream, error)
        return []
    for request, job in found:
        state.opened(request, job, job.created_at or now, adopted=True)
    return found


def tell(stream: str, request: Request, job: Job) -> None:
    """Warn that a job that exists already is read; a plan notes it beside the step instead."""
    LOGGER.warning(
        "%s: there is no STATE, and job %s of %s is %s of the same request: it is read in place of a new one "
        "(job_reuse_seconds)",
        stream,
        job.id,
        to_text(job.created_at) if job.created_at else "unknown age",
        f"for {request.window}" if request.window else "a full export",
    )


def _merit(found: Found) -> tuple[datetime | None, datetime | None, str]:
    """Order jobs by what they cover, then by age."""
    job, window = found
    return (window.end if window else job.created_at), job.created_at, job.id
