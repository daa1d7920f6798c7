"""Child processes that end with their block, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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


def call(command: Sequence[str | Path], log: Path, *, cwd: Path | None = None, env: Mapping[str, str]) -> None:
    """Run a command to its end; its output goes to a log.

    Raises:
        FailedError: Its exit code is not 0.
    """
    with (
        log.open("w", encoding="utf-8") as file,
        running(command, cwd=cwd, env=env, stdout=file, stderr=subprocess.STDOUT) as process,
    ):
        code = process.wait()
    if code:
        last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
        msg = f"exit code {code}: {' '.join(map(str, command))}\n{log} ends with:\n" + "\n".join(last)
        raise FailedError(msg)
