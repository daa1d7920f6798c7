"""The sandbox's Exelensia against its documents."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pytest
import requests

from tests.sandbox.client import Client, Clients

INVOICES = "019760a0-0001-7000-8000-000000000001"
COMPANIES = "019760a0-0001-7000-8000-000000000002"
RECEIPTS = "019760a0-0001-7000-8000-000000000003"
LOAD = "019760a0-0001-7000-8000-000000000009"
JANUARY = {"start_date": "2024-01-01T00:00:00.000Z", "end_date": "2024-01-31T23:59:59.999Z"}
REQUEST = {"schema_id": INVOICES, **JANUARY}
CREATED = {
    "id": "019760a0-0050-7000-8000-000000000053",
    "schema_id": INVOICES,
    "status": "PENDING",
    **JANUARY,
    "expand_array": None,
}


def create(client: Client, **body: object) -> str:
    response = client.ask("POST", "/v1/exports", json={**REQUEST, **body})
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def rows(client: Client, export_id: str) -> list[list[str]]:
    url = client.get(f"/v1/exports/{export_id}/download")["url"]
    reply = requests.get(url, timeout=10)
    assert reply.status_code == 200
    return list(csv.reader(io.StringIO(reply.content.decode(), newline="")))


def test_create_answers_as_documented(clients: Clients) -> None:
    reply = clients("exelensia").ask("POST", "/v1/exports", json=REQUEST)
    assert reply.status_code == 201
    made = reply.json()
    assert made.pop("createdAt") == made.pop("updatedAt")
    assert made == CREATED


def test_list_answers_as_documented(clients: Clients) -> None:
    """The documents' own export is in the list, with the times of the example."""
    listed = clients("exelensia").get("/v1/exports", page=3, limit=1, sort_by="createdAt")
    assert listed == {
        "data": [
            {
                "id": "019760a0-0050-7000-8000-000000000050",
                "schema_id": INVOICES,
                "status": "COMPLETED",
                **JANUARY,
                "expand_array": None,
                "createdAt": "2024-01-31T12:00:00.000Z",
                "updatedAt": "2024-01-31T12:01:30.000Z",
            },
        ],
        "meta": {"page": 3, "limit": 1, "total": 3, "totalPages": 3},
    }


def test_download_and_delete_answer_as_documented(clients: Clients) -> None:
    client = clients("exelensia", job_seconds=0)
    export_id = create(client)
    answer = client.get(f"/v1/exports/{export_id}/download")
    assert list(answer) == ["url"]
    path, _, query = answer["url"].partition("?")
    assert path.startswith(
        client.box.files_url + "/exelensia/teams/019760a0-0000-7000-8000-000000000000/export_2024_01"
    )
    assert [pair.split("=")[0] for pair in query.split("&")] == ["token", "expires"]
    deleted = client.ask("DELETE", f"/v1/exports/{export_id}")
    assert (deleted.status_code, deleted.json()) == (200, {"message": "Export deleted successfully"})
    assert client.ask("GET", f"/v1/exports/{export_id}/download").status_code == 404
    assert requests.get(answer["url"], timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/v1/schemas", {"id", "name", "description", "schema", "createdAt", "updatedAt"}),
        ("/v1/templates", {"id", "name", "description", "schema", "createdAt", "updatedAt"}),
        ("/v1/files", {"id", "filename", "mimetype", "bytes", "status", "createdAt", "updatedAt"}),
        ("/v1/process", {"id", "file_id", "schema_id", "status", "createdAt", "updatedAt"}),
        ("/v1/results", {"id", "process_id", "file_id", "schema_id", "status", "createdAt", "updatedAt"}),
    ],
)
def test_lists_have_the_documented_fields(clients: Clients, path: str, keys: set[str]) -> None:
    answer = clients("exelensia").get(path)
    assert {frozenset(row) for row in answer["data"]} == {frozenset(keys)}
    assert (answer["meta"]["page"], answer["meta"]["limit"]) == (1, 20)


def test_every_documented_status_is_there(clients: Clients) -> None:
    box = clients("exelensia").box
    assert {row["status"] for row in box.truth("exelensia/processes")} == {
        "PENDING",
        "PROCESSING",
        "COMPLETED",
        "FAILED",
    }
    assert {row["status"] for row in box.truth("exelensia/files")} == {"PENDING", "READY", "FAILED"}


