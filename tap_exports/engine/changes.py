"""Tracks which bookmarks may have changed, so that the cost of a change does not grow with the number of streams."""

from __future__ import annotations


class Changes:
    """Records changed streams for every reader that caches STATE or text made from it."""

    def __init__(self) -> None:
        """Start without readers."""
        self._readers: list[set[str]] = []

    def reader(self) -> set[str]:
        """Return a new set to which the name of every changed stream is added; the caller clears it."""
        made: set[str] = set()
        self._readers.append(made)
        return made

    def add(self, stream: str) -> None:
        """Record that the bookmark of a stream changed or is about to change."""
        for reader in self._readers:
            reader.add(stream)
