"""The sandbox's Cornect against its documents."""

from __future__ import annotations

import csv
import gzip
import io
import json
from typing import Any

import pytest
import requests

from tests.sandbox.client import Client, Clients

SOFTWARE = {"countries": ["United States"], "industries": ["Application Software"]}
UTILITIES = {"industries": ["Electric Utilities"]}
NONE = "00000000-0000-4000-8000-000000000000"


def create(client: Client, **body: object) -> dict[str, Any]:
    reply = client.ask("POST", "/api/v1/exports", json={"name": "made by a test", **body})
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()
    return made


def created_id(client: Client, **body: object) -> str:
    return str(create(client, **body)["export_job"]["id"])


def file(client: Client, export_id: str) -> bytes:
    reply = client.ask("POST", f"/api/v1/exports/{export_id}/download")
    assert reply.status_code == 200, reply.text
    return requests.get(reply.json()["download_url"], timeout=10).content


def search(client: Client, **body: object) -> dict[str, Any]:
    reply = client.ask("POST", "/api/v1/companies/search", json=body)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def foreign(client: Client, name: str) -> dict[str, Any]:
    exports: list[dict[str, Any]] = client.box.truth("cornect/exports")
    return next(export for export in exports if export["name"] == name)


def test_create_answers_as_documented(clients: Clients) -> None:
    """14 companies match; one of them is known to the workspace already, so it is free."""
    client = clients("cornect")
    made = create(client, name="US software", search_filters=SOFTWARE)
    transactions = client.get("/api/v1/credits")["recent_transactions"]
    assert made == {
        "export_job": {
            "id": made["export_job"]["id"],
            "name": "US software",
            "status": "pending",
            "export_format": "csv",
            "source_type": "search",
        },
        "requested_count": 14,
        "already_unlocked": 1,
        "new_count": 13,
        "cost": 13,
        "credits_charged": 13,
        "would_skip": 0,
        "capped_at_10k": False,
        "transaction_id": transactions[0]["id"],
    }
    assert transactions[0]["amount"] == -13
    assert transactions[0]["reference"] == f"export:{made['export_job']['id']}:create"
    assert client.box.spend()["cornect"] == {"jobs_created": 1, "credits": 13}


def test_export_answers_as_documented(clients: Clients) -> None:
    client = clients("cornect")
    done = foreign(client, "Semiconductors")
    shown = client.get(f"/api/v1/exports/{done['id']}")
    assert isinstance(shown.pop("file_size_bytes"), int)
    assert shown == {
        "id": done["id"],
        "workspace_id": client.get("/api/v1/credits")["workspace_id"],
        "name": "Semiconductors",
        "export_format": "csv",
        "source_type": "search",
        "status": "completed",
        "total_records": 14,
        "processed_records": 14,
        "created_at": "2024-06-01T09:00:00Z",
        "completed_at": "2024-06-01T09:01:15Z",
    }


def test_job_goes_through_all_statuses(clients: Clients) -> None:
    client = clients("cornect", job_polls=5)
    export_id = created_id(client, search_filters=SOFTWARE)
    seen = [client.get(f"/api/v1/exports/{export_id}") for _ in range(5)]
    assert [row["status"] for row in seen] == ["pending", *["processing"] * 3, "completed"]
    assert [row["processed_records"] for row in seen] == [2, 5, 8, 11, 14]
    assert [row["completed_at"] is None for row in seen] == [True] * 4 + [False]
    assert [row["file_size_bytes"] is None for row in seen] == [True] * 4 + [False]


def test_foreign_jobs(clients: Clients) -> None:
    """One failed and was paid back; one cost nothing, so that no transaction tells of it; one is at work."""
    client = clients("cornect")
    found = {row["name"]: (row["status"], row["total_records"]) for row in client.box.truth("cornect/exports")}
    assert found == {
        "Semiconductors": ("completed", 14),
        "Semiconductors again": ("completed", 14),
        "Utilities": ("failed", 15),
        "Half of the list": ("processing", 15),
    }
    references = {row["reference"] for row in client.get("/api/v1/credits")["recent_transactions"]}
    known = {name: f"export:{foreign(client, name)['id']}:create" in references for name in found}
    assert known == {"Semiconductors": True, "Semiconductors again": False, "Utilities": True, "Half of the list": True}
    client.box.clock.advance(3600)
    assert client.get(f"/api/v1/exports/{foreign(client, 'Half of the list')['id']}")["status"] == "completed"


def test_balance_is_the_sum_of_the_transactions(clients: Clients) -> None:
    client = clients("cornect", knobs={"cornect": {"balance": 77, "transactions_shown": 2}})
    create(client, search_filters=SOFTWARE)
    transactions = client.box.truth("cornect/transactions")
    answer = client.get("/api/v1/credits")
    assert answer["balance"] == 77 - 13 == sum(row["amount"] for row in transactions)
    assert answer["recent_transactions"] == transactions[:-3:-1]