def test_job_goes_through_its_statuses(clients: Clients) -> None:
    client = clients("exelensia", job_seconds=1000)
    export_id = create(client)
    seen = []
    for seconds in (0, 500, 500):
        client.box.clock.advance(seconds)
        listed = {row["id"]: row["status"] for row in client.get("/v1/exports")["data"]}
        seen.append((listed[export_id], client.ask("GET", f"/v1/exports/{export_id}/download").status_code))
    assert seen == [("PENDING", 409), ("PROCESSING", 409), ("COMPLETED", 200)]


def test_job_may_go_by_polls(clients: Clients) -> None:
    """The n-th status read shows the end, and only reads of the job count."""
    client = clients("exelensia", job_polls=3)
    export_id = create(client)
    statuses = [client.get("/v1/exports", limit=1)["data"][0]["status"] for _ in range(4)]
    assert statuses == ["PROCESSING", "PROCESSING", "COMPLETED", "COMPLETED"]
    assert rows(client, export_id)[0][0] == "invoice_number"


def test_lists_page_through_everything_once(clients: Clients) -> None:
    client = clients("exelensia")
    query = {"limit": 100, "sort_by": "createdAt", "sort_order": "asc"}
    pages = [client.get("/v1/results", page=page, include_extraction="true", **query) for page in range(1, 8)]
    assert [len(page["data"]) for page in pages] == [100, 100, 100, 100, 100, 43, 0]
    listed = [row for page in pages for row in page["data"]]
    assert listed == client.box.truth("exelensia/results")
    assert [row["createdAt"] for row in listed] == sorted(row["createdAt"] for row in listed)
    newest = client.get("/v1/results", limit=1)["data"][0]
    assert newest["id"] == listed[-1]["id"]


@pytest.mark.parametrize(("inclusive", "expected"), [(True, 5), (False, 0)])
def test_bounds_of_lists(clients: Clients, inclusive: bool, expected: int) -> None:  # noqa: FBT001 - a parameter
    """Whether `created_after` includes its instant is a knob, since it is not documented."""
    client = clients("exelensia", knobs={"exelensia": {"inclusive": inclusive}})
    instant = "2024-04-01T20:00:00.000Z"
    answer = client.get("/v1/results", schema_id=COMPANIES, created_after=instant, created_before=instant)
    assert answer["meta"]["total"] == expected


def test_search_fields_and_file_filter(clients: Clients) -> None:
    client = clients("exelensia")
    found = client.get("/v1/files", search="invoice-0007", fields="id,filename")["data"]
    assert [row["filename"] for row in found] == ["invoice-0007.pdf"]
    assert set(found[0]) == {"id", "filename"}
    assert client.get("/v1/process", file_id=found[0]["id"])["meta"]["total"] == 1
    assert client.get("/v1/schemas", sort_by="name", sort_order="asc")["data"][0]["name"] == "Companies"


def test_single_records(clients: Clients) -> None:
    client = clients("exelensia")
    assert client.get(f"/v1/schemas/{INVOICES}")["schema"]["fields"][0] == {
        "key": "invoice_number",
        "type": "string",
        "label": "Invoice number",
    }
    result = client.box.truth("exelensia/results")[0]
    assert client.get(f"/v1/results/{result['id']}") == result
    assert client.ask("DELETE", f"/v1/files/{result['file_id']}").status_code == 200
    assert client.ask("DELETE", f"/v1/files/{result['file_id']}").status_code == 404
    assert client.get(f"/v1/results/{result['id']}")["file_id"] == result["file_id"]


