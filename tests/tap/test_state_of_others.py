"""STATE of another address, account or definition stops its streams, each by itself, and a setting lets them go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest

from tap_exports.sandbox import Sandbox
from tests.tap.harness import Json, tap

Boxes = Callable[..., Sandbox]
INVOICES = "exelensia_export_invoices"
# Streams with a bookmark, or with what a bookmark would skip.
FOLLOWED = {
    "cension": {"cension_export_companies", "cension_operations"},
    "exelensia": {"exelensia_files", "exelensia_processes", "exelensia_results", "exelensia_exports"},
    "packagex": {"packagex_exports"},
    "cornect": {"cornect_exports", "cornect_credit_transactions"},
}


@pytest.mark.parametrize("provider", FOLLOWED)
def test_state_of_a_sandbox_is_refused_elsewhere(tmp_path: Path, sandbox: Boxes, provider: str) -> None:
    """The address differs: each stream with a bookmark stops and says so; `restart` reads what a first run would."""
    one, other = sandbox().config(provider), sandbox().config(provider)
    first = tap(tmp_path, one).succeeded()
    state, followed = first.states[-1], set()
    for stream, bookmark in state["bookmarks"].items():
        if "replication_key_value" in bookmark and stream != "export_jobs":
            followed.add(stream)
            assert bookmark["basis"]["api_url"] == one[provider]["api_url"]
    assert followed >= FOLLOWED[provider]
    tap(tmp_path, one, state=state).succeeded()
    ran = tap(tmp_path, other, state=state)
    for stream in followed:
        (error,) = [line for line in ran.errors if line.startswith(f"{stream}: STATE was made with other settings")]
        assert one[provider]["api_url"] in error
        assert other[provider]["api_url"] in error
        assert not ran.records[stream]
    left = ran.states[-1]["bookmarks"]
    assert (ran.code, {s: left[s] for s in followed}) == (1, {s: state["bookmarks"][s] for s in followed})
    again = tap(tmp_path, {**other, "state_mismatch": "restart"}, state=state).succeeded()
    assert all(len(again.records[s]) >= len(first.records[s]) > 0 for s in followed)


def exelensia(box: Sandbox, **changes: object) -> Json:
    config = box.config("exelensia")
    entry = next(e for e in config["exelensia"]["exports"] if e["name"] == "invoices")
    config["exelensia"]["exports"] = [{**entry, "max_window_days": 10000, **changes}]
    return {**config, "end_date": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"schema_id": "019760a0-0001-7000-8000-000000000002"}, "schema_id"),
        ({"expand_array": "lines"}, "expand_array"),
        ({"mode": "collect"}, "mode"),
    ],
    ids=str,
)
def test_another_definition_under_one_name_stops_only_its_stream(
    tmp_path: Path, sandbox: Boxes, changes: Json, name: str
) -> None:
    """The setting is named; the lists of the provider are synced all the same."""
    box = sandbox()
    before = exelensia(box)
    before["exelensia"]["exports"][0].pop("expand_array", None)
    state = tap(tmp_path, before).succeeded().states[-1]
    ran = tap(tmp_path, exelensia(box, **changes), state=state)
    assert (ran.code, len(ran.errors), name in ran.errors[0], INVOICES in ran.errors[0]) == (1, 2, True, True)
    assert ran.records["exelensia_schemas"]
    kept = tap(tmp_path, {**exelensia(box, **changes), "state_mismatch": "keep"}, state=state).succeeded()
    assert not kept.records[INVOICES]
    tap(tmp_path, exelensia(box, **changes), state=kept.states[-1]).succeeded()


def test_another_replication_key_stops_the_three_streams_of_an_export(tmp_path: Path, sandbox: Boxes) -> None:
    """Rows cut by `created_at` say nothing of those cut by `updated_at`; back again, all go on."""
    config = sandbox().config("packagex")
    config["packagex"]["exports"] = [{"resource": "shipment", "replication_key": "created_at"}]
    state = tap(tmp_path, config).succeeded().states[-1]
    config["packagex"]["exports"][0]["replication_key"] = "updated_at"
    ran = tap(tmp_path, config, state=state)
    stopped = {line.partition(":")[0] for line in ran.errors if "replication_key was" in line}
    bookmarks = state["bookmarks"]
    assert (ran.code, stopped) == (1, {s for s in bookmarks if "_export_" in s and "replication_key" in bookmarks[s]})
    assert "packagex_export_shipment" in stopped
    del config["packagex"]["exports"][0]["replication_key"]
    tap(tmp_path, config, state=ran.states[-1]).succeeded()


HARMLESS = (
    {"schema": {"invoice_number": "string"}, "csv": {"null_values": ["NA"]}, "max_window_days": 5},
    {"primary_keys": ["invoice_number"], "min_rows": 0, "delete_after_load": True},
)


@pytest.mark.parametrize("changes", HARMLESS, ids=str)
def test_harmless_changes_stop_nothing(tmp_path: Path, sandbox: Boxes, changes: Json) -> None:
    """How values are read, keyed and cut, how jobs are polled, and how the address is spelt."""
    box = sandbox()
    state = tap(tmp_path, exelensia(box)).succeeded().states[-1]
    config = exelensia(box, **changes)
    config["exelensia"]["api_url"] = config["exelensia"]["api_url"].replace("http://", "HTTP://") + "/"
    ran = tap(tmp_path, {**config, "poll_interval_seconds": 1, "verify_counts": "off"}, state=state).succeeded()
    assert not ran.records[INVOICES]


def test_state_holds_no_credential(tmp_path: Path, sandbox: Boxes) -> None:
    """A renewed key stops nothing: neither it nor a digest of it is part of what a bookmark is about."""
    config = exelensia(sandbox())
    ran = tap(tmp_path, config).succeeded()
    (entry,) = config["exelensia"]["exports"]
    basis = ran.states[-1]["bookmarks"][INVOICES]["basis"]
    assert basis == {
        "api_url": config["exelensia"]["api_url"],
        "mode": "create",
        "schema_id": entry["schema_id"],
        "expand_array": entry.get("expand_array", ""),
    }


def test_the_workspace_of_a_token_is_the_account(tmp_path: Path, sandbox: Boxes) -> None:
    """Cornect tells whose credits a token sees: STATE of another workspace at the same address is refused."""
    config = sandbox().config("cornect")
    state = tap(tmp_path, config).succeeded().states[-1]
    other = deepcopy(state)
    other["bookmarks"]["cornect_exports"]["basis"]["account"] = "w-of-somebody"
    ran = tap(tmp_path, config, state=other)
    own = json.dumps(state["bookmarks"]["cornect_exports"]["basis"]["account"])
    assert any(
        f'cornect_exports: STATE was made with other settings: account was "w-of-somebody" and is {own}' in e
        for e in ran.errors
    )


@pytest.mark.parametrize("value", ["9999-12-31T23:59:59.000Z", "0001-01-01T00:00:00.000Z"])
def test_a_bookmark_beyond_sense_stops_only_its_stream(tmp_path: Path, sandbox: Boxes, value: str) -> None:
    """It reads nothing for ever, or requests thousands of windows, and no exit code would tell.

    Three runs: the second says the same, the third follows the advice and reads.
    """
    box = sandbox()
    state = tap(tmp_path, exelensia(box)).succeeded().states[-1]
    state["bookmarks"][INVOICES]["replication_key_value"] = value
    for _ in range(2):
        ran = tap(tmp_path, exelensia(box), state=state)
        assert (ran.code, ran.records[INVOICES]) == (1, [])
        assert f"STATE of {INVOICES}: the bookmark {value} lies beyond what a run can have proven" in ran.errors[0]
        assert ran.states[-1]["bookmarks"][INVOICES] == state["bookmarks"][INVOICES]
        state = ran.states[-1]
    del state["bookmarks"][INVOICES]["replication_key_value"]
    assert tap(tmp_path, exelensia(box), state=state).succeeded().records[INVOICES]
