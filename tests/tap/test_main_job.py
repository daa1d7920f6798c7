"""The main job: what stands at the source arrives, and a second run brings only what is new."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tap_exports.sandbox import Sandbox
from tests.tap.harness import Ran, only, tap, without_lineage

Boxes = Callable[..., Sandbox]
INVOICES = "019760a0-0001-7000-8000-000000000001"
STREAM = "exelensia_export_invoices"
EARLY = {"start_date": "2020-01-01T00:00:00Z"}


def exact_values(ran: Ran, stream: str, columns: list[str]) -> list[list[str | None]]:
    """Return the values of a stream's records as text, numbers with all their digits."""
    records = [json.loads(line, parse_float=str, parse_int=str) for line in ran.lines]
    rows = [m["record"] for m in records if m["type"] == "RECORD" and m["stream"] == stream]
    return [[row[column] for column in columns] for row in rows]


def test_invoices_arrive_value_by_value(tmp_path: Path, sandbox: Boxes) -> None:
    """A value arrives as the provider wrote it: zeros, long decimals, line breaks, quotes, empty text and null."""
    box = sandbox()
    ran = tap(tmp_path, only({**box.config("cension", "exelensia"), **EARLY}, "exelensia"), fresh=True).succeeded()
    truth = box.truth("exelensia/export", schema_id=INVOICES)
    assert exact_values(ran, STREAM, truth["columns"]) == truth["rows"]


def test_decimals_of_pages_keep_their_digits(tmp_path: Path, sandbox: Boxes) -> None:
    """What CSV files bring exactly, the pages of results bring exactly too."""
    ran = tap(tmp_path, only({**sandbox().config("exelensia"), **EARLY}, "exelensia")).succeeded()
    records = [json.loads(line, parse_float=str) for line in ran.lines]
    totals = {
        m["record"]["extraction"].get("total")
        for m in records
        if m.get("stream") == "exelensia_results" and "record" in m
    }
    assert "12345678901234567890.123456789" in totals


def test_file_rows_carry_lineage(tmp_path: Path, sandbox: Boxes) -> None:
    """A row of a file names its job, file, ordinal and window."""
    box = sandbox()
    ran = tap(tmp_path, only({**box.config("cension", "exelensia"), **EARLY}, "exelensia")).succeeded()
    first = ran.records[STREAM][0]
    receipt = next(r for r in ran.records["export_jobs"] if r["job_id"] == first["_sdc_job_id"])
    assert {k: v for k, v in first.items() if k.startswith("_sdc_")} == {
        "_sdc_job_id": receipt["job_id"],
        "_sdc_file": "export.csv",
        "_sdc_row": 1,
        "_sdc_extra": None,
        "_sdc_window_start": receipt["window_start"],
        "_sdc_window_end": receipt["window_end"],
    }


@pytest.mark.parametrize("operation", [4836, 4840])
def test_each_run_of_cension_arrives_whole(tmp_path: Path, sandbox: Boxes, operation: int) -> None:
    """The rows of a run are those that the provider gives for its operationId, in its order."""
    box = sandbox()
    ran = tap(tmp_path, only(box.config(), "cension")).succeeded()
    rows = [r for r in ran.records["cension_export_companies"] if r["_sdc_operation_id"] == operation]
    truth = box.truth("cension/export/459", operationId=operation)
    assert without_lineage(rows) == truth
    assert [r["_sdc_row"] for r in rows] == list(range(1, len(truth) + 1))


def keys_of(ran: Ran, stream: str) -> list[tuple[Any, ...]]:
    """Return the keys of a stream's records."""
    names = ran.schema(stream)["key_properties"]
    return [tuple(record.get(n) for n in names) for record in ran.records[stream]]


def test_three_runs_bring_everything_once(tmp_path: Path, sandbox: Boxes) -> None:
    """The union of three runs is the truth, and no run repeats a row of a proven window, full tables aside."""
    box = sandbox()
    config = {**box.config("cension", "exelensia"), **EARLY}
    first = tap(tmp_path, config).succeeded()
    box.grow()
    config["cension"]["operation_ids"] = [4836, 4840, 4843]
    second = tap(tmp_path, config, state=first.states[-1]).succeeded()
    third = tap(tmp_path, config, state=second.states[-1]).succeeded()
    new = {stream: len(rows) for stream, rows in second.records.items()}
    assert {s: new.get(s, 0) for s in GROWN} == GROWN
    again = {stream: len(rows) for stream, rows in third.records.items() if stream not in OWN}
    assert again == {}
    truth = {r["id"] for r in box.truth("exelensia/results")}
    loaded = [key for ran in (first, second, third) for (key,) in keys_of(ran, "exelensia_results")]
    assert (len(loaded), set(loaded)) == (len(truth), truth)


GROWN = {
    "cension_export_companies": 5,
    "cension_operations": 1,
    "exelensia_export_invoices": 3,
    "exelensia_export_companies": 0,
    "exelensia_results": 3,
    "exelensia_files": 3,
    "exelensia_processes": 3,
    "exelensia_schemas": 3,
    "exelensia_templates": 2,
}
# The jobs that the tap itself makes at every run, and the definitions, which are full tables.
OWN = {"export_jobs", "exelensia_exports", "exelensia_schemas", "exelensia_templates"}


def test_job_is_in_state_before_its_first_poll(tmp_path: Path, sandbox: Boxes) -> None:
    """Fingerprint and window stand in STATE before the POST, the job's id before the first poll (P2)."""
    box = sandbox(faults={"jobs": [{"provider": "exelensia", "nth": 1, "outcome": "hang"}]})
    config = {**only(box.config(), "exelensia"), "job_stall_timeout_seconds": 1, "poll_interval_seconds": 1}
    config["exelensia"]["exports"] = config["exelensia"]["exports"][:1]
    ran = tap(tmp_path, config)
    ledgers = [s["bookmarks"].get(STREAM, {}).get("ledger") for s in ran.states]
    intended = next(ledger for ledger in ledgers if ledger)["intents"]
    opened = next(ledger for ledger in ledgers if ledger and len(ledger["jobs"]) == len(intended))["jobs"]
    posted = [r["body_json"] for r in box.requests() if r["method"] == "POST"]
    assert {tuple(i["window"]) for i in intended} == {(p["start_date"], p["end_date"]) for p in posted}
    assert {j["fingerprint"] for j in opened} == {i["fingerprint"] for i in intended}
    assert ran.code == 1
