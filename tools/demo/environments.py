"""The environments of a demonstration, each from pins of its own, made side by side."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.demo.processes import Call, run

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
SCRIPT = ROOT / "tools" / "environment.py"
PINS = {
    "build": ROOT / "requirements" / "build.txt",
    "tap": ROOT / "requirements" / "tap.txt",
    "meltano": HERE / "meltano.txt",
    "target-postgres": HERE / "target-postgres.txt",
}
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "tap_exports/**/*", "target_exports/**/*")
QUIET = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}


@dataclass(frozen=True, slots=True)
class Environments:
    """The environments below a folder; each stays there until its pins or its interpreter change.

    Attributes:
        folder: One directory an environment, and `logs/`.
        say: Called with what is being done.
    """

    folder: Path
    say: Callable[[str], None] = print

    def programs(self, name: str) -> Path:
        """Return the directory of an environment's programs, its interpreter among them."""
        return self.folder / name / "bin"

    def install(self, *names: str, pythons: dict[str, str] | None = None) -> None:
        """Make environments side by side, unless they are there.

        Args:
            names: Keys of `PINS`.
            pythons: Interpreter by name; for the others the one that runs this.

        Raises:
            FailedError: One cannot be made.
        """
        interpreters = {name: (pythons or {}).get(name, sys.executable) for name in names}
        stamps = [self._pinned(name, python) for name, python in interpreters.items()]
        due = [stamp for stamp in stamps if stamp.is_due()]
        if due:
            (self.folder / "logs").mkdir(parents=True, exist_ok=True)
            self.say(f"installing {', '.join(stamp.name for stamp in due)} …")
            run(*(self._make(stamp.name, interpreters[stamp.name]) for stamp in due))
            for stamp in due:
                stamp.set()

    def add_wheel(self) -> None:
        """Build the checkout's wheel in `build` and install it in `tap`, unless it is there.

        Raises:
            FailedError: One of the two cannot be done.
        """
        digests = (self._pinned("tap", sys.executable).digest, *map(_digest, _sources()))
        stamp = Stamp("wheel", self.folder, _joined(digests))
        if stamp.is_due():
            self.say("building the wheel and installing it …")
            dist = self.folder / "dist"
            build = (self.programs("build") / "python", "-m", "hatchling", "build", "-c", "-t", "wheel", "-d", dist)
            run(self._call("wheel", build))
            (wheel,) = dist.glob("*.whl")
            run(self._make("tap", sys.executable, "--add", "--wheel", wheel))
            stamp.set()

    def _pinned(self, name: str, python: str) -> Stamp:
        return Stamp(name, self.folder, _joined((_digest(PINS[name]), _digest(SCRIPT), python, sys.version)))

    def _make(self, name: str, python: str, *options: str | Path) -> Call:
        return self._call(name, (python, SCRIPT, "--without-pip", *options, self.folder / name, PINS[name]))

    def _call(self, name: str, command: Sequence[str | Path]) -> Call:
        return Call(command, self.folder / "logs" / f"{name}.log", {**os.environ, **QUIET}, ROOT)


@dataclass(frozen=True, slots=True)
class Stamp:
    """The file that tells that something is installed, and from what."""

    name: str
    folder: Path
    digest: str

    @property
    def _path(self) -> Path:
        return self.folder / f"{self.name}.installed"

    def is_due(self) -> bool:
        """Tell whether it has to be installed; if so, the file is gone until `set`."""
        current = self._path.exists() and self._path.read_text(encoding="utf-8") == self.digest
        if not current:
            self._path.unlink(missing_ok=True)
        return not current

    def set(self) -> None:
        """Tell that it is installed."""
        self._path.write_text(self.digest, encoding="utf-8")


def _sources() -> Iterator[Path]:
    found = (path for pattern in SOURCES for path in sorted(ROOT.glob(pattern)))
    yield from (path for path in found if path.is_file() and path.suffix != ".pyc")


def _digest(path: Path) -> str:
    return f"{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def _joined(digests: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(digests).encode()).hexdigest()
