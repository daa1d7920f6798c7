"""PackageX, the whole tap against the sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tap_exports.sandbox import Sandbox, SandboxOptions
from tests.tap.harness import Json, Ran, only, tap, without_lineage

SHIPMENTS, CONTACTS = "packagex_export_shipments", "packagex_export_contacts"
SIDES = [f"{SHIPMENTS}_errors", f"{SHIPMENTS}_sanitized"]


def sandbox(*, faults: Json | None = None, knobs: Json | None = None, **options: Any) -> Sandbox:  # noqa: ANN401 - of `SandboxOptions`
    given = {"job_seconds": 0, "knobs": {"packagex": knobs or {}}, **options}
    return Sandbox(SandboxOptions(**given), faults=faults)


def config(box: Sandbox, **changes: object) -> Json:
    """Return a configuration of one export of shipments, changed."""
    whole = only(box.config("packagex"), "packagex")
    entry = {"resource": "shipment", "name": "shipments", **changes}
    return {**whole, "progress": "never", "packagex": {**whole["packagex"], "exports": [entry]}}


def ids(ran: Ran, stream: str) -> list[str]:
    return [record["id"] for record in ran.records[stream]]


def posts(box: Sandbox) -> int:
    return sum(entry["method"] == "POST" for entry in box.requests())


def truth(box: Sandbox, resource: str = "shipment") -> Json:
    return dict(box._ask("GET", "/_truth/packagex/export", resource=resource))


def bookmark(ran: Ran, stream: str) -> Json:
    return dict(ran.states[-1]["bookmarks"][stream])


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"json_root": "jsonl", "timestamps": "iso", "envelope": "bare", "error_key": "error_code", "flags": "old"},
        {"json_root": "data", "timestamps": "text", "no_url": "absent", "limit_cap": 4},
    ],
)
def test_one_job_serves_all_three_streams(tmp_path: Path, knobs: Json) -> None:
    """Rows, errors and held out rows come from one export, in every form that the documents leave open."""
    with sandbox(knobs=knobs) as box:
        ran, there = tap(tmp_path, config(box), fresh=True).succeeded(), truth(box)
        assert box.spend()["packagex"] == {"jobs_created": 1}
    assert sorted(ids(ran, SHIPMENTS)) == sorted(row["id"] for row in there["rows"])
    assert sorted(without_lineage(ran.records[SIDES[0]]), key=str) == sorted(there["errors"], key=str)
    assert sorted(ids(ran, SIDES[1])) == sorted(row["id"] for row in there["sanitized"])
    jobs = {record["_sdc_job_id"] for stream in (SHIPMENTS, *SIDES) for record in ran.records[stream]}
    assert [receipt["job_id"] for receipt in ran.records["export_jobs"]] == list(jobs)


def test_values_arrive_and_instants_are_date_time(tmp_path: Path) -> None:
    with sandbox(knobs={"timestamps": "iso"}) as box:
        there = {row["id"]: row for row in truth(box)["rows"]}
    with sandbox() as box:
        ran = tap(tmp_path, config(box)).succeeded()
    seconds = {
        key: {**row, **{k: row[k].partition(".")[0] + ".000Z" for k in ("created_at", "updated_at")}}
        for key, row in there.items()
    }
    assert {r["id"]: r for r in without_lineage(ran.records[SHIPMENTS])} == seconds
    assert ran.schema(SHIPMENTS)["schema"]["properties"]["created_at"]["format"] == "date-time"


@pytest.mark.parametrize("nesting", ["merge", "flatten"])
def test_csv_in_both_nesting_modes(tmp_path: Path, nesting: str) -> None:
    with sandbox(knobs={"nesting": nesting}) as box:
        ran = tap(tmp_path, config(box, format="csv")).succeeded()
        assert sorted(ids(ran, SHIPMENTS)) == sorted(row["id"] for row in truth(box)["rows"])
    assert ran.records[SHIPMENTS][0]["_sdc_file"] == "export.csv"
    assert ("groups.0.name" in ran.schema(SHIPMENTS)["schema"]["properties"]) == (nesting == "flatten")


def test_types_of_the_first_run_are_those_of_the_second(tmp_path: Path) -> None:
    """Without an export to sample, the first file gives the types that the next discovery will find in it."""
    stream = "packagex_export_manifests"
    with sandbox() as box:
        changed = config(box, resource="manifest", name="manifests", format="csv", schema={"name": "string"})
        discovered = tap(tmp_path, changed, "--discover").succeeded()
        first = tap(tmp_path, changed).succeeded()
        second = tap(tmp_path, changed, state=first.states[-1]).succeeded()
    (entry,) = (s for s in json.loads(b"".join(discovered.lines))["streams"] if s["tap_stream_id"] == stream)
    assert "updated_at" not in entry["schema"]["properties"]
    kinds = [kinds_of(ran.schema(stream)["schema"]["properties"]) for ran in (first, second)]
    assert kinds[0] == kinds[1]
    assert kinds[0]["updated_at"] == (["string", "null"], "date-time")


def kinds_of(properties: Json) -> Json:
    return {name: (prop["type"], prop.get("format")) for name, prop in properties.items()}


def test_a_second_run_brings_only_what_is_new(tmp_path: Path) -> None:
    with sandbox() as box:
        first = tap(tmp_path, config(box)).succeeded()
        new = box.grow()["packagex"]["shipments"]
        second = tap(tmp_path, config(box), state=first.states[-1]).succeeded()
    assert set(ids(second, SHIPMENTS)) == {row["id"] for row in new}
    assert bookmark(second, SIDES[0])["replication_key_value"] == bookmark(second, SHIPMENTS)["replication_key_value"]


def crashed(tmp_path: Path, box: Sandbox) -> tuple[Ran, Json, Json]:
    """Return a run, its STATE right after the rows were proven, and a configuration that asks for nothing later."""
    calm = {**config(box), "settling_seconds": 1}
    first = tap(tmp_path, calm).succeeded()
    proven = next(s for s in first.states if "replication_key_value" in s["bookmarks"].get(SHIPMENTS, {}))
    return first, proven, {**calm, "end_date": bookmark(first, SHIPMENTS)["replication_key_value"]}


def test_a_crash_between_the_streams_loses_no_errors(tmp_path: Path) -> None:
    """The STATE that proves the rows still holds the job for errors and held out rows: no second job is needed."""
    with sandbox() as box:
        first, proven, ended = crashed(tmp_path, box)
        again = tap(tmp_path, ended, state=proven).succeeded()
        assert box.spend()["packagex"] == {"jobs_created": 1}
    open_jobs = proven["bookmarks"][SIDES[0]]["ledger"]["jobs"]
    assert [job["id"] for job in open_jobs] == [first.records[SHIPMENTS][0]["_sdc_job_id"]]
    assert [ids(again, s) for s in (SHIPMENTS, *SIDES)] == [[], *[ids(first, s) for s in SIDES]]


def test_errors_that_vanished_unread_stop_their_stream_once(tmp_path: Path) -> None:
    """After 24 hours the rows of errors are gone; the run says so, and the next one goes on."""
    with sandbox() as box:
        _, proven, ended = crashed(tmp_path, box)
        box.clock.advance(25 * 3600)
        lost = tap(tmp_path, {**ended, "job_grace_seconds": 0}, state=proven)
        tap(tmp_path, ended, state=lost.states[-1]).succeeded()
    assert lost.code == 1
    assert "its rows are lost; `tap-exports replay packagex_export_" in lost.errors[0]


def test_a_job_that_fails_leaves_nothing_to_follow(tmp_path: Path) -> None:
    """The window stays open for all three streams; the next run asks again, once."""
    plan = {"jobs": [{"provider": "packagex", "nth": 1, "outcome": "fail", "reason": "out of paper"}]}
    with sandbox(faults=plan) as box:
        failed = tap(tmp_path, config(box))
        second = tap(tmp_path, config(box), state=failed.states[-1]).succeeded()
        assert box.spend()["packagex"] == {"jobs_created": 2}
        there = truth(box)
    assert failed.code == 1
    assert 'ended as "failed": out of paper' in failed.errors[0]
    assert [len(second.records[s]) for s in (SHIPMENTS, *SIDES)] == [len(v) for v in there.values()]


def test_a_lost_reply_is_found_in_the_list(tmp_path: Path) -> None:
    """The job that the lost reply told of is adopted: its options are echoed."""
    plan = {"faults": [{"match": {"provider": "packagex", "method": "POST", "nth": 1}, "action": {"lose_reply": True}}]}
    with sandbox(faults=plan) as box:
        ran = tap(tmp_path, config(box)).succeeded()
        assert box.spend()["packagex"] == {"jobs_created": 1}
    assert [len(ran.records[s]) for s in (SHIPMENTS, *SIDES)] == [115, 2, 3]


def test_a_count_that_differs_closes_no_window(tmp_path: Path) -> None:
    with sandbox(knobs={"count_error": 1}) as box:
        ran = tap(tmp_path, config(box))
    assert ran.code == 1
    assert "115 rows read, the provider counts 116" in ran.errors[0]
    assert "replication_key_value" not in bookmark(ran, SHIPMENTS)


def test_collecting_creates_nothing(tmp_path: Path) -> None:
    """Jobs of others are read; one that is not terminal stops the stream before it."""
    with sandbox() as box:
        box.grow()
        ran = tap(tmp_path, config(box, mode="collect")).succeeded()
        assert posts(box) == 0
        exports = {e["id"]: e for e in box.truth("packagex/exports")}
    read = {record["_sdc_job_id"] for record in ran.records[SHIPMENTS]}
    assert read
    assert {(exports[i]["resource"], exports[i]["status"]) for i in read} == {("shipment", "completed")}
    assert "packagex_export_shipments" not in {r["stream"] for r in ran.records["export_jobs"]} - {SHIPMENTS}


@pytest.mark.parametrize("mode", ["create", "collect"])
def test_a_bookmark_older_than_a_day_is_warned_of(tmp_path: Path, mode: str) -> None:
    """What was made and removed since the last run cannot be seen any more; jobs that the tap makes itself can."""
    old = {"replication_key": "created_at", "replication_key_value": "2026-01-01T00:00:00.000Z"}
    with sandbox() as box:
        ran = tap(tmp_path, config(box, mode=mode), state={"bookmarks": {SHIPMENTS: old, "packagex_exports": old}})
    warned = [line for line in ran.stderr.splitlines() if "may have vanished unread" in line]
    assert [SHIPMENTS in " ".join(warned), "packagex_exports: " in " ".join(warned)] == [mode == "collect", True]


def test_the_list_holds_no_urls_and_waits_for_open_jobs(tmp_path: Path) -> None:
    with sandbox() as box:
        ran = tap(tmp_path, config(box)).succeeded()
        open_jobs = [e for e in box.truth("packagex/exports") if e["status"] in {"queued", "processing"}]
    records = ran.records["packagex_exports"]
    assert not [name for record in records for name in record if name.startswith("_")]
    held = min(r["created_at"] for r in records if r["id"] in {e["id"] for e in open_jobs})
    assert bookmark(ran, "packagex_exports")["replication_key_value"] < held


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": {"limit": 10}}, "options.limit is set by the tap, which reads all rows of a window; remove it"),
        ({"options": {"created_at": "gte:2020"}}, "options.created_at is set by the tap"),
        ({"format": "csv", "columns": ["name"]}, 'columns lack "id", a key; add it, or set primary_keys'),
    ],
)
def test_an_entry_that_would_lose_rows_is_refused(tmp_path: Path, changes: Json, message: str) -> None:
    with sandbox() as box:
        ran = tap(tmp_path, config(box, **changes))
    assert ran.code == 1
    assert message in ran.errors[0]


def test_columns_and_filters_are_sent(tmp_path: Path) -> None:
    with sandbox() as box:
        changes = {"format": "csv", "columns": ["id", "status"], "options": {"status": "delivered"}}
        ran = tap(tmp_path, config(box, **changes)).succeeded()
    assert {tuple(r) for r in without_lineage(ran.records[SHIPMENTS])} >= {("id", "status")}
    assert {r["status"] for r in ran.records[SHIPMENTS]} == {"delivered"}


def three_runs(tmp_path: Path, configured: Json) -> list[Ran]:
    runs: list[Ran] = []
    for _ in range(3):
        runs.append(tap(tmp_path, configured, state=runs[-1].states[-1] if runs and runs[-1].states else None))
    return runs


def test_exports_that_outlive_their_files_are_passed_once(tmp_path: Path) -> None:
    """The list may show exports of more than 24 hours: each gets a receipt, the run fails, and the next ones go on."""
    with sandbox(knobs={"removed": "listed"}) as box:
        box.set_faults({"clocks": {"packagex": {"skew_seconds": 26 * 3600}}})
        box.grow()
        runs = three_runs(tmp_path, {**config(box, mode="collect"), "settling_seconds": 0})
    assert [ran.code for ran in runs] == [1, 0, 0], runs[0].stderr
    lost = [record for record in runs[0].records["export_jobs"] if record["status"] == "lost"]
    assert "is older than 24 hours, its files are gone" in runs[0].errors[0]
    assert (len(lost) > 0, [ran.records["export_jobs"] for ran in runs[1:]]) == (True, [[], []])


def test_error_files_that_are_bad_stop_no_later_run(tmp_path: Path) -> None:
    """They are read in two runs and then dropped; the rows are not held up in any."""
    broken = {"match": {"origin": "files", "path": "*_csv_error*"}, "action": {"replace": {"text": "%PDF-1.7 sorry"}}}
    with sandbox(faults={"faults": [broken]}) as box:
        runs = three_runs(tmp_path, config(box))
        assert sorted(ids(runs[0], SHIPMENTS)) == sorted(row["id"] for row in truth(box)["rows"])
    assert [ran.code for ran in runs] == [1, 1, 0], runs[2].stderr
    assert "a PDF document where text is due" in runs[1].errors[0]


@pytest.mark.parametrize("status", [403, 500])
def test_a_list_that_is_refused_costs_no_rows(tmp_path: Path, status: int) -> None:
    """Samples are optional: where exports cannot be listed, the first file shows the columns."""
    refused = {"match": {"method": "GET", "path": "/v1/exports"}, "action": {"status": status}}
    with sandbox(faults={"faults": [refused]}) as box:
        configured = {**config(box), "max_attempts": 2}
        catalog = json.loads(b"".join(tap(tmp_path, configured, "--discover").succeeded().lines))
        for entry in catalog["streams"]:
            selected = entry["tap_stream_id"] == SHIPMENTS
            entry["metadata"] = [{"breadcrumb": [], "metadata": {"selected": selected}}]
        ran = tap(tmp_path, configured, catalog=catalog).succeeded()
        assert sorted(ids(ran, SHIPMENTS)) == sorted(row["id"] for row in truth(box)["rows"])
