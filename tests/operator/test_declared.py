"""Subcommands at a declared provider: they know it by its name."""

from __future__ import annotations

from pathlib import Path

from tap_exports.sandbox import Sandbox, SandboxOptions
from tests.declared.test_declared_tap import config
from tests.operator.calling import Caller, planned, sent
from tests.tap.harness import tap

ROWS = "exelensia_declared_export_rows"


def test_plan_jobs_and_doctor(call: Caller, tmp_path: Path) -> None:
    """Its open jobs are shown with their status, its windows planned, its key checked."""
    with Sandbox(SandboxOptions(job_seconds=3600)) as box:
        given = config(box, "exelensia")
        state = tap(tmp_path, {**given, "job_wait": "detach"}).succeeded().states[-1]
        box.clear_requests()
        plan, jobs = call("plan", config=given, state=state), call("jobs", config=given, state=state)
        doctor = call("doctor", config=given)
        assert sent(box) == {"GET"}
    open_jobs = [entry["id"] for entry in state["bookmarks"][ROWS]["ledger"]["jobs"]]
    found = planned(plan.data, ROWS)
    assert (plan.code, found["provider"], found["credits_max"]) == (0, "exelensia_declared", 0)
    assert [step["job"] for step in found["steps"] if step["action"] == "attach"] == open_jobs
    assert [(job["job"], job["provider"], job["state"]) for job in jobs.data["jobs"] if job["ours"]] == [
        (job, "exelensia_declared", "pending") for job in open_jobs
    ]
    checks = {(check["about"], check["check"]): check["verdict"] for check in doctor.data["checks"]}
    assert checks["exelensia_declared", "key"] == "ok"


def test_a_window_is_replayed(call: Caller, tmp_path: Path) -> None:
    with Sandbox(SandboxOptions(job_seconds=0)) as box:
        given = config(box, "exelensia")
        state = tap(tmp_path, given).succeeded().states[-1]
        february = ("--from", "2024-02-01", "--to", "2024-02-29")
        again = tap(tmp_path, given, state=call("replay", ROWS, *february, config=given, state=state).data).succeeded()
    windows = [(r["window_start"], r["window_end"]) for r in again.records["export_jobs"]]
    assert windows == [("2024-02-01T00:00:00.000Z", "2024-03-01T00:00:00.000Z")]
