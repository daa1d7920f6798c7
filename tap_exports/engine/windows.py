"""Windows of creation instants: pure functions that split a range without gap.

Both bounds of a window are inclusive and written in milliseconds, while providers may keep finer instants. So a window
begins at the instant at which the previous one ends: every instant is covered, whatever its precision. Rows of that
millisecond may come twice.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Protocol

from tap_exports.engine.clock import MILLISECOND, to_text
from tap_exports.engine.model import Window

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MOST = 20_000  # windows of one run, all of which it holds in memory
MORE = f"more windows are due than the {MOST:,} that one run takes; the next run goes on behind them (max_window_days)"


def floor_millisecond(instant: datetime) -> datetime:
    """Truncate an instant to whole milliseconds, the resolution of every bound."""
    finer = instant.microsecond % 1000
    return instant.replace(microsecond=instant.microsecond - finer) if finer else instant


def due(
    bookmark: datetime | None, start: datetime | None, until: datetime | None, now: datetime, settling_seconds: float
) -> Window | None:
    """Return the range that a run has to cover, in whole milliseconds as STATE holds them; None where nothing is due.

    Args:
        bookmark: End of the last proven window, or None; the range begins there.
        start: Where to begin without a bookmark; None for an open beginning.
        until: Upper bound (`end_date`), or None.
        now: The current instant.
        settling_seconds: Records created after `now` minus this may not be visible at the provider yet.
    """
    settled = now - timedelta(seconds=settling_seconds)
    last = floor_millisecond(min(settled, until) if until else settled)
    begin = bookmark or start
    first = floor_millisecond(begin) if begin else None
    if first and (last < first or (bookmark and last == first)):
        return None
    return Window(first, last)


def whole_units(span: Window | None, unit: timedelta) -> Window | None:
    """Return a range cut to end with a whole unit of time (UTC), in its last millisecond; None where none is over.

    Args:
        span: What is due.
        unit: Such as a day.
    """
    if span is None:
        return None
    rest = (span.end + MILLISECOND - EPOCH) % unit
    end = span.end - rest
    return Window(span.start, end) if span.start is None or end > span.start else None


def foremost(span: Window | None, longest: timedelta) -> Window | None:
    """Return as much of a range as `MOST` windows of the longest span cover; the rest is left to the next run."""
    if span is None or span.start is None or span.end - span.start < MOST * longest:
        return span
    return Window(span.start, floor_millisecond(span.start + MOST * longest - MILLISECOND))


def why_nothing(bookmark: datetime | None, start: datetime | None, until: datetime | None) -> str:
    """Return why no range is due, for people; arguments as for `due`, whose result was None."""
    if until and bookmark and bookmark >= floor_millisecond(until):
        return f"the bookmark {to_text(bookmark)} is at or past end_date {to_text(until)}"
    if start and not bookmark:
        return f"start_date {to_text(start)} is not yet past by settling_seconds"
    return "everything up to now minus settling_seconds is proven"


def due_here(
    bookmark: datetime | None, start: datetime | None, until: datetime | None, now: datetime, settling_seconds: float
) -> Window | None:
    """Return the range of records that are cut here, by whole milliseconds; see `due`.

    All records of the bookmark's own millisecond, however fine their instants, were cut with it: it is not due again.
    """
    span = due(bookmark, start, until, now, settling_seconds)
    return Window(floor_millisecond(bookmark) + MILLISECOND, span.end) if span and bookmark else span


def plan(
    span: Window | None,
    max_days: float | None = None,
    taken: Sequence[Window] = (),
    proven: Iterable[Window] = (),
    *,
    follows: bool = False,
    cell: timedelta | None = None,
) -> list[Window]:
    """Split a range into windows, keeping those of open jobs and leaving out what is proven.

    Args:
        span: The range that is due; None: return the windows of open jobs only.
        max_days: Longest span of a window in days, or None for one window.
        taken: Windows of open jobs, which are kept unchanged; the rest of the range is split around them.
        proven: Windows beyond the bookmark that are proven; they do not overlap those of open jobs.
        follows: Whether the range touches a proven window: then it is cut as in the run before.
        cell: Windows end where cells of that length end, instead of `max_days` after their beginning; see `cell_end`.

    Returns:
        Windows in ascending order that cover the range; each begins at the instant at which the one before it ends.
    """
    done = {window for window in proven if span is None or window.start is None or window.start < span.end}

    def cut(start: datetime | None, end: datetime, *, follows: bool) -> Iterator[Window]:
        return cells(start, end, cell) if cell else _cut(start, end, max_days, follows=follows)

    covering = _covering(span, [*taken, *done], cut, follows=follows)
    return [window for window in covering if window not in done]


class _Cut(Protocol):
    def __call__(self, start: datetime | None, end: datetime, *, follows: bool) -> Iterator[Window]: ...


def _covering(span: Window | None, taken: Sequence[Window], cut: _Cut, *, follows: bool) -> list[Window]:
    if span is None:
        return sorted(taken, key=_order)
    windows: list[Window] = []
    start = span.start
    for window in sorted(taken, key=_order):
        if window.start is not None and (start is None or window.start > start):
            windows += cut(start, window.start, follows=follows)
        windows.append(window)
        start, follows = window.end, True
    if not windows or windows[-1].end < span.end:
        windows += cut(start, span.end, follows=follows)
    return windows


def cell_end(instant: datetime, cell: timedelta) -> datetime:
    """Return the last end of a cell that is not later than an instant: cells have one length and count from 1970.

    A cell ends in the millisecond before the next one begins; its window begins with the end of the one before it.
    """
    return instant + MILLISECOND - (instant + MILLISECOND - EPOCH) % cell - MILLISECOND


def cells(start: datetime | None, end: datetime, cell: timedelta) -> Iterator[Window]:
    """Yield the windows of the cells that a range has, the first and last of them in part."""
    while start is None or start < end:
        last = cell_end(end, cell) if start is None else min(cell_end(start, cell) + cell, end)
        yield Window(start, last)
        start = last


def lies_in_cell(window: Window, cell: timedelta, first: datetime | None) -> bool:
    """Return whether a window begins where a cell or the first range does, and ends in the same cell."""
    if window.start is None:
        return True
    begin = cell_end(window.start, cell)
    return window.start in {begin, first} and window.end <= begin + cell


def in_cells(proven: Iterable[Window], cell: timedelta) -> list[Window]:
    """Return what is proven of whole cells: one that is proven in part is read from its beginning again."""
    whole = [Window(window.start, cell_end(window.end, cell)) for window in proven]
    return [window for window in whole if window.start is None or window.start < window.end]


def joined(frontier: datetime | None, proven: Iterable[Window]) -> tuple[datetime | None, list[Window]]:
    """Return how far everything is proven without a gap, and the proven windows beyond that.

    Args:
        frontier: Up to where everything is proven or not asked for; None where the range has an open beginning.
        proven: Windows that are proven, in any order.

    Returns:
        The new frontier, and the windows beyond it: merged where they touch, in ascending order.
    """
    beyond: list[Window] = []
    for window in sorted(proven, key=_order):
        if window.start is None or (frontier is not None and window.start <= frontier):
            frontier = max(frontier or window.end, window.end)
        elif beyond and window.start <= beyond[-1].end:
            beyond[-1] = Window(beyond[-1].start, max(beyond[-1].end, window.end))
        else:
            beyond.append(window)
    return frontier, beyond


def without(windows: Iterable[Window], hole: Window) -> list[Window]:
    """Return what is left of windows once a range is taken out of them, in ascending order; the range's bounds stay."""
    left: list[Window] = []
    for window in sorted(windows, key=_order):
        if not overlap(window, hole):
            left.append(window)
            continue
        if hole.start is not None and (window.start is None or window.start < hole.start):
            left.append(Window(window.start, hole.start))
        if hole.end < window.end:
            left.append(Window(hole.end, window.end))
    return left


