"""Cension, the whole tap against the sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.sandbox.cension.api import export_key
from tests.process.child import DEVNULL, Child
from tests.tap.harness import Json, Ran, arguments_of, only, tap, without_lineage

ROWS, QUERY, RUNS = "cension_export_companies", "cension_query_recent", "cension_operations"
FAILED, CANCELLED, RUNNING, NEXT = 4837, 4838, 4842, 4843
START = {"endpoint": "horizontal/create", "body": {"feedId": 123, "projectId": 456, "ogIds": ["3", "1", "2"]}}
ONCE = {"runs_started": 1, "credits": 6}
NOTHING = {"runs_started": 0, "credits": 0}


def sandbox(*, faults: Json | None = None, knobs: Json | None = None, **options: Any) -> Sandbox:  # noqa: ANN401 - of `SandboxOptions`
    given = {"job_seconds": 0, "knobs": {"cension": knobs or {}}, **options}
    return Sandbox(SandboxOptions(**given), faults=faults)


def config(box: Sandbox, numbers: list[int] | None = None, **changes: object) -> Json:
    """Return a configuration of one export, over some runs or whole, changed."""
    whole = only(box.config("cension"), "cension")
    entry = {"export_id": 459, "name": "companies", **changes}
    keys = {k: whole["cension"][k] for k in ("api_key", "api_url")}
    block = {**keys, "exports": [entry], **({"operation_ids": numbers} if numbers else {})}
    return {**whole, "progress": "never", "cension": block}


def queries(box: Sandbox, **entry: object) -> Json:
    """Return a configuration of the saved query, changed."""
    whole = config(box)
    keys = {k: whole["cension"][k] for k in ("api_key", "api_url")}
    return {**whole, "cension": {**keys, "queries": [{"query_id": 12, "name": "recent", **entry}]}}


def there(box: Sandbox, *numbers: int) -> list[Json]:
    """Return the rows of runs as the source has them, one run after the other."""
    return [row for number in numbers for row in box.truth("cension/export/459", operationId=number)]


def filled(rows: list[Json]) -> list[Json]:
    """Return rows without what is null: a key that only some rows have is null in others, or absent."""
    return [{k: v for k, v in row.items() if v is not None} for row in rows]


def records(ran: Ran, stream: str = ROWS) -> list[Json]:
    return without_lineage(ran.records[stream])


def bookmark(ran: Ran, stream: str = ROWS) -> Json:
    return dict(ran.states[-1]["bookmarks"].get(stream, {}))


def last_run(ran: Ran, stream: str = ROWS) -> object:
    return bookmark(ran, stream).get("replication_key_value")


def receipts(ran: Ran) -> list[tuple[str, str, int]]:
    return [(r["job_id"], r["status"], r["rows"]) for r in ran.records["export_jobs"]]


def posts(box: Sandbox) -> int:
    return sum(entry["method"] == "POST" for entry in box.requests())


def activated(ran: Ran) -> set[str]:
    return {m["stream"] for m in ran.messages if m["type"] == "ACTIVATE_VERSION"}


# Runs ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("knobs", [{}, {"limit_cap": 7}, {"envelope": "list"}])
def test_runs_are_read_in_ascending_order(tmp_path: Path, knobs: Json) -> None:
    """Each once and whole, in every envelope, and where the server silently caps the page size."""
    with sandbox(knobs=knobs) as box:
        ran = tap(tmp_path, config(box, [4840, 4801, 4836, 4840])).succeeded()
        expected = there(box, 4801, 4836, 4840)
    assert filled(records(ran)) == filled(expected)
    assert receipts(ran) == [("4801", "completed", 253), ("4836", "completed", 50), ("4840", "completed", 153)]
    assert [r["_sdc_operation_id"] for r in ran.records[ROWS]] == [4801] * 253 + [4836] * 50 + [4840] * 153
    assert [r["_sdc_row"] for r in ran.records[ROWS][250:256]] == [251, 252, 253, 1, 2, 3]
    assert (last_run(ran), last_run(ran, RUNS)) == (4840, 4840)


def test_values_arrive_as_they_are(tmp_path: Path) -> None:
    """Nested objects, lists, leading zeros, null beside empty text; the key is the place in the run."""
    with sandbox() as box:
        ran = tap(tmp_path, config(box, [4836])).succeeded()
        (first, *_) = there(box, 4836)
    place = {"_sdc_row_digest": "ec1d8277c323f02b2d65e4de1c924958", "_sdc_row_copy": 1}
    lineage = {"_sdc_row": 1, **place, "_sdc_extra": None, "_sdc_operation_id": 4836}
    assert ran.records[ROWS][0] == {**first, **lineage}
    assert (first["cik"], first["ceo_name"], first["linkedin_url"]) == ("0000066740", None, "")
    assert ran.schema(ROWS)["key_properties"] == ["_sdc_operation_id", "_sdc_row_digest", "_sdc_row_copy"]


def test_a_run_that_was_read_is_skipped(tmp_path: Path) -> None:
    """Those at or below the bookmark are not even looked at, but by the list of runs, which has its own."""
    with sandbox() as box:
        first = tap(tmp_path, config(box, [4836])).succeeded()
        box.clear_requests()
        second = tap(tmp_path, config(box, [4801, 4836, 4840]), state=first.states[-1]).succeeded()
        looked_at = {entry["path"] for entry in box.requests()}
    assert receipts(second) == [("4840", "completed", 153)]
    assert "/api/operations/4801" not in looked_at
    assert [r["operationId"] for r in second.records[RUNS]] == [4840]


def test_a_running_run_stops_the_bookmark(tmp_path: Path) -> None:
    """With `detach` what follows it is read and kept as proven; the next run reads the one that was running, alone."""
    with sandbox() as box:
        grown = box.grow()["cension"]["operation"]["operationId"]
        whole = config(box, [4836, RUNNING, grown])
        first = tap(tmp_path, {**whole, "job_wait": "detach"}).succeeded()
        box.clock.advance(3600)
        second = tap(tmp_path, whole, state=first.states[-1]).succeeded()
        expected = there(box, RUNNING)
    read = [("4836", "completed", 50), (str(NEXT), "completed", 5)]
    assert (grown, receipts(first), last_run(first)) == (NEXT, read, 4836)
    assert bookmark(first)["ledger"]["proven"] == [NEXT]
    assert [(r["operationId"], r["status"]) for r in first.records[RUNS]] == [
        (4836, "completed"),
        (RUNNING, "running"),
        (grown, "completed"),
    ]
    assert last_run(first, RUNS) == 4836
    assert [(r["operationId"], r["status"]) for r in second.records[RUNS]] == [
        (RUNNING, "completed"),
        (grown, "completed"),
    ]
    assert (filled(records(second)), last_run(second)) == (filled(expected), grown)


def test_a_run_that_does_not_move_stops_the_stream(tmp_path: Path) -> None:
    with sandbox(knobs={"running_seconds": 1e9}) as box:
        ran = tap(tmp_path, {**config(box, [4836, RUNNING]), "job_stall_timeout_seconds": 1})
    assert (ran.code, last_run(ran), receipts(ran)) == (1, 4836, [("4836", "completed", 50)])
    assert f"{ROWS}, job {RUNNING}: made no progress for 1 s" in ran.errors[0]


def test_a_failed_run_stops_by_default(tmp_path: Path) -> None:
    """The message has the provider's reason and the ways out; the bookmark stays before it, later runs are read."""
    with sandbox() as box:
        ran = tap(tmp_path, config(box, [4836, FAILED, 4840]))
    assert ran.errors[0] == (
        f'{ROWS}, job {FAILED}: ended as "failed": Model quota exceeded; the bookmark stays. '
        "on_failed_run: skip moves past it, pull reads the rows that it processed"
    )
    assert (ran.code, last_run(ran)) == (1, 4836)
    assert receipts(ran) == [("4836", "completed", 50), (str(FAILED), "failed", 0), ("4840", "completed", 153)]


