"""The search for a job whose creation got no reply."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from tap_exports.engine.api import Finds
from tap_exports.engine.clock import Clock
from tap_exports.engine.jobs.steps import Pause, Steps
from tap_exports.engine.model import Job, Request

FIRST_WAIT_SECONDS = 1
LONGEST_WAIT_SECONDS = 30
OWN_FIRST_SECONDS = 30  # in which a replica that lags shows the own job


def find_job(
    api: Finds,
    clock: Clock,
    request: Request,
    created: tuple[datetime, datetime],
    closed: Collection[str],
    seconds: float,
) -> Steps[Job | None]:
    """Look for a job with growing waits, because the provider's list may lag; return None when the time is over.

    A job that may be an earlier one, of another tap with the same request, is not taken before `OWN_FIRST_SECONDS`.

    Args:
        api: Finds a job by its request.
        clock: Time and waiting.
        request: What the job was asked for.
        created: By the provider's clock: jobs that were created before the first instant are not it, those before the
            second one need not be it.
        closed: Ids of earlier jobs of the same request.
        seconds: How long to look; there is one look at least.
    """
    possible, likely = created
    wait: float = FIRST_WAIT_SECONDS
    began = clock.monotonic()
    while True:
        left = began + seconds - clock.monotonic()
        is_early = left > 0 and seconds - left < OWN_FIRST_SECONDS
        if job := api.find(request, likely if is_early else possible, closed):
            return job
        if left <= 0:
            return None
        yield Pause(min(wait, left))
        wait = min(2 * wait, LONGEST_WAIT_SECONDS)
