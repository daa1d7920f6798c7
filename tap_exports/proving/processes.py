"""Starts what a history needs: this tap and its sandbox as forks of a process that has imported both, else a process.

A fork takes a tenth of the CPU that a start with its imports takes; hundreds of them make a proof.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import IO, NoReturn, Protocol, cast

MAINS = {"tap_exports": "tap_exports.__main__", "tap_exports.sandbox": "tap_exports.sandbox.__main__"}
IMPORTED = (
    *MAINS.values(),
    "tap_exports.command",
    "tap_exports.engine.archive",
    "tap_exports.providers.declared.streams",
    "tap_exports.sandbox.declared",
)
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(list(IMPORTED))
LOCK = threading.Lock()  # an exit code can be read once, and each start reads those of all children


class Running(Protocol):
    """A process that was started."""

    @property
    def stdout(self) -> IO[bytes]:
        """What it writes."""

    def poll(self) -> int | None:
        """Return its exit code if it has ended."""

    def kill(self) -> None:
        """Kill it."""

    def terminate(self) -> None:
        """Ask it to end."""

    def wait(self) -> int:
        """Return its exit code, negative for a signal, once it has ended."""


def start(command: Sequence[str], log: Path) -> Running:
    """Start a command; its stdout is a pipe.

    Args:
        command: The program and its arguments; `python -m` with one of `MAINS` is forked.
        log: Where its stderr goes.
    """
    if command[:2] == [sys.executable, "-m"] and command[2] in MAINS:
        return Fork(command[2], command[3:], log)
    with log.open("wb") as stderr:
        return cast("Running", subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr))  # noqa: S603 - of a reader that we chose


class Fork:
    """A fork.

    Args:
        module: One of `MAINS`.
        arguments: Of its command line.
        log: Where its stderr goes.

    Attributes:
        stdout: What it writes.
    """

    def __init__(self, module: str, arguments: Sequence[str], log: Path) -> None:
        """Start it."""
        reading, writing = FORKS.Pipe(duplex=False)
        with LOCK:
            self._process = FORKS.Process(target=become, args=(module, [*arguments], writing, log), daemon=True)
            self._process.start()
        writing.close()
        self.stdout: IO[bytes] = os.fdopen(os.dup(reading.fileno()), "rb")
        reading.close()

    def poll(self) -> int | None:
        """Return its exit code if it has ended."""
        with LOCK:
            return self._process.exitcode

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def wait(self) -> int:
        """Return its exit code, negative for a signal, once it has ended."""
        while (code := self.poll()) is None:
            wait([self._process.sentinel])
        return code


def become(module: str, arguments: Sequence[str], stdout: Connection, log: Path) -> NoReturn:
    """Be `python -m module`, in a fork.

    Args:
        module: One of `MAINS`.
        arguments: Of its command line.
        stdout: Where its stdout goes.
        log: Where its stderr goes.
    """
    threading.Thread(target=end_with_parent, daemon=True).start()
    os.dup2(stdout.fileno(), 1)
    stdout.close()
    with log.open("wb") as stderr:
        os.dup2(stderr.fileno(), 2)
    sys.argv = [f"{module}/__main__.py", *arguments]
    sys.exit(import_module(MAINS[module]).main())


def end_with_parent() -> None:
    """End this process once the one that asked for it has ended, however that was."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
