"""A Meltano project in a folder of its own, made from the repository's meltano.yml."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tools.demo.environments import ROOT, Environments
from tools.demo.processes import Call, run

QUIET = {"MELTANO_AUTO_INSTALL": "false", "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false", "NO_COLOR": "1"}


@dataclass(frozen=True, slots=True)
class Project:
    """A project: a directory with its meltano.yml, and logs in `logs/`.

    Attributes:
        environments: Where Meltano and the loaders are.
        tap: Directory of the tap's programs.
        name: Name of the directory.
    """

    environments: Environments
    tap: Path
    name: str = "project"

    @property
    def home(self) -> Path:
        """Return Meltano's project directory."""
        return self.environments.folder / self.name

    def define(self, *loaders: str, others: Mapping[str, Path] = MappingProxyType({})) -> None:
        """Write meltano.yml with the programs of the tap and of loaders, which are installed already.

        Args:
            loaders: Those of the environments.
            others: Directories of the programs of others, by name.

        Raises:
            FailedError: It cannot be written.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        places = {"tap-exports": self.tap, **{name: self.environments.programs(name) for name in loaders}, **others}
        programs = json.dumps({name: str(place / name) for name, place in places.items()})
        script = Path(__file__).with_name("definition.py")
        self._call(
            f"definition-{self.name}", "python", script, ROOT / "meltano.yml", self.home / "meltano.yml", programs
        )

    def run(self, name: str, tasks: Sequence[str], env: Mapping[str, str]) -> Path:
        """Run `meltano run` and return its log.

        Raises:
            FailedError: It failed.
        """
        return self._call(name, "meltano", "run", *tasks, env=env)

    def _call(self, name: str, program: str, *arguments: str | Path, env: Mapping[str, str] | None = None) -> Path:
        log = self.environments.folder / "logs" / f"{name}.log"
        command = (self.environments.programs("meltano") / program, *arguments)
        run(Call(command, log, {**os.environ, **QUIET, **(env or {})}, self.home))
        return log
