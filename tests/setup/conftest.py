from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import pytest

PIPS = Path(__file__).with_name("pips")


@pytest.fixture(scope="session")
def pip(request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """Return a function that gives the folder of an unpacked pip by its pins file's name: `pip("23.0.1")`.

    The pinned wheel comes from the registry that this machine is configured for, and is kept in pytest's cache.
    """
    kept = request.config.cache.mkdir("pips")

    def unpacked(name: str) -> Path:
        pins = PIPS / f"{name}.txt"
        folder = kept / pins.read_text(encoding="utf-8").split()[0]
        if not folder.exists():
            _unpack(pins, folder)
        return folder

    return unpacked


def _unpack(pins: Path, folder: Path) -> None:
    with TemporaryDirectory(dir=folder.parent) as temporary:
        home = Path(temporary)
        options = ("--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", str(home))
        download = (_with_pip(home), "-m", "pip", "download", *options, "-r", str(pins))
        subprocess.run(download, check=True, timeout=100)
        with ZipFile(next(home.glob("pip-*.whl"))) as wheel:
            wheel.extractall(home / "pip")
        try:
            (home / "pip").rename(folder)
        except OSError:
            if not folder.exists():  # else another worker was faster
                raise


def _with_pip(folder: Path) -> str:
    """Return an interpreter that has a pip: an environment made by uv has none."""
    if find_spec("pip"):
        return sys.executable
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, timeout=100)
    return str(folder / "venv" / "bin" / "python")
