"""`plan` tells what the next run does, and does nothing of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tap_exports.sandbox import Sandbox, SandboxOptions
from tests.operator.calling import Caller, Json, planned, sent, steps
from tests.tap.harness import only, tap

INVOICES = "exelensia_export_invoices"
LINES = "exelensia_export_invoice_lines"
END = "2026-06-30T00:00:00Z"


def sandbox(**options: Any) -> Sandbox:  # noqa: ANN401 - of `SandboxOptions`
    return Sandbox(SandboxOptions(**{"job_seconds": 0, **options}))


def config(box: Sandbox, provider: str, **changes: object) -> Json:
    """Return a configuration of one provider, with windows short enough for several."""
    whole = only(box.config(provider), provider)
    for entry in whole["exelensia"]["exports"] if provider == "exelensia" else ():
        entry["max_window_days"] = 300
    return {**whole, "progress": "never", **changes}


def test_nothing_is_created(call: Caller) -> None:
    """All providers are planned with GET alone."""
    with sandbox() as box:
        done = call("plan", config=box.config())
        assert (done.code, sent(box)) == (0, {"GET"})
        assert {spent["jobs_created"] for spent in box.spend().values() if "jobs_created" in spent} == {0}
    assert {step["action"] for each in done.data["streams"] for step in each["steps"]} == {"create", "collect", "list"}


def test_the_run_does_what_was_planned(call: Caller, tmp_path: Path) -> None:
    """The windows of the plan are those of the jobs that the run creates."""
    with sandbox() as box:
        given = config(box, "exelensia", end_date=END)
        plan = call("plan", config=given).data
        ran = tap(tmp_path, given).succeeded()
        assert call("plan", config=given, state=ran.states[-1]).data["streams"][0]["steps"][0]["action"] == "skip"
    due = [(s["stream"], *step["window"]) for s in plan["streams"] for step in s["steps"] if step["action"] == "create"]
    made = [(r["stream"], r["window_start"], r["window_end"]) for r in ran.records["export_jobs"]]
    assert sorted(due) == sorted(made)
    assert len(due) > 3


def test_open_jobs_lost_replies_deletions_and_strangers(call: Caller, tmp_path: Path) -> None:
    """Each kind of entry of the ledger has its step; the STATE file is as it was."""
    with sandbox(job_seconds=3600) as box:
        given = config(box, "exelensia", end_date=END, max_concurrent_jobs=64, ledger="none")
        state = tap(tmp_path, {**given, "job_wait": "detach"}).succeeded().states[-1]
        ledger = state["bookmarks"][INVOICES]["ledger"]
        first, second = ledger["jobs"][:2]
        ledger["intents"] = [{key: second[key] for key in ("fingerprint", "window", "requested_at")}]
        ledger["jobs"] = [first, {**first, "id": "another", "fingerprint": "of another request"}]
        ledger["delete"] = ["proven"]
        exports = [{**each, "delete_after_load": True} for each in given["exelensia"]["exports"]]
        box.clear_requests()
        done = call("plan", config={**given, "exelensia": {**given["exelensia"], "exports": exports}}, state=state)
        assert sent(box) <= {"GET"}
    found = steps(done.data, INVOICES)
    assert found[:4] == [("delete", "proven"), ("drop", "another"), ("attach", first["id"]), ("find", None)]
    assert {action for action, _ in found[4:]} <= {"create"}
    assert steps(done.data, LINES)[0][0] == "attach"


@pytest.mark.parametrize(
    ("changes", "bookmark", "reason"),
    [
        ({"end_date": "2026-01-31"}, "2026-02-01T00:00:00.000Z", "at or past end_date 2026-01-31T23:59:59.999Z"),
        ({"start_date": "2199-01-01"}, None, "start_date 2199-01-01T00:00:00.000Z is not yet past"),
        ({"settling_seconds": 31_536_000}, "2026-11-01T00:00:00.000Z", "minus settling_seconds is proven"),
    ],
)
def test_why_nothing_is_due(call: Caller, changes: Json, bookmark: str | None, reason: str) -> None:
    with sandbox() as box:
        bookmarks = {INVOICES: {"replication_key": "created_at", "replication_key_value": bookmark}} if bookmark else {}
        done = call("plan", config=config(box, "exelensia", **changes), state={"bookmarks": bookmarks})
    (step,) = planned(done.data, INVOICES)["steps"]
    assert step["action"] == "skip"
    assert reason in step["note"]


def test_what_the_configuration_or_the_catalog_leave_out(call: Caller, tmp_path: Path) -> None:
    """Providers without a block, deselected streams, and streams that only STATE has are named with the reason."""
    with sandbox() as box:
        given = config(box, "exelensia")
        catalog = tap(tmp_path, given, "--discover").lines
        found = json.loads(b"\n".join(catalog))
        for stream in found["streams"]:
            top = next(m for m in stream["metadata"] if m["breadcrumb"] == [])
            top["metadata"]["selected"] = stream["tap_stream_id"] == INVOICES
        path = call.write("catalog.json", found)
        state = {"bookmarks": {"exelensia_export_gone": {"replication_key_value": "2026-01-01"}}}
        done = call("plan", "--catalog", path, config=given, state=state).data
    assert [each["stream"] for each in done["streams"]] == [INVOICES]
    idle = {each["name"]: each["reason"] for each in done["idle"]}
    assert idle["packagex"] == "no block in the configuration, so no key and no stream"
    assert idle[LINES] == "deselected in the catalog"
    assert idle["exelensia_export_gone"] == "in STATE, but not in the configuration; its bookmark is kept"


def test_one_provider_that_does_not_answer_is_told_and_the_others_are_planned(call: Caller) -> None:
    with sandbox() as box:
        given = box.config("exelensia", "packagex")
        given["packagex"]["api_key"] = "a-wrong-key"
        done = call("plan", config=given)
    broken = planned(done.data, "packagex_export_contacts")
    assert (done.code, broken["steps"]) == (3, [])
    assert "packagex.api_key" in broken["error"]
    assert steps(done.data, INVOICES)[0][0] == "create"
    assert "a-wrong-key" not in done.out + done.err


@pytest.mark.parametrize(("allowed", "most"), [(0, 0), (7, 7), (100_000, 1000)])
def test_credits_that_may_be_spent(call: Caller, allowed: int, most: int) -> None:
    """At most what `max_credits` and the balance (1,000) allow; an export that is given costs nothing."""
    with sandbox() as box:
        given = config(box, "cornect")
        given["cornect"]["max_credits"] = allowed
        done = call("plan", config=given)
        assert sent(box) == {"GET"}
    assert planned(done.data, "cornect_export_software")["credits_max"] == most
    assert planned(done.data, "cornect_export_semiconductors")["credits_max"] == 0
    assert steps(done.data, "cornect_export_semiconductors")[0][0] == "collect"


def test_runs_of_cension(call: Caller) -> None:
    """Runs above the bookmark are collected, those in the ledger attached to; what a begin costs nobody tells."""
    start = {"endpoint": "vertical/create", "body": {}}
    with sandbox() as box:
        given = config(box, "cension")
        export = {**given["cension"]["exports"][0], "name": "companies", "start": start}
        given["cension"]["exports"] = [export]
        entry: Json = {
            "id": "4838",
            "fingerprint": "f",
            "window": None,
            "requested_at": "2026-01-01T00:00:00.000Z",
            "files": {},
        }
        state = {"cension_export_companies": {"replication_key_value": 4836, "ledger": {"version": 2, "jobs": [entry]}}}
        done = call("plan", config=given, state={"bookmarks": state})
    plan = planned(done.data, "cension_export_companies")
    assert steps(done.data, "cension_export_companies") == [("attach", "4838"), ("collect", "4840"), ("create", None)]
    assert plan["credits_max"] is None


def test_jobs_of_others(call: Caller) -> None:
    """With `mode: collect` the jobs that are there are listed, with what becomes of each."""
    with sandbox() as box:
        given = config(box, "packagex")
        given["packagex"]["exports"] = [{"resource": "contact", "name": "contacts", "mode": "collect"}]
        done = call("plan", config=given)
        assert sent(box) == {"GET"}
    found = [action for action, _ in steps(done.data, "packagex_export_contacts")]
    assert "collect" in found
    assert "create" not in found


def test_detached_runs_keep_to_the_open_jobs(call: Caller, tmp_path: Path) -> None:
    """Jobs that are open count, those of other streams of the account too: what has no room waits for a later run."""
    with sandbox(job_seconds=3600) as box:
        given = config(box, "exelensia", job_wait="detach", max_concurrent_jobs=3)
        first = _created_now(call("plan", config=given).data)
        state = tap(tmp_path, given).succeeded().states[-1]
        second = _created_now(call("plan", config=given, state=state).data)
        box.clear_requests()
        tap(tmp_path, given, state=state).succeeded()
        assert [entry for entry in box.requests() if entry["method"] == "POST"] == []
    assert (first, second) == (3, 0)


def _created_now(plan: Json) -> int:
    every = [step for stream in plan["streams"] for step in stream["steps"] if step["action"] == "create"]
    assert len(every) > 3
    return sum(step["note"] == "" for step in every)


def test_text(call: Caller) -> None:
    """People get tables and sentences; the key is in neither form."""
    with sandbox() as box:
        given = config(box, "exelensia")
        text, data = call("plan", "--format", "text", config=given), call("plan", config=given)
        key = box.key("exelensia")
    assert INVOICES in text.out
    assert "cension, closient, cornect, packagex: no block in the configuration" in text.out
    assert key not in text.out + text.err + data.out + data.err


def test_ids_stay_whole_on_a_narrow_terminal(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a table would cut words, each row is a block of lines."""
    monkeypatch.setenv("TERM", "xterm")
    with sandbox() as box:
        given = config(box, "cornect")
        monkeypatch.setenv("COLUMNS", "60")
        narrow = call("jobs", config=given, terminal=True).out
        monkeypatch.setenv("COLUMNS", "140")
        wide = call("jobs", config=given, terminal=True).out
    known = "b4864008-4f17-4276-b34f-08398d35c5c3"
    assert known in narrow
    assert known in wide
    assert f"  job       {known}\n" in narrow
    assert "─" in wide
    assert "─" not in narrow
    assert "\x1b" not in narrow + wide


