"""A machine whose clock is ahead: nothing that is created meanwhile is passed over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tap_exports.engine.clock import from_text
from tap_exports.sandbox import Sandbox
from tests.tap.harness import Ran, tap

Boxes = Callable[..., Sandbox]
STREAMS = {
    "exelensia": ["exelensia_export_invoices", "exelensia_results"],
    "packagex": ["packagex_export_shipments"],
    "cornect": ["cornect_credit_transactions"],
}


def bookmarks(ran: Ran, streams: list[str]) -> list[Any]:
    return [from_text(ran.states[-1]["bookmarks"][stream]["replication_key_value"]) for stream in streams]


@pytest.mark.parametrize("provider", sorted(STREAMS))
def test_bookmarks_follow_the_earlier_clock(tmp_path: Path, sandbox: Boxes, provider: str) -> None:
    """Each reply's `Date` is five minutes behind: bookmarks are too, with a warning and in the receipts."""
    faults = [{"match": {"origin": "api"}, "action": {"date_skew": -300}}]
    boxes = [sandbox(), sandbox(faults={"faults": faults})]
    runs = [tap(tmp_path, {k: v for k, v in box.config(provider).items() if k != "end_date"}) for box in boxes]
    for plain, skewed in zip(*(bookmarks(ran.succeeded(), STREAMS[provider]) for ran in runs), strict=True):
        assert 290 < (plain - skewed).total_seconds() + (runs_apart(runs)) < 420
    assert "its clock is" not in runs[0].stderr
    assert runs[1].stderr.count("windows end by the earlier of both") == 1
    skews = {row["clock_skew_seconds"] for row in runs[1].records["export_jobs"]}
    assert all(-303 < skew < -297 for skew in skews)


def runs_apart(runs: list[Ran]) -> float:
    """Return the seconds between the beginnings of two runs, by their logs."""
    first, second = (from_text(ran.stderr[:23].replace(",", ".").replace(" ", "T")) for ran in runs)
    return (second - first).total_seconds()
