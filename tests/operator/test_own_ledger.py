"""The tap's own durable ledger: subcommands see what only it holds; what is forgotten does not come back from it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tap_exports.engine.ledger.places import state_folder
from tap_exports.sandbox import Sandbox, SandboxOptions
from tests.operator.calling import Called, Caller, Json, planned, steps
from tests.tap.harness import only, tap

INVOICES = "exelensia_export_invoices"
NOTHING: Json = {"bookmarks": {INVOICES: {"replication_key": "created_at"}}}  # not blank, so that nothing is recalled


def config(box: Sandbox, **changes: Any) -> Json:  # noqa: ANN401 - any JSON
    whole = only(box.config("exelensia"), "exelensia")
    whole["exelensia"]["exports"] = [each for each in whole["exelensia"]["exports"] if each["name"] == "invoices"]
    return {**whole, "progress": "never", "end_date": "2024-06-30T00:00:00Z", "job_reuse_seconds": 0, **changes}


def test_what_state_lacks_is_shown_and_planned(call: Caller, tmp_path: Path) -> None:
    """The loader lost the STATE of a run: its job is in the ledger, and the plan is that of the next run."""
    with Sandbox(SandboxOptions(job_seconds=3600)) as box:
        given = config(box)
        lost = tap(tmp_path, {**given, "job_wait": "detach"}).succeeded().states[-1]
        (job,) = lost["bookmarks"][INVOICES]["ledger"]["jobs"]
        jobs, plan = (
            call("jobs", config=given, state=NOTHING).data["jobs"],
            call("plan", config=given, state=NOTHING).data,
        )
        without = call("plan", config={**given, "ledger": "none"}, state=NOTHING).data
    assert [(each["job"], each["known_from"]) for each in jobs if each["ours"]] == [(job["id"], ["ledger"])]
    assert {tuple(each["known_from"]) for each in jobs if not each["ours"]} == {("account",)}
    assert planned(plan, INVOICES)["steps"][0]["note"] == "known from the ledger only"
    assert steps(plan, INVOICES) == [("attach", job["id"])]
    assert steps(without, INVOICES) == [("create", None)]


def test_a_job_that_is_found_is_said_once(call: Caller, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Beside its step; a run, which shows no steps, warns of it instead."""
    with Sandbox(SandboxOptions(job_seconds=3600)) as box:
        given = config(box, ledger="none", job_reuse_seconds=3600)
        tap(tmp_path, {**given, "job_wait": "detach"}).succeeded()
        plan = call("plan", config=given, state={}).data
        again = tap(tmp_path, {**given, "job_wait": "detach"}).succeeded()
    (step,) = planned(plan, INVOICES)["steps"]
    assert (step["action"], step["note"]) == (
        "attach",
        "found at the provider: of the same request (job_reuse_seconds)",
    )
    assert "there is no STATE" not in caplog.text
    assert "is read in place of a new one" in again.stderr


def test_what_is_forgotten_does_not_come_back(call: Caller, tmp_path: Path) -> None:
    with Sandbox(SandboxOptions(job_seconds=3600)) as box:
        given = config(box)
        state = tap(tmp_path, {**given, "job_wait": "detach"}).succeeded().states[-1]
        (job,) = state["bookmarks"][INVOICES]["ledger"]["jobs"]
        half = call("forget", INVOICES, "--job", job["id"], state=state)
        assert steps(call("plan", config=given, state=half.data).data, INVOICES) == [("attach", job["id"])]
        whole = call("forget", INVOICES, "--job", job["id"], config=given, state=state)
        assert steps(call("plan", config=given, state=whole.data).data, INVOICES) == [("create", None)]
    assert "without --config the tap's own ledger stays" in half.err
    assert "1 entry dropped from the tap's own ledger" in whole.err


def test_a_replay_is_not_read_from_the_job_of_before(call: Caller, tmp_path: Path) -> None:
    """The very window of a job that was read a minute ago is exported again."""
    window = ("--from", "2024-01-01", "--to", "2024-06-30T00:00:00Z")
    with Sandbox(SandboxOptions(job_seconds=0)) as box:
        given = config(box)
        first = tap(tmp_path, given).succeeded()
        replayed = call("replay", INVOICES, *window, config=given, state=first.states[-1])
        again = tap(tmp_path, given, state=replayed.data).succeeded()
    old, new = (ran.records["export_jobs"][0]["job_id"] for ran in (first, again))
    assert old != new
    assert again.records[INVOICES] != []


def left_behind() -> dict[str, bytes]:
    """Return the files of the default ledger."""
    folder = state_folder()
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def own(called: Called) -> list[tuple[str, list[str]]]:
    return [(job["job"], job["known_from"]) for job in called.data["jobs"] if job["ours"]]


