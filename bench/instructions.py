"""Counts the instructions of a program with valgrind: the same on an idle machine and on a busy one.

Valgrind runs a process about fifty times slower and one thread at a time, so that inputs are small, and two sizes of an
input tell what a row or a page costs apart from the start.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.process import BrokenRunError, complaint

_COUNTED = re.compile(rb"I\s+refs:\s+([\d,]+)")


def instructions(command: Sequence[str | Path]) -> int:
    """Return the instructions that a program executes from its start to its end; children do not count.

    Args:
        command: A binary with its arguments, or a Python script by its interpreter.

    Raises:
        BrokenRunError: valgrind is missing, or the program ended with another code than 0.
    """
    found = shutil.which("valgrind")
    if found is None:
        raise BrokenRunError("valgrind is missing: install your system's package, on Debian `apt-get install valgrind`")
    # Sets and dicts in the same order each time; writing bytecode would count in the first run only.
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryDirectory(prefix="bench-instructions-") as folder:
        log = Path(folder) / "log"
        counter = [found, "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={folder}/out"]
        done = subprocess.run(
            [*counter, f"--log-file={log}", *command],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
        )
        counted = _COUNTED.search(log.read_bytes())
    if done.returncode or counted is None:
        raise BrokenRunError(f"under valgrind: exit code {done.returncode}: {complaint(done.stderr)}")
    return int(counted[1].replace(b",", b""))
