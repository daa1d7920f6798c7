"""Bookmarks at providers whose instants are whole seconds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tap_exports.engine.changes import Changes
from tap_exports.engine.ledger import StreamState


class WholeSeconds(StreamState):
    """The state of a stream at a provider that cuts instants to whole seconds.

    What is created late in a second counts as created at its start, which a bookmark within that second has passed
    already. Unless windows end a second before now (`settling_seconds`), the next one begins with that second again.

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
        """Return the bookmark as the last instant that need not be read again, or None.

        Raises:
            StateError: The value is not ISO 8601.
        """
        proven = super().instant
        if proven is None or not self._overlaps:
            return proven
        return proven.replace(microsecond=0)
