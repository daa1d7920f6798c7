"""Bookmarks for providers that truncate instants to whole seconds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tap_exports.engine.changes import Changes
from tap_exports.engine.clock import MILLISECOND
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Window


class WholeSeconds(StreamState):
    """The state of a stream at a provider that truncates instants to whole seconds.

    A record created late in a second is dated at its start, which a bookmark within that second has already passed.
    Unless windows end at least a second before now (`settling_seconds`), the next window must read that second again.

    Args:
        stream: As in `StreamState`.
        bookmark: As in `StreamState`.
        changes: As in `StreamState`.
        overlaps: Whether the second of the bookmark is read again.
    """

    def __init__(self, stream: str, bookmark: dict[str, Any], changes: Changes, *, overlaps: bool) -> None:
        """Check the dict; nothing in it is changed."""
        super().__init__(stream, bookmark, changes)
        self._overlaps = overlaps

    @property
    def instant(self) -> datetime | None:
        """Return the last instant that need not be read again, or None without a bookmark.

        Raises:
            StateError: The value is not ISO 8601.
        """
        proven = super().instant
        if proven is None or not self._overlaps:
            return proven
        return _before_last_second(proven)

    @property
    def proven(self) -> list[Window]:
        """Return the windows that were proven beyond the bookmark, less a last second that must be read again."""
        ranges = super().proven
        if not self._overlaps:
            return ranges
        whole = [Window(w.start, _before_last_second(w.end)) for w in ranges]
        return [w for w in whole if w.start is None or w.start < w.end]


def _before_last_second(instant: datetime) -> datetime:
    """Return the last millisecond before the second of an instant, which must be read again."""
    return (instant + MILLISECOND).replace(microsecond=0) - MILLISECOND
