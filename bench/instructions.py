"""Counts the instructions of a program with valgrind: the same on an idle machine and on a busy one.

Valgrind runs a process about fifty times slower and one thread at a time, so that inputs are small, and two sizes of an
input tell what a row or a page costs apart from the start.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.process import BrokenRunError, complaint

_COUNTED = re.compile(rb"I\s+refs:\s+([\d,]+)")


def instructions(command: Sequence[str | Path], until: bytes | None = None) -> int:
    """Return the instructions that a program executes from its start to its end; children do not count.

    Args:
        command: A binary with its arguments, or a Python script by its interpreter.
        until: What ends the program, and the count, once it stands on its standard output. The signal takes effect
            within 100,000 blocks of instructions: two counts of 2,100 million differed by 3 million.

    Raises:
        BrokenRunError: valgrind is missing, or the program ended with another code than 0, or without `until`.
    """
    found = shutil.which("valgrind")
    if found is None:
        raise BrokenRunError("valgrind is missing: install your system's package, on Debian `apt-get install valgrind`")
    # Sets and dicts in the same order each time; writing bytecode would count in the first run only.
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryDirectory(prefix="bench-instructions-") as folder, tempfile.TemporaryFile() as said:
        log = Path(folder) / "log"
        counter = [found, "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={folder}/out"]
        with subprocess.Popen(
            [*counter, f"--log-file={log}", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            env=environment,
        ) as process:
            expected = _drained(process, until)
        counted = _COUNTED.search(log.read_bytes())
        said.seek(0)
        if process.returncode != expected or counted is None:
            raise BrokenRunError(f"under valgrind: exit code {process.returncode}: {complaint(said.read())}")
    return int(counted[1].replace(b",", b""))


def _drained(process: subprocess.Popen[bytes], until: bytes | None) -> int:
    """Read all output and return the exit code to expect; valgrind counts up to a signal that its program lets pass."""
    end, expected = b"", 0 if until is None else -signal.SIGUSR1
    while process.stdout and (part := os.read(process.stdout.fileno(), 1 << 16)):
        if until and until in end + part:
            process.send_signal(signal.SIGUSR1)
            until = None
        end = (end + part)[-64:]
    return expected
