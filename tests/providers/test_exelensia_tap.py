"""Exelensia, the whole tap against the sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.sandbox.exelensia.seed import INVOICES_ID
from tests.tap.harness import Json, Ran, only, tap, without_lineage

ROWS, LINES, LIST = "exelensia_export_invoices", "exelensia_export_lines", "exelensia_exports"
START, END = "2024-01-01T00:00:00.000Z", "2024-03-31T00:00:00.000Z"
JANUARY = {"start_date": START, "end_date": "2024-01-31T23:59:59.999Z"}
# The exports that somebody else made: of all columns, one that failed, and of the lines.
FOREIGN = [f"019760a0-0050-7000-8000-{number:012x}" for number in (0x50, 0x51, 0x52)]
OURS = "019760a0-0050-7000-8000-000000000053"
NUMBERS = {"total", "lines.amount", "lines.quantity", "amount", "quantity"}


def sandbox(*, faults: Json | None = None, knobs: Json | None = None, **options: Any) -> Sandbox:  # noqa: ANN401 - of `SandboxOptions`
    given = {"job_seconds": 0, "knobs": {"exelensia": knobs or {}}, **options}
    return Sandbox(SandboxOptions(**given), faults=faults)


def jobs(**plan: object) -> Json:
    return {"jobs": [{"provider": "exelensia", **plan}]}


def fault(action: Json, **match: object) -> Json:
    return {"faults": [{"match": {"provider": "exelensia", **match}, "action": action}]}


def config(box: Sandbox, **changes: object) -> Json:
    """Return a configuration of one export of the invoices over one fixed window, changed."""
    whole = only(box.config("exelensia"), "exelensia")
    entry = {"schema_id": INVOICES_ID, "name": "invoices", "max_window_days": 10_000, **changes}
    block = {**whole["exelensia"], "exports": [entry]}
    return {**whole, "start_date": START, "end_date": END, "progress": "never", "exelensia": block}


def until_now(whole: Json) -> Json:
    return {k: v for k, v in whole.items() if k != "end_date"}


def there(box: Sandbox, **asked: object) -> list[Json]:
    """Return the rows of an export as the source has them, typed as its schema declares."""
    table = box.truth("exelensia/export", schema_id=INVOICES_ID, **asked)
    return [
        {c: float(v) if v is not None and c in NUMBERS else v for c, v in zip(table["columns"], row, strict=True)}
        for row in table["rows"]
    ]


def post(box: Sandbox) -> str:
    """Create an export as somebody else would, and return its id."""
    address, headers = f"{box.api_url('exelensia')}/v1/exports", {"x-api-key": box.key("exelensia")}
    reply = requests.post(address, json={"schema_id": INVOICES_ID, **JANUARY}, headers=headers, timeout=10)
    box.clear_requests()
    return str(reply.json()["id"])


def asked(box: Sandbox, method: str = "POST") -> list[str]:
    return [entry["path"] for entry in box.requests() if entry["method"] == method]


def job_ids(ran: Ran, stream: str = ROWS) -> list[str]:
    return list(dict.fromkeys(record["_sdc_job_id"] for record in ran.records[stream]))


def receipts(ran: Ran) -> list[tuple[str, str, int]]:
    return [(r["job_id"], r["status"], r["rows"]) for r in ran.records["export_jobs"]]


def windows(ran: Ran) -> list[tuple[str, str]]:
    return [(r["window_start"], r["window_end"]) for r in ran.records["export_jobs"]]


def bookmark(ran: Ran, stream: str = ROWS) -> Json:
    return dict(ran.states[-1]["bookmarks"][stream])


def open_jobs(ran: Ran) -> list[str]:
    return [job["id"] for job in bookmark(ran)["ledger"]["jobs"]]


# Creating ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "knobs", [{}, {"csv_header": "label"}, {"csv_newline": "\r\n", "inclusive": False, "pages_of_none": 0}]
)
def test_every_cell_arrives(tmp_path: Path, knobs: Json) -> None:
    """Line ends, quotes, empty beside null, text that looks like numbers; labels in the header stand for keys."""
    with sandbox() as box:
        expected = there(box)
    with sandbox(knobs=knobs) as box:
        ran = tap(tmp_path, config(box)).succeeded()
        assert asked(box) == ["/v1/exports"]
    assert without_lineage(ran.records[ROWS]) == expected
    assert receipts(ran) == [(OURS, "completed", 40)]


def test_rows_carry_lineage_and_long_decimals(tmp_path: Path) -> None:
    with sandbox() as box:
        ran = tap(tmp_path, config(box)).succeeded()
    assert {k: v for k, v in ran.records[ROWS][39].items() if k.startswith("_sdc_")} == {
        "_sdc_job_id": OURS,
        "_sdc_file": "export.csv",
        "_sdc_row": 40,
        "_sdc_row_digest": "5a1adf0144af5e17263c995099ecfcf0",
        "_sdc_row_copy": 1,
        "_sdc_extra": None,
        "_sdc_window_start": START,
        "_sdc_window_end": END,
    }
    mine = [line for line in ran.lines if f'"stream":"{ROWS}"'.encode() in line]
    assert sum(b'"total":12345678901234567890.123456789,' in line for line in mine) == 6
    assert (ran.schema(ROWS)["key_properties"]) == ["_sdc_window_start", "_sdc_row_digest", "_sdc_row_copy"]


def test_windows_touch(tmp_path: Path) -> None:
    """Both ends are inclusive and the next window starts at the very end: only rows of that millisecond come twice."""
    with sandbox() as box:
        ran = tap(tmp_path, config(box, max_window_days=31, primary_keys=["invoice_number"])).succeeded()
        bodies = [entry["body_json"] for entry in box.requests() if entry["method"] == "POST"]
    expected = [
        ("2024-01-01T00:00:00.000Z", "2024-01-31T23:59:59.999Z"),
        ("2024-01-31T23:59:59.999Z", "2024-03-02T23:59:59.999Z"),
        ("2024-03-02T23:59:59.999Z", "2024-03-31T00:00:00.000Z"),
    ]
    assert windows(ran) == expected
    assert sorted((body["start_date"], body["end_date"]) for body in bodies) == expected
    assert sorted({row["invoice_number"] for row in ran.records[ROWS]}) == [f"INV-{n:04d}" for n in range(40)]
    assert ran.schema(ROWS)["key_properties"] == ["invoice_number"]


def test_the_first_window_begins_with_the_schema(tmp_path: Path) -> None:
    """Without start_date: no result is older than its schema."""
    with sandbox() as box:
        ran = tap(tmp_path, {k: v for k, v in config(box).items() if k != "start_date"}).succeeded()
    assert windows(ran) == [("2023-12-01T09:00:00.000Z", END)]


def test_a_second_run_brings_only_what_is_new(tmp_path: Path) -> None:
    with sandbox() as box:
        whole = until_now(config(box))
        first = tap(tmp_path, whole).succeeded()
        grown = box.grow()["exelensia"]["results"]
        second = tap(tmp_path, whole, state=first.states[-1]).succeeded()
    assert [r["invoice_number"] for r in second.records[ROWS]] == [r["extraction"]["invoice_number"] for r in grown]
    end = bookmark(first)["replication_key_value"]
    assert end == windows(first)[-1][1]
    assert windows(second)[0][0] == end


@pytest.mark.parametrize("knobs", [{}, {"expanded": "plain"}, {"keep_empty": True}])
def test_an_expanded_array_is_one_row_per_item(tmp_path: Path, knobs: Json) -> None:
    """The columns of the items come from a completed export, whatever their names."""
    with sandbox(knobs=knobs) as box:
        ran = tap(tmp_path, config(box, name="lines", expand_array="lines")).succeeded()
        assert "WARNING" not in ran.stderr, "the array itself is no column of its items"
        expected = there(box, expand_array="lines")
    assert without_lineage(ran.records[LINES]) == expected
    assert len(expected) == (70 if knobs.get("keep_empty") else 60)
    amount = "amount" if "expanded" in knobs else "lines.amount"
    assert ran.schema(LINES)["schema"]["properties"][amount] == {"type": ["number", "null"]}


def test_a_job_that_fails_leaves_its_window_open(tmp_path: Path) -> None:
    """The provider gives no reason; the next run asks again, once."""
    with sandbox(faults=jobs(nth=1, outcome="fail")) as box:
        failed = tap(tmp_path, config(box))
        second = tap(tmp_path, config(box), state=failed.states[-1]).succeeded()
        assert box.spend()["exelensia"] == {"jobs_created": 2}
    message = f'{ROWS} {START}…{END}, job {OURS}: ended as "FAILED"; the window stays open, the next run asks again, '
    assert failed.errors[0] == f"{message}`max_window_days` makes windows smaller, `window_size: auto` by itself"
    assert (failed.code, receipts(failed), failed.records[ROWS]) == (1, [(OURS, "failed", 0)], [])
    assert "replication_key_value" not in bookmark(failed)
    assert len(second.records[ROWS]) == 40


@pytest.mark.parametrize(("nth", "code", "rows"), [(1, 0, 40), (None, 1, 0)])
def test_a_job_that_vanishes_is_asked_for_again_once(tmp_path: Path, nth: int | None, code: int, rows: int) -> None:
    plan = {"outcome": "vanish"} | ({"nth": nth} if nth else {})
    with sandbox(faults=jobs(**plan)) as box:
        ran = tap(tmp_path, {**config(box), "job_grace_seconds": 0})
        assert box.spend()["exelensia"] == {"jobs_created": 2}
    assert (ran.code, len(ran.records[ROWS])) == (code, rows)
    assert f"export {OURS} is not in the list any more; submitting the window again, once" in ran.stderr


def test_an_unknown_status_is_never_success(tmp_path: Path) -> None:
    """It is watched until the stall timeout; the job stays in STATE."""
    with sandbox(faults=jobs(status="ARCHIVED")) as box:
        ran = tap(tmp_path, {**config(box), "job_stall_timeout_seconds": 1})
        assert box.spend()["exelensia"] == {"jobs_created": 1}
    assert (ran.code, ran.records[ROWS], open_jobs(ran)) == (1, [], [OURS])
    assert (
        'status "ARCHIVED" is not known: say what it means in the setting exelensia.statuses; it made no progress'
        in ran.errors[0]
    )


def test_a_configured_status_is_what_it_says(tmp_path: Path) -> None:
    """`statuses` explains a word that the provider added, without case: the job failed, and nothing waits for it."""
    with sandbox(faults={"jobs": [{"provider": "exelensia", "status": "ARCHIVED"}]}) as box:
        given = config(box)
        given["exelensia"]["statuses"] = {"Archived": "failed"}
        ran = tap(tmp_path, given)
    assert (ran.code, ran.records[ROWS]) == (1, [])
    assert 'ended as "ARCHIVED"; the window stays open, the next run asks again' in ran.errors[0]


def test_409_on_a_completed_job_is_looked_at_again(tmp_path: Path) -> None:
    """The list said completed, and another replica that it is not: the same job is read in the same run."""
    with sandbox(faults=fault({"status": 409}, path="*/download", nth=1)) as box:
        ran = tap(tmp_path, config(box)).succeeded()
        assert box.spend()["exelensia"] == {"jobs_created": 1}
    assert job_ids(ran) == [OURS]


def test_409_on_a_completed_job_for_ever_takes_another_job(tmp_path: Path) -> None:
    """It is read twice, each time with a message; the third run reads the one in its place."""
    with sandbox(faults=fault({"status": 409}, path=f"*/{OURS}/download")) as box:
        given = {**config(box), "job_grace_seconds": 0}
        first = tap(tmp_path, given)
        second = tap(tmp_path, given, state=first.states[-1])
        third = tap(tmp_path, given, state=second.states[-1]).succeeded()
        assert box.spend()["exelensia"] == {"jobs_created": 2}
    assert [(ran.code, "409 Conflict" in ran.errors[0]) for ran in (first, second)] == [(1, True)] * 2
    assert len(third.records[ROWS]) == 40


@pytest.mark.parametrize(("action", "found"), [({"lose_reply": True}, True), ({"reset": True}, False)])
def test_a_creation_without_a_reply_makes_one_job(tmp_path: Path, action: Json, found: bool) -> None:  # noqa: FBT001 - a parameter of the table above
    """Where it arrived, the job is found in the list and adopted; where it did not, it is made."""
    with sandbox(faults=fault(action, method="POST", nth=1)) as box:
        ran = tap(tmp_path, {**config(box), "lost_reply_search_seconds": 1}).succeeded()
        assert box.spend()["exelensia"] == {"jobs_created": 1}
        assert len(asked(box)) == (1 if found else 2)
    assert (f"job {OURS} found for" in ran.stderr) == found
    assert (job_ids(ran), len(ran.records[ROWS])) == ([OURS], 40)


def test_an_unreadable_reply_is_looked_for_too(tmp_path: Path) -> None:
    """What was created is not created again because its reply was cut."""
    with sandbox(faults=fault({"truncate": 0}, method="POST", nth=1)) as box:
        ran = tap(tmp_path, config(box)).succeeded()
        assert box.spend()["exelensia"] == {"jobs_created": 1}
    assert job_ids(ran) == [OURS]


def test_a_detached_job_is_collected_by_the_next_run(tmp_path: Path) -> None:
    """The first run ends well with the job in STATE and no rows."""
    with sandbox(job_polls=1) as box:
        first = tap(tmp_path, {**config(box), "job_wait": "detach"}).succeeded()
        second = tap(tmp_path, {**config(box), "job_wait": "detach"}, state=first.states[-1]).succeeded()
        assert asked(box) == ["/v1/exports"]
    assert (first.records[ROWS], open_jobs(first), receipts(first)) == ([], [OURS], [])
    assert (job_ids(second), open_jobs(second), receipts(second)) == ([OURS], [], [(OURS, "completed", 40)])


def test_a_loaded_job_is_deleted_by_the_next_run(tmp_path: Path) -> None:
    """Only then its rows are known to be loaded; jobs of others are never deleted."""
    with sandbox() as box:
        other = post(box)
        whole = until_now(config(box, delete_after_load=True))
        first = tap(tmp_path, whole).succeeded()
        (ours,) = job_ids(first)
        assert (asked(box, "DELETE"), bookmark(first)["ledger"]["delete"]) == ([], [ours])
        second = tap(tmp_path, whole, state=first.states[-1]).succeeded()
        assert asked(box, "DELETE") == [f"/v1/exports/{ours}"]
        left = [e["id"] for e in box.truth("exelensia/exports")]
    assert left == [*FOREIGN, other, *bookmark(second)["ledger"]["delete"]]
    assert len(left) == 5


def test_without_the_setting_nothing_is_deleted(tmp_path: Path) -> None:
    with sandbox() as box:
        first = tap(tmp_path, until_now(config(box))).succeeded()
        tap(tmp_path, until_now(config(box)), state=first.states[-1]).succeeded()
        assert asked(box, "DELETE") == []


# Collecting ----------------------------------------------------------------------------------------------------------


def test_collecting_creates_and_deletes_nothing(tmp_path: Path) -> None:
    """Completed exports of the schema and array, oldest first; one that failed has a receipt and no rows."""
    with sandbox() as box:
        other, whole = post(box), until_now(config(box, mode="collect", delete_after_load=True))
        first = tap(tmp_path, whole).succeeded()
        tap(tmp_path, whole, state=first.states[-1]).succeeded()
        assert (asked(box), asked(box, "DELETE")) == ([], [])
        january = there(box, **JANUARY)
    assert without_lineage(first.records[ROWS]) == [*january, *january]
    assert receipts(first) == [
        (FOREIGN[0], "completed", len(january)),
        (FOREIGN[1], "failed", 0),
        (other, "completed", len(january)),
    ]
    assert f"{ROWS}: job {FOREIGN[1]} ended as FAILED; it has no rows" in first.stderr
    assert "a row that stands in two exports of others comes twice" in first.stderr


def test_collecting_follows_the_array(tmp_path: Path) -> None:
    with sandbox() as box:
        ran = tap(tmp_path, config(box, name="lines", mode="collect", expand_array="lines")).succeeded()
        assert without_lineage(ran.records[LINES]) == there(box, **JANUARY, expand_array="lines")
    assert job_ids(ran, LINES) == [FOREIGN[2]]


def test_collecting_stops_before_an_open_job(tmp_path: Path) -> None:
    """A younger one that is completed waits, so that the bookmark never passes what was not read."""
    with sandbox(faults=jobs(nth=1, seconds=3600)) as box:
        slow, quick = post(box), post(box)
        whole = until_now(config(box, mode="collect"))
        first = tap(tmp_path, whole).succeeded()
        created = {e["id"]: e["createdAt"] for e in box.truth("exelensia/exports")}
        box.clock.advance(3600)
        second = tap(tmp_path, whole, state=first.states[-1]).succeeded()
    assert job_ids(first) == [FOREIGN[0]]
    assert f"{ROWS}: job {slow} is PENDING; the next run reads it" in first.stderr
    assert bookmark(first)["replication_key_value"] < created[slow]
    assert job_ids(second) == [slow, quick]


# Lists ---------------------------------------------------------------------------------------------------------------


def test_lists_hold_what_stands_at_the_source(tmp_path: Path) -> None:
    """Every record once, in the order of creation, extraction included."""
    with sandbox() as box:
        ran = tap(tmp_path, {**config(box), "start_date": "2020-01-01T00:00:00Z", "end_date": "2026-01-01"}).succeeded()
        for name in ("schemas", "templates", "files", "processes", "results"):
            assert ran.records[f"exelensia_{name}"] == box.truth(f"exelensia/{name}"), name
        assert ran.records[LIST] == box.truth("exelensia/exports")[:3]


@pytest.mark.parametrize("inclusive", [True, False])
def test_bounds_of_lists_hold_their_instants(tmp_path: Path, inclusive: bool) -> None:  # noqa: FBT001 - a parameter
    """Whether the provider's filters include theirs is not documented: nothing is missed, nothing comes twice."""
    low, high = "2024-02-01T00:00:00.000Z", "2024-02-29T23:59:59.999Z"
    with sandbox(knobs={"inclusive": inclusive}) as box:
        whole = {**config(box), "start_date": low, "end_date": high}
        first = tap(tmp_path, whole).succeeded()
        second = tap(tmp_path, {**whole, "end_date": END}, state=first.states[-1]).succeeded()
        results = box.truth("exelensia/results")
    streams = [[row["id"] for row in ran.records["exelensia_results"]] for ran in (first, second)]
    assert streams == [
        [row["id"] for row in results if low <= row["createdAt"] <= high],
        [row["id"] for row in results if high < row["createdAt"] <= END],
    ]
    assert len([row for row in results if row["createdAt"] in {low, high}]) == 2


