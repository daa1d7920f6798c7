"""How far a stream is proven: the bookmark, and the windows that are proven beyond a gap."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from tap_exports.engine import windows
from tap_exports.engine.clock import to_text
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Window


@dataclass(slots=True)
class Frontier:
    """The bookmark of a stream of windows, and what is proven beyond it.

    Attributes:
        state: Bookmark and ledger; changed by `settle` and `prove` only.
        key: The bookmark's name.
        start: Where the first window begins without a bookmark; None for an open beginning.
        at: Up to where everything is proven, or not asked for.
        beyond: Windows that are proven beyond that, merged, in ascending order.
        has_moved: Whether anything is proven that the bookmark of the last run did not cover.
    """

    state: StreamState
    key: str
    start: datetime | None
    at: datetime | None = field(init=False)
    beyond: list[Window] = field(init=False)
    has_moved: bool = field(init=False)

    def __post_init__(self) -> None:
        """Read the state; nothing in it is changed."""
        begin = self.state.instant or (windows.floor_millisecond(self.start) if self.start else None)
        self.at, self.beyond = windows.joined(begin, self.state.proven)
        self.has_moved = self.at != begin

    @property
    def bookmark(self) -> datetime | None:
        """Return up to where everything is proven, or None if nothing is."""
        return self.at if self.has_moved else self.state.instant

    def settle(self) -> None:
        """Write a bookmark that moves because `start` does: what is proven begins there."""
        if self.has_moved:
            self._write()
            self.state.keep_again(None)

    def prove(self, window: Window) -> None:
        """Record a window whose rows are all written; the bookmark jumps over what is proven if the gap is closed."""
        if cuts := self.state.kept_cuts:
            self.state.keep_cuts(windows.apart(cuts, [window]))
        before = self.at
        if before and window.end <= before:
            self.state.keep_again(_with(self.state.again, window))
        self.at, self.beyond = windows.joined(self.at, [*self.beyond, window])
        self.has_moved = self.has_moved or self.at != before
        if self.at != before or window.end == self.at:
            self._write()
        else:
            self.state.keep_proven(self.beyond)
        if self.at != before:
            self.state.keep_again(None)

    def _write(self) -> None:
        if self.at:
            self.state.advance(self.key, to_text(self.at))
        self.state.keep_proven(self.beyond)


def _with(known: Window | None, window: Window) -> Window:
    """Return a range with a window that touches it; the window alone where it does not."""
    if known is None or window.start is None or known.start is None:
        return window
    touches = window.start <= known.end and known.start <= window.end
    return Window(min(known.start, window.start), max(known.end, window.end)) if touches else window