@pytest.mark.parametrize(("how", "rows"), [("skip", (0, 0)), ("pull", (30, 10))])
def test_a_failed_run_may_be_passed(tmp_path: Path, how: str, rows: tuple[int, int]) -> None:
    """`skip` leaves out what it did process, `pull` reads it; both warn and keep its status in the receipt."""
    with sandbox() as box:
        ran = tap(tmp_path, config(box, [4836, FAILED, CANCELLED, 4840], on_failed_run=how)).succeeded()
        numbers = (4836, FAILED, CANCELLED, 4840) if how == "pull" else (4836, 4840)
        assert filled(records(ran)) == filled(there(box, *numbers))
    assert receipts(ran)[1:3] == [(str(FAILED), "failed", rows[0]), (str(CANCELLED), "cancelled", rows[1])]
    assert (last_run(ran), f'job {FAILED} ended as "failed"; on_failed_run: {how}' in ran.stderr) == (4840, True)


def test_an_unknown_status_is_never_success(tmp_path: Path) -> None:
    plan = {"jobs": [{"provider": "cension", "status": "archived"}]}
    with sandbox(faults=plan) as box:
        ran = tap(tmp_path, {**config(box, start=START), "job_stall_timeout_seconds": 1})
    assert (ran.code, ran.records[ROWS], last_run(ran)) == (1, [], None)
    assert (
        'status "archived" is not known: say what it means in the setting cension.statuses; it made no progress'
        in ran.errors[0]
    )


