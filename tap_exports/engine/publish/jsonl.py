"""Parts of JSON Lines, plain or as gzip."""

from __future__ import annotations

import gzip
from contextlib import suppress

from tap_exports.engine.publish.storage import Storage

# Of the levels of zlib the one beyond which a part shrinks little and the tap, not the target, would be waited for.
LEVEL = 4


class JsonLinesPart:
    """A part that grows by whole lines.

    Args:
        storage: Where it goes.
        name: What its name begins with.
        compression: `gzip` or `none`.
    """

    def __init__(self, storage: Storage, name: str, compression: str = "gzip") -> None:
        """Create the draft."""
        zipped = compression == "gzip"
        self.rows = 0
        self._draft = storage.draft(name, ".jsonl.gz" if zipped else ".jsonl")
        # Neither name nor time in the header: equal rows give equal bytes.
        self._zip = gzip.GzipFile("", "wb", LEVEL, self._draft, mtime=0) if zipped else None

    def add(self, lines: bytes | memoryview, rows: int) -> None:
        """Append lines.

        Raises:
            StopError: The storage refuses.
        """
        (self._zip or self._draft).write(lines)
        self.rows += rows

    def publish(self) -> str:
        """Give the part its name and return its URL.

        Raises:
            StopError: The storage refuses.
        """
        if self._zip:
            self._zip.close()
        return self._draft.publish()

    def discard(self) -> None:
        """Remove what was written; never fails."""
        self._draft.discard()
        if self._zip:
            with suppress(Exception):
                self._zip.close()
