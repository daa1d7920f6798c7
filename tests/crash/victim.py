"""The tap as a process that can be struck, and what a target would have taken from it."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import count
from pathlib import Path
from types import TracebackType

from tests.crash.points import Strike
from tests.process.child import Child
from tests.tap.harness import Ran

LIMIT_SECONDS = 300  # a run takes a second or two
READ_BYTES = 1 << 20
LOOK_SECONDS = 0.01
PAUSE_SECONDS = 0.05  # for a signal to be handled while its request waits


class Nursery:
    """Where taps come from, one at a time.

    Args:
        folder: For their files; exists.
    """

    def __init__(self, folder: Path) -> None:
        """Begin with none."""
        self.folder = folder
        self._numbers = count()
        self._last: Victim | None = None

    def __enter__(self) -> Nursery:  # noqa: PYI034 - typing.Self is not in Python 3.10
        """Return itself."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """End a tap that was given up."""
        if self._last:
            self._last.wait(0)

    def start(self, arguments: Sequence[str], strike: Strike | None = None, speed: float = 1) -> Victim:
        """Start a tap.

        Args:
            arguments: Of its command.
            strike: A line of its stdout at which it ends itself, or None.
            speed: How many times shorter its waits are.
        """
        stderr = self.folder / f"stderr-{next(self._numbers)}"
        with stderr.open("wb") as log:
            child = Child(
                arguments,
                stderr=log.fileno(),
                environment={"TMPDIR": str(self.folder), "XDG_STATE_HOME": str(self.folder / "state")},
                entry="tests.crash.hooked:hooked",
                given={"strike": asdict(strike) if strike else None, "speed": speed},
            )
        self._last = Victim(child, stderr)
        return self._last


class Victim:
    """One run of the tap.

    Args:
        child: Its process.
        stderr: Its log.
    """

    def __init__(self, child: Child, stderr: Path) -> None:
        """Read its stdout as a target does."""
        assert child.stdout is not None
        self._child, self._pipe, self._stderr = child, child.stdout, stderr
        os.set_blocking(self._pipe.fileno(), False)
        self._chunks: list[bytes] = []
        self._stopped, self._ended, self._closing, self._closed = (threading.Event() for _ in range(4))
        self._struck_at: float | None = None
        self._ended_at = 0.0
        self._threads = [threading.Thread(target=each) for each in (self._read, self._attend)]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._child.pid

    @property
    def has_ended(self) -> bool:
        """Return whether the process is gone."""
        return self._ended.is_set()

    def strike(self, way: str) -> bool:
        """End the tap, or have it end itself; return whether it is gone."""
        self._struck_at = time.monotonic()
        if way == "SIGKILL":
            self._signal(signal.SIGKILL)
            self._ended.wait(LIMIT_SECONDS)
            return True
        if way == "SIGTERM":
            self._signal(signal.SIGTERM)
            time.sleep(PAUSE_SECONDS)
        else:
            self._close()
        return False

    def wait(self, seconds: float = LIMIT_SECONDS) -> Ran:
        """Return what it left, once it has ended; only whole lines count.

        One that does not end in time is killed, and has the code `KILLED`.
        """
        if not self._ended.wait(seconds):
            self._signal(signal.SIGKILL)
        for thread in self._threads:
            thread.join()
        whole = b"".join(self._chunks).rpartition(b"\n")[0]
        return Ran(self._child.wait(), whole.splitlines(), self._stderr.read_text(encoding="utf-8"))

    @property
    def seconds_to_end(self) -> float:
        """Return the seconds that it took to end after it was struck from outside, 0 where it was not."""
        return 0.0 if self._struck_at is None else max(0.0, self._ended_at - self._struck_at)

    def _signal(self, number: signal.Signals) -> None:
        if not self._ended.is_set():
            os.kill(self.pid, number)

    def _close(self) -> None:
        """Close the pipe with nothing in it: what the tap wrote was taken, and what it writes next is not."""
        self._signal(signal.SIGSTOP)
        self._stopped.wait(LIMIT_SECONDS)
        self._closing.set()
        self._closed.wait(LIMIT_SECONDS)
        self._signal(signal.SIGCONT)

    def _attend(self) -> None:
        self._child.wait(on_stop=self._stopped.set)
        self._ended_at = time.monotonic()
        self._ended.set()
        self._stopped.set()

    def _read(self) -> None:
        while not self._done():
            select.select([self._pipe], [], [], LOOK_SECONDS)
        self._pipe.close()
        self._closed.set()

    def _done(self) -> bool:
        """Take what there is; tell whether no more will come."""
        over = self._ended.is_set() or self._closing.is_set()
        try:
            data = os.read(self._pipe.fileno(), READ_BYTES)
        except BlockingIOError:
            return over
        self._chunks.append(data)
        if not data and not over:
            time.sleep(LOOK_SECONDS)  # it was closed just now
        return over and not data
