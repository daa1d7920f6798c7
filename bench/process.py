"""Runs a program to its end and measures it: wall time, CPU time, peak of memory, lines on stdout.

The parent has to stay small: Linux counts what a process held before its `exec`, the parent's own pages, into its peak.
"""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = 1 << 20
OWN_MB = 50
KEPT = 1 << 16  # bytes that are kept of the beginning and of the end, to look at values
_RECORD = b'"RECORD"'


class BrokenRunError(Exception):
    """A program that is measured failed; the message holds the end of what it said."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run took.

    Attributes:
        wall: Seconds from its start to its end.
        cpu: Seconds of CPU, of the process and of children that it waited for.
        peak_mb: Greatest resident memory.
        first: Seconds to the first RECORD on stdout; None without one.
        lines: Lines on stdout.
        size: Bytes on stdout.
        head: The first lines.
        tail: The last lines.
    """

    wall: float
    cpu: float
    peak_mb: float
    first: float | None
    lines: int
    size: int
    head: list[bytes] = field(repr=False)
    tail: list[bytes] = field(repr=False)


class Reader:
    """Reads a pipe as fast as one thread can, and keeps its two ends."""

    def __init__(self, began: float) -> None:
        """Start with nothing read."""
        self.began = began
        self.first: float | None = None
        self.lines = self.size = 0
        self.head = b""
        self._buffer = bytearray(BLOCK)
        self._ends: deque[bytes] = deque()
        self._kept = 0

    def drain(self, descriptor: int) -> None:
        """Read to the end."""
        view = memoryview(self._buffer)
        while size := os.readv(descriptor, [view]):
            self.lines += self._buffer.count(b"\n", 0, size)
            self.size += size
            self._keep(view[:size])

    def _keep(self, part: memoryview) -> None:
        if self.first is None:
            self.head += bytes(part[:KEPT])
            if _RECORD in self.head:
                self.first = time.monotonic() - self.began
        elif len(self.head) < KEPT:
            self.head += bytes(part[:KEPT])
        self._ends.append(bytes(part[-KEPT:]))
        self._kept += len(self._ends[-1])
        while self._kept - len(self._ends[0]) >= KEPT:
            self._kept -= len(self._ends.popleft())

    @property
    def tail(self) -> bytes:
        """Return the end of what was read."""
        return b"".join(self._ends)[-KEPT:]


def run(command: Sequence[str | Path]) -> Ran:
    """Run a program and drain its output.

    Raises:
        BrokenRunError: It ended with another code than 0.
    """
    stay_small()
    began = time.monotonic()
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        reader = Reader(began)
        try:
            if process.stdout:
                reader.drain(process.stdout.fileno())
        except BaseException:
            process.kill()
            raise
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            raise BrokenRunError(f"exit code {process.returncode}: {complaint(log.read())}")
    return _ran(reader, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def stay_small() -> None:
    """Refuse to measure once this process itself could be what a peak shows.

    Raises:
        BrokenRunError: It has grown.
    """
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if own > OWN_MB:
        raise BrokenRunError(
            f"the benchmark itself holds {own:.0f} MB, which would count as the peak of what it starts"
        )


def complaint(log: bytes) -> str:
    """Return the line of a log that says what went wrong: the first error, else the last that is no information."""
    lines = log.decode(errors="replace").strip().splitlines() or ["no message"]
    telling = [line for line in lines if "| INFO" not in line] or lines
    return next((line for line in lines if "| ERROR" in line), telling[-1])


def states(command: Sequence[str | Path]) -> list[int]:
    """Run a program and return the bytes of each STATE that it wrote; not for timing.

    Raises:
        BrokenRunError: It ended with another code than 0.
    """
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        found = [len(line) for line in process.stdout or () if line.startswith(b'{"type":"STATE"')]
        if process.wait():
            log.seek(0)
            raise BrokenRunError(complaint(log.read()))
    return found


def pipe(source: Sequence[str | Path], target: Sequence[str | Path]) -> tuple[Ran, Ran]:
    """Run `source | target` and return what each of them took.

    Raises:
        BrokenRunError: One of them ended with another code than 0.
    """
    stay_small()
    began = time.monotonic()
    with tempfile.TemporaryFile() as log:
        first = subprocess.Popen(source, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        second = subprocess.Popen(target, stdin=first.stdout, stdout=subprocess.DEVNULL, stderr=log)
        if first.stdout:
            first.stdout.close()
        found = _ended(first, began), _ended(second, began)
        if first.returncode or second.returncode:
            log.seek(0)
            raise BrokenRunError(f"exit codes {first.returncode} and {second.returncode}: {complaint(log.read())}")
    return found


def _ended(process: subprocess.Popen[bytes], began: float) -> Ran:
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return _ran(Reader(began), time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _ran(reader: Reader, wall: float, cpu: float, peak_mb: float) -> Ran:
    head, tail = reader.head.split(b"\n"), reader.tail.split(b"\n")
    # The last of the beginning and the first of the end may be parts of lines.
    return Ran(wall, cpu, peak_mb, reader.first, reader.lines, reader.size, head[:-1], tail[1:-1])