def test_each_job_says_where_it_is_known_from(call: Caller, tmp_path: Path) -> None:
    """An open one from STATE and ledger; one that was read from the ledger, also where STATE proves its window."""
    with Sandbox(SandboxOptions(job_seconds=0)) as box:
        given = config(box)
        states = tap(tmp_path, {**given, "job_wait": "detach"}).succeeded().states
        opened = next(each for each in states if each["bookmarks"].get(INVOICES, {}).get("ledger", {}).get("jobs"))
        (job,) = opened["bookmarks"][INVOICES]["ledger"]["jobs"]
        before = call("jobs", config=given, state=opened)
        text = call("jobs", "--format", "text", config=given, state=opened).out
        proven = tap(tmp_path, given, state=opened).succeeded().states[-1]
        after = call("jobs", config=given, state=proven)
    assert own(before) == [(job["id"], ["state", "ledger"])]
    assert own(after) == [(job["id"], ["ledger"])]
    found = next(each for each in after.data["jobs"] if each["ours"])
    assert (found["state"], found["streams"], found["window"]) == ("completed", [INVOICES], job["window"])
    assert "yes (STATE, ledger)" in re.sub(r"\s+", " ", text)


def test_looking_leaves_no_trace(call: Caller, tmp_path: Path) -> None:
    """No lock, no other byte; and where no run kept a ledger there is none afterwards either."""
    with Sandbox(SandboxOptions(job_seconds=3600)) as box:
        given = config(box)
        for words in ("plan", "jobs", "jobs watch nobody"):
            call(*words.split(), config=given, state=NOTHING)
        assert not state_folder().exists()
        job = tap(tmp_path, {**given, "job_wait": "detach"}).succeeded().states[-1]["bookmarks"][INVOICES]
        for path in state_folder().glob("*.lock"):
            path.unlink()
        stale = state_folder() / "stale.json"
        stale.write_text("{}")
        os.utime(stale, (0, 0))
        before, job_id = left_behind(), job["ledger"]["jobs"][0]["id"]
        for words in ("plan", "jobs", f"jobs watch {job_id} --timeout 0.1", f"jobs cancel {job_id}"):
            call(*words.split(), config=given, state=NOTHING)
        assert len(before) == 2
        assert left_behind() == before
        tap(tmp_path, {**given, "job_wait": "detach"}, state=NOTHING).succeeded()
        assert not stale.exists()


def test_a_run_that_only_the_ledger_knows_is_cancelled(call: Caller, tmp_path: Path) -> None:
    """No STATE is needed; a run of others is refused all the same."""
    start = {"endpoint": "horizontal/create", "body": {"feedId": 123, "projectId": 456, "ogIds": ["3", "1", "2"]}}
    with Sandbox(SandboxOptions(job_seconds=3600)) as box:
        given = {**only(box.config("cension"), "cension"), "progress": "never"}
        given["cension"]["exports"] = [{**given["cension"]["exports"][0], "start": start}]
        state = tap(tmp_path, {**given, "job_wait": "detach"}).succeeded().states[-1]
        (job,) = state["bookmarks"]["cension_export_companies"]["ledger"]["jobs"]
        done, refused = call("jobs", "cancel", job["id"], config=given), call("jobs", "cancel", "4840", config=given)
        ended = next(run for run in box.truth("cension/operations") if str(run["operationId"]) == job["id"])
    assert (done.code, ended["status"], refused.code) == (0, "cancelled", 1)
    assert "open neither in the STATE nor in the tap's own ledger" in refused.err


def test_what_only_the_ledger_holds_is_forgotten_without_state(call: Caller, tmp_path: Path) -> None:
    """Nothing is written to standard output, since no STATE was given; what is in neither is an error."""
    with Sandbox(SandboxOptions(job_seconds=3600)) as box:
        given = config(box)
        state = tap(tmp_path, {**given, "job_wait": "detach"}).succeeded().states[-1]
        (job,) = state["bookmarks"][INVOICES]["ledger"]["jobs"]
        forget = ("forget", INVOICES, "--job", job["id"])
        kept = call(*forget, config=given, state=NOTHING)
        assert (kept.code, kept.data) == (0, NOTHING)
        tap(tmp_path, {**given, "job_wait": "detach"}, state=state).succeeded()  # writes the ledger again
        done, again = call(*forget, config=given), call(*forget, config=given)
        assert steps(call("plan", config=given, state=NOTHING).data, INVOICES) == [("create", None)]
    assert (done.code, done.out, again.code) == (0, "", 1)
    assert "1 entry dropped from the tap's own ledger" in done.err
    assert "neither the STATE nor the tap's own ledger holds " in again.err


def test_the_ledger_of_a_selection_is_found_by_its_catalog(call: Caller, tmp_path: Path) -> None:
    """The default ledger is one per selection of streams that create jobs."""
    with Sandbox(SandboxOptions(job_seconds=3600)) as box:
        given = {**only(box.config("exelensia"), "exelensia"), "progress": "never", "job_reuse_seconds": 0}
        catalog = json.loads(b"\n".join(tap(tmp_path, given, "--discover").lines))
        for stream in catalog["streams"]:
            top = next(each for each in stream["metadata"] if each["breadcrumb"] == [])
            top["metadata"]["selected"] = stream["tap_stream_id"] == INVOICES
        tap(tmp_path, {**given, "job_wait": "detach"}, catalog=catalog).succeeded()
        path = call.write("catalog.json", catalog)
        with_it, without = call("jobs", "--catalog", path, config=given), call("jobs", config=given)
    assert {origin for _, known in own(with_it) for origin in known} == {"ledger"}
    assert own(without) == []
