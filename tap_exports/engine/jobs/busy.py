"""Creation at a provider that limits how many jobs run at once."""

from __future__ import annotations

import logging

from tap_exports.engine.api import Submits
from tap_exports.engine.clock import Clock
from tap_exports.engine.jobs.cadence import Cadence
from tap_exports.engine.jobs.pursuit import Pursuit
from tap_exports.engine.jobs.steps import Pause, Steps
from tap_exports.engine.model import Job, Request
from tap_exports.errors import BusyError, StopError

LOGGER = logging.getLogger("tap-exports.jobs")


def submit(api: Submits, pursuit: Pursuit, clock: Clock, cadence: Cadence, seconds: float) -> Steps[Job]:
    """Create a job and return it, once the provider has room for it; its creation began with the last attempt.

    Args:
        api: Creates the job; `BusyError` means that it did not, and that no job exists.
        pursuit: The request.
        clock: Time and waiting.
        cadence: Knows how many jobs of the provider have ended: while they do, there will be room.
        seconds: Longest wait for room in which no job ends.

    Raises:
        StopError: There was no room in that time; nothing was created.
        TapError: As from `api.submit`.
    """
    until, ends, request = clock.monotonic() + seconds, cadence.ends, pursuit.request
    while isinstance(outcome := _attempt(api, request), BusyError):
        now = clock.monotonic()
        if cadence.ends > ends:
            until, ends = now + seconds, cadence.ends
        if now >= until:
            msg = f"{request.stream}: no room for another job in {seconds:.0f} s: {outcome.message}"
            raise StopError(f"{msg}; nothing was created, the next run asks again") from outcome
        wait = min(outcome.wait, until - now)
        LOGGER.info("%s: %s; asking again in %.0f s", request.stream, outcome, wait)
        yield Pause(wait)
        pursuit.requested_at = clock.now()
    return outcome


def _attempt(api: Submits, request: Request) -> Job | BusyError:
    try:
        return api.submit(request)
    except BusyError as error:
        return error
