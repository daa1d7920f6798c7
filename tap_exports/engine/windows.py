"""Windows of creation instants: pure functions that cut a range without gap or overlap.

Providers take both bounds as inclusive at millisecond resolution, so a window ends one millisecond before the next
starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from tap_exports.engine.clock import MILLISECOND
from tap_exports.engine.model import Window


def floor_millisecond(instant: datetime) -> datetime:
    """Cut an instant to whole milliseconds, the resolution of every bound."""
    finer = instant.microsecond % 1000
    return instant.replace(microsecond=instant.microsecond - finer) if finer else instant


def after(bookmark: datetime) -> datetime:
    """Return the start of the window that follows a proven one."""
    return bookmark + MILLISECOND


def due(
    bookmark: datetime | None, start: datetime | None, until: datetime | None, now: datetime, settling_seconds: float
) -> tuple[datetime | None, datetime]:
    """Return the first and the last instant that a run has to cover, in whole milliseconds as STATE holds them.

    Args:
        bookmark: End of what is proven, or None.
        start: Where to begin without a bookmark; None for an open beginning.
        until: Upper bound (`end_date`), or None.
        now: The present.
        settling_seconds: What was created later than `now` minus this may still be missing at the provider.

    Returns:
        Both instants; nothing is due where the last lies before the first.
    """
    first = after(bookmark) if bookmark else start
    settled = now - timedelta(seconds=settling_seconds)
    last = min(settled, until) if until else settled
    return floor_millisecond(first) if first else None, floor_millisecond(last)


def plan(
    start: datetime | None, end: datetime, max_days: float | None = None, taken: Sequence[Window] = ()
) -> list[Window]:
    """Cut `start…end` into windows, keeping those already taken by open jobs.

    Args:
        start: First instant that is not proven yet; None for an open beginning (one window).
        end: Last instant to cover; nothing is planned when it lies before `start`.
        max_days: Longest span of a window in days, or None for one window.
        taken: Windows of open jobs, which are kept as they are; the rest of the range is cut around them.

    Returns:
        Windows in ascending order that cover the range exactly once.
    """
    windows: list[Window] = []
    for window in sorted(taken, key=_order):
        if window.start is not None and (start is None or window.start > start):
            windows += _cut(start, window.start - MILLISECOND, max_days)
        windows.append(window)
        start = after(window.end)
    return windows + list(_cut(start, end, max_days))


def usable(taken: Iterable[Window], start: datetime | None, until: datetime | None = None) -> list[Window]:
    """Return the windows that begin where nothing is proven yet, end by `until`, and do not overlap each other."""
    kept: list[Window] = []
    for window in sorted(taken, key=_order):
        if until is not None and window.end > until:
            continue
        begins_late_enough = start is None or (window.start is not None and window.start >= start)
        if begins_late_enough and window.end >= (window.start or window.end):
            kept.append(window)
            start = after(window.end)
    return kept


def _order(window: Window) -> tuple[bool, datetime]:
    """Order windows by their start, an open beginning first."""
    return window.start is not None, window.start or window.end


def _cut(start: datetime | None, end: datetime, max_days: float | None) -> Iterator[Window]:
    """Yield windows of at most `max_days` that cover `start…end`."""
    if start is None or max_days is None:
        if start is None or start <= end:
            yield Window(start, end)
        return
    span = max(MILLISECOND, timedelta(days=max_days) // MILLISECOND * MILLISECOND)
    while start <= end:
        last = min(start + span - MILLISECOND, end)
        yield Window(start, last)
        start = after(last)
