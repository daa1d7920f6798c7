"""Windows that size themselves (`window_size: auto`): cut where one is too large, doubled after small ones.

The length is kept in STATE while it is less than the configuration allows. What counts is rows, never time: windows are
the same whatever runs at once (P9).
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from tap_exports.engine import windows
from tap_exports.engine.clock import MILLISECOND
from tap_exports.engine.ledger import Sized, StreamState
from tap_exports.engine.model import Job, Request, Status, Window
from tap_exports.engine.run.growth import LAG
from tap_exports.errors import RefusedError, TapError, TooLargeError

LOGGER = logging.getLogger("tap-exports.run")
SHORTEST = timedelta(minutes=1)  # a window is not cut below that
LONGEST = timedelta(days=36_500)
GRAIN = timedelta(seconds=1)  # parts end with a whole one: some providers keep whole seconds
GROW_AFTER = 8  # small windows in a row
MOST_PARTS = 32  # into which a window is cut at once
ROOM = 2  # a window of twice the length may have so many times fewer rows than were too many
CONTENT_TOO_LARGE = 413
_OF_SIZE = re.compile(
    r"too (?:large|big|long|many|much)|exceed|time(?:d)?[ _-]?out|out of memory|maximum|size limit", re.IGNORECASE
)


def is_for_size(error: TapError) -> bool:
    """Return whether a smaller window may pass where one failed."""
    return isinstance(error, TooLargeError) or (isinstance(error, RefusedError) and error.status == CONTENT_TOO_LARGE)


def ended_for_size(job: Job) -> bool:
    """Return whether a job that failed was too large: it timed out, or the provider's reason says so."""
    failed = job.status is Status.FAILED and _OF_SIZE.search(job.reason or "")
    return job.status is Status.TIMED_OUT or bool(failed)


