"""How long windows are, and what a job says that is too large for the provider."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from tap_exports.engine.api import creation_costs
from tap_exports.engine.jobs import Lifecycle, Outcome, describe
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Request
from tap_exports.engine.run.export import Export
from tap_exports.engine.run.growth import Growth
from tap_exports.engine.run.sizes import Sizes, ended_for_size, is_for_size
from tap_exports.errors import JobFailedError, RefusedError, TapError, TooLargeError

LOGGER = logging.getLogger("tap-exports.run")


class Lengths(Protocol):
    """Says how long the next window is, by those that ended before it."""

    def next(self, waiting: deque[Request]) -> Request:
        """Take the next request from those that wait; it may be a part of one, or several."""

    def parts(self, request: Request) -> list[Request]:
        """Return the parts of a request that is too large, none where it cannot be cut."""

    def advice(self, request: Request) -> str:
        """Return what makes the window of a request smaller, for messages."""

    def cut(self, request: Request, parts: list[Request]) -> None:
        """Record that a window was cut; its parts end in its place."""

    def ended(self, request: Request, rows: int | None) -> None:
        """Record that a window or part ended, in the order of the plan; None for the rows of one that failed."""


def lengths_of(
    export: Export, state: StreamState, lifecycle: Lifecycle, is_fixed: Callable[[Request], bool]
) -> Lengths:
    """Return what says how long windows are; another job of one that costs money is no way to find that out."""
    in_order = not lifecycle.settings.detach
    if export.sizes_itself and not creation_costs(lifecycle.api):
        return Sizes(state, export.longest, export.unit, is_fixed, in_order)
    if export.cell:
        advised = "`max_window_days` makes windows smaller; with `primary_keys`, `window_size: auto` does so by itself"
        return Growth(enabled=False, is_fixed=is_fixed, advised=advised)
    return Growth(export.grows and in_order, is_fixed)


def explained(lengths: Lengths, request: Request, error: TapError) -> TapError:
    """Return the error of a window that the provider refused for its size with what makes it smaller, others as are."""
    if request.window is None or not isinstance(error, RefusedError) or not is_for_size(error):
        return error
    return TooLargeError(f"{error.message}; {lengths.advice(request)}")


def check_capped(export: Export, lengths: Lengths, outcome: Outcome) -> None:
    """Refuse a window of which the provider left rows out, before any of it is read.

    Raises:
        TooLargeError: It did, and the window can be smaller, or its rows are not to be lost.
    """
    request, job = outcome.request, outcome.job
    if not job.is_capped or request.window is None or job.given:
        return
    where = describe(export.stream, job, request.window)
    if not export.takes_capped or lengths.parts(request):
        msg = f"{where}: the provider left rows out of it; {lengths.advice(request)}"
        raise TooLargeError(f"{msg}; verify_counts: warn takes what came of windows that cannot be smaller")
    LOGGER.warning("%s: the provider left rows out of it, which are lost (verify_counts)", where)


def ended_badly(export: Export, lengths: Lengths, outcome: Outcome) -> JobFailedError:
    """Return the error of a job that did not complete."""
    request, job = outcome.request, outcome.job
    is_large = request.window is not None and ended_for_size(job)
    has_advice = request.window and (is_large or not export.sizes_itself)
    smaller = f", {lengths.advice(request)}" if has_advice else ""
    is_cut = is_large and bool(lengths.parts(request))
    then = "" if is_cut else f"; the window stays open, the next run asks again{smaller}"
    reason = f": {job.reason}" if job.reason else ""
    message = f'{describe(export.stream, job, request.window)}: ended as "{job.raw_status}"{reason}{then}'
    return TooLargeError(message) if is_large else JobFailedError(message)
