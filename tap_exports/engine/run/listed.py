"""Streams of plain lists: pages of records, incremental on their creation time."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tap_exports.engine import decode, windows
from tap_exports.engine.clock import MILLISECOND, Clock, from_text, to_text
from tap_exports.engine.decode.layout import RAW_LIMIT, excerpt
from tap_exports.engine.http.whole import UNPROVEN, WholeList
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import (
    Action,
    Checkpoint,
    Event,
    Page,
    Place,
    Proven,
    Reject,
    Rejected,
    Row,
    Rows,
    Step,
    Window,
)
from tap_exports.engine.place import Places
from tap_exports.engine.read.files import Layouts
from tap_exports.engine.read.pages import check_list
from tap_exports.engine.read.tally import Limits, Tally

LOGGER = logging.getLogger("tap-exports.run")
LONGEST_OPEN = timedelta(days=7)
SECONDS_BETWEEN_READS = (5.0, 10.0)  # before the second and the third
SECONDS_UNCOUNTED = 15.0  # before the second, where no total tells of a replica that lags
Pages = Callable[[], Iterable[Page]]


@dataclass(frozen=True, slots=True)
class Listing:
    """The settings of one list stream.

    Attributes:
        stream: The stream's name.
        lists: Returns the lists of a window (None: without bounds), each as what yields its pages from the beginning.
        key: Fields that identify a record of a list; without any, whole records are compared between two reads.
        replication_key: The field with the creation instant, or None for a full read.
        is_open: Returns whether a record may still change; the bookmark never passes such a record, unless it is older
            than `LONGEST_OPEN`.
        ordered: Whether the provider promises to sort by the replication key, oldest first: the bookmark then moves
            after each page while pages come sorted and nothing shows that the list changes (`WholeList.is_steady`);
            otherwise it moves once, after the whole list.
        start: Start of the first window, or None for no lower bound.
        until: Upper bound (`end_date`), or None for now.
        settling_seconds: A window ends at now minus this.
        lookback: How much before the bookmark is read again, for records that appear late.
    """

    stream: str
    lists: Callable[[Window | None], Sequence[Pages]]
    key: Sequence[str] = ()
    replication_key: str | None = None
    is_open: Callable[[Row], bool] | None = None
    start: datetime | None = None
    until: datetime | None = None
    settling_seconds: float = 60
    ordered: bool = False
    lookback: timedelta = timedelta()


@dataclass(slots=True)
class ListRun:
    """One run of a list stream; `places` gives its rows their places, or is None."""

    listing: Listing
    layout: Layouts
    limits: Limits
    state: StreamState
    clock: Clock
    places: Callable[[], Places] | None = None
    _placed: Places | None = None
    _tally: Tally = field(default_factory=Tally)
    _held: datetime | None = None
    _latest: datetime | None = None
    _sorted: bool = True
    _grows: bool = False
    _stale: int = 0
    _stalest: Row | None = None

    def start(self) -> None:
        """Do nothing: a list needs no job."""

    def plan(self) -> Iterator[Step]:
        """Yield what the run is going to do; makes no request of a list."""
        of = self.listing
        window = self._window() if of.replication_key else None
        if of.replication_key and window is None:
            yield Step(Action.SKIP, note=windows.why_nothing(self.state.instant, of.start, of.until))
        else:
            yield from (Step(Action.LIST, window) for _ in of.lists(window))

    def events(self) -> Iterator[Event]:
        """Yield the records of the window in the provider's order.

        Providers differ in whether bounds are inclusive, so records are filtered here, to the millisecond: none is
        yielded twice, none is missed. A record without an instant is always yielded.

        Raises:
            TapError: What stopped the stream.
        """
        window = self._window() if self.listing.replication_key else None
        if self.listing.replication_key and window is None:
            return
        lists = [self._whole(pages) for pages in self.listing.lists(window)]
        is_whole = True
        self._placed = self.places() if self.places else None
        try:
            for each in lists:
                yield from self._read(each, window)
                is_whole = check_list(each, self.limits) and is_whole
        finally:
            if self._placed:
                self._placed.close()
        self._tally.end_file(self.listing.stream, self.limits)
        self._warn_of_stale()
        if window is not None and all(each.proof != UNPROVEN for each in lists):
            yield from self._advance(window.end)
        yield Proven(is_whole)

    def _whole(self, pages: Pages) -> WholeList:
        """Return a list whose second and third reads begin after a wait where its total disagrees, or is missing.

        Two replicas of which one lags show the same gap to two reads at once.
        """
        found = WholeList(pages, self.listing.key, self.listing.stream)
        counted, uncounted = iter(SECONDS_BETWEEN_READS), iter((SECONDS_UNCOUNTED,))

        def pause(_idle: int) -> None:
            if found.total is not None or found.turns_uncounted:
                self.clock.sleep(next(uncounted if found.total is None else counted, 0))

        found.pause = pause
        return found

    def _read(self, found: WholeList, window: Window | None) -> Iterator[Event]:
        self._grows = False
        for page in found.pages():
            yield from self._page(page, window)
            found.grows = self._grows
            follows = self.listing.ordered and self._sorted and found.is_steady
            if window and follows and self._latest and not self._tally.rejects:
                yield from self._advance(self._latest - MILLISECOND)

    def _window(self) -> Window | None:
        of = self.listing
        bookmark = self.state.instant
        span = windows.due_here(bookmark, of.start, of.until, self.clock.now(), of.settling_seconds)
        if span is None or bookmark is None or not of.lookback:
            return span
        since = windows.floor_millisecond(bookmark - of.lookback)
        return Window(max(since, min(bookmark, of.start)) if of.start else since, span.end)

    def _page(self, page: Page, window: Window | None) -> Iterator[Event]:
        layout = self.layout()
        if page.items and self._fits_whole(page.items, layout, window):
            yield decode.fitted(page.items, layout, self._next_row(), self._places_of(page.items))
            self._tally.add(len(page.items))
        else:
            yield from self._sifted(page.items, layout, window)

    def _fits_whole(self, items: Sequence[Row], layout: decode.Layout, window: Window | None) -> bool:
        """Return whether all records of a page fit the schema, lie in the window and are sorted (the fast path)."""
        fitting = decode.fit(items, layout)
        if fitting is None or window is None:
            return fitting is not None
        instants = fitting.instants(self.listing.replication_key or "")
        if instants is None or sorted(instants) != instants:
            return False
        first, last = windows.floor_millisecond(instants[0]), windows.floor_millisecond(instants[-1])
        if last > window.end or (window.start and first < window.start):
            return False
        for row, instant in zip(items, instants, strict=True) if self.listing.is_open else ():
            self._hold(row, instant)
        self._sorted = self._sorted and (self._latest is None or first >= self._latest)
        self._latest = max(self._latest or last, last)
        return True

    def _sifted(self, items: Sequence[Row], layout: decode.Layout, window: Window | None) -> Iterator[Event]:
        """Yield the records of a page that must be checked one by one."""
        rows = yield from self._sift(items, window)
        placed = self._places_of(rows)
        for item in decode.conform(rows, layout, self._next_row(), self.listing.stream, placed) if rows else ():
            if isinstance(item, Reject):
                yield self._rejected(item)
            else:
                yield item
                self._tally.add(len(item) if isinstance(item, Rows) else 0)

    def _places_of(self, rows: Sequence[Row]) -> Sequence[Place] | None:
        return self._placed.of_records(rows) if self._placed else None

    def _sift(self, items: Sequence[Row], window: Window | None) -> Generator[Event, None, list[Row]]:
        """Return the records of the window; one whose instant cannot be read is rejected."""
        kept: list[Row] = []
        for row in items:
            created = self._created(row) if window else None
            if isinstance(created, Reject):
                yield self._rejected(created)
            elif window is None or created is None or self._within(row, created, window):
                kept.append(row)
        return kept

    def _created(self, row: Row) -> datetime | Reject | None:
        value = row.get(self.listing.replication_key or "")
        try:
            return None if value is None else windows.floor_millisecond(from_text(value))
        except (ValueError, AttributeError):
            return self._undated(row)

    def _within(self, row: Row, created: datetime, window: Window) -> bool:
        """Return whether a record lies in the window; update the instants that limit the bookmark.

        Where one younger than the window shows, the list is not cut by date, and others may come while it is read.
        """
        self._grows = self._grows or created > window.end
        if created > window.end or (window.start and created < window.start):
            return False
        self._hold(row, created)
        self._sorted = self._sorted and (self._latest is None or created >= self._latest)
        self._latest = max(self._latest or created, created)
        return True

    def _hold(self, row: Row, created: datetime) -> None:
        """Keep the bookmark before a record that will still change, unless it is older than `LONGEST_OPEN`."""
        if self.listing.is_open is None or not self.listing.is_open(row):
            return
        created = windows.floor_millisecond(created)
        if self.clock.now() - created <= LONGEST_OPEN:
            self._held = min(self._held or created, created)
            return
        self._stale += 1
        self._stalest = self._stalest or row

    def _warn_of_stale(self) -> None:
        if self._stalest is not None:
            named = {name: self._stalest.get(name) for name in (*self.listing.key, "status")}
            LOGGER.warning(
                "%s: %d records did not end within %d days, the first is %s; the bookmark passes them, so a later "
                "change does not bring them again",
                self.listing.stream,
                self._stale,
                LONGEST_OPEN.days,
                named,
            )

    def _undated(self, row: Row) -> Reject:
        key = self.listing.replication_key or ""
        raw = json.dumps(row, default=str)[:RAW_LIMIT]
        message = f'"{excerpt(str(row[key]))}" is not an ISO 8601 date-time'
        return Reject(self.listing.stream, self._next_row(), key, "type", message, raw)

    def _next_row(self) -> int:
        return self._tally.file_rows + self._tally.file_rejects + 1

    def _rejected(self, reject: Reject) -> Rejected:
        self._tally.reject(self.listing.stream, reject, self.limits)
        return Rejected("", reject)

    def _advance(self, instant: datetime) -> Iterator[Checkpoint]:
        """Move the bookmark forward, at most to `instant` and to just before the oldest open record."""
        if self._held is not None:
            instant = min(instant, self._held - MILLISECOND)
        bookmark = self.state.instant
        if self.listing.replication_key and (bookmark is None or instant > bookmark):
            self.state.advance(self.listing.replication_key, to_text(instant))
            yield Checkpoint()
