"""Digests of rows, and their ordinals among equal rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tap_exports.engine.model import Place, Row
from tap_exports.engine.place.digests import digests_of_records
from tap_exports.engine.place.seen import BITS, BYTES, Seen
from tap_exports.errors import StopError

MOST_COUNTS = 10_000
_ALL = (1 << BITS) - 1
_STEP = 0x9E3779B97F4A7C15  # odd: between the numbers of two copies of a row; 2^64 over the golden ratio


class Places:
    """Places of the rows of one window: call it for every row of the window once, in whatever order.

    Equal rows get the ordinals 1, 2, 3, …, so that their places are the same in every read of the window. Memory is
    bounded: digests beyond the first 340,000 are kept in a file.

    Args:
        scratch: Returns the path of a file that does not exist yet.
    """

    def __init__(self, scratch: Callable[[], Path]) -> None:
        """Start without a row."""
        self._seen, self._counts = Seen(scratch), dict[bytes, int]()

    def of_records(self, rows: Sequence[Row]) -> list[Place]:
        """Return the places of JSON records as they came from the provider; see `copies`."""
        digests = digests_of_records(rows)
        return [Place(digest.hex(), copy) for digest, copy in zip(digests, self.copies(digests), strict=True)]

    def copies(self, digests: Iterable[bytes]) -> list[int]:
        """Return for each digest how often it has come, this time included.

        Raises:
            StopError: The file of digests cannot be written.
        """
        add, first = self._seen.add, int.from_bytes
        try:
            return [1 if add(first(digest[:BYTES], "big")) else self._further(digest) for digest in digests]
        except OSError as error:
            raise StopError(f"`spool_dir` cannot be written: {error.strerror}; digests of rows wait there") from error

    def _further(self, digest: bytes) -> int:
        """Return the ordinal of a row that came before."""
        count = self._counts.pop(digest, None) or self._counted(digest)
        if len(self._counts) >= MOST_COUNTS:
            self._counts.clear()
        self._counts[digest] = count + 1
        self._seen.add(_number(digest, count + 1))
        return count + 1

    def _counted(self, digest: bytes) -> int:
        """Return how often a digest came before, at least once: all its numbers up to that one were added."""
        there, beyond = 1, 2
        while _number(digest, beyond) in self._seen:
            there, beyond = beyond, 2 * beyond
        while beyond - there > 1:
            middle = (there + beyond) // 2
            there, beyond = (middle, beyond) if _number(digest, middle) in self._seen else (there, middle)
        return there

    def close(self) -> None:
        """Remove the file of digests."""
        self._seen.close()


def _number(digest: bytes, copy: int) -> int:
    """Return what stands for a copy of a row in the set; that of the first one is the begin of its digest."""
    return (int.from_bytes(digest[:BYTES], "big") + (copy - 1) * _STEP) & _ALL
