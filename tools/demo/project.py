"""A Meltano project in a folder of its own, made from the repository's meltano.yml."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tools.demo.processes import call

ROOT = Path(__file__).resolve().parents[2]
PINS = Path(__file__).with_name("meltano.txt")
QUIET = {
    "MELTANO_AUTO_INSTALL": "false",
    "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
    "NO_COLOR": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
}


@dataclass(frozen=True, slots=True)
class Project:
    """A project below `folder`: environment `meltano/`, plugins and meltano.yml in `project/`, logs in `logs/`.

    Attributes:
        folder: Where everything is kept; a later call finds it there.
        say: Told what is being done, when it takes a while.
    """

    folder: Path
    say: Callable[[str], None] = print

    @property
    def home(self) -> Path:
        """Return Meltano's project directory."""
        return self.folder / "project"

    def python_of(self, kind: str, plugin: str) -> Path:
        """Return the interpreter of an installed plugin; `kind` is `extractors` or `loaders`."""
        return self.home / ".meltano" / kind / plugin / "venv" / "bin" / "python"

    def prepare(self, *loaders: str, python: str | None = None) -> None:
        """Install Meltano, the tap and loaders, unless they are there.

        Args:
            loaders: Names of loaders in meltano.yml.
            python: Interpreter of the loaders; that of Meltano when None.

        Raises:
            FailedError: pip or Meltano cannot install something.
        """
        for part in (self.home, self.folder / "logs"):
            part.mkdir(parents=True, exist_ok=True)
        definition = _definition(loaders, python)
        (self.home / "meltano.yml").write_text(yaml.safe_dump(definition, sort_keys=False), encoding="utf-8")
        self._once("meltano", [PINS.read_text(encoding="utf-8"), sys.version], self._make_environment)
        for plugin in ("tap-exports", *loaders):
            basis = [_pins_of(definition, plugin), (ROOT / "pyproject.toml").read_text(encoding="utf-8")]
            basis += [str(python)] if plugin in loaders else []
            self._once(plugin, basis, partial(self._meltano, f"install-{plugin}", "install", plugin))

    def run(self, name: str, tasks: Sequence[str], env: Mapping[str, str]) -> Path:
        """Run `meltano run` and return its log.

        Raises:
            FailedError: It failed.
        """
        return self._meltano(name, "run", *tasks, env=env)

    def _once(self, name: str, basis: Sequence[str], make: Callable[[], object]) -> None:
        stamp = self.folder / f"{name}.installed"
        digest = hashlib.sha256("\0".join(basis).encode()).hexdigest()
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != digest:
            self.say(f"installing {name} …")
            stamp.unlink(missing_ok=True)
            make()
            stamp.write_text(digest, encoding="utf-8")

    def _make_environment(self) -> None:
        home, log, env = self.folder / "meltano", self.folder / "logs" / "meltano.log", {**os.environ, **QUIET}
        shutil.rmtree(home, ignore_errors=True)
        call([sys.executable, "-m", "venv", home], log, env=env)
        options = ("--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", PINS)
        call([home / "bin" / "python", "-m", "pip", "install", *options], log, env=env)

    def _meltano(self, name: str, *arguments: str, env: Mapping[str, str] | None = None) -> Path:
        log = self.folder / "logs" / f"{name}.log"
        environment = {**os.environ, **QUIET, **(env or {})}
        call([self.folder / "meltano" / "bin" / "meltano", *arguments], log, cwd=self.home, env=environment)
        return log


def _definition(loaders: Sequence[str], python: str | None) -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    made["plugins"]["extractors"][0]["pip_url"] = f"-e {shlex.quote(str(ROOT))}"
    for loader in made["plugins"]["loaders"]:
        if loader["name"] in loaders and python:
            loader["python"] = python
    return made


def _pins_of(definition: Mapping[str, Any], plugin: str) -> str:
    plugins = [each for kind in definition["plugins"].values() for each in kind]
    return next(str(each["pip_url"]) for each in plugins if each["name"] == plugin)