# Whole exports and queries -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("knobs", [{}, {"limit_cap": 7}, {"envelope": "list"}])
def test_without_runs_the_whole_export_comes(tmp_path: Path, knobs: Json) -> None:
    """A full table: earlier reads are replaced; a column that only later pages have is added."""
    with sandbox(knobs=knobs) as box:
        ran = tap(tmp_path, config(box)).succeeded()
        expected = box.truth("cension/export/459")
    assert filled(records(ran)) == filled(expected)
    assert (len(expected), ROWS in activated(ran), ran.states) == (503, True, [])
    assert ran.schema(ROWS)["key_properties"] == ["_sdc_row_digest", "_sdc_row_copy"]
    properties = ran.schema(ROWS)["schema"]["properties"]
    assert properties["late_column"] == {"type": ["string", "null"]}
    added = ["_sdc_row", "_sdc_row_digest", "_sdc_row_copy", "_sdc_extra"]
    assert [name for name in properties if name.startswith("_sdc_")] == added


def test_an_empty_export_is_an_empty_table(tmp_path: Path) -> None:
    with sandbox() as box:
        ran = tap(tmp_path, config(box, export_id=460)).succeeded()
    assert (ran.records[ROWS], ROWS in activated(ran)) == ([], True)


def test_a_query_without_replication_key_is_a_full_table(tmp_path: Path) -> None:
    with sandbox() as box:
        runs = [tap(tmp_path, queries(box)).succeeded() for _ in range(2)]
        expected = box.truth("cension/query/12")
    assert [records(ran, QUERY) for ran in runs] == [expected, expected]
    assert [QUERY in activated(ran) for ran in runs] == [True, True]
    assert runs[0].schema(QUERY)["key_properties"] == ["_sdc_row_digest", "_sdc_row_copy"]


def test_a_query_with_replication_key_brings_only_what_is_new(tmp_path: Path) -> None:
    """The API has no filter, so the tap cuts."""
    with sandbox() as box:
        whole = queries(box, primary_keys=["id"], replication_key="created_at")
        first = tap(tmp_path, whole).succeeded()
        grown = box.grow()["cension"]["query_rows"]
        second = tap(tmp_path, whole, state=first.states[-1]).succeeded()
    assert [len(records(ran, QUERY)) for ran in (first, second)] == [250, 2]
    assert records(second, QUERY) == grown
    assert (first.schema(QUERY)["key_properties"], activated(first)) == (["id"], set())


# Starting runs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("envelope", ["data", "operation", "flat"])
def test_a_started_run_is_paid_once_and_read(tmp_path: Path, envelope: str) -> None:
    """The number is found wherever the reply has it; the run is read after the configured ones."""
    with sandbox(knobs={"start_envelope": envelope}) as box:
        ran = tap(tmp_path, config(box, [4836], start=START)).succeeded()
        assert box.spend()["cension"] == ONCE
        expected = there(box, 4836, NEXT)
    assert filled(records(ran)) == filled(expected)
    assert (receipts(ran)[1], last_run(ran), bookmark(ran)["ledger"]["jobs"]) == ((str(NEXT), "completed", 3), NEXT, [])


def test_reading_spends_nothing(tmp_path: Path) -> None:
    with sandbox() as box:
        tap(tmp_path, config(box, [4836, 4840]), fresh=True).succeeded()
        tap(tmp_path, config(box, start=START), "--discover").succeeded()
        tap(tmp_path, config(box, start=START), "--test").succeeded()
        assert (posts(box), box.spend()["cension"]) == (0, NOTHING)


def test_a_killed_run_is_taken_up_again(tmp_path: Path) -> None:
    """Its number is in STATE before the first poll: the next run begins none and pays none."""
    with sandbox(job_seconds=3600) as box:
        whole = config(box, start=START)
        process = Child(arguments_of(tmp_path, whole), stderr=DEVNULL)
        assert process.stdout
        lines = (json.loads(line) for line in process.stdout)
        state = next(m["value"] for m in lines if m["type"] == "STATE" and open_runs(m["value"]))
        process.kill()
        process.communicate()
        box.clock.advance(3600)
        again = tap(tmp_path, whole, state=state).succeeded()
        assert box.spend()["cension"] == ONCE
        assert filled(records(again)) == filled(there(box, NEXT))
    assert open_runs(state) == [str(NEXT)]
    assert f"re-attaching to job {NEXT}" in again.stderr


def open_runs(state: Json) -> list[str]:
    return [job["id"] for job in state["bookmarks"].get(ROWS, {}).get("ledger", {}).get("jobs", ())]


