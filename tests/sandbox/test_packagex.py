"""The sandbox's PackageX against its documents."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
import requests

from tests.sandbox.client import Client, Clients

DOCUMENTED_ID = "exp_7xKyu1HYgPnSAXZhtdxFxk"
BOTH = {"include_csv": "true", "include_json": "true"}
REQUEST: dict[str, Any] = {"resource": "shipment", "options": {"limit": "all"}, "csv_field_options": {}}
DAY = 86_400
COLUMNS = {"tracking_number": True, "id": True, "groups": True, "created_at": True}


def create(client: Client, **body: object) -> dict[str, Any]:
    reply = client.ask("POST", "/v1/exports", json={**REQUEST, **body})
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()["data"]
    return made


def details(client: Client, export_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = client.get(f"/v1/exports/{export_id}", **BOTH)["data"]
    return shown


def file(client: Client, export_id: str, field: str) -> str:
    reply = requests.get(details(client, export_id)[field], timeout=10)
    assert reply.status_code == 200
    return reply.content.decode()


def made_file(client: Client, field: str, **body: object) -> str:
    return file(client, create(client, **body)["id"], field)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_list_answers_as_documented(clients: Clients) -> None:
    """Page 1 with 10 exports by default, in the order of creation; `has_more` tells of others."""
    client = clients("packagex")
    first, second = client.get("/v1/exports"), client.get("/v1/exports", page=2)
    assert first["pagination"] == {"page": 1, "limit": 10, "has_more": True, "total_count": 13}
    assert (len(first["data"]), len(second["data"])) == (10, 3)
    assert second["pagination"] == {"page": 2, "limit": 10, "has_more": False, "total_count": 13}
    times = [row["created_at"] for row in first["data"] + second["data"]]
    assert times == sorted(times)
    assert list(first) == ["data", "message", "status", "errors", "code", "pagination", "endpoint"]
    assert (first["status"], first["endpoint"]) == (200, "/v1/exports")
    assert client.get("/v1/exports", page=9)["data"] == []


def test_list_holds_foreign_jobs_of_every_status(clients: Clients) -> None:
    statuses = {row["status"] for row in clients("packagex").get("/v1/exports", limit=100)["data"]}
    assert statuses == {"completed", "failed", "timed_out", "processing"}
    client = clients("packagex")
    client.box.clock.advance(1800)
    assert client.get("/v1/exports", statuses="processing")["pagination"]["total_count"] == 1
    client.box.clock.advance(1800)
    assert client.get("/v1/exports", statuses="processing")["data"] == []


def test_list_filters_and_orders(clients: Clients) -> None:
    client = clients("packagex")
    found = client.get("/v1/exports", statuses="failed,timed_out", order_by="updated_at", direction="desc")["data"]
    assert [(row["status"], row["reason"]) for row in found] == [
        ("timed_out", "Export took too long"),
        ("failed", "Export failed: too many columns"),
    ]
    assert {row["resource"] for row in client.get("/v1/exports", resource="shipment")["data"]} == {"shipment"}
    assert client.get("/v1/exports", search="TRACKER")["pagination"]["total_count"] == 1
    counts = [row["count_total"] for row in client.get("/v1/exports", order_by="count_total", limit=100)["data"]]
    assert counts == sorted(counts)


def test_detail_has_urls_only_when_asked(clients: Clients) -> None:
    """Each URL needs the flag of its own format; the older documents say the other one."""
    client = clients("packagex")
    path = f"/v1/exports/{DOCUMENTED_ID}"
    assert not [name for name in client.get(path)["data"] if name.startswith("_")]
    old = clients("packagex", knobs={"packagex": {"flags": "old"}})
    by_csv = [
        [name for name in each.get(path, include_csv="true")["data"] if name.startswith("_")] for each in (client, old)
    ]
    assert by_csv == [["_csv_url", "_csv_error_url", "_csv_sanitized_url"], ["_json_url"]]


def test_create_answers_with_the_export(clients: Clients) -> None:
    client = clients("packagex", job_polls=2)
    made = create(client)
    assert (made["object"], made["resource"], made["status"]) == ("export", "shipment", "queued")
    assert made["id"].startswith("exp_")
    assert len(made["id"]) == 26
    assert (made["options"], made["count_total"]) == ({"limit": "all"}, 0)
    seen = [details(client, made["id"]) for _ in range(2)]
    assert [row["status"] for row in seen] == ["processing", "completed"]
    assert seen[0]["_json_url"] is None
    assert (seen[1]["count_total"], seen[1]["count_batches"]) == (115, 2)


def test_json_file_is_the_truth(clients: Clients) -> None:
    client = clients("packagex", job_seconds=0)
    truth = client.box.truth("packagex/export", resource="shipment")
    made = create(client)
    assert json.loads(file(client, made["id"], "_json_url")) == truth["rows"]
    assert rows_of(file(client, made["id"], "_csv_error_url")) == truth["errors"]
    sanitized = rows_of(file(client, made["id"], "_csv_sanitized_url"))
    assert [row["id"] for row in sanitized] == [row["id"] for row in truth["sanitized"]]
    assert all(row["name"].startswith("'=") for row in sanitized)
    every = [*truth["rows"], *truth["errors"], *truth["sanitized"]]
    assert {row["id"] for row in every} == {row["id"] for row in client.box.truth("packagex/shipment")}
    assert len(every) == 120


@pytest.mark.parametrize(("resource", "size"), [("shipment", 25), ("contact", 10)])
def test_limit_defaults_to_that_of_the_list(clients: Clients, resource: str, size: int) -> None:
    client = clients("packagex", job_seconds=0)
    made = create(client, resource=resource, options={})
    urls = details(client, made["id"])
    others = [file(client, made["id"], name) for name in ("_csv_error_url", "_csv_sanitized_url") if urls[name]]
    rows = json.loads(file(client, made["id"], "_json_url"))
    assert len(rows) + sum(len(rows_of(text)) for text in others) == size
    assert others


RANGES = [
    ("gte:2024-03-01", 99),
    ("gt:2024-01-01", 119),
    ("gte:2024-01-01", 120),
    ("lt:2024-01-01T00:00:00.000Z", 0),
    ("lte:2024-01-01", 1),
    ("equals:2024-01-01", 1),
    ("not_equals:2024-01-01", 119),
    ("bwi:2024-01-01,2024-01-03T23:00:00.001Z", 2),
    ("bwe:2024-01-01,2024-01-03T23:00:00.001Z", 0),
    ("in:2024-01-01,2024-01-03T23:00:00.001Z", 2),
    ("not_in:2024-01-01,2024-01-03T23:00:00.001Z", 118),
]


@pytest.mark.parametrize(("condition", "count"), RANGES)
def test_date_conditions(clients: Clients, condition: str, count: int) -> None:
    """Also to the millisecond, though the API shows whole seconds: neighbouring windows share no row."""
    truth = clients("packagex").box.truth("packagex/export", resource="shipment", created_at=condition)
    assert sum(len(truth[part]) for part in ("rows", "errors", "sanitized")) == count


def test_order_and_other_filters(clients: Clients) -> None:
    client = clients("packagex", job_seconds=0)
    oldest = {"limit": 3, "order_by": "created_at", "direction": "asc"}
    rows = json.loads(made_file(client, "_json_url", options=oldest))
    assert [row["tracking_number"] for row in rows] == [f"{number * 7919:012d}" for number in range(3)]
    group = rows[1]["groups"][0]["id"]
    filters = {"limit": "all", "group_id": group, "status": "delivered", "location_id": rows[1]["location"]["id"]}
    kept = json.loads(made_file(client, "_json_url", options=filters))
    assert kept
    assert {(row["status"], row["location"]["name"]) for row in kept} == {("delivered", "Dock 1")}
    names = [row["name"] for row in json.loads(made_file(client, "_json_url", resource="contact"))]
    assert names == sorted(names)


def test_csv_merges_or_flattens(clients: Clients) -> None:
    zone = {"timezone": "America/New_York", "datetime_format": "MM/dd/yyyy hh:mm:ss a"}
    body = {"options": {"created_at": "bwi:2024-01-03,2024-01-07"}, "csv_field_options": {**zone, "columns": COLUMNS}}
    merged = rows_of(made_file(clients("packagex", job_seconds=0), "_csv_url", **body))
    assert list(merged[0]) == ["tracking_number", "id", "groups", "created_at"]
    assert [(row["tracking_number"], row["groups"]) for row in merged] == [
        ("000000015838", "Group A, Group B"),
        ("000000007919", "Group A"),
    ]
    assert merged[1]["created_at"] == "01/03/2024 06:00:00 PM"
    precise = {**zone, "datetime_format": "dd MMM yyyy 'at' HH:mm:ss.SSSxxx 100%"}
    again = rows_of(
        made_file(clients("packagex", job_seconds=0), "_csv_url", options=body["options"], csv_field_options=precise)
    )
    assert again[1]["created_at"] == "03 Jan 2024 at 18:00:00.001-05:00 100%"
    flat_client = clients("packagex", job_seconds=0, knobs={"packagex": {"nesting": "flatten"}})
    flat = rows_of(made_file(flat_client, "_csv_url", **body))
    assert [name for name in flat[0] if name.startswith("groups")] == [
        "groups.0.id",
        "groups.0.name",
        "groups.1.id",
        "groups.1.name",
    ]
    assert (flat[0]["groups.1.name"], flat[1]["groups.1.name"]) == ("Group B", "")


@pytest.mark.parametrize("root", ["array", "data", "jsonl"])
def test_json_roots(clients: Clients, root: str) -> None:
    client = clients("packagex", job_seconds=0, knobs={"packagex": {"json_root": root}})
    text = made_file(client, "_json_url")
    texts = text.splitlines() if root == "jsonl" else [text]
    values = [json.loads(each) for each in texts]
    rows = {"array": values[0], "jsonl": values}.get(root) or values[0][root]
    assert rows == client.box.truth("packagex/export", resource="shipment")["rows"]


@pytest.mark.parametrize(("form", "first"), [("epoch", 1704322800), ("text", "1704322800")])
def test_timestamps(clients: Clients, form: str, first: object) -> None:
    client = clients("packagex", job_seconds=0, knobs={"packagex": {"timestamps": form}})
    assert client.box.truth("packagex/shipment")[1]["created_at"] == first
    made = create(client)
    assert type(made["created_at"]) is type(first)
    iso = clients("packagex", knobs={"packagex": {"timestamps": "iso"}})
    assert iso.box.truth("packagex/shipment")[1]["created_at"] == "2024-01-03T23:00:00.001Z"


def test_bare_envelope_and_old_error_key(clients: Clients) -> None:
    knobs = {"envelope": "bare", "error_key": "error_code", "no_url": "absent", "created_status": 200}
    client = clients("packagex", job_seconds=0, knobs={"packagex": knobs})
    made = client.ask("POST", "/v1/exports", json={**REQUEST, "resource": "group"})
    assert made.status_code == 200
    shown = client.get(f"/v1/exports/{made.json()['id']}", **BOTH)
    assert [name for name in shown if name.startswith("_")] == ["_json_url", "_csv_url"]
    assert isinstance(client.get("/v1/exports")["data"], list)
    refused = client.ask("GET", "/v1/exports/exp_none").json()
    assert (refused["error_code"], "code" in refused) == ("not_found", False)


REFUSED: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", "/v1/exports", {"headers": {"px-api-key": "wrong"}}, 401),
    ("GET", "/v1/exports/exp_none", {}, 404),
    ("DELETE", f"/v1/exports/{DOCUMENTED_ID}", {}, 405),
    ("GET", "/v1/export", {}, 404),
    ("GET", "/v1/exports?page=0", {}, 400),
    ("GET", "/v1/exports?statuses=done", {}, 400),
    ("GET", "/v1/exports?resource=asset", {}, 400),
    ("GET", "/v1/exports?order_by=name", {}, 400),
    ("GET", "/v1/exports?created_at=gte:2024-01-01", {}, 400),
    ("GET", f"/v1/exports/{DOCUMENTED_ID}?include_csv=1", {}, 400),
    ("POST", "/v1/exports", {"data": b"{"}, 400),
    ("POST", "/v1/exports", {"json": {"resource": "shipment"}}, 400),
    ("POST", "/v1/exports", {"json": {**REQUEST, "resource": "lot"}}, 400),
    ("POST", "/v1/exports", {"json": {**REQUEST, "name": "x"}}, 400),
    ("POST", "/v1/exports", {"json": {**REQUEST, "csv_field_options": {"timezone": "Mars/Olympus"}}}, 400),
    ("POST", "/v1/exports", {"json": {**REQUEST, "csv_field_options": {"columns": ["id"]}}}, 400),
    ("POST", "/v1/exports", {"json": {**REQUEST, "csv_field_options": {"datetime_format": 1}}}, 400),
    *(
        ("POST", "/v1/exports", {"json": {**REQUEST, "options": options}}, 400)
        for options in (
            {"limit": "ALL"},
            {"limit": 0},
            {"order_by": "price"},
            {"direction": "up"},
            {"colour": "red"},
            {"created_at": "2024-01-01"},
            {"created_at": "since:2024-01-01"},
            {"created_at": "gte:yesterday"},
            {"created_at": "gte:2024-01-01,2024-01-02"},
            {"created_at": "bwi:2024-01-01"},
            {"created_at": "bwi:2024-01-02,2024-01-01"},
            {"created_at": "bwi:2024-01-01,2024-01-01"},
        )
    ),
]


@pytest.mark.parametrize(("method", "path", "options", "status"), REFUSED)
def test_refuses(clients: Clients, method: str, path: str, options: dict[str, Any], status: int) -> None:
    """What the real API would refuse is refused in its envelope, and no job is made."""
    client = clients("packagex")
    reply = client.ask(method, path, **options)
    assert (reply.status_code, reply.json()["status"], reply.json()["data"]) == (status, status, {})
    assert client.box.spend()["packagex"] == {"jobs_created": 0}


def test_either_key_header(clients: Clients) -> None:
    client = clients("packagex")
    url, key = client.box.api_url("packagex") + "/v1/exports", client.box.key("packagex")
    assert requests.get(url, headers={"X-API-KEY": key}, timeout=10).status_code == 200
    assert client.box.requests()[-1]["auth"] == "x-api-key"


@pytest.mark.parametrize(("removed", "status", "listed"), [("404", 404, 0), ("410", 410, 0), ("listed", 200, 14)])
def test_removed_after_a_day(clients: Clients, removed: str, status: int, listed: int) -> None:
    """Record and files are kept for 24 hours; what the API says afterwards is not documented."""
    client = clients("packagex", job_seconds=0, url_seconds=10 * DAY, knobs={"packagex": {"removed": removed}})
    made = create(client)
    url = details(client, made["id"])["_json_url"]
    client.box.clock.advance(DAY - 60)
    assert requests.get(url, timeout=10).status_code == 200
    client.box.clock.advance(60)
    assert requests.get(url, timeout=10).status_code == 404
    assert client.ask("GET", f"/v1/exports/{made['id']}").status_code == status
    assert client.get("/v1/exports")["pagination"]["total_count"] == listed


def test_one_export_is_about_to_go(clients: Clients) -> None:
    client = clients("packagex")
    client.box.clock.advance(600)
    assert client.get("/v1/exports")["pagination"]["total_count"] == 12


def test_job_that_times_out(clients: Clients) -> None:
    faults = {"jobs": [{"provider": "packagex", "nth": 1, "seconds": 0, "status": "timed_out"}]}
    client = clients("packagex", faults=faults)
    shown = details(client, create(client)["id"])
    assert (shown["status"], shown["_json_url"], shown["count_total"]) == ("timed_out", None, 0)


def test_growth_is_new_shipments_and_their_export(clients: Clients) -> None:
    client = clients("packagex")
    older = details(client, DOCUMENTED_ID)
    added = client.box.grow()["packagex"]
    assert client.box.truth("packagex/shipment")[-3:] == added["shipments"]
    assert json.loads(file(client, added["exports"][0]["id"], "_json_url")) == added["shipments"][::-1]
    assert details(client, DOCUMENTED_ID)["count_total"] == older["count_total"]
    assert client.box.spend()["packagex"] == {"jobs_created": 0}


def test_generated_rows(clients: Clients) -> None:
    client = clients("packagex", rows=20_000)
    made = create(client, resource="item")
    while (shown := details(client, made["id"]))["status"] != "completed":
        assert shown["status"] in {"queued", "processing"}
    assert shown["count_total"] == 20_005
    assert len(json.loads(file(client, made["id"], "_json_url"))) == 20_005
    assert len(rows_of(file(client, made["id"], "_csv_url"))) == 20_005
