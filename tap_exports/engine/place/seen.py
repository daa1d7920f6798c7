"""A set of 64-bit numbers of any size in constant memory: a table in memory at first, then one in a file.

docs/decisions/0009-place-of-a-row.md compares what it costs with the alternatives.
"""

from __future__ import annotations

import errno
import os
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

BITS = 64
FIRST_BITS = 12  # of the number of places in the first table
MEMORY_BITS = 19  # of the largest table in memory: 4 MiB
FULL = 0.65  # share of the places taken at which a table grows
BYTES = 8  # of a number
PLACES = 64  # in a bucket of the file, which is read and written at once
BUCKET = PLACES * BYTES
_NOTHING = bytes(BYTES)


class Seen:
    """The numbers that were added; safe for one thread.

    Args:
        scratch: Returns the path of a file that does not exist yet; called once the numbers outgrow the memory.
    """

    def __init__(self, scratch: Callable[[], Path]) -> None:
        """Start empty, without a file."""
        self._scratch = scratch
        self._table: Memory | Buckets = Memory(FIRST_BITS)

    def add(self, number: int) -> bool:
        """Add a number from 0 to 2^64-1; return whether it was not there.

        Raises:
            OSError: The file cannot be written.
        """
        if self._table.is_full:
            self._grow()
        return self._table.add(number or 1)  # 0 is an empty place

    def __contains__(self, number: int) -> bool:
        """Return whether a number was added."""
        return self._table.has(number or 1)

    def close(self) -> None:
        """Remove the file, if there is one."""
        self._table.close()

    def _grow(self) -> None:
        old, bits = self._table, self._table.bits + 1
        self._table = Memory(bits) if bits <= MEMORY_BITS else Buckets(self._scratch(), bits)
        self._table.fill(old.numbers())
        old.close()


class Memory:
    """A hash table with open addressing; the first bits of a number say where it is, or behind which others."""

    def __init__(self, bits: int) -> None:
        """Make an empty table of 2^bits places."""
        self.bits = bits
        self._places, self._room = array("Q", [0]) * (1 << bits), int(FULL * (1 << bits))

    @property
    def is_full(self) -> bool:
        """Return whether the table must grow before the next number."""
        return self._room <= 0

    def _find(self, number: int) -> int:
        """Return the place of a number, or the empty place where it belongs."""
        places, at, last = self._places, number >> (BITS - self.bits), len(self._places) - 1
        while (there := places[at]) and there != number:
            at = (at + 1) & last
        return at

    def has(self, number: int) -> bool:
        """Return whether a number is there."""
        return bool(self._places[self._find(number)])

    def add(self, number: int) -> bool:
        """Add a number; return whether it was not there."""
        at = self._find(number)
        if self._places[at]:
            return False
        self._places[at] = number
        self._room -= 1
        return True

    def numbers(self) -> Iterator[int]:
        """Yield all numbers, nearly sorted."""
        shift, wrapped = BITS - self.bits, list[int]()
        for at, number in enumerate(self._places):
            if number >> shift > at:
                wrapped.append(number)
            elif number:
                yield number
        yield from wrapped

    def fill(self, numbers: Iterable[int]) -> None:
        """Add numbers that are not there."""
        for number in numbers:
            self.add(number)

    def close(self) -> None:
        """Do nothing."""


class Buckets:
    """A hash table in a file: the first bits of a number say in which bucket it is, or behind which full ones.

    Args:
        path: The file, which must not exist.
        bits: The table has 2^bits places.
    """

    def __init__(self, path: Path, bits: int) -> None:
        """Make an empty table."""
        self.bits, self._path = bits, path
        self._count, self._shift = (1 << bits) // PLACES, BITS - bits + PLACES.bit_length() - 1
        self._room = int(FULL * (1 << bits))
        self._file = path.open("x+b", buffering=0)
        self._number = self._file.fileno()
        self._file.truncate(self._count * BUCKET)

    @property
    def is_full(self) -> bool:
        """Return whether the table must grow before the next number."""
        return self._room <= 0

    def _read(self, bucket: int) -> bytes:
        if sys.platform != "win32":
            return os.pread(self._number, BUCKET, bucket * BUCKET)
        self._file.seek(bucket * BUCKET)
        return self._file.read(BUCKET)

    def _find(self, number: int) -> tuple[int, bool]:
        """Return where in the file a number is, or the empty place where it belongs, and whether it is there."""
        key, bucket = number.to_bytes(BYTES, sys.byteorder), number >> self._shift
        while True:
            data = self._read(bucket)
            if (at := _place(data, key)) >= 0:
                return bucket * BUCKET + at, True
            if (at := _place(data, _NOTHING)) >= 0:
                return bucket * BUCKET + at, False
            bucket = (bucket + 1) % self._count

    def has(self, number: int) -> bool:
        """Return whether a number is there."""
        return self._find(number)[1]

    def add(self, number: int) -> bool:
        """Add a number; return whether it was not there."""
        at, is_there = self._find(number)
        if not is_there:
            self._write(at, number.to_bytes(BYTES, sys.byteorder))
        return not is_there

    def _write(self, at: int, data: bytes) -> None:
        if sys.platform != "win32":
            written = os.pwrite(self._number, data, at)
        else:
            self._file.seek(at)
            written = self._file.write(data)
        if written != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._room -= len(data) // BYTES

    def numbers(self) -> Iterator[int]:
        """Yield all numbers, nearly sorted."""
        wrapped = list[int]()
        for bucket in range(self._count):
            for number in sorted(filter(None, array("Q", self._read(bucket)))):
                if number >> self._shift > bucket:
                    wrapped.append(number)
                else:
                    yield number
        yield from wrapped

    def fill(self, numbers: Iterable[int]) -> None:
        """Add numbers that are not there to an empty table, whole buckets at once where they come sorted."""
        bucket, held, others = 0, array("Q"), list[int]()
        for number in numbers:
            home = number >> self._shift
            if home > bucket:
                self._write(bucket * BUCKET, held.tobytes())
                bucket, held = home, array("Q")
            if home == bucket and len(held) < PLACES:
                held.append(number)
            else:
                others.append(number)
        self._write(bucket * BUCKET, held.tobytes())
        for number in others:
            self.add(number)

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def _place(data: bytes, key: bytes) -> int:
    """Return where a place of a bucket holds some bytes, or -1."""
    at = data.find(key)
    while at % BYTES and at > 0:
        at = data.find(key, at + 1)
    return at