def test_a_detached_run_is_collected_by_the_next_one(tmp_path: Path) -> None:
    with sandbox(job_polls=1) as box:
        whole = config(box, start=START)
        first = tap(tmp_path, {**whole, "job_wait": "detach"}).succeeded()
        second = tap(tmp_path, {**whole, "job_wait": "detach"}, state=first.states[-1]).succeeded()
        assert box.spend()["cension"] == ONCE
    assert (first.records[ROWS], open_runs(first.states[-1])) == ([], [str(NEXT)])
    assert receipts(second) == [(str(NEXT), "completed", 3)]


def test_a_lost_reply_stops_until_the_run_is_named(tmp_path: Path) -> None:
    """There is no list of runs, and another one would be paid again; its number in operation_ids is the way out."""
    match = {"provider": "cension", "method": "POST", "nth": 1}
    with sandbox(faults={"faults": [{"match": match, "action": {"lose_reply": True}}]}) as box:
        first = tap(tmp_path, config(box, start=START))
        second = tap(tmp_path, config(box, start=START), state=first.states[-1])
        third = tap(tmp_path, config(box, [NEXT], start=START), state=second.states[-1]).succeeded()
        assert (posts(box), box.spend()["cension"]) == (1, ONCE)
        assert filled(records(third)) == filled(there(box, NEXT))
    for stopped in (first, second):
        assert (stopped.code, stopped.records[ROWS]) == (1, [])
        assert "its reply was lost and cension offers no way to find it: nothing is created again." in stopped.errors[0]
        assert "its number among `operation_ids` settles it" in stopped.errors[0]
    assert bookmark(third)["ledger"].get("intents", []) == []
    assert receipts(third) == [(str(NEXT), "completed", 3)]


@pytest.mark.parametrize("knobs", [{}, {"errors_as_200": True}])
def test_a_refused_start_leaves_nothing_behind(tmp_path: Path, knobs: Json) -> None:
    """Also where the refusal comes with status 200: nothing was begun, so nothing is in doubt."""
    wrong = {**START, "body": {**START["body"], "ogIds": []}}  # type: ignore[dict-item] # of the body
    with sandbox(knobs=knobs) as box:
        ran = tap(tmp_path, config(box, start=wrong))
        assert box.spend()["cension"] == NOTHING
    assert (ran.code, "ogIds must not be empty" in ran.errors[0]) == (1, True)
    assert bookmark(ran)["ledger"] == {"version": 2, "jobs": [], "delete": []}


# Keys and bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("numbers", [None, [4836]])
def test_an_export_may_have_its_own_key(tmp_path: Path, numbers: list[int] | None) -> None:
    """It opens that export; the runs are looked up with the key of the block."""
    with sandbox() as box:
        ran = tap(tmp_path, config(box, numbers, api_key=export_key(459))).succeeded()
        wrong = tap(tmp_path, config(box, numbers, api_key=export_key(460)))
    assert len(ran.records[ROWS]) == (50 if numbers else 503)
    assert wrong.errors[0] == f"{ROWS}: cension: 401: key setting `cension.exports.api_key` was refused: Unauthorized"


@pytest.mark.parametrize("knobs", [{}, {"errors_as_200": True}])
@pytest.mark.parametrize(
    ("numbers", "changes", "message"),
    [
        ([1], {}, ("no operation 1 (operation_ids) in the account", "Operation not found")),
        (None, {"export_id": 1}, ("no export 1 (cension.exports.export_id) in the account", "Export not found")),
    ],
)
def test_what_is_not_there_is_told(
    tmp_path: Path, numbers: list[int] | None, changes: Json, message: tuple[str, str], knobs: Json
) -> None:
    """A reply that says `success: false` is a refusal, whatever its status."""
    with sandbox(knobs=knobs) as box:
        ran = tap(tmp_path, config(box, numbers, **changes))
    assert (ran.code, message[bool(knobs)] in ran.errors[0], ran.records[ROWS]) == (1, True, []), ran.errors


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": {"endpoint": "sql/execute", "body": {}}}, "must be one of horizontal/create"),
        ({"start": {"endpoint": "horizontal/create"}}, "start"),
        ({"on_failed_run": "ignore"}, "must be one of stop, skip, pull"),
    ],
)
def test_bad_input_is_told_in_one_line(tmp_path: Path, changes: Json, message: str) -> None:
    with sandbox() as box:
        ran = tap(tmp_path, config(box, **changes))
        assert box.requests() == []
    assert (ran.code != 0, message in ran.errors[0], "Traceback" in ran.stderr) == (True, True, False), ran.stderr