def test_the_list_of_exports_waits_for_open_ones(tmp_path: Path) -> None:
    """So a change of status arrives, although the provider has no filter for it."""
    with sandbox(faults=jobs(nth=1, seconds=3600)) as box:
        slow = post(box)
        whole = until_now(config(box, mode="collect"))
        first = tap(tmp_path, whole).succeeded()
        box.clock.advance(3600)
        second = tap(tmp_path, whole, state=first.states[-1]).succeeded()
    assert [(r["id"], r["status"]) for r in first.records[LIST]][-1] == (slow, "PENDING")
    assert [(r["id"], r["status"]) for r in second.records[LIST]] == [(slow, "COMPLETED")]
    assert bookmark(first, LIST)["replication_key_value"] < first.records[LIST][-1]["createdAt"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"schema_id": "019760a0-0001-7000-8000-0000000000ff"},
            "no schema 019760a0-0001-7000-8000-0000000000ff (exports.schema_id) in the account of this key",
        ),
        ({"expand_array": "total"}, "400 Bad Request: expand_array total is not an array field of the schema"),
        ({"mode": "read"}, "must be one of create, collect"),
    ],
)
def test_bad_input_is_told_in_one_line(tmp_path: Path, changes: Json, message: str) -> None:
    with sandbox() as box:
        ran = tap(tmp_path, config(box, **changes))
        assert box.spend()["exelensia"] == {"jobs_created": 0}
    assert (ran.code != 0, message in ran.stderr, "Traceback" in ran.stderr) == (True, True, False), ran.stderr
