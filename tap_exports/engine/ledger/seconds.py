"""Bookmarks for providers that truncate instants to whole seconds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tap_exports.engine.changes import Changes
from tap_exports.engine.clock import MILLISECOND
from tap_exports.engine.ledger import StreamState


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
        return (proven + MILLISECOND).replace(microsecond=0) - MILLISECOND
