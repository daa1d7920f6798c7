"""A second run whose STATE was lost reads the jobs of the first one, and pays for nothing again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tap_exports.sandbox import Sandbox
from tests.tap.harness import Json, Ran, tap, without_lineage

Boxes = Callable[..., Sandbox]
STREAMS = {
    "exelensia": "exelensia_export_companies",
    "packagex": "packagex_export_shipments",
    "cornect": "cornect_export_rows",
}


def one_export(box: Sandbox, provider: str) -> Json:
    config = box.config(provider)
    if provider == "cornect":
        entries = [
            {"name": "rows", "search_filters": {"countries": ["United States"], "industries": ["Application Software"]}}
        ]
    else:
        name = STREAMS[provider].rpartition("_")[2]
        entries = [e for e in config[provider]["exports"] if (e.get("name") or e.get("resource")) == name]
    config[provider]["exports"] = entries
    return {**config, "settling_seconds": 1, "ledger": "none"}


def made(box: Sandbox, provider: str) -> int:
    return int(box.spend()[provider]["jobs_created"])


def read_jobs(ran: Ran, stream: str) -> list[tuple[str, int]]:
    return [(r["job_id"], r["attempts"]) for r in ran.records["export_jobs"] if r["stream"] == stream]


@pytest.mark.parametrize("provider", STREAMS)
def test_a_second_run_without_state_reads_the_jobs_of_the_first(tmp_path: Path, sandbox: Boxes, provider: str) -> None:
    """All jobs are those of the first run; only what came since the last window's end may be asked for, in one job."""
    box, stream = sandbox(), STREAMS[provider]
    config = one_export(box, provider)
    first = tap(tmp_path, config).succeeded()
    before, paid = made(box, provider), box.spend()["cornect"]["credits"]
    second = tap(tmp_path, config).succeeded()
    old = read_jobs(first, stream)
    again = read_jobs(second, stream)
    assert [job for job, attempts in again if not attempts] == [job for job, _ in old]
    assert made(box, provider) - before == len(again) - len(old) <= (provider != "cornect")
    assert box.spend()["cornect"]["credits"] == paid
    assert without_lineage(second.records[stream])[: len(first.records[stream])] == without_lineage(
        first.records[stream]
    )
    assert second.stderr.count("there is no STATE, and job ") == len(old)


@pytest.mark.parametrize("provider", STREAMS)
def test_reuse_can_be_turned_off(tmp_path: Path, sandbox: Boxes, provider: str) -> None:
    """With 0 each run makes its own jobs, as with STATE that has a bookmark."""
    box = sandbox()
    config = {**one_export(box, provider), "job_reuse_seconds": 0}
    tap(tmp_path, config).succeeded()
    before = made(box, provider)
    tap(tmp_path, config).succeeded()
    assert made(box, provider) == 2 * before


def test_another_search_is_another_export(tmp_path: Path, sandbox: Boxes) -> None:
    """The label of an export at Cornect holds stream and request: nobody else's export is read."""
    box = sandbox()
    config = one_export(box, "cornect")
    tap(tmp_path, config).succeeded()
    config["cornect"]["exports"][0]["search_filters"] = {"countries": ["Norway"]}
    ran = tap(tmp_path, config).succeeded()
    assert "there is no STATE" not in ran.stderr
