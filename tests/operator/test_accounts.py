"""Subcommands show each account of a block, and change the STATE of one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tap_exports.sandbox import Sandbox, SandboxOptions
from tests.operator.calling import Caller, Json

INVOICES = "exelensia_export_invoices"
JOB = {"id": "job-1", "fingerprint": "f", "window": ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"]}
JOB |= {"requested_at": "2026-02-01T00:00:00Z"}


def part(account: str, **more: Any) -> Json:  # noqa: ANN401 - any JSON
    proven = {"replication_key": "created_at", "replication_key_value": "2026-05-01T00:00:00.000Z"}
    return {"context": {"_sdc_account": account}, **proven, "ledger": {"version": 2, "jobs": [], "delete": []}, **more}


STATE: Json = {"bookmarks": {INVOICES: {"partitions": [part("north"), part("south")]}}}


def config_of(box: Sandbox) -> Json:
    return {**box.config("exelensia"), "ledger": "none"}


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(SandboxOptions(job_seconds=0, accounts=("north", "south"))) as started:
        yield started


def test_forget(call: Caller) -> None:
    """One account is forgotten, the other's partition stays; without `--account` the accounts are named."""
    done = call("forget", INVOICES, "--account", "north", state=STATE)
    assert done.code == 0
    assert done.data == {"bookmarks": {INVOICES: {"partitions": [part("south")]}}}
    refused = call("forget", INVOICES, state=STATE)
    assert refused.code == 1
    assert "give --account, of north, south" in refused.err


def test_replay(call: Caller, box: Sandbox) -> None:
    """A range is opened again for one account."""
    words = ("--from", "2026-03-01", "--to", "2026-03-31")
    done = call("replay", INVOICES, "--account", "south", *words, config=config_of(box), state=STATE)
    assert done.code == 0, done.err
    north, south = done.data["bookmarks"][INVOICES]["partitions"]
    assert north == part("north")
    assert south["context"] == {"_sdc_account": "south"}
    assert south != part("south")
    refused = call("replay", INVOICES, *words, config=config_of(box), state=STATE)
    assert refused.code == 1
    assert "give --account" in refused.err


def test_plan_and_jobs(call: Caller, box: Sandbox) -> None:
    """Each account's streams are planned, and its open jobs are listed as its own."""
    planned = call("plan", "--format", "json", config=config_of(box), state=STATE)
    assert planned.code == 0, planned.err
    shown = {each["stream"]: each for each in planned.data["streams"]}
    assert {f"{INVOICES}@north", f"{INVOICES}@south"} <= shown.keys()
    ledger = {"version": 2, "jobs": [JOB], "delete": []}
    state = {"bookmarks": {INVOICES: {"partitions": [part("north"), part("south", ledger=ledger)]}}}
    listed = call("jobs", "--format", "json", config=config_of(box), state=state)
    mine = [each for each in listed.data["jobs"] if each["job"] == "job-1"]
    assert [(each["provider"], each["streams"]) for each in mine] == [("exelensia@south", [f"{INVOICES}@south"])]


def test_doctor(call: Caller, box: Sandbox) -> None:
    """Each account's key is checked, and a refused one is named."""
    config = config_of(box)
    config["exelensia"]["accounts"][1]["api_key"] += "-wrong"
    done = call("doctor", "--format", "json", config=config)
    assert done.code == 3
    assert "exelensia@north" in done.out
    assert "`exelensia@south.api_key` was refused" in done.out
