"""The tap's own durable ledger: subcommands see what only it holds; what is forgotten does not come back from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tap_exports.sandbox import Sandbox, SandboxOptions
from tests.operator.calling import Caller, Json, steps
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
    assert [each["job"] for each in jobs if each["ours"]] == [job["id"]]
    assert steps(plan, INVOICES) == [("attach", job["id"])]
    assert steps(without, INVOICES) == [("create", None)]


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
    assert "1 entries dropped from the tap's own ledger" in whole.err


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
