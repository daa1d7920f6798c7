"""A checkout with stand-ins of the pins, and the commands that users run in it."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import distributions
from pathlib import Path

from tests.setup import pins
from tests.setup.pins import Pin
from tests.setup.wheels import Wheel

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("Makefile", "pyproject.toml", "README.md", "requirements", "tools")
PINS_FILES = sorted(
    path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("requirements/*.txt"), *ROOT.glob("tools/**/*.txt"))
)
"""Every pins file of the repository, but for those of this folder."""
# Nothing else of the caller's settings reaches a command: neither pip's and uv's, nor make's, Python's and proxies'.
KEPT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR")
PROJECT = "tap-exports"
BACKEND = """
import base64, pathlib

def build_editable(folder, *_settings):
    pathlib.Path(folder, {name!r}).write_bytes(base64.b64decode({content!r}))
    return {name!r}

build_wheel = build_editable
"""


@dataclass(frozen=True, slots=True)
class Tree:
    """A copy of what set-up reads, whose pins are stand-ins.

    Attributes:
        root: Where the copy is.
        stand_ins: Pins and their wheels, by pins file.
    """

    root: Path
    stand_ins: Mapping[str, Mapping[Pin, Wheel]]

    @classmethod
    def make(cls, root: Path, lists: Mapping[str, list[Pin]]) -> Tree:
        """Copy the repository's files and write pins files with the given pins, whose wheels are made."""
        stand_ins = {}
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, root / name)
        for name, listed in lists.items():
            stand_ins[name] = with_backend(pins.pinned(listed), project(listed))
            (root / name).write_text(pins.written(stand_ins[name]), encoding="utf-8")
        return cls(root, stand_ins)

    def wheels(self) -> Iterable[Wheel]:
        """Return all wheels that an index serves: those of the pins, and what came later."""
        for each in self.stand_ins.values():
            yield from each.values()
            yield from pins.later(list(each))

    def expected(self, name: str) -> dict[str, str]:
        """Return names and versions that a pins file installs here."""
        return {pin.name: pin.version for pin in self.stand_ins[name] if pin.applies}

    def files(self, name: str) -> set[str]:
        """Return the file names of the wheels that a pins file installs here."""
        return {wheel.filename for pin, wheel in self.stand_ins[name].items() if pin.applies}

    def run(self, *command: str, url: str, pip: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command as on a machine whose pip and uv know one index and nothing else.

        Args:
            command: The command and its arguments.
            url: Root of the index' simple API.
            pip: Folder of the pip to use; None for the one that the environment brings.
        """
        return subprocess.run(
            command,
            cwd=self.root,
            env=environment(self.root, url, pip),
            check=False,
            capture_output=True,
            text=True,
            timeout=100,
        )


def environment(home: Path, url: str, pip: Path | None) -> dict[str, str]:
    """Return the environment of a command that reaches one index."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    chosen = {"PYTHONPATH": str(pip)} if pip else {}
    return {
        **kept,
        **chosen,
        "HOME": str(home),
        "INSTALLER": "pip",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": url,
        "PIP_NO_CACHE_DIR": "1",
        "PIP_RETRIES": "0",
        "UV_DEFAULT_INDEX": url,
        "UV_NO_CACHE": "1",
        "UV_NO_CONFIG": "1",
    }


def installed(python: Path) -> dict[str, str]:
    """Return names and versions of what an environment holds, but for its installer and the project."""
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([python, "-I", "-c", ask], check=True, capture_output=True, text=True, timeout=60)
    found = inside(Path(done.stdout.strip()))
    return {name: version for name, version in found.items() if name not in {"pip", "setuptools", PROJECT}}


def inside(folder: Path) -> dict[str, str]:
    """Return names and versions of what is installed in a folder."""
    return {each.name: each.version for each in distributions(path=[str(folder)])}


def project(listed: list[Pin]) -> Wheel:
    """Return what a build of the project gives: a wheel that requires the direct ones among pins."""
    direct = [replace(pin, parents=(PROJECT,)) for pin in listed if PROJECT in pin.parents]
    return pins.pinned([Pin(PROJECT, "0.1.0"), *direct])[Pin(PROJECT, "0.1.0")]


def with_backend(wheels: Mapping[Pin, Wheel], built: Wheel) -> dict[Pin, Wheel]:
    """Return the wheels with a hatchling that builds the given wheel from any folder."""
    text = BACKEND.format(name=built.filename, content=base64.b64encode(built.content).decode())
    files = (("hatchling/__init__.py", ""), ("hatchling/build.py", text))
    return {pin: replace(wheel, files=files) if pin.name == "hatchling" else wheel for pin, wheel in wheels.items()}
