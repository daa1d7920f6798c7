"""Jobs that are not readable at once, replicas that disagree, and clocks that differ, at all providers."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tap_exports.sandbox.clock import parse_iso
from tests.sandbox.client import Client, Clients

CREATIONS: dict[str, tuple[str, dict[str, Any], Callable[[Any], str]]] = {
    "cension": (
        "/api/vertical/create",
        {"feedId": 123, "projectId": 456, "fieldContextId": 1},
        lambda reply: f"/api/operations/{reply['data']['operationId']}",
    ),
    "exelensia": (
        "/v1/exports",
        {"schema_id": "019760a0-0001-7000-8000-000000000001", "start_date": "2024-01-01", "end_date": "2024-02-01"},
        lambda reply: f"/v1/exports/{reply['id']}/download",
    ),
    "packagex": (
        "/v1/exports",
        {"resource": "shipment", "options": {}, "csv_field_options": {}},
        lambda reply: f"/v1/exports/{reply['data']['id']}",
    ),
    "cornect": (
        "/api/v1/exports",
        {"name": "x", "search_filters": {"states": ["California"]}},
        lambda reply: f"/api/v1/exports/{reply['export_job']['id']}",
    ),
    "closient": (
        "/dashboard/api/v1/data-export/MjJPKMMnGMqgWC5sDP2ZYX",
        {},
        lambda reply: f"/dashboard/api/v1/data-export/MjJPKMMnGMqgWC5sDP2ZYX/{reply['job_id']}",
    ),
}


def created(client: Client, **rule: object) -> str:
    """Create a job that goes by a rule; return the path of its status."""
    client.box.set_faults({"jobs": [{"provider": client.name, "seconds": 0, **rule}]})
    path, body, status_of = CREATIONS[client.name]
    reply = client.ask("POST", path, json=body)
    reply.raise_for_status()
    return status_of(reply.json())


def statuses(client: Client, path: str, times: int = 4) -> list[int]:
    return [client.ask("GET", path).status_code for _ in range(times)]


@pytest.mark.parametrize("provider", CREATIONS)
def test_a_job_is_not_readable_at_once(clients: Clients, provider: str) -> None:
    """Nobody finds a new job until the lag has passed; then it is there as usual."""
    client = clients(provider)
    path = created(client, lag_seconds=100)
    assert statuses(client, path) == [404] * 4
    client.box.clock.advance(101)
    assert statuses(client, path, 2) == [200, 200]


@pytest.mark.parametrize("provider", CREATIONS)
def test_replicas_disagree(clients: Clients, provider: str) -> None:
    """One request in so many sees the job at once; the truth always does."""
    client = clients(provider)
    found = statuses(client, created(client, lag_seconds=100, replicas=2))
    assert sorted(found) == [200, 200, 404, 404]
    assert found[:2] == found[2:]
    if provider == "cornect":
        assert "x" in {export["name"] for export in client.box.truth("cornect/exports")}


def test_a_replica_shows_an_older_status(clients: Clients) -> None:
    """Where a job is known, a replica that lags shows how it stood then."""
    client = clients("packagex")
    path = created(client, lag_seconds=100, replicas=2, seconds=50)
    client.box.clock.advance(110)
    seen = [client.get(path)["data"]["status"] for _ in range(2)]
    assert sorted(seen) == ["completed", "queued"]


def test_a_charge_lags_with_its_export(clients: Clients) -> None:
    client = clients("cornect")
    before = client.get("/api/v1/credits")["recent_transactions"]
    created(client, lag_seconds=100)
    assert client.get("/api/v1/credits")["recent_transactions"] == before
    client.box.clock.advance(101)
    assert len(client.get("/api/v1/credits")["recent_transactions"]) == len(before) + 1


@pytest.mark.parametrize("seconds", [-90, 90])
@pytest.mark.parametrize("provider", ["exelensia", "packagex", "cornect"])
def test_a_clock_that_is_off(clients: Clients, provider: str, seconds: int) -> None:
    """`Date` and the instants of creation follow the provider's clock."""
    client = clients(provider, faults={"clocks": {provider: {"skew_seconds": seconds}}})
    path, body, _ = CREATIONS[provider]
    reply = client.ask("POST", path, json=body)
    exports = client.box.truth(f"{provider}/exports")
    made = max(str(export.get("createdAt") or export["created_at"]) for export in exports)
    moments = [parsedate_to_datetime(reply.headers["Date"])]
    moments += [parse_iso(made)] if "-" in made else []
    for moment in moments:
        off = moment - client.box.clock.now() - timedelta(seconds=seconds)
        assert abs(off.total_seconds()) < 3


def test_a_clock_that_drifts(clients: Clients) -> None:
    client = clients("exelensia", faults={"clocks": {"exelensia": {"drift": 100}}})
    time.sleep(0.3)
    shown = parsedate_to_datetime(client.ask("GET", "/v1/exports").headers["Date"])
    assert (shown - client.box.clock.now()).total_seconds() > 20