def test_companies_are_paid_once(clients: Clients) -> None:
    client = clients("cornect")
    first, second = create(client, search_filters=SOFTWARE), create(client, search_filters=SOFTWARE)
    assert (first["credits_charged"], second["credits_charged"]) == (13, 0)
    assert (second["already_unlocked"], second["transaction_id"]) == (14, None)
    assert len(client.box.truth("cornect/unlocked")) == 14 + 14 + 13


def test_too_low_balance(clients: Clients) -> None:
    """402, no job, nothing charged."""
    client = clients("cornect", knobs={"cornect": {"balance": 12}})
    reply = client.ask("POST", "/api/v1/exports", json={"name": "x", "search_filters": SOFTWARE})
    assert reply.status_code == 402
    assert reply.json() == {
        "detail": {
            "code": "insufficient_balance",
            "message": "Not enough credits",
            "details": {"balance": 12, "required": 13},
        },
    }
    assert client.get("/api/v1/credits")["balance"] == 12
    assert len(client.box.truth("cornect/exports")) == 4


def test_too_low_balance_may_skip_instead(clients: Clients) -> None:
    client = clients("cornect", job_seconds=0, knobs={"cornect": {"balance": 5, "short_balance": "skip"}})
    made = create(client, search_filters=SOFTWARE, export_format="json")
    assert (made["new_count"], made["credits_charged"], made["would_skip"]) == (13, 5, 8)
    assert len(json.loads(file(client, made["export_job"]["id"]))) == 6
    assert client.get("/api/v1/credits")["balance"] == 0


def test_cap(clients: Clients) -> None:
    client = clients("cornect", rows=10_001, job_seconds=0, knobs={"cornect": {"balance": 20_000}})
    made = create(client, search_filters={"countries": ["Norway"]}, export_format="json")
    assert (made["requested_count"], made["capped_at_10k"], made["cost"]) == (10_000, True, 10_000)
    assert len(json.loads(file(client, made["export_job"]["id"]))) == 10_000


def test_json_file_is_the_truth(clients: Clients) -> None:
    client = clients("cornect", job_seconds=0)
    export_id = created_id(client, search_filters=SOFTWARE, export_format="json", sort_by="name", sort_order="desc")
    rows = json.loads(file(client, export_id))
    assert rows == client.box.truth(f"cornect/export/{export_id}")
    names = [row["name"] for row in rows]
    assert names == sorted(names, reverse=True)


def test_csv_file(clients: Clients) -> None:
    client = clients("cornect", job_seconds=0)
    list_id = client.box.config()["cornect"]["exports"][1]["list_id"]
    export_id = created_id(client, source_type="list", list_id=list_id)
    rows = list(csv.DictReader(io.StringIO(file(client, export_id).decode(), newline="")))
    truth = client.box.truth(f"cornect/export/{export_id}")
    assert len(rows) == 30
    assert [row["id"] for row in rows] == [row["id"] for row in truth]
    assert (rows[3]["postal_code"], rows[3]["notes"]) == ("00093", "two\nlines")
    assert rows[3]["technologies"] == "Kafka; PostgreSQL; Salesforce"


@pytest.mark.parametrize("root", ["companies", "jsonl"])
def test_json_roots_and_gzip(clients: Clients, root: str) -> None:
    client = clients("cornect", job_seconds=0, knobs={"cornect": {"json_root": root, "file": "gzip"}})
    export_id = created_id(client, search_filters=SOFTWARE, export_format="json")
    packed = file(client, export_id)
    assert packed[:2] == b"\x1f\x8b"
    text = gzip.decompress(packed).decode()
    rows = json.loads(text)["companies"] if root == "companies" else [json.loads(line) for line in text.splitlines()]
    assert rows == client.box.truth(f"cornect/export/{export_id}")


def test_total_may_count_new_ones_only(clients: Clients) -> None:
    client = clients("cornect", job_seconds=0, knobs={"cornect": {"total_records": "new", "count_error": 2}})
    assert client.get(f"/api/v1/exports/{created_id(client, search_filters=SOFTWARE)}")["total_records"] == 13 + 2


def test_search_pages(clients: Clients) -> None:
    """25 a page; the cursor is in the body; the last page has none."""
    client = clients("cornect")
    pages = [search(client, states=["California"])]
    while cursor := pages[-1]["next_cursor"]:
        pages.append(search(client, states=["California"], cursor=cursor))
    assert [len(page["items"]) for page in pages] == [25, 25, 24]
    assert {page["total"] for page in pages} == {74}
    assert list(pages[0]) == ["items", "total", "aggregations", "next_cursor"]
    truth = client.box.truth("cornect/search", filters=json.dumps({"states": ["California"]}))
    assert [item for page in pages for item in page["items"]] == truth
    assert "phone" not in pages[0]["items"][0]
    assert client.get(f"/api/v1/companies/{truth[3]['id']}") == truth[3]
    assert client.box.spend()["cornect"] == {"jobs_created": 0, "credits": 0}