REFUSED: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", "/v1/exports", {"headers": {"x-api-key": "wrong"}}, 401),
    ("GET", "/v1/exports", {"headers": {"x-api-key": None}}, 401),
    ("GET", "/v1/nothing", {}, 404),
    ("PUT", "/v1/exports", {}, 405),
    ("GET", "/v1/exports/019760a0-0050-7000-8000-000000000050", {}, 405),
    ("GET", "/v1/exports/019760a0-0050-7000-8000-0000000000ff/download", {}, 404),
    ("GET", "/v1/exports/019760a0-0050-7000-8000-000000000051/download", {}, 409),
    ("DELETE", "/v1/exports/019760a0-0050-7000-8000-0000000000ff", {}, 404),
    ("GET", "/v1/schemas/019760a0-0001-7000-8000-0000000000ff", {}, 404),
    ("GET", "/v1/results/019760a0-0030-7000-8000-ffffffffffff", {}, 404),
    ("GET", "/v1/results?page=0", {}, 400),
    ("GET", "/v1/results?limit=101", {}, 400),
    ("GET", "/v1/results?limit=many", {}, 400),
    ("GET", "/v1/results?sort_order=up", {}, 400),
    ("GET", "/v1/results?sort_by=age", {}, 400),
    ("GET", "/v1/results?created_after=yesterday", {}, 400),
    ("GET", "/v1/results?include_extraction=yes", {}, 400),
    ("GET", "/v1/results?updated_after=2024-01-01", {}, 400),
    ("GET", "/v1/results?page=1&page=2", {}, 400),
    ("POST", "/v1/exports", {"data": b"{"}, 400),
    ("POST", "/v1/exports", {"json": []}, 400),
    ("POST", "/v1/exports", {"json": {}}, 400),
    ("POST", "/v1/exports", {"json": {**REQUEST, "schema_id": "1"}}, 400),
    ("POST", "/v1/exports", {"json": {**REQUEST, "schema_id": INVOICES[:-1] + "f"}}, 404),
    ("POST", "/v1/exports", {"json": {**REQUEST, "end_date": None}}, 400),
    ("POST", "/v1/exports", {"json": {**REQUEST, "end_date": "2023-01-01"}}, 400),
    ("POST", "/v1/exports", {"json": {**REQUEST, "expand_array": "total"}}, 400),
    ("POST", "/v1/exports", {"json": {**REQUEST, "format": "json"}}, 400),
]


@pytest.mark.parametrize(("method", "path", "options", "status"), REFUSED)
def test_refuses(clients: Clients, method: str, path: str, options: dict[str, Any], status: int) -> None:
    """What the real API would refuse is refused, and no job comes of it."""
    client = clients("exelensia")
    reply = client.ask(method, path, **options)
    assert (reply.status_code, reply.json()["statusCode"]) == (status, status)
    assert client.box.spend()["exelensia"] == {"jobs_created": 0}


def test_lenient_when_asked(clients: Clients) -> None:
    client = clients("exelensia", knobs={"exelensia": {"strict": False, "pages_of_none": 0}})
    assert client.get("/v1/exports", updated_after="x", search="nothing")["meta"]["totalPages"] == 0
    assert client.ask("POST", "/v1/exports", json={**REQUEST, "format": "json"}).status_code == 201


def test_window_includes_both_bounds(clients: Clients) -> None:
    """Results created exactly at the start and at the end are in the file; the next millisecond is not."""
    client = clients("exelensia", job_seconds=0)
    numbers = {row[0] for row in rows(client, create(client))[1:]}
    assert {"INV-0000", "INV-0010"} < numbers
    assert not {"INV-0020", "INV-0030"} & numbers
    instant = create(client, start_date="2024-02-01T00:00:00.000Z", end_date="2024-02-01T00:00:00.000Z")
    assert [row[0] for row in rows(client, instant)[1:]] == ["INV-0020"]


def test_file_holds_the_truth(clients: Clients) -> None:
    """The CSV, read by Python's own reader, equals the rows at the source; null and empty text differ in the bytes."""
    client = clients("exelensia", job_seconds=0)
    export_id = create(client, end_date="2024-12-31T23:59:59.999Z")
    truth = client.box.truth("exelensia/export", schema_id=INVOICES)
    assert rows(client, export_id) == [truth["columns"], *([cell or "" for cell in row] for row in truth["rows"])]
    assert len(truth["rows"]) == 40
    text = requests.get(client.get(f"/v1/exports/{export_id}/download")["url"], timeout=10).content
    assert b'INV-0004,2024-05-05,0,Accenture,NA,"",' in text
    assert b"INV-0005,2024-06-06,1000000,Adobe Inc.,null,,," in text
    assert b'"carriage return\r\nand line feed"' in text


