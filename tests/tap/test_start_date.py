"""A `start_date` that STATE makes moot is warned of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tap_exports.sandbox import Sandbox
from tests.tap.harness import Ran, tap

Boxes = Callable[..., Sandbox]
FILES = "exelensia_files"


def warnings(ran: Ran) -> list[str]:
    return [line.split("| ", 3)[3] for line in ran.stderr.splitlines() if "| WARNING" in line and "start_date" in line]


def test_an_earlier_start_date_is_warned_of_once(tmp_path: Path, sandbox: Boxes) -> None:
    """What lies between it and the former one is not read; the run after that has been told."""
    config: dict[str, Any] = sandbox().config("exelensia")
    del config["exelensia"]["exports"]
    first = tap(tmp_path, config).succeeded()
    assert (warnings(first), first.states[-1]["start_date"]) == ([], config["start_date"].replace("00Z", "00.000Z"))
    earlier = {**config, "start_date": "2020-01-01"}
    second = tap(tmp_path, earlier, state=first.states[-1]).succeeded()
    (warning,) = warnings(second)
    assert warning.startswith("start_date 2020-01-01T00:00:00.000Z has no effect on exelensia_exports, exelensia_files")
    assert (
        "; what lies between it and 2024-01-01T00:00:00.000Z, where they began, is not read; "
        "to begin at start_date, remove them from STATE"
    ) in warning
    state = {**second.states[-1], "start_date": "2020-01-01T00:00:00.000Z"}
    assert warnings(tap(tmp_path, earlier, state=state).succeeded()) == []


def test_a_start_date_behind_the_bookmark_is_warned_of(tmp_path: Path, sandbox: Boxes) -> None:
    """Streams go on from their bookmark, also where `start_date` lies behind it."""
    config: dict[str, Any] = sandbox().config("exelensia")
    del config["exelensia"]["exports"]
    state = {"bookmarks": {FILES: {"replication_key": "createdAt", "replication_key_value": "2025-01-01T00:00:00Z"}}}
    ran = tap(tmp_path, {**config, "start_date": "2025-06-01"}, state=state).succeeded()
    (warning,) = warnings(ran)
    assert warning == (
        f"start_date 2025-06-01T00:00:00.000Z has no effect on {FILES}: STATE goes on from 2025-01-01T00:00:00.000Z; "
        "what lies before it is read too; to begin at start_date, remove them from STATE"
    )


def test_an_incremental_run_is_not_warned_of(tmp_path: Path, sandbox: Boxes) -> None:
    config: dict[str, Any] = sandbox().config("exelensia")
    first = tap(tmp_path, config).succeeded()
    assert warnings(tap(tmp_path, config, state=first.states[-1]).succeeded()) == []