@pytest.mark.parametrize("other", [{"states": ["Texas"]}, {}, {"states": ["California"], "query": "a"}])
def test_changed_filters_invalidate_the_cursor(clients: Clients, other: dict[str, Any]) -> None:
    client = clients("cornect")
    cursor = search(client, states=["California"])["next_cursor"]
    reply = client.ask("POST", "/api/v1/companies/search", json={**other, "cursor": cursor})
    assert reply.status_code == 400


FILTERS = [
    ({}, 503),
    ({"countries": ["US"]}, 0),
    ({"countries": ["united states"]}, 0),
    ({"countries": ["Ireland", "Canada"]}, 12),
    ({"states": ["Minnesota"], "cities": ["Saint Paul"]}, 3),
    ({"query": "3m"}, 1),
    ({"query": "electric utilities"}, 15),
    ({"industries": ["Semiconductors"], "exclude_industries": ["Semiconductors"]}, 0),
    ({"keywords": ["listed"], "exclude_keywords": ["industrials", "financials"]}, 344),
    ({"technologies": ["Salesforce"]}, 125),
    ({"technology_categories": ["streaming"], "naics_codes": ["111"]}, 1),
    ({"founded_year_max": 1800}, 2),
    ({"employee_count_min": 50, "employee_count_max": 1500}, 8),
    ({"connections": [{"category": "vendor"}]}, 26),
    ({"connections": [{"category": "customer"}]}, 0),
    ({"query": None, "countries": []}, 503),
]


@pytest.mark.parametrize(("filters", "total"), FILTERS)
def test_filters(clients: Clients, filters: dict[str, Any], total: int) -> None:
    """Countries and states are full names, exactly; several filters narrow each other."""
    assert search(clients("cornect"), **filters)["total"] == total


def test_download_answers_as_documented(clients: Clients) -> None:
    client = clients("cornect", url_seconds=60)
    path = f"/api/v1/exports/{foreign(client, 'Semiconductors')['id']}/download"
    answer = client.ask("POST", path).json()
    assert list(answer) == ["download_url", "expires_at"]
    assert answer["download_url"].startswith(client.box.files_url + "/cornect/cornect-exports/")
    assert "X-Amz-Signature=" in answer["download_url"]
    # The session sends the token along.
    assert client.session.get(answer["download_url"], timeout=10).status_code == 400
    assert requests.get(answer["download_url"], timeout=10).status_code == 200
    client.box.clock.advance(61)
    assert requests.get(answer["download_url"], timeout=10).status_code == 403


def test_download_before_the_end(clients: Clients) -> None:
    client = clients("cornect")
    for name in ("Half of the list", "Utilities"):
        reply = client.ask("POST", f"/api/v1/exports/{foreign(client, name)['id']}/download")
        assert (reply.status_code, reply.json()) == (400, {"detail": "Export is not completed"})


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "MISSING_AUTH_HEADER"),
        ("cornect_sandbox_token", "INVALID_TOKEN_FORMAT"),
        ("Bearer sandbox_token", "INVALID_TOKEN_FORMAT"),
        ("Bearer cornect_of_nobody", "INVALID_TOKEN"),
        ("Bearer cornect_sandbox_expired_token", "TOKEN_EXPIRED"),
        ("Bearer cornect_sandbox_legacy_token", "TOKEN_NOT_WORKSPACE_BOUND"),
        ("Bearer cornect_sandbox_former_member_token", "NOT_WORKSPACE_MEMBER"),
    ],
)
def test_tokens_that_are_refused(clients: Clients, header: str | None, code: str) -> None:
    reply = clients("cornect").ask("GET", "/api/v1/credits", headers={"authorization": header})
    assert (reply.status_code, reply.json()["detail"]["code"]) == (401, code)


def test_read_token_creates_nothing(clients: Clients) -> None:
    """Search and download are POST but need `read` only."""
    client = clients("cornect")
    client.session.headers["authorization"] = "Bearer cornect_sandbox_read_token"
    assert search(client, query="3m")["total"] == 1
    assert file(client, foreign(client, "Semiconductors")["id"])
    reply = client.ask("POST", "/api/v1/exports", json={"name": "x", "search_filters": SOFTWARE})
    assert reply.status_code == 403
    assert reply.json()["detail"]["code"] == "INSUFFICIENT_SCOPE"
    assert reply.json()["detail"]["details"] == {"token_scope": "read", "required": "read_write"}