def cut_at(window: Window, length: timedelta, grain: timedelta) -> Window:
    """Return the first part of a window, which ends in the last millisecond of a whole unit of time (UTC).

    Args:
        window: Its beginning is not open.
        length: How long the part may be at most.
        grain: The unit, such as a day.

    Returns:
        The part; the window itself where it is no longer than `length`, or where no whole unit ends within that.
    """
    if window.start is None or window.end - window.start <= length:
        return window
    last = window.start + length + MILLISECOND
    end = last - (last - EPOCH) % grain - MILLISECOND
    return Window(window.start, end) if end > window.start else window


def usable(taken: Iterable[Window], start: datetime | None, until: datetime | None = None) -> list[Window]:
    """Return the windows that begin at or after `start`, end by `until` and do not overlap, in ascending order.

    Args:
        taken: In order of preference: of two that overlap, the one that comes first is kept.
        start: As far as is proven, or None.
        until: Upper bound (`end_date`), or None.
    """
    kept: list[Window] = []
    for window in taken:
        is_late_enough = start is None or (window.start is not None and window.start >= start)
        is_early_enough = until is None or window.end <= until
        is_range = window.end >= (window.start or window.end)
        place = bisect(kept, _order(window), key=_order)
        beside = kept[max(0, place - 1) : place + 1]
        if is_late_enough and is_early_enough and is_range and not any(overlap(window, other) for other in beside):
            kept.insert(place, window)
    return kept


def apart(taken: Iterable[Window], proven: Sequence[Window]) -> list[Window]:
    """Return the windows that do not overlap a proven one; they may touch it."""
    return [window for window in taken if not any(overlap(window, other) for other in proven)]


def overlap(one: Window, other: Window) -> bool:
    """Return whether two windows have more in common than a bound."""
    return (one.start is None or one.start < other.end) and (other.start is None or other.start < one.end)


def _order(window: Window) -> tuple[bool, datetime, datetime]:
    """Order windows by their start, an open beginning first, then by their end."""
    return window.start is not None, window.start or window.end, window.end


def _cut(start: datetime | None, end: datetime, max_days: float | None, *, follows: bool) -> Iterator[Window]:
    """Yield windows of at most `max_days` that cover `start…end`, at least one.

    The first of all ends a millisecond before its span is full, and so do those that follow it: instants that many rows
    share, such as midnight, lie in one window only.
    """
    if start is None or max_days is None:
        yield Window(start, end)
        return
    span = max(MILLISECOND, timedelta(days=max_days) // MILLISECOND * MILLISECOND)
    last = min(start + span if follows else start + span - MILLISECOND, end)
    yield Window(start, last)
    while last < end:
        start, last = last, min(last + span, end)
        yield Window(start, last)
