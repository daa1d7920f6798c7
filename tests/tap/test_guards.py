"""Optional guards: what must hold of an export before its window may close."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tap_exports.sandbox import Sandbox
from tests.tap.harness import Json, Ran, tap

Boxes = Callable[..., Sandbox]
COMPANIES = "exelensia_export_companies"


def run(
    tmp_path: Path,
    box: Sandbox,
    name: str = "companies",
    end: str = "2026-01-01",
    state: Json | None = None,
    **guards: Any,  # noqa: ANN401 - of settings
) -> Ran:
    config = box.config("exelensia")
    entry: Json = next(e for e in config["exelensia"]["exports"] if e["name"] == name)
    config["exelensia"]["exports"] = [{**entry, "max_window_days": 10000, **guards}]
    return tap(tmp_path, {**config, "end_date": f"{end}T00:00:00Z"}, state=state)


@pytest.mark.parametrize(
    ("guards", "message"),
    [
        ({"expect_columns": ["symbol", "isin"]}, 'expect_columns: "isin" missing from the rows; the window stays open'),
        ({"min_rows": 504}, "503 rows, min_rows is 504; the window stays open"),
    ],
)
def test_guard_that_does_not_hold(tmp_path: Path, sandbox: Boxes, guards: Json, message: str) -> None:
    """The stream stops with the figure seen, and the bookmark does not move."""
    ran = run(tmp_path, sandbox(), **guards)
    assert (ran.code, ran.errors[0].split(": ", 1)[1]) == (1, message)
    assert ran.errors[0].startswith(f"{COMPANIES} 2024-01-01T00:00:00.000Z…2026-01-01T00:00:00.000Z, job ")
    assert "replication_key_value" not in ran.states[-1]["bookmarks"][COMPANIES]


def test_guards_that_hold(tmp_path: Path, sandbox: Boxes) -> None:
    """A guard that holds changes nothing."""
    ran = run(tmp_path, sandbox(), expect_columns=["symbol"], min_rows=503, max_age_hours=1).succeeded()
    assert len(ran.records[COMPANIES]) == 503


def test_old_job(tmp_path: Path, sandbox: Boxes) -> None:
    """A job of others that is older than allowed is not read; the message says how old it is."""
    ran = run(tmp_path, sandbox(), "invoices", mode="collect", max_age_hours=24)
    assert (ran.code, ran.records["exelensia_export_invoices"]) == (1, [])
    assert " hours old, max_age_hours is 24; the window stays open" in ran.errors[0]


def test_ratio_over_runs(tmp_path: Path, sandbox: Boxes) -> None:
    """P11: the counts of earlier runs come from STATE; windows of a length that is no whole number of seconds, too."""
    box, state = sandbox(), None
    for end in ("2024-02-01", "2024-02-10", "2024-02-20"):
        ran = run(tmp_path, box, end=end, state=state, min_rows_ratio=0.01, max_window_days=10).succeeded()
        state = ran.states[-1]
    assert state
    assert state["bookmarks"][COMPANIES]["ledger"]["counts"]
