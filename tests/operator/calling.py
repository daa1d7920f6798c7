"""Calls subcommands within this process, as `__main__` does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tap_exports.command import ended
from tap_exports.operator.entry import call
from tap_exports.sandbox import Sandbox

Json = dict[str, Any]


@dataclass(frozen=True)
class Called:
    """What a call left: exit code, standard output, standard error with the log."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Json:
        return dict(json.loads(self.out))


@dataclass(frozen=True)
class Caller:
    """Calls `tap-exports` in a folder, with configuration and STATE written to files."""

    folder: Path
    capture: pytest.CaptureFixture[str]
    log: pytest.LogCaptureFixture

    def __call__(
        self,
        *arguments: str,
        config: Mapping[str, Any] | None = None,
        state: Any = None,  # noqa: ANN401 - any JSON
        terminal: bool = False,
    ) -> Called:
        """Call a subcommand, on a terminal if so asked."""
        given = list(arguments)
        if config is not None:
            given += ["--config", self.write("config.json", config)]
        if state is not None:
            given += ["--state", self.write("state.json", state)]
        self.capture.readouterr()
        self.log.clear()
        with pytest.MonkeyPatch.context() as patch:
            if terminal:
                patch.setattr("sys.stdout.isatty", lambda: True)
            code = ended(lambda: call(given))
        out, err = self.capture.readouterr()
        return Called(code, out, err + "".join(f"{record.getMessage()}\n" for record in self.log.records))

    def write(self, name: str, content: object) -> str:
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return str(path)


def sent(box: Sandbox) -> set[str]:
    """Return the methods of the requests that a sandbox has seen."""
    return {entry["method"] for entry in box.requests()}


def steps(plan: Json, stream: str) -> list[tuple[str, str | None]]:
    """Return action and job of each step of a stream."""
    return [(step["action"], step["job"]) for step in planned(plan, stream)["steps"]]


def planned(plan: Json, stream: str) -> Json:
    return next(each for each in plan["streams"] if each["stream"] == stream)
