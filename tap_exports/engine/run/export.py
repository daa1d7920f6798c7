"""The request of an export stream, and the requests of its windows that are due."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from tap_exports.engine import windows
from tap_exports.engine.clock import MILLISECOND
from tap_exports.engine.ledger import Entry, StreamState
from tap_exports.engine.model import Action, Request, Step, Window
from tap_exports.engine.run.frontier import Frontier
from tap_exports.engine.run.sizes import LONGEST


@dataclass(frozen=True, slots=True)
class Export:
    """The request of one export stream, from its configuration.

    Attributes:
        provider: The provider's name.
        stream: The stream's name.
        params: Parameters that define the export; passed to the api unchanged.
        replication_key: The bookmark's name for windowed exports, None for full ones.
        start: Start of the first window, or None for no lower bound.
        until: Upper bound (`end_date`), or None for now.
        settling_seconds: A window ends at now minus this.
        max_window_days: Longest span of a window.
        grows: Whether windows may be longer while nothing comes; not where their start is part of the key.
        sizes_itself: Whether windows are cut where one is too large, and grow again (`window_size: auto`).
        keeps_cuts: Whether the start of a window is part of the key, so that it stays once rows were written.
        takes_capped: Whether a window counts as read of which the provider left rows out.
        lookback: How much of what is proven is requested again, for rows that appear late.
        delete_after_load: Whether a proven job is deleted at the start of the next run.
        unit: Windows end with a whole one of it, where the provider takes days or seconds only.
    """

    provider: str
    stream: str
    params: Mapping[str, Any]
    replication_key: str | None = None
    start: datetime | None = None
    until: datetime | None = None
    settling_seconds: float = 60
    max_window_days: float | None = None
    grows: bool = False
    sizes_itself: bool = False
    keeps_cuts: bool = False
    takes_capped: bool = False
    lookback: timedelta = timedelta()
    delete_after_load: bool = False
    unit: timedelta = MILLISECOND

    def request(self, window: Window | None) -> Request:
        """Return the request of a window, None for a full export."""
        return Request(self.provider, self.stream, self.params, window)

    def requests(self, state: StreamState, frontier: Frontier | None, now: datetime) -> list[Request]:
        """Return one request for each unproven window, in order; windows of open jobs are kept as they are.

        Args:
            state: Bookmark and ledger.
            frontier: How far the stream is proven; None for a full export.
            now: The current instant.
        """
        if frontier is None:
            return [self.request(None)]
        begin = frontier.bookmark
        span = windows.due(begin, self.start, self.until, now, self.settling_seconds)
        span = windows.whole_units(span, self.unit)
        beyond = windows.in_cells(frontier.beyond, self.cell) if self.cell else frontier.beyond
        taken = windows.apart(self._fixed_windows(state), beyond)
        since = self._since(begin, state) if begin else None
        if span and since:
            span = Window(since, span.end)
        usable = windows.usable(taken, since or self.start, self.until)
        if span and self.cell:
            span = Window(span.start, self._before_part_of_cell(usable, span.end, self.cell))
        span = windows.foremost(span, self.cell or self.longest)
        follows = begin is not None
        planned = windows.plan(span, self.max_window_days, usable, beyond, follows=follows, cell=self.cell)
        return [self.request(window) for window in planned]

    @property
    def cell(self) -> timedelta | None:
        """Return the cells by which windows are cut whatever STATE says; None: they are cut from the bookmark on.

        That is where the start of a window is part of the key and windows are read again: a row has the same key then
        in each of them. A cell is as long as `lookback`, in whole days, and no longer than a window may be.
        """
        if not (self.keeps_cuts and self.lookback):
            return None
        days = timedelta(days=ceil(self.lookback / timedelta(days=1)))
        return min(days, self.longest)

    @staticmethod
    def _before_part_of_cell(taken: Iterable[Window], end: datetime, cell: timedelta) -> datetime:
        """Return the end of an open job's window within a cell: the next run reads that cell from its beginning."""
        return min((w.end for w in taken if w.end != windows.cell_end(w.end, cell)), default=end)

    def _since(self, bookmark: datetime, state: StreamState) -> datetime:
        """Return where the first window begins: `lookback` before the bookmark, but not before `start`.

        Where a run left a part of that to the next one, such as with `detach`, behind what was read again already. For
        each bookmark that is done once, in whatever order its jobs end.
        """
        since = windows.floor_millisecond(bookmark - self.lookback)
        since = windows.cell_end(since, self.cell) if self.cell else since
        since = max(since, min(bookmark, windows.floor_millisecond(self.start))) if self.start else since
        again = state.again
        is_begun = again and again.start and again.start <= since <= again.end <= bookmark
        return again.end if again and is_begun else since

    @property
    def longest(self) -> timedelta:
        """Return the longest span of a window."""
        return timedelta(days=self.max_window_days) if self.max_window_days else LONGEST

    def _fixed_windows(self, state: StreamState) -> list[Window]:
        """Return the windows that stay cut, then those of open jobs whose request matches the configuration.

        The newest job comes first: one that was found to be too large may still stand in a STATE that is older than the
        jobs of its parts, which the durable ledger holds.
        """
        entries = [(e.window, e.fingerprint) for e in sorted(state.entries, key=_requested_at, reverse=True)]
        opened = [w for w, fingerprint in entries if w and fingerprint == self.request(w).fingerprint]
        return [*state.kept_cuts, *opened] if self.sizes_itself and self.keeps_cuts else opened


def _requested_at(entry: Entry) -> datetime:
    return entry.requested_at


def step_of(request: Request, state: StreamState) -> Step:
    """Return how a run gets the job of a request: from the ledger, by a search for it, or by creating it."""
    entry = state.entry(request.fingerprint)
    if entry is None:
        return Step(Action.CREATE, request.window)
    return Step(Action.ATTACH if entry.id else Action.FIND, request.window, entry.id)