@dataclass(slots=True)
class Sizes:
    """The length of the windows of one run; call `next` for each request, and `ended` or `cut` in their order.

    Attributes:
        state: Keeps the length.
        longest: Longest window (`max_window_days`).
        unit: Windows end with a whole one of it.
        is_fixed: Whether a request must stay as it is, since it has a job, an intent, or rows at the target.
        in_order: Whether the parts of a window end in its place; False where they may be left to the next run.
    """

    state: StreamState
    longest: timedelta
    unit: timedelta
    is_fixed: Callable[[Request], bool]
    in_order: bool = True
    _submitted: int = 0
    _after: list[timedelta] = field(default_factory=list)  # the length after each planned window
    _at_start: timedelta = field(init=False)
    _open: int = 1  # parts of the current planned window that did not end
    _parts: list[tuple[Request, int | None]] = field(default_factory=list)
    _cut: list[Window] = field(default_factory=list)  # what was too large of the current planned window

    def __post_init__(self) -> None:
        """Take the length from STATE."""
        self._at_start = self._length()

    def _length(self) -> timedelta:
        return length_of(self.state.sized, self.longest)

    @property
    def grain(self) -> timedelta:
        """Return the unit with which windows end."""
        return max(self.unit, GRAIN)

    def next(self, waiting: deque[Request]) -> Request:
        """Take the next request from those that wait, joined or cut to the length; what is left of it waits."""
        first = waiting.popleft()
        length = self._next_length()
        if self.is_fixed(first) or first.window is None or (start := first.window.start) is None:
            return first
        window = self._joined(first.window, waiting, length) if self.in_order else first.window
        part = windows.cut_at(window, length, self.grain) if window.end - start >= length + self.grain else window
        if part != window:
            waiting.appendleft(replace(first, window=Window(part.end, window.end)))
        return replace(first, window=part)

    def _next_length(self) -> timedelta:
        """Return the length of the next window: that after windows which ended some time ago, whatever runs at once."""
        known = self._after[: max(0, self._submitted - LAG + 1)]
        self._submitted += 1
        if not self.in_order:  # parts wait among other windows
            return self._length()
        return known[-1] if known else self._at_start

    def _joined(self, window: Window, waiting: deque[Request], length: timedelta) -> Window:
        """Return a window with those that follow it, until it has the length."""
        start, end = window.start or window.end, window.end
        while waiting and end - start + self.grain < length and not self.is_fixed(waiting[0]):
            other = waiting[0].window
            if other is None or other.start != end:
                break
            end = other.end
            waiting.popleft()
        return Window(window.start, end)

    def parts(self, request: Request) -> list[Request]:
        """Return the parts of a request that is too large; none where it must stay as it is, or is short already.

        These are its halves, or shorter ones once a shorter length is known.
        """
        window = request.window
        if window is None or window.start is None or window in self.state.kept_cuts:
            return []
        whole = window.end - window.start + MILLISECOND
        if whole / 2 < max(SHORTEST, self.grain):
            return []
        length = min(whole / 2, max(self._length(), whole / MOST_PARTS))
        found, rest, start = list[Window](), window, window.start
        while not found or (rest.end - start >= length + self.grain and len(found) + 1 < MOST_PARTS):
            part = windows.cut_at(rest, length, self.grain)
            if part == rest:
                break
            found.append(part)
            rest, start = Window(part.end, rest.end), part.end
        return [replace(request, window=part) for part in (*found, rest)] if found else []

    def advice(self, request: Request) -> str:
        """Return what makes the window of a request smaller, for messages."""
        if self.parts(request):
            return "it is requested in parts (window_size: auto)"
        if request.window and request.window.start is None:
            return "set start_date: a window without a beginning cannot be cut"
        if request.window in self.state.kept_cuts:
            way = "window_size: fixed with a smaller max_window_days cuts it all the same"
            return f"rows of it were written under its start, so it stays as it is (primary_keys); {way}"
        return "no window is shorter: let the export ask for less"

    def cut(self, request: Request, parts: list[Request]) -> None:
        """Record that a window was cut; its parts end in its place."""
        if self.in_order:
            self._open += len(parts) - 1
            self._cut += [request.window] if request.window else []
        longer = max((w.end - w.start for r in parts if (w := r.window) and w.start), default=SHORTEST)
        kept = self.state.sized
        if kept is None or longer < kept.length:
            self.state.keep_sized(Sized(longer, 0, kept.too_many if kept else None))

    def ended(self, request: Request, rows: int | None) -> None:
        """Record that a part ended, in the order of the plan; None for the rows of one that failed."""
        self._parts.append((request, rows))
        self._open -= 1
        if self._open > 0:
            return
        parts, self._parts, self._open = self._parts, [], 1
        too_large, self._cut = self._cut, []
        if kept := self.state.sized:
            grown = _split(kept, too_large, parts) if too_large else self._looked_at(kept, *parts[0])
            if grown != kept:
                self.state.keep_sized(grown if grown.length < self.longest else None)
        self._after.append(self._length())

    def _looked_at(self, kept: Sized, request: Request, rows: int | None) -> Sized:
        """Return the length after one more window of it; double after `GROW_AFTER` small ones."""
        window = request.window
        if window is None or window.start is None or rows is None:
            return replace(kept, small=0)
        length = window.end - window.start
        if 2 * length < kept.length:  # the rest of a range tells little
            return kept
        if kept.too_many is not None and ROOM * rows * (2 * kept.length / length) > kept.too_many:
            return replace(kept, small=0)
        if kept.small + 1 < GROW_AFTER:
            return replace(kept, small=kept.small + 1)
        LOGGER.info("%s: %d small windows in a row: they get twice as long", request.stream, GROW_AFTER)
        return Sized(2 * kept.length, 0, kept.too_many)


def _split(kept: Sized, too_large: list[Window], parts: list[tuple[Request, int | None]]) -> Sized:
    """Return the length after a window that had to be cut; the rows of whatever was too large were too many."""
    counts = [_rows_within(window, parts) for window in too_large]
    return Sized(kept.length, 0, min((count for count in counts if count), default=kept.too_many))


def _rows_within(window: Window, parts: list[tuple[Request, int | None]]) -> int | None:
    """Return how many rows a window has, by its parts that ended; None where one of them failed."""
    rows = [count for request, count in parts if request.window and windows.overlap(request.window, window)]
    return None if None in rows else sum(n for n in rows if n)


def length_of(kept: Sized | None, longest: timedelta) -> timedelta:
    """Return how long windows are: what STATE keeps, at most what the configuration allows."""
    return min(kept.length, longest) if kept else longest
