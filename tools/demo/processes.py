"""Child processes that end with their block, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

GRACE_SECONDS = 10


class FailedError(Exception):
    """A command failed; the message names it, its log and the log's last lines."""


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdout: int | IO[str] | None = None,
    stderr: int | IO[str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Run a command in a process group of its own and end that group with the block."""
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        end(process)
        if process.stdout:
            process.stdout.close()


def end(process: subprocess.Popen[str]) -> None:
    """End the process group of a child that was started here; first politely."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
            return


@dataclass(frozen=True, slots=True)
class Call:
    """A command that runs to its end, and the log of its output."""

    command: Sequence[str | Path]
    log: Path
    env: Mapping[str, str]
    cwd: Path | None = None

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """Run it for as long as the block runs."""
        with (
            self.log.open("w", encoding="utf-8") as file,
            running(self.command, cwd=self.cwd, env=self.env, stdout=file, stderr=subprocess.STDOUT) as process,
        ):
            yield process

    def check(self, code: int) -> None:
        """Check its exit code.

        Raises:
            FailedError: The exit code is not 0.
        """
        if code:
            last = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
            words = " ".join(map(str, self.command))
            msg = f"exit code {code}: {words}\n{self.log} ends with:\n" + "\n".join(last)
            raise FailedError(msg)


def run(*calls: Call) -> None:
    """Run commands side by side and wait for all; the first that fails ends the others.

    Raises:
        FailedError: An exit code is not 0.
    """
    with ExitStack() as stack:
        for call, process in [(call, stack.enter_context(call.running())) for call in calls]:
            call.check(process.wait())
