"""Parts in JSON Lines, uncompressed or as gzip."""

from __future__ import annotations

from contextlib import suppress

from isal import igzip

from tap_exports.engine.publish.storage import Draft, Storage

LEVEL = (
    2  # of ISA-L: a sixth of the CPU of zlib's level 4 for parts that are 9 % larger (docs/decisions/0008-executor.md)
)
PIECE_BYTES = 1 << 18  # handed to ISA-L at once: what it makes of bytes depends on the pieces in which they come


class JsonLinesPart:
    """A part to which whole lines are appended.

    Args:
        storage: Storage of the part.
        name: Prefix of its name.
        compression: `gzip` or `none`.
    """

    def __init__(self, storage: Storage, name: str, compression: str = "gzip") -> None:
        """Create the draft."""
        zipped = compression == "gzip"
        self.rows = 0
        self._draft = storage.draft(name, ".jsonl.gz" if zipped else ".jsonl")
        # Neither name nor time in the header, and pieces of one size: equal rows give equal bytes.
        self._zip = _zipped(self._draft) if zipped else None
        self._piece = bytearray()

    def add(self, lines: bytes | memoryview, rows: int) -> None:
        """Append lines.

        Raises:
            StopError: The storage cannot be written.
        """
        self.rows += rows
        if not self._zip:
            self._draft.write(lines)
            return
        rest = memoryview(lines)
        while rest:
            taken = rest[: PIECE_BYTES - len(self._piece)]
            self._piece += taken
            rest = rest[len(taken) :]
            if len(self._piece) == PIECE_BYTES:
                self._zip_piece()

    def _zip_piece(self) -> None:
        if self._zip and self._piece:
            self._zip.write(bytes(self._piece))  # type: ignore[no-untyped-call] # as `_zipped`
        self._piece.clear()

    def finish(self) -> None:
        """Do nothing: lines are compressed as they are added."""

    def publish(self) -> str:
        """Complete the part under its final name and return its URL.

        Raises:
            StopError: The storage cannot be written.
        """
        if self._zip:
            self._zip_piece()
            self._zip.close()
        return self._draft.publish()

    def discard(self) -> None:
        """Remove what was written; never fails."""
        self._draft.discard()
        if self._zip:
            with suppress(Exception):
                self._zip.close()


def _zipped(draft: Draft) -> igzip.IGzipFile:
    return igzip.IGzipFile("", "wb", LEVEL, draft, mtime=0)  # type: ignore[no-untyped-call] # its stub lacks the types