def test_traps_are_in_the_data(clients: Clients) -> None:
    client = clients("exelensia")
    raw = client.ask("GET", "/v1/results", params={"include_extraction": "true", "limit": 100, "schema_id": INVOICES})
    found = [row["extraction"] for row in json.loads(raw.text, parse_float=Decimal)["data"]]
    assert {"007", "1e5", "+1", "1.0", "NA", "null", "", None} <= {row["reference"] for row in found}
    assert {"", None, "first line\nsecond line", "carriage return\r\nand line feed"} <= {row["notes"] for row in found}
    assert "12345678901234567890.123456789" in {str(row["total"]) for row in found}
    assert "1250.00" in {str(row["total"]) for row in found}


def test_companies_are_the_packaged_dataset(clients: Clients) -> None:
    client = clients("exelensia", job_seconds=0)
    found = rows(client, create(client, schema_id=COMPANIES, end_date="2025-01-01"))
    assert len(found) == 504
    assert found[4] == [
        *("ABBV", "AbbVie", "Health Care", "Biotechnology"),
        *("North Chicago, Illinois", "2012-12-31", "1551152", "2013 (1888)"),
    ]


@pytest.mark.parametrize(
    ("knobs", "columns", "count"),
    [
        ({}, ["lines.description", "lines.quantity", "lines.amount"], 6),
        ({"expanded": "plain"}, ["description", "quantity", "amount"], 6),
        ({"csv_header": "label", "keep_empty": True}, ["Lines.Description", "Lines.Quantity", "Lines.Amount"], 7),
    ],
)
def test_expanded_array(clients: Clients, knobs: dict[str, object], columns: list[str], count: int) -> None:
    """One row per item of the array; what becomes of empty arrays and of the names is a knob."""
    client = clients("exelensia", job_seconds=0, knobs={"exelensia": knobs})
    found = rows(client, create(client, expand_array="lines", end_date="2024-01-08"))
    assert found[0][-3:] == columns
    assert len(found) == 1 + count


def test_array_of_plain_values(clients: Clients) -> None:
    client = clients("exelensia", job_seconds=0)
    found = rows(client, create(client, expand_array="tags", end_date="2024-01-08"))
    assert [(row[0], row[6]) for row in found[1:]] == [
        ("INV-0001", "paid"),
        ("INV-0002", "paid"),
        ("INV-0002", "älter"),
    ]


def test_empty_export_has_its_header(clients: Clients) -> None:
    client = clients("exelensia", job_seconds=0)
    assert rows(client, create(client, schema_id=RECEIPTS)) == [["invoice_number", "date", "total", "vendor_name"]]


def test_generated_rows(clients: Clients) -> None:
    """Any number of rows; a large file is written beside, and its job completes when the file is there."""
    client = clients("exelensia", job_seconds=0, rows=12_000)
    export_id = create(client, schema_id=LOAD, start_date="2025-01-01", end_date="2025-12-31")
    while client.ask("GET", f"/v1/exports/{export_id}/download").status_code == 409:
        pass
    found = rows(client, export_id)
    assert (len(found), len(found[0])) == (12_001, 12)
    assert client.get("/v1/results", schema_id=LOAD)["meta"]["total"] == 12_000
    assert client.get("/v1/results", limit=1)["data"][0]["id"].endswith(f"{11_999:012x}")


def test_growth_reaches_lists_and_later_exports_only(clients: Clients) -> None:
    client = clients("exelensia", job_seconds=0)
    before = create(client, end_date="2100-01-01")
    added = client.box.grow()["exelensia"]
    after = create(client, end_date="2100-01-01")
    numbers = {row["extraction"]["invoice_number"] for row in added["results"]}
    assert {row[0] for row in rows(client, after)} - {row[0] for row in rows(client, before)} == numbers
    assert {row["id"] for row in client.get("/v1/files", limit=3)["data"]} == {row["id"] for row in added["files"]}
    assert {row["id"] for row in client.get("/v1/process", limit=3)["data"]} == {
        row["id"] for row in added["processes"]
    }
    assert client.box.spend()["exelensia"] == {"jobs_created": 2}
