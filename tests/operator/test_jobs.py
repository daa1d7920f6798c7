"""`jobs` shows open jobs and those of the account; `watch` ends; `cancel` touches jobs of ours only."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tap_exports.sandbox import Sandbox, SandboxOptions
from tests.operator.calling import Caller, Json, sent
from tests.tap.harness import only, tap

COMPANIES = "cension_export_companies"
INVOICES = "exelensia_export_invoices"
LOST = {"fingerprint": "f", "window": None, "requested_at": "2026-01-01T00:00:00.000Z"}


def sandbox(**options: Any) -> Sandbox:  # noqa: ANN401 - of `SandboxOptions`
    return Sandbox(SandboxOptions(**{"job_seconds": 0, **options}))


def config(box: Sandbox, *providers: str, **changes: object) -> Json:
    whole = box.config(*providers)
    return {**whole, "progress": "never", "poll_interval_seconds": 0.05, "max_concurrent_jobs": 64, **changes}


def detached(tmp_path: Path, given: Json) -> Json:
    """Return the STATE of a run that left its jobs open."""
    return tap(tmp_path, {**given, "job_wait": "detach"}).succeeded().states[-1]


def begun(job_id: str) -> Json:
    """Return a STATE whose ledger holds a run of Cension."""
    entry = {**LOST, "id": job_id}
    return {"bookmarks": {COMPANIES: {"ledger": {"version": 2, "jobs": [entry]}}}}


def test_jobs_of_the_ledger_and_of_the_account(call: Caller, tmp_path: Path) -> None:
    """Those of the ledger come first, with stream, window and what the provider says; the rest is of others."""
    with sandbox(job_seconds=3600) as box:
        given = config(box, "exelensia")
        state = detached(tmp_path, given)
        box.clear_requests()
        done = call("jobs", config=given, state=state)
        assert (done.code, sent(box)) == (0, {"GET"})
        listed = {each["id"] for each in box.truth("exelensia/exports")}
    jobs = done.data["jobs"]
    own = [job for job in jobs if job["ours"]]
    entries = {
        entry["id"]: (name, entry["window"])
        for name, bookmark in state["bookmarks"].items()
        for entry in bookmark.get("ledger", {}).get("jobs", ())
    }
    assert {job["job"]: (*job["streams"], job["window"]) for job in own} == entries
    assert jobs[: len(own)] == own
    assert {job["state"] for job in own} <= {"pending", "running"}
    assert {job["job"] for job in jobs} == listed
    assert all(job["age_seconds"] is not None for job in jobs)


def test_every_kind_of_entry(call: Caller) -> None:
    """A lost reply has no id; a job to be deleted, one of a stream that is gone, and one that nobody knows are told."""
    ledger = {"version": 2, "jobs": [{**LOST, "id": "4836"}, {**LOST, "id": "9999", "fingerprint": "g"}]}
    gone = {
        "version": 2,
        "jobs": [{**LOST, "id": "0197"}],
        "delete": ["0196"],
        "intents": [{**LOST, "fingerprint": "h"}],
    }
    with sandbox() as box:
        given = only(config(box, "cension"), "cension")
        state = {"bookmarks": {COMPANIES: {"ledger": ledger}, "exelensia_export_gone": {"ledger": gone}}}
        jobs = call("jobs", config=given, state=state).data["jobs"]
    status = {job["job"]: job["status"] for job in jobs}
    assert status["4836"] == "completed"
    assert "no operation 9999" in status["9999"]
    assert status["0197"] == "not asked: its stream is not in the configuration"
    assert status["0196"] == "proven, deleted by the next run"
    assert status[None] == "no reply to its creation"


def test_a_job_that_two_streams_read_is_one(call: Caller, tmp_path: Path) -> None:
    with sandbox(job_seconds=3600) as box:
        given = config(box, "packagex")
        jobs = call("jobs", "--provider", "packagex", config=given, state=detached(tmp_path, given)).data["jobs"]
        lost = call("jobs", "--provider", "packagex", config=given).data["jobs"]
    own = [job for job in jobs if job["ours"]]
    assert len(own) == len({job["job"] for job in own}) == 2
    assert [len(job["streams"]) for job in own] == [3, 3]
    assert [job["known_from"] for job in own] == [["state", "ledger"]] * 2
    assert [(job["known_from"], len(job["streams"])) for job in lost if job["ours"]] == [(["ledger"], 3)] * 2


def test_full_exports_that_were_read_are_ours(call: Caller, tmp_path: Path) -> None:
    with sandbox() as box:
        given = config(box, "cornect")
        ran = tap(tmp_path, given).succeeded()
        jobs = call("jobs", config=given, state=ran.states[-1]).data["jobs"]
    receipts = {row["job_id"] for row in ran.records["export_jobs"]}
    ours = {job["job"]: job["credits"] for job in jobs if job["ours"]}
    assert ours.keys() == receipts & {job["job"] for job in jobs}
    assert len(ours) == 3
    assert all(cost > 0 for cost in ours.values())


def test_a_provider_that_refuses_is_told(call: Caller) -> None:
    with sandbox() as box:
        given = config(box, "packagex", "exelensia")
        given["packagex"]["api_key"] = "a-wrong-key"
        done = call("jobs", config=given)
    assert (done.code, [error["provider"] for error in done.data["errors"]]) == (3, ["packagex"])
    assert {job["provider"] for job in done.data["jobs"]} == {"exelensia"}
    assert "a-wrong-key" not in done.out + done.err


def test_the_list_is_bounded(call: Caller) -> None:
    with sandbox() as box:
        done = call(
            "jobs", "--limit", "2", "--provider", "packagex", "--format", "text", config=config(box, "packagex")
        )
    assert done.out.count("exp_") == 2


@pytest.mark.parametrize(("job", "code"), [("exp_4nqudpUYHeeqErEYdXZLdq", 0), ("exp_Jamvpm5T9ZK85vJpB6Fvxm", 3)])
def test_watching_a_job_that_ended(call: Caller, job: str, code: int) -> None:
    """One line tells the end; a job that failed ends with another code."""
    with sandbox() as box:
        done = call("jobs", "watch", job, config=config(box, "packagex"))
    assert (done.code, done.data["state"] == "completed") == (code, code == 0)


def test_watching_shows_each_change_until_the_end(call: Caller, tmp_path: Path) -> None:
    with sandbox(job_seconds=3600) as box:
        given = config(box, "exelensia")
        state = detached(tmp_path, given)
        job = state["bookmarks"][INVOICES]["ledger"]["jobs"][0]["id"]
        threading.Timer(0.3, lambda: box.clock.advance(4000)).start()
        done = call("jobs", "watch", job, "--timeout", "20", config=given, state=state)
    states = [json.loads(line)["status"] for line in done.out.splitlines()]
    assert (done.code, states[-1]) == (0, "COMPLETED")
    assert len(states) == len(set(states)) > 1


def test_watching_ends_with_its_time(call: Caller, tmp_path: Path) -> None:
    with sandbox(job_seconds=3600) as box:
        given = config(box, "exelensia")
        state = detached(tmp_path, given)
        job, began = state["bookmarks"][INVOICES]["ledger"]["jobs"][0]["id"], time.monotonic()
        done = call("jobs", "watch", job, "--timeout", "0.2", "--format", "text", config=given, state=state)
    assert (done.code, "the time is over" in done.out) == (3, True)
    assert time.monotonic() - began < 10


def test_watching_what_nobody_knows(call: Caller) -> None:
    with sandbox() as box:
        done = call("jobs", "watch", "nobody-s", config=config(box, "cension", "packagex"))
    assert (done.code, done.out) == (1, "")
    assert "job nobody-s is not known to any provider" in done.err


def test_cancelling_a_run_of_ours(call: Caller) -> None:
    """Cension can: the run that the ledger holds is cancelled, and nothing else is sent."""
    with sandbox() as box:
        given = only(config(box, "cension"), "cension")
        running = next(r["operationId"] for r in box.truth("cension/operations") if r["status"] == "running")
        done = call("jobs", "cancel", str(running), config=given, state=begun(str(running)))
        assert [entry["path"] for entry in box.requests()] == [f"/api/operations/{running}/cancel"]
        after = next(r for r in box.truth("cension/operations") if r["operationId"] == running)
    assert (done.code, after["status"]) == (0, "cancelled")


def test_a_job_of_others_is_never_cancelled(call: Caller) -> None:
    with sandbox() as box:
        done = call("jobs", "cancel", "4840", config=config(box, "cension"), state=begun("4836"))
        assert (done.code, box.requests()) == (1, [])
    assert "only jobs of the tap's own are cancelled" in done.err


def test_cancelling_where_accounts_count_alike(call: Caller) -> None:
    """Each account of Cension counts its own runs: nothing is sent before it is clear whose is meant."""
    with sandbox(accounts=("north", "south")) as box:
        given = only(config(box, "cension"), "cension")
        running = str(next(r["operationId"] for r in box.truth("cension/operations") if r["status"] == "running"))
        given["cension"]["accounts"][0]["api_key"] = "another-key"
        entry = {"ledger": {"version": 2, "jobs": [{**LOST, "id": running}]}}
        parts = [{"context": {"_sdc_account": name}, **entry} for name in ("north", "south")]
        state = {"bookmarks": {COMPANIES: {"partitions": parts}}}
        whose = call("jobs", "cancel", running, config=given, state=state)
        nobody = call("jobs", "cancel", running, "--provider", "cension@west", config=given, state=state)
        assert (whose.code, nobody.code, box.requests()) == (1, 1, [])
        north = call("jobs", "cancel", running, "--provider", "cension@north", config=given, state=state)
        done = call("jobs", "cancel", running, "--provider", "cension@south", config=given, state=state)
    assert f"job {running} is one of each of cension@north, cension@south: say with --provider" in whose.err
    assert "for cension@west: only jobs of the tap's own" in nobody.err
    assert "`cension@north.api_key` was refused" in north.err
    assert (north.code, done.code, done.data["provider"]) == (1, 0, "cension@south")


def test_jobs_of_two_accounts_are_listed_by_account(call: Caller, tmp_path: Path) -> None:
    """What one account knows as its own is no job of the other's, though the provider may show it to both."""
    with sandbox(job_seconds=3600, accounts=("north", "south")) as box:
        given = config(box, "exelensia")
        state = detached(tmp_path, given)
        whole = call("jobs", config=given, state=state).data["jobs"]
        south = call("jobs", "--provider", "exelensia@south", config=given, state=state).data["jobs"]
        both = call("jobs", "--provider", "exelensia", config=given, state=state).data["jobs"]
    own = [(job["provider"], job["job"]) for job in whole if job["ours"]]
    assert len(own) == len(set(own)) > 0
    assert {provider for provider, _ in own} == {"exelensia@north", "exelensia@south"}
    assert [job["job"] for job in south] == [j["job"] for j in whole if j["provider"] == "exelensia@south"]
    assert [job["job"] for job in both] == [job["job"] for job in whole]


def test_a_provider_that_cannot_cancel_says_so(call: Caller, tmp_path: Path) -> None:
    with sandbox(job_seconds=3600) as box:
        given = config(box, "exelensia")
        state = detached(tmp_path, given)
        box.clear_requests()
        job = state["bookmarks"][INVOICES]["ledger"]["jobs"][0]["id"]
        done = call("jobs", "cancel", job, config=given, state=state)
        assert (done.code, box.requests()) == (1, [])
    assert "exelensia documents no way to cancel a job" in done.err


def test_options_before_a_subcommand_of_jobs_are_refused(call: Caller) -> None:
    done = call("jobs", "--limit", "3", "--provider", "cension", "watch", "1")
    assert (done.code, "options stand behind `watch`" in done.err) == (2, True)
