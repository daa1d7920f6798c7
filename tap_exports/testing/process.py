"""Runs the tap as a process and reads what it wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

Json = dict[str, Any]
COMMAND = (sys.executable, "-m", "tap_exports")
LIMIT_SECONDS = 60


@dataclass(frozen=True)
class Ran:
    """What a run of the tap left.

    Attributes:
        code: Its exit code.
        lines: What it wrote to stdout, message by message.
        stderr: Its log.
    """

    code: int
    lines: list[bytes]
    stderr: str

    @cached_property
    def messages(self) -> list[Json]:
        """Return the messages of Singer."""
        return [json.loads(line) for line in self.lines]

    @cached_property
    def records(self) -> dict[str, list[Json]]:
        """Return the records by stream."""
        found: dict[str, list[Json]] = defaultdict(list)
        for message in self.messages:
            if message["type"] == "RECORD":
                found[message["stream"]].append(message["record"])
        return found

    @property
    def states(self) -> list[Json]:
        """Return the STATEs, in order."""
        return [m["value"] for m in self.messages if m["type"] == "STATE"]

    @property
    def errors(self) -> list[str]:
        """Return the messages of the log's errors."""
        return [line.split("| ", 3)[3] for line in self.stderr.splitlines() if "| ERROR " in line]

    def schema(self, stream: str) -> Json:
        """Return the last schema of a stream."""
        found = [m for m in self.messages if m["type"] == "SCHEMA" and m["stream"] == stream]
        return dict(found[-1])

    def succeeded(self) -> Ran:
        """Return the run itself, once it is seen to have ended well."""
        assert (self.code, self.errors) == (0, []), self.stderr
        return self


def run_tap(
    folder: Path,
    config: Mapping[str, Any],
    *arguments: str,
    state: Mapping[str, Any] | None = None,
    catalog: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ran:
    """Run the tap to its end, as a process of the interpreter that runs the tests.

    Args:
        folder: Where the files of the run are written.
        config: The configuration.
        arguments: Further arguments, such as a subcommand's name before them all.
        state: The incoming STATE.
        catalog: The catalog.
        environment: Further variables.
    """
    given = [*arguments_of(folder, config, state=state, catalog=catalog), *arguments]
    return Ran(*split(*started(given, environment or {})))


def started(arguments: list[str], environment: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    """Return exit code, stdout and stderr of a run."""
    whole = {**os.environ, **environment}
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, check=False, timeout=LIMIT_SECONDS, env=whole)
    return done.returncode, done.stdout, done.stderr


def split(code: int, out: bytes, err: bytes) -> tuple[int, list[bytes], str]:
    """Return the values of `Ran` of what a process left."""
    return code, out.splitlines(), err.decode()


def arguments_of(
    folder: Path,
    config: Mapping[str, Any],
    *,
    state: Mapping[str, Any] | None = None,
    catalog: Mapping[str, Any] | None = None,
) -> list[str]:
    """Write the files of a run and return the arguments of its command."""
    arguments = []
    for name, content in (("config", config), ("state", state), ("catalog", catalog)):
        if content is not None:
            path = folder / f"{name}.json"
            path.write_text(json.dumps(content), encoding="utf-8")
            arguments += [f"--{name}", str(path)]
    return arguments
