"""Changes the tap from within its own process: ends it at a given line of its stdout, shortens its waits.

A pipe alone cannot do the first: the tap would be far ahead of whoever counts the lines at its other end.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from tap_exports.command import command
from tap_exports.engine.clock import SystemClock
from tap_exports.singer import tap
from tap_exports.singer.messages.output import Output
from tests.crash.points import Place, Strike, message_name

Write = Callable[[bytes | memoryview], None]


class Counting:
    """Stands before the function that writes lines.

    Args:
        write: That function.
        strike: At which line, and how.
    """

    def __init__(self, write: Write, strike: Strike) -> None:
        """Count from the start."""
        self._write, self._strike = write, strike
        self._seen: Counter[str] = Counter()

    def __call__(self, data: bytes | memoryview) -> None:
        """Write lines; the tap does not get beyond the one that it is to end at."""
        lines = bytes(data).splitlines(keepends=True)
        for number, line in enumerate(lines, 1):
            name = message_name(line)
            self._seen[name] += 1
            if (name, self._seen[name]) == (self._strike.place.what, self._strike.place.nth):
                self._end(b"".join(lines[:number]), b"".join(lines[number:]))
                return
        self._write(data)

    def _end(self, before: bytes, after: bytes) -> None:
        way = self._strike.way
        torn = after[: len(after.split(b"\n", 1)[0]) // 2]  # a line that the kill tore
        self._write(before + torn if way == "SIGKILL" else before)
        if way == "closed":
            close_stdout()
        else:
            os.kill(os.getpid(), signal.Signals[way])
        self._write(after)


def end_at(strike: Strike) -> None:
    """Have this process's tap end at a line."""
    write, counting = Output.write, Counting(lambda _: None, strike)

    def counted(output: Output, data: bytes) -> None:
        counting._write = partial(write, output)
        counting(data)

    Output.write = counted  # type: ignore[assignment, method-assign] # the one place that all messages pass


class FastClock(SystemClock):
    """A clock whose spans pass faster than real ones; its instants stay real.

    Args:
        speed: How many times.
    """

    def __init__(self, speed: float) -> None:
        """Keep the speed."""
        super().__init__()
        self._speed = speed

    def monotonic(self) -> float:
        """Return seconds of its own."""
        return super().monotonic() * self._speed

    def sleep(self, seconds: float) -> None:
        """Wait for seconds of its own."""
        super().sleep(seconds / self._speed)

    def wait(self, woken: threading.Event, seconds: float | None) -> None:
        """Wait until woken, or for seconds of its own."""
        super().wait(woken, None if seconds is None else seconds / self._speed)


def hasten(speed: float) -> None:
    """Have this process's tap wait shorter."""
    vars(tap)["SystemClock"] = lambda: FastClock(speed)


def hooked(strike: dict[str, Any] | None, speed: float) -> None:
    """Be the command, and end at a line or wait shorter."""
    if strike:
        end_at(Strike(Place(**strike["place"]), strike["way"]))
    if speed != 1:
        hasten(speed)
    command()


def close_stdout() -> None:
    """Have stdout lead to a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    os.dup2(writing, 1)
    os.close(writing)
