"""Starts processes by way of one that has imported the tap already; they are used as those of `subprocess`."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import IO, Any

PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL
COMMAND = "tap_exports.command:command"
KILLED = -signal.SIGKILL
STARTED = "tests.process.child.Child"  # the audit event
ROOT = Path(__file__).resolve().parents[2]


class Zygote:
    """The process that forks the others; it ends with the one that started it."""

    def __init__(self) -> None:
        """Start it, in a session of its own: an interrupt at the keyboard reaches neither it nor its children."""
        self._orders, theirs = socket.socketpair()
        with theirs:
            stdin = theirs.fileno()
            command = [sys.executable, "-m", "tests.process.zygote"]
            self._process = subprocess.Popen(command, stdin=stdin, stdout=DEVNULL, cwd=ROOT, start_new_session=True)
        atexit.register(self._end)

    def fork(self, order: Mapping[str, Any], stdout: int, stderr: int) -> socket.socket:
        """Have it fork a child that writes to two files; return the line that tells of the child."""
        mine, theirs = socket.socketpair()
        mine.sendall(json.dumps(order).encode() + b"\n")
        with theirs, Path(os.devnull).open("rb") as stdin:
            socket.send_fds(self._orders, [b"\0"], [stdin.fileno(), stdout, stderr, theirs.fileno()])
        return mine

    def _end(self) -> None:
        self._orders.close()
        self._process.wait()


zygote = cache(Zygote)


class Child:
    """A forked process.

    Args:
        arguments: Of its command line.
        stdout: `PIPE`, `DEVNULL` or a file descriptor.
        stderr: As `stdout`.
        environment: What is added to the environment.
        folder: Its working directory.
        entry: The function that it runs, `module:function`.
        given: The function's arguments by name.

    Attributes:
        pid: Its process id.
        stdout: What it writes, where that is a pipe.
        stderr: As `stdout`.
        returncode: Its exit code, negative for a signal; None while its end was not waited for.
    """

    def __init__(  # noqa: PLR0913 - as `subprocess.Popen`
        self,
        arguments: Sequence[str],
        *,
        stdout: int = PIPE,
        stderr: int = PIPE,
        environment: Mapping[str, str] | None = None,
        folder: Path = ROOT,
        entry: str = COMMAND,
        given: Mapping[str, Any] | None = None,
    ) -> None:
        """Start it."""
        sys.audit(STARTED, self)
        order = {"arguments": [*arguments], "folder": str(folder), "entry": entry, "given": given or {}}
        order["environment"] = {**os.environ, **(environment or {})}
        (self.stdout, out), (self.stderr, err) = _end(stdout), _end(stderr)
        self._line = zygote().fork(order, out, err)
        for theirs, given_file in ((out, stdout), (err, stderr)):
            if theirs != given_file:
                os.close(theirs)
        self._news = self._line.makefile("rb", buffering=0)
        self.returncode: int | None = None
        self.pid = int(self._hear())

    def poll(self) -> int | None:
        """Return its exit code if it has ended."""
        while self.returncode is None and select.select([self._line], [], [], 0)[0]:
            self._heed(self._hear(), int)
        return self.returncode

    def wait(self, timeout: float | None = None, on_stop: Callable[[], object] = int) -> int:
        """Return its exit code, once it has ended.

        Args:
            timeout: In seconds.
            on_stop: Is called whenever it was stopped.

        Raises:
            TimeoutExpired: It has not, after this many seconds.
        """
        while self.returncode is None:
            if not select.select([self._line], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            self._heed(self._hear(), on_stop)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """Return the rest of its stdout and stderr, once it has ended; it is killed if it does not in time.

        Raises:
            TimeoutExpired: It did not.
        """
        with ThreadPoolExecutor(2) as readers:
            out, err = (readers.submit(_rest, each) for each in (self.stdout, self.stderr))
            try:
                self.wait(timeout)
            finally:
                self.kill()
            return out.result(), err.result()

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        self.send_signal(signal.SIGKILL)

    def _hear(self) -> str:
        """Return the next news: its process id, `stopped` whenever it stops, at last its exit code."""
        return self._news.readline().strip().decode() or str(KILLED)

    def _heed(self, news: str, on_stop: Callable[[], object]) -> None:
        if news == "stopped":
            on_stop()
            return
        self.returncode = int(news)
        self._news.close()
        self._line.close()


def _end(wanted: int) -> tuple[IO[bytes] | None, int]:
    """Return this side's end of what a child writes to, if that is a pipe, and the child's."""
    if wanted == PIPE:
        reading, writing = os.pipe()
        return os.fdopen(reading, "rb"), writing
    return None, os.open(os.devnull, os.O_WRONLY) if wanted == DEVNULL else wanted


def _rest(pipe: IO[bytes] | None) -> bytes:
    if pipe is None:
        return b""
    with pipe:
        return pipe.read()