REFUSED: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", f"/api/v1/exports/{NONE}", {}, 404),
    ("POST", f"/api/v1/exports/{NONE}/download", {}, 404),
    ("GET", f"/api/v1/companies/{NONE}", {}, 404),
    ("GET", "/api/v1/exports", {}, 405),
    ("GET", "/api/v1/lists", {}, 404),
    ("GET", "/api/v1/credits?page=2", {}, 422),
    ("POST", "/api/v1/companies/search", {"data": b"{"}, 422),
    ("POST", "/api/v1/companies/search", {"json": {"cursor": "nonsense"}}, 400),
    ("POST", "/api/v1/companies/search", {"json": {"cursor": 3}}, 400),
    ("POST", "/api/v1/companies/search", {"json": {"countries": "Canada"}}, 422),
    ("POST", "/api/v1/companies/search", {"json": {"founded_year_min": "1900"}}, 422),
    ("POST", "/api/v1/companies/search", {"json": {"limit": 5}}, 422),
    ("POST", "/api/v1/exports", {"json": {"search_filters": SOFTWARE}}, 422),
    ("POST", "/api/v1/exports", {"json": {"name": "x", "search_filters": {"countries": ["US"]}}}, 400),
    ("POST", "/api/v1/exports", {"json": {"name": "x", "search_filters": {"colour": "red"}}}, 422),
    ("POST", "/api/v1/exports", {"json": {"name": "x", "export_format": "xlsx"}}, 422),
    ("POST", "/api/v1/exports", {"json": {"name": "x", "source_type": "list"}}, 422),
    ("POST", "/api/v1/exports", {"json": {"name": "x", "source_type": "list", "list_id": NONE}}, 404),
    ("POST", "/api/v1/exports", {"json": {"name": "x", "sort_order": "up"}}, 422),
    ("POST", "/api/v1/exports", {"json": {"name": "x", "colour": "red"}}, 422),
]


@pytest.mark.parametrize(("method", "path", "options", "status"), REFUSED)
def test_refuses(clients: Clients, method: str, path: str, options: dict[str, Any], status: int) -> None:
    """What the real API would refuse is refused; nothing is made and nothing is spent."""
    client = clients("cornect")
    reply = client.ask(method, path, **options)
    assert (reply.status_code, list(reply.json())) == (status, ["detail"])
    assert isinstance(reply.json()["detail"], list) == (status == 422 and method == "POST")
    assert client.box.spend()["cornect"] == {"jobs_created": 0, "credits": 0}


def test_no_candidates_has_a_code(clients: Clients) -> None:
    reply = clients("cornect").ask("POST", "/api/v1/exports", json={"name": "x", "search_filters": {"query": "§"}})
    assert reply.json()["detail"]["code"] == "no_candidates"


def statuses(client: Client, count: int) -> list[int]:
    body = {"name": "x", "search_filters": UTILITIES}
    return [client.ask("POST", "/api/v1/exports", json=body).status_code for _ in range(count)]


def test_five_creations_a_minute(clients: Clients) -> None:
    """A token bucket per route: after the sixth, one more every 12 seconds, as Retry-After says."""
    client = clients("cornect")
    assert statuses(client, 5) == [201] * 5
    reply = client.ask("POST", "/api/v1/exports", json={"name": "x"})
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "12")
    assert client.get("/api/v1/credits")["balance"] == 985
    client.box.clock.advance(12)
    assert statuses(client, 2) == [201, 429]


@pytest.mark.parametrize(("scale", "expected"), [(0, [201] * 8), (0.2, [201] + [429] * 7)])
def test_scaled_limits(clients: Clients, scale: float, expected: list[int]) -> None:
    assert statuses(clients("cornect", knobs={"cornect": {"limit_scale": scale}}), 8) == expected


def test_growth_is_companies_that_somebody_exported(clients: Clients) -> None:
    client = clients("cornect")
    added = client.box.grow()["cornect"]
    assert client.box.truth("cornect/companies")[-3:] == added["companies"]
    assert client.box.truth(f"cornect/export/{added['exports'][0]['id']}") == added["companies"]
    assert client.get("/api/v1/credits")["recent_transactions"][0] == added["transactions"][0]
    assert search(client, query="newcomer")["total"] == 3
    assert client.box.spend()["cornect"] == {"jobs_created": 0, "credits": 0}


def test_configured_exports_are_within_the_cap(clients: Clients) -> None:
    client = clients("cornect")
    config = client.box.config()["cornect"]
    made = [create(client, **export) for export in config["exports"] if "export_id" not in export]
    assert 0 < sum(each["credits_charged"] for each in made) <= config["max_credits"]
