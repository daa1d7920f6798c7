"""Find a Python that the embedded loader runs on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

VARIABLE = "LOADER_PYTHON"
VERSIONS = ((3, 12), (3, 11), (3, 10))
ASK = "import sys, venv, ensurepip; print(*sys.version_info[:2])"


class NoInterpreterError(Exception):
    """There is none; the message says what to do."""


def loader_python() -> str:
    """Return the path of an interpreter that duckdb 1.0.0 has wheels for.

    The one that runs this comes first, then those on PATH. The variable LOADER_PYTHON overrules both.

    Raises:
        NoInterpreterError: There is none.
    """
    given = os.environ.get(VARIABLE)
    names = [given] if given else [sys.executable, *(f"python{major}.{minor}" for major, minor in VERSIONS)]
    for name in names:
        path = shutil.which(name)
        if path and _version(path) in VERSIONS:
            return path
    where = f"{VARIABLE}={given} is none" if given else "there is none on PATH"
    msg = f"the embedded loader needs Python 3.10, 3.11 or 3.12 and {where}; set {VARIABLE}=/path/to/python3.12"
    raise NoInterpreterError(msg)


def _version(path: str) -> tuple[int, ...] | None:
    try:
        done = subprocess.run([path, "-c", ASK], check=True, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return tuple(map(int, done.stdout.split()))
