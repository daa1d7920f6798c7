"""The sandbox's Cension against its documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sandbox.client import Client, Clients

FEED = {"feedId": 123, "projectId": 456}


def start(client: Client, endpoint: str, **body: object) -> int:
    reply = client.ask("POST", f"/api/{endpoint}", json={**FEED, **body})
    assert reply.status_code == 200, reply.text
    return int(reply.json()["data"]["operationId"])


def test_operation_answers_as_documented(clients: Clients) -> None:
    assert clients("cension").get("/api/operations/4836") == {
        "success": True,
        "operation": {
            "operationId": 4836,
            "feedId": 123,
            "projectId": 456,
            "operationType": "horizontal",
            "status": "completed",
            "processedItems": 50,
            "totalItems": 50,
            "startedAt": "2026-06-01T05:23:00.000Z",
            "completedAt": "2026-06-01T05:24:15.000Z",
            "errorMessage": None,
        },
    }


def test_scoped_export_answers_as_documented(clients: Clients) -> None:
    answer = clients("cension").get("/api/export/459", operationId=4836, limit=1)
    assert list(answer) == ["success", "data"]
    assert list(answer["data"]) == ["items", "total_count"]
    assert answer["data"]["total_count"] == 50
    assert list(answer["data"]["items"][0])[:4] == ["company", "website", "ceo_name", "linkedin_url"]


def test_every_documented_status_is_there(clients: Clients) -> None:
    operations = clients("cension").box.truth("cension/operations")
    found = {row["operationId"]: (row["status"], row["processedItems"], row["totalItems"]) for row in operations}
    assert found == {
        4801: ("completed", 253, 253),
        4836: ("completed", 50, 50),
        4837: ("failed", 30, 50),
        4838: ("cancelled", 10, 50),
        4840: ("completed", 153, 153),
        4842: ("running", 0, 40),
    }
    assert {row["operationId"]: row["errorMessage"] for row in operations}[4837] == "Model quota exceeded"


def test_running_operation_moves_with_the_clock(clients: Clients) -> None:
    client = clients("cension")
    client.box.clock.advance(1800)
    half = client.get("/api/operations/4842")["operation"]
    assert (half["status"], half["processedItems"], half["completedAt"]) == ("running", 20, None)
    assert client.get("/api/export/459", operationId=4842)["data"]["total_count"] == 20
    client.box.clock.advance(1800)
    assert client.get("/api/operations/4842")["operation"]["status"] == "completed"


def test_pages_hold_everything_once(clients: Clients) -> None:
    """Page size 100 by default; a page past the end is empty; sparse keys appear late."""
    client = clients("cension")
    pages = [client.get("/api/export/459", page=page)["data"] for page in range(1, 8)]
    assert [len(page["items"]) for page in pages] == [100, 100, 100, 100, 100, 3, 0]
    assert {page["total_count"] for page in pages} == {503}
    items = [item for page in pages for item in page["items"]]
    assert items == client.box.truth("cension/export/459")
    assert ["late_column" in item for item in items].index(True) == 180


def test_limit_is_capped_without_a_word(clients: Clients) -> None:
    client = clients("cension", knobs={"cension": {"limit_cap": 7}})
    assert len(client.get("/api/export/459", limit=5000)["data"]["items"]) == 7


def test_a_company_may_come_in_two_runs(clients: Clients) -> None:
    box = clients("cension").box
    first, second = (box.truth("cension/export/459", operationId=number) for number in (4836, 4840))
    assert [row["company"] for row in first[-3:]] == [row["company"] for row in second[:3]]


def test_older_envelope(clients: Clients) -> None:
    client = clients("cension", knobs={"cension": {"envelope": "list"}})
    assert len(client.get("/api/export/459", limit=2)) == 2


def test_empty_and_generated_exports(clients: Clients) -> None:
    client = clients("cension", rows=1_000_000)
    assert client.get("/api/export/460")["data"] == {"items": [], "total_count": 0}
    assert client.get("/api/export/459", operationId=1)["data"] == {"items": [], "total_count": 0}
    load = client.get("/api/export/900", page=10_000, operationId=9000)["data"]
    assert (load["items"][-1]["company"], load["total_count"]) == ("Generated Company 00999999", 1_000_000)


def test_saved_query_answers_as_documented(clients: Clients) -> None:
    client = clients("cension")
    answer = client.get("/api/queries/12", page=3)
    assert answer["pagination"] == {"page": 3, "limit": 100, "total_count": 250, "total_pages": 3}
    assert answer["data"][-1] == {"id": 250, "company": "Ingersoll Rand", "created_at": "2026-05-01T04:10:00.000Z"}
    pages = [client.get("/api/queries/12", page=page)["data"] for page in (1, 2, 3)]
    assert [row for page in pages for row in page] == client.box.truth("cension/query/12")
    assert client.get("/api/queries/13")["pagination"]["total_pages"] == 0


REFUSED: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", "/api/export/459", {"headers": {"authorization": "wrong"}}, 401),
    ("GET", "/api/export/459", {"headers": {"authorization": "Bearer sandbox-cension-key"}}, 401),
    ("GET", "/api/export/459", {"headers": {"authorization": f"export_{460:024x}"}}, 401),
    ("GET", "/api/operations/4836", {"headers": {"authorization": f"export_{459:024x}"}}, 401),
    ("GET", "/api/export/999", {}, 404),
    ("GET", "/api/export/abc", {}, 400),
    ("POST", "/api/export/459", {}, 405),
    ("GET", "/api/exports", {}, 404),
    ("GET", "/api/export/459?page=0", {}, 400),
    ("GET", "/api/export/459?operationId=x", {}, 400),
    ("GET", "/api/export/459?sort=company", {}, 400),
    ("GET", "/api/operations/1", {}, 404),
    ("GET", "/api/queries/99", {}, 404),
    ("GET", "/api/queries/12?limit=10001", {}, 400),
    ("DELETE", "/api/operations/4836/cancel", {}, 400),
    ("POST", "/api/horizontal/create", {"json": {**FEED}}, 400),
    ("POST", "/api/horizontal/create", {"json": {**FEED, "ogIds": []}}, 400),
    ("POST", "/api/horizontal/create", {"json": {**FEED, "ogIds": ["9999"]}}, 400),
    ("POST", "/api/horizontal/create", {"json": {**FEED, "ogIds": ["1"], "processingMode": "All"}}, 400),
    ("POST", "/api/horizontal/create", {"json": {"feedId": 9, "projectId": 456, "ogIds": ["1"]}}, 404),
    ("POST", "/api/vertical/create", {"json": {**FEED, "fieldContextId": 1, "count": 10_001}}, 400),
    ("POST", "/api/vertical/create", {"json": {**FEED, "fieldContextId": True}}, 400),
    ("POST", "/api/vertical/create", {"json": {**FEED, "fieldContextId": 1, "amount": 5}}, 400),
    ("POST", "/api/horizontal/upload-and-process", {"json": {**FEED, "dataItems": [{"og_id": "a"}]}}, 400),
]


@pytest.mark.parametrize(("method", "path", "options", "status"), REFUSED)
def test_refuses(clients: Clients, method: str, path: str, options: dict[str, Any], status: int) -> None:
    """What the real API would refuse is refused, and nothing is spent."""
    client = clients("cension")
    reply = client.ask(method, path, **options)
    assert (reply.status_code, reply.json()["success"]) == (status, False)
    assert client.box.spend()["cension"] == {"runs_started": 0, "credits": 0}


def test_errors_may_come_with_status_200(clients: Clients) -> None:
    client = clients("cension", knobs={"cension": {"errors_as_200": True}})
    assert client.get("/api/export/999") == {"success": False, "message": "Export not found"}


def test_an_export_has_a_key_of_its_own(clients: Clients) -> None:
    client = clients("cension")
    reply = client.ask("GET", "/api/export/460", headers={"authorization": f"export_{460:024x}"})
    assert reply.json()["data"]["total_count"] == 0


def test_run_over_old_rows(clients: Clients) -> None:
    client = clients("cension", job_seconds=0)
    number = start(client, "horizontal/create", ogIds=["3", "1"], processingMode="FillEmpty")
    assert [row["company"] for row in client.box.truth("cension/export/459", operationId=number)] == [
        "AbbVie",
        "A. O. Smith",
    ]
    assert client.box.spend()["cension"] == {"runs_started": 1, "credits": 4}


def test_run_over_uploaded_rows(clients: Clients) -> None:
    """Rows of a run come to the export one by one, while it works on them."""
    client = clients("cension", job_seconds=100)
    items = [{"og_id": f"x{number}", "og_data": json.dumps({"company": f"X {number}"})} for number in range(4)]
    number = start(client, "horizontal/upload-and-process", dataItems=items, fieldIds=[1], processingMode=0)
    seen = []
    for seconds in (0, 50, 50):
        client.box.clock.advance(seconds)
        done = client.get("/api/operations/" + str(number))["operation"]["processedItems"]
        seen.append((done, client.get("/api/export/459")["data"]["total_count"]))
    assert seen == [(0, 503), (2, 505), (4, 507)]


def test_run_that_finds_rows(clients: Clients) -> None:
    client = clients("cension", job_seconds=0)
    number = start(client, "vertical/create", fieldContextId=5)
    assert client.get("/api/operations/" + str(number))["operation"]["operationType"] == "vertical"
    assert client.get("/api/export/459", operationId=number)["data"]["total_count"] == 10


def test_upload_spends_nothing(clients: Clients) -> None:
    client = clients("cension")
    body = {**FEED, "dataItems": [{"og_id": "y", "og_data": '{"company": "Y"}'}]}
    assert client.ask("POST", "/api/horizontal/upload", json=body).json()["success"] is True
    assert client.box.truth("cension/export/459")[-1] == {"company": "Y"}
    assert client.box.spend()["cension"] == {"runs_started": 0, "credits": 0}


@pytest.mark.parametrize("place", ["data", "operation"])
def test_place_of_the_new_operation(clients: Clients, place: str) -> None:
    client = clients("cension", knobs={"cension": {"start_envelope": place}})
    reply = client.ask("POST", "/api/horizontal/create", json={**FEED, "ogIds": ["1"]}).json()
    assert reply == {"success": True, place: {"operationId": 4843}}


def test_flat_place_of_the_new_operation(clients: Clients) -> None:
    client = clients("cension", knobs={"cension": {"start_envelope": "flat"}})
    reply = client.ask("POST", "/api/horizontal/create", json={**FEED, "ogIds": ["1"]}).json()
    assert reply == {"success": True, "operationId": 4843}


def test_cancelled_run_keeps_what_it_has_done(clients: Clients) -> None:
    client = clients("cension")
    client.box.clock.advance(900)
    assert client.ask("DELETE", "/api/operations/4842/cancel").json() == {"success": True}
    client.box.clock.advance(9000)
    after = client.get("/api/operations/4842")["operation"]
    assert (after["status"], after["processedItems"]) == ("cancelled", 10)


def test_growth_is_a_completed_run_with_new_rows(clients: Clients) -> None:
    client = clients("cension")
    added = client.box.grow()["cension"]
    number = added["operation"]["operationId"]
    assert (number, added["operation"]["status"]) == (4843, "completed")
    assert client.get("/api/export/459", operationId=number)["data"] == {"items": added["items"], "total_count": 5}
    assert client.get("/api/queries/12", page=3)["data"][-2:] == added["query_rows"]
    assert client.box.spend()["cension"] == {"runs_started": 0, "credits": 0}
