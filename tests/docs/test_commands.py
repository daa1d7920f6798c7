"""docs/commands.md names what the JSON of each subcommand holds, and every option that there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest

from tap_exports.operator.render import NOT_WELL
from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.subcommands import SUBCOMMANDS
from tests.operator.calling import Caller

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([^|]+)` \| (.*) \|$", PAGE.partition("## JSON")[2], re.MULTILINE))
TALKS = {
    "plan": ("plan",),
    "jobs": ("jobs",),
    "jobs watch": ("jobs", "watch", "4836"),
    "doctor": ("doctor",),
}


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Caller:
    return Caller(tmp_path, capsys, caplog)


def keys(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Yield the names within JSON, but for the packages of `versions`."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from keys(inner) if name != "versions" else ()
    elif isinstance(value, list):
        for item in value:
            yield from keys(item)


@pytest.mark.parametrize("name", sorted(TALKS))
def test_every_key_of_the_json_is_named_and_no_other(call: Caller, name: str) -> None:
    with Sandbox(SandboxOptions(job_seconds=0)) as box:
        found = set(keys(call(*TALKS[name], config=box.config("cension", "exelensia")).data)) - {"command", "version"}
    told = {word for word in re.findall(r"`([a-z_]+)`", ROWS[name]) if word not in {"ok", "warn", "fail", "skip"}}
    assert found <= told
    assert told - found <= {"errors", "reason"}  # where nothing fails there is none


def test_every_subcommand_and_shared_option_is_named() -> None:
    for name in SUBCOMMANDS:
        command = import_module(f"tap_exports.operator.{name}").command
        own = {option for each in command.params if isinstance(each, click.Option) for option in each.opts}
        shared = {"--config", "--state", "--state-id", "--format"}
        assert {option for option in own & shared if f"`{option}" not in PAGE} == set()
        assert f"| `{name}` |" in PAGE


def test_exit_codes_are_those_of_the_code() -> None:
    assert f"| {NOT_WELL} | done, and something is not well" in PAGE