def test_jobs_that_exist_are_attached_to_where_there_is_no_state(call: Caller, tmp_path: Path) -> None:
    """The run after a lost STATE reads them in place of new ones, and so the plan says."""
    with sandbox() as box:
        given = config(box, "exelensia", end_date=END)
        ran = tap(tmp_path, given).succeeded()
        made = [r["job_id"] for r in ran.records["export_jobs"] if r["stream"] == INVOICES]
        again = call("plan", config=given).data
        anew = call("plan", config={**given, "job_reuse_seconds": 0, "ledger": "none"}).data
    assert steps(again, INVOICES) == [("attach", job) for job in made]
    assert steps(anew, INVOICES) == [("create", None)] * len(made)


def test_state_of_other_settings_is_told_as_the_run_would(call: Caller, tmp_path: Path) -> None:
    with sandbox() as box:
        given = config(box, "exelensia", end_date=END)
        state = tap(tmp_path, given).succeeded().states[-1]
        for entry in given["exelensia"]["exports"]:
            entry["schema_id"] = given["exelensia"]["exports"][-1]["schema_id"]
        stopped, kept = (
            call("plan", config={**given, "state_mismatch": each}, state=state) for each in ("stop", "keep")
        )
    assert (stopped.code, kept.code) == (3, 0)
    assert "STATE was made with other settings" in planned(stopped.data, INVOICES)["error"]
    assert planned(kept.data, INVOICES)["error"] is None
