"""A crashed run goes on inside the file (P3)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tap_exports.sandbox import Sandbox
from tests.process.child import DEVNULL, Child
from tests.tap.harness import Json, arguments_of, tap

Boxes = Callable[..., Sandbox]
LOAD = "exelensia_export_load"
ROWS = 60_000


def one_load(box: Sandbox) -> Json:
    config = box.config("exelensia")
    entry = {"schema_id": "019760a0-0001-7000-8000-000000000009", "name": "load", "max_window_days": 10000}
    config["exelensia"]["exports"] = [entry]
    return {**config, "end_date": "2026-01-01T00:00:00Z"}


def killed_inside_the_file(arguments: list[str]) -> tuple[list[Json], Json]:
    """Kill the tap at its first STATE with rows of a file; return the rows before it, and that STATE."""
    process = Child(arguments, stderr=DEVNULL)
    assert process.stdout is not None
    rows: list[Json] = []
    state: Json = {}
    for line in process.stdout:
        message = json.loads(line)
        if message["type"] == "RECORD" and message["stream"] == LOAD:
            rows.append(message["record"])
        if message["type"] == "STATE" and b'"rows":' in line:
            state = message["value"]
            break
    process.kill()
    process.communicate()
    return rows, state


def test_resume_inside_the_file(tmp_path: Path, sandbox: Boxes) -> None:
    """Both runs together bring every row once, from one job; the second begins where STATE stands."""
    box = sandbox(rows=ROWS)
    config = one_load(box)
    before, state = killed_inside_the_file(arguments_of(tmp_path, config))
    (job,) = state["bookmarks"][LOAD]["ledger"]["jobs"]
    assert job["files"]["export.csv"]["rows"] == len(before)
    after = tap(tmp_path, config, state=state).succeeded().records[LOAD]
    assert [r["_sdc_row"] for r in before + after] == list(range(1, ROWS + 1))
    assert {r["_sdc_job_id"] for r in before + after} == {job["id"]}


def test_other_bytes_start_over(tmp_path: Path, sandbox: Boxes) -> None:
    """Progress inside a file holds for the same bytes only: another digest begins at the first row."""
    box = sandbox(rows=ROWS)
    config = one_load(box)
    _, state = killed_inside_the_file(arguments_of(tmp_path, config))
    state["bookmarks"][LOAD]["ledger"]["jobs"][0]["files"]["export.csv"]["sha256"] = "0" * 64
    after = tap(tmp_path, config, state=state).succeeded().records[LOAD]
    assert [r["_sdc_row"] for r in after] == list(range(1, ROWS + 1))
