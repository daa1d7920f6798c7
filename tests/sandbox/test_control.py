"""The control endpoints, the log of requests, and the Python side of the sandbox."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import requests

from tap_exports.sandbox import Sandbox, SandboxOptions
from tests.sandbox.client import Clients


def test_log_tells_what_was_asked_and_hides_the_key(clients: Clients) -> None:
    client = clients("exelensia")
    client.ask("POST", "/v1/exports?x=1", json={"schema_id": "y"})
    entry = requests.get(client.box.url + "/_requests", timeout=10).json()[0]
    assert "sandbox-exelensia-key" not in str(entry)
    headers = entry.pop("headers")
    assert {"x-api-key", "content-type"} < set(headers)
    assert entry == {
        "n": 1,
        "origin": "api",
        "provider": "exelensia",
        "method": "POST",
        "path": "/v1/exports",
        "query": {"x": "1"},
        "status": 400,
        "auth": "x-api-key",
        "range": None,
        "if_range": None,
        "body_json": {"schema_id": "y"},
        "body_bytes_sent": entry["body_bytes_sent"],
        "fault": None,
    }


def test_log_tells_a_wrong_key(clients: Clients) -> None:
    client = clients("cension")
    client.ask("GET", "/api/export/459", headers={"authorization": "wrong"})
    client.ask("POST", "/api/export/459", data=b"no json")
    assert [(entry["auth"], entry["body_json"]) for entry in client.box.requests()] == [
        (None, None),
        ("authorization", None),
    ]


def test_log_can_be_emptied(clients: Clients) -> None:
    client = clients("exelensia")
    client.get("/v1/exports")
    requests.delete(client.box.url + "/_requests", timeout=10)
    assert client.box.requests() == []
    client.get("/v1/exports")
    assert [entry["n"] for entry in client.box.requests()] == [2]


def test_faults_by_http(clients: Clients) -> None:
    client = clients("exelensia")
    plan = "faults:\n- match: {path: /v1/exports, nth: 2, times: .inf}\n  action: {status: 418}\n"
    assert requests.post(client.box.url + "/_faults", data=plan, timeout=10).status_code == 200
    assert [client.ask("GET", "/v1/exports").status_code for _ in range(3)] == [200, 418, 418]
    assert requests.post(client.box.url + "/_faults", timeout=10).status_code == 200
    assert client.ask("GET", "/v1/exports").status_code == 200


@pytest.mark.parametrize("plan", ["{", "faults: [{action: {explode: 1}}]"])
def test_bad_plan_by_http(clients: Clients, plan: str) -> None:
    assert requests.post(clients("exelensia").box.url + "/_faults", data=plan, timeout=10).status_code == 400


def test_clock_by_http() -> None:
    start = datetime(2026, 7, 1, tzinfo=timezone.utc)
    with Sandbox(SandboxOptions(start_time=start)) as box:
        reply = requests.post(box.url + "/_clock", json={"advance_seconds": 3600}, timeout=10)
        assert reply.json()["now"].startswith("2026-07-01T01:00:0")
        for body in ({"advance_seconds": -1}, {"advance": 1}, {"advance_seconds": "x"}):
            assert requests.post(box.url + "/_clock", json=body, timeout=10).status_code == 400


def test_grow_spend_and_truth_by_http(clients: Clients) -> None:
    box = clients("exelensia").box
    assert set(requests.post(box.url + "/_grow", timeout=10).json()) == set(box.provider_names)
    assert requests.get(box.url + "/_spend", timeout=10).json() == box.spend()
    assert requests.get(box.url + "/_truth/exelensia/schemas", timeout=10).json() == box.truth("exelensia/schemas")
    assert box.truth("exelensia/exports")[0]["status"] == "COMPLETED"


@pytest.mark.parametrize("resource", ["nobody/results", "exelensia/nothing", "cension/export/1", "cension/query/99"])
def test_unknown_truth(clients: Clients, resource: str) -> None:
    with pytest.raises(LookupError, match=resource):
        clients("exelensia").box.truth(resource)


@pytest.mark.parametrize("path", ["/_nothing", "/nobody/v1/exports", "/"])
def test_unknown_paths(clients: Clients, path: str) -> None:
    assert requests.get(clients("exelensia").box.url + path, timeout=10).status_code == 404


def test_wrong_method_on_a_control_endpoint(clients: Clients) -> None:
    assert requests.get(clients("exelensia").box.url + "/_grow", timeout=10).status_code == 405


def test_two_runs_are_alike() -> None:
    """Ids, rows and their order are the same in every sandbox, times of new jobs aside."""
    found: list[Any] = []
    for _ in range(2):
        with Sandbox(SandboxOptions(start_time=datetime(2026, 7, 1, tzinfo=timezone.utc))) as box:
            found.append([box.truth(f"exelensia/{name}") for name in ("schemas", "files", "processes", "results")])
            found[-1].append(box.truth("cension/export/459"))
    assert found[0] == found[1]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.org"])  # noqa: S104 - refused
def test_other_hosts_than_loopback_are_refused(host: str) -> None:
    with pytest.raises(ValueError, match="not a loopback address"):
        SandboxOptions(host=host)


def test_ipv6_loopback() -> None:
    with Sandbox(SandboxOptions(host="::1")) as box:
        assert requests.get(box.url + "/_spend", timeout=10).status_code == 200


@pytest.mark.parametrize("knobs", [{"exelensia": {"colour": 1}}, {"nobody": {}}])
def test_unknown_knobs_are_refused(knobs: dict[str, dict[str, object]]) -> None:
    with pytest.raises(ValueError, match=r"colour|nobody"):
        Sandbox(SandboxOptions(knobs=knobs))


def test_config_is_for_this_sandbox(clients: Clients) -> None:
    box = clients("exelensia").box
    config = box.config()
    assert config["allow_private_hosts"] is True
    assert config["exelensia"]["api_url"] == box.api_url("exelensia")
    assert config["cension"]["api_key"] == box.key("cension")
    assert config["cornect"]["api_token"] == box.key("cornect")
    assert set(box.provider_names) < set(config)
    assert not {"cension", "exelensia", "packagex"} & set(box.config("cornect", "closient"))


def test_stop_removes_the_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Sandbox():
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []
