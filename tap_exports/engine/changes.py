"""Which bookmarks may have changed, so that a change costs the same among a thousand streams as among ten."""

from __future__ import annotations


class Changes:
    """Tells everyone who keeps a copy of STATE, or text made from it, which streams to look at again."""

    def __init__(self) -> None:
        """Start with nobody to tell."""
        self._readers: list[set[str]] = []

    def reader(self) -> set[str]:
        """Return a new set that gets the name of every stream whose bookmark changes; its owner empties it."""
        made: set[str] = set()
        self._readers.append(made)
        return made

    def add(self, stream: str) -> None:
        """Note that the bookmark of a stream is about to change, or did."""
        for reader in self._readers:
            reader.add(stream)
