"""Exelensia's requests and replies, as pure functions and over a scripted client, as its documents show them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

import pytest

from tap_exports.engine.clock import from_text
from tap_exports.engine.http import Client, Reply
from tap_exports.engine.http.skew import ProviderClock
from tap_exports.engine.model import Column, Job, Kind, RemoteFile, Request, Status, Window
from tap_exports.errors import BadContentError, CountError, JobLostError, NotFoundError, NotReadyError, RefusedError
from tap_exports.providers.exelensia.api import (
    STATUSES,
    ExelensiaApi,
    body_of,
    bounds,
    created_after,
    is_same,
    parse_columns,
    parse_error,
    parse_job,
    parse_page,
    unwrap,
)
from tap_exports.providers.exelensia.streams import extraction_column
from tests.engine.fakes import FakeClock

ID = "019760a0-0050-7000-8000-000000000050"
SCHEMA_ID = "019760a0-0001-7000-8000-000000000001"
JANUARY = Window(from_text("2024-01-01T00:00:00Z"), from_text("2024-01-31T23:59:59.999Z"))
NOON = from_text("2024-01-31T12:00:00Z")

# The replies of https://exelensia.com/docs/api-reference/exports, as they stand there.
CREATED = b"""{
"id" : "019760a0-0050-7000-8000-000000000050" ,
"schema_id" : "019760a0-0001-7000-8000-000000000001" ,
"status" : "PENDING" ,
"start_date" : "2024-01-01T00:00:00.000Z" ,
"end_date" : "2024-01-31T23:59:59.999Z" ,
"expand_array" : null ,
"createdAt" : "2024-01-31T12:00:00.000Z" ,
"updatedAt" : "2024-01-31T12:00:00.000Z"
}"""
LISTED = b"""{
"data" : [
{
"id" : "019760a0-0050-7000-8000-000000000050" ,
"schema_id" : "019760a0-0001-7000-8000-000000000001" ,
"status" : "COMPLETED" ,
"start_date" : "2024-01-01T00:00:00.000Z" ,
"end_date" : "2024-01-31T23:59:59.999Z" ,
"expand_array" : null ,
"createdAt" : "2024-01-31T12:00:00.000Z" ,
"updatedAt" : "2024-01-31T12:01:30.000Z"
}
],
"meta" : {
"page" : 1 ,
"limit" : 20 ,
"total" : 1 ,
"totalPages" : 1
}
}"""
DOWNLOAD = b"""{
"url" : "https://exports.exelensia.com/teams/019760a0-0000-7000-8000-000000000000/export_2024_01.csv?token=...&expires=1706961600"
}"""
ASKED = {
    "schema_id": "019760a0-0001-7000-8000-000000000001",
    "start_date": "2024-01-01T00:00:00.000Z",
    "end_date": "2024-01-31T23:59:59.999Z",
}
EXPORT: dict[str, Any] = json.loads(LISTED)["data"][0]
URL = json.loads(DOWNLOAD)["url"]
DELETED = {"message": "Export deleted successfully"}

EXPORTS = "/v1/exports"
ANYTHING = ["object", "array", "string", "number", "integer", "boolean", "null"]
FIELDS = {
    "schema": {
        "fields": [
            {"key": "invoice_number", "type": "string", "label": "Invoice number"},
            {"key": "date", "type": "date", "label": "Date"},
            {"key": "total", "type": "number", "label": "Total"},
            {"key": "paid", "type": "BOOLEAN", "label": ""},
            {"key": "lines", "type": "array", "label": "Lines"},
            {"key": "other", "label": "date"},
        ]
    }
}


def request(window: Window | None = JANUARY, **params: object) -> Request:
    return Request("exelensia", "exelensia_export_invoices", {"schema_id": SCHEMA_ID, **params}, window)


def reply(body: object, status: int = 200) -> Reply:
    return Reply(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


class Script:
    """Answers requests from lists by path; an error is raised. The last answer of a path stands for ever."""

    time = ProviderClock("provider", FakeClock())

    def __init__(self, answers: Mapping[str, list[Any]]) -> None:
        self.answers = {path: list(given) for path, given in answers.items()}
        self.sent: list[tuple[str, str, Mapping[str, Any]]] = []

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Reply:
        return self._answer("GET", path, params or {})

    def send(self, method: str, path: str, *, body: Any = None, idempotent: bool = True) -> Reply:  # noqa: ANN401 - JSON
        return self._answer(method, path, {"body": body, "idempotent": idempotent})

    def _answer(self, method: str, path: str, sent: Mapping[str, Any]) -> Reply:
        self.sent.append((method, path, sent))
        given = self.answers[path]
        answer = given.pop(0) if len(given) > 1 else given[0]
        if isinstance(answer, Exception):
            raise answer
        return reply(answer)


def connect(answers: Mapping[str, list[Any]]) -> tuple[ExelensiaApi, Script]:
    script = Script(answers)
    return ExelensiaApi(cast("Client", script), 1), script


def listed(*items: Mapping[str, Any]) -> dict[str, Any]:
    return {"data": list(items), "meta": {"page": 1, "limit": 100, "total": len(items), "totalPages": 1}}


def test_a_window_becomes_both_dates() -> None:
    """Both are required and inclusive, so a window is sent as it is."""
    assert body_of(request()) == ASKED


def test_an_array_is_asked_for_only_where_one_is_set() -> None:
    assert body_of(request(expand_array="lines")) == {**ASKED, "expand_array": "lines"}
    assert body_of(request(expand_array="")) == ASKED


@pytest.mark.parametrize("window", [None, Window(None, JANUARY.end)])
def test_an_export_without_both_dates_is_not_asked_for(window: Window | None) -> None:
    with pytest.raises(ValueError, match="needs both dates"):
        body_of(request(window))


def test_filters_of_lists_are_a_millisecond_wider() -> None:
    """Whether they include their instant is not documented; the caller cuts."""
    wider = {"created_after": "2023-12-31T23:59:59.999Z", "created_before": "2024-02-01T00:00:00.000Z"}
    assert bounds(JANUARY) == wider
    assert created_after(JANUARY) == {"created_after": wider["created_after"]}


def test_an_open_beginning_has_no_lower_filter() -> None:
    assert bounds(Window(None, JANUARY.end)) == {"created_before": "2024-02-01T00:00:00.000Z"}
    assert (bounds(None), created_after(None)) == ({}, {})


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"expand_array": ""}, True),
        ({"start_date": "2024-01-01T01:00:00+01:00"}, True),
        ({"status": "PENDING"}, True),
        ({"expand_array": "lines"}, False),
        ({"schema_id": "019760a0-0001-7000-8000-000000000002"}, False),
        ({"end_date": "2024-01-31T23:59:59.998Z"}, False),
        ({"start_date": None}, False),
    ],
)
def test_a_job_is_ours_when_all_that_was_asked_is_echoed(changes: Mapping[str, Any], same: bool) -> None:  # noqa: FBT001 - a parameter of the table above
    """Instants are compared as instants, an array that is empty or null as none."""
    assert is_same({**EXPORT, **changes}, ASKED) is same


@pytest.mark.parametrize("body", [EXPORT, {"data": EXPORT}])
def test_an_object_comes_with_and_without_an_envelope(body: object) -> None:
    assert unwrap(body) == EXPORT


@pytest.mark.parametrize("body", [[], None, "soon", {}])
def test_what_is_no_object_is_bad_content(body: object) -> None:
    with pytest.raises(BadContentError, match=r"^exelensia: an object is due, got "):
        unwrap(body)


def test_the_documented_page_is_read() -> None:
    page = parse_page(json.loads(LISTED))
    assert (page.items, page.total, page.pages, page.last) == ([EXPORT], 1, 1, None)


def test_a_page_without_counts_is_read() -> None:
    page = parse_page({"data": [EXPORT]})
    assert (page.items, page.total, page.pages) == ([EXPORT], None, None)


@pytest.mark.parametrize("body", [{}, {"data": {}}, {"error": "x"}, {"data": "none"}, {"data": ["x"]}, "soon"])
def test_a_page_without_an_array_is_bad_content(body: object) -> None:
    """A reply without records is never an empty list."""
    with pytest.raises(BadContentError, match="exelensia: `data` of a list: a list of records is due, got "):
        parse_page(body)


@pytest.mark.parametrize("body", [None, {"data": None}, {"data": None, "meta": {"total": 0}}, {"data": [None]}, []])
def test_nothing_is_an_empty_list(body: object) -> None:
    assert parse_page(body).items == []


def test_totals_as_text_are_numbers() -> None:
    page = parse_page({"data": [EXPORT], "meta": {"total": "235", "totalPages": " 3.0 "}})
    assert (page.total, page.pages) == (235, 3)


def test_the_documented_job_is_read() -> None:
    """The time of the last change is no progress: a job that hangs may move it for ever."""
    created, later = json.loads(CREATED), NOON + timedelta(seconds=90)
    pending = Job(ID, Status.PENDING, "PENDING", created_at=NOON, updated_at=NOON, data=created)
    assert parse_job(created) == pending
    assert parse_job(EXPORT) == Job(ID, Status.COMPLETED, "COMPLETED", created_at=NOON, updated_at=later, data=EXPORT)


@pytest.mark.parametrize(
    ("raw", "status", "terminal"),
    [
        ("PENDING", Status.PENDING, False),
        ("PROCESSING", Status.RUNNING, False),
        ("COMPLETED", Status.COMPLETED, True),
        ("FAILED", Status.FAILED, True),
        ("ARCHIVED", Status.UNKNOWN, False),
    ],
)
def test_statuses(raw: str, status: Status, terminal: bool) -> None:  # noqa: FBT001 - a parameter
    """The four documented ones, in capitals; any other is unknown and never an end."""
    job = parse_job({**EXPORT, "status": raw})
    assert (job.status, job.raw_status, job.status.is_terminal) == (status, raw, terminal)
    assert (raw in STATUSES) == (status is not Status.UNKNOWN)


def test_a_job_without_status_or_time_is_unknown() -> None:
    assert parse_job({"id": ID}) == Job(ID, Status.UNKNOWN, "", data={"id": ID})


@pytest.mark.parametrize("item", [{}, {"id": None}, {"message": "queued"}])
def test_a_job_without_an_id_is_bad_content(item: dict[str, Any]) -> None:
    """So a creation with an unreadable reply is looked for like one without any."""
    with pytest.raises(BadContentError, match="without an id"):
        parse_job(item)


def test_a_schema_gives_types_and_labels() -> None:
    """Arrays and unknown types stay text; a label that is another field's key stands for that field."""
    columns, labels = parse_columns(FIELDS)
    assert columns == {
        "invoice_number": Column("invoice_number", Kind.STRING),
        "date": Column("date", Kind.DATE),
        "total": Column("total", Kind.NUMBER),
        "paid": Column("paid", Kind.BOOLEAN),
        "lines": Column("lines", Kind.STRING),
        "other": Column("other", Kind.STRING),
    }
    assert labels == {"Invoice number": "invoice_number", "Date": "date", "Total": "total", "Lines": "lines"}


@pytest.mark.parametrize("schema", [{}, {"schema": None}, {"schema": {}}, {"schema": {"fields": None}}])
def test_a_schema_without_fields_has_no_columns(schema: dict[str, Any]) -> None:
    assert parse_columns(schema) == ({}, {})


def test_an_extraction_holds_the_fields_of_all_schemas() -> None:
    """A field that schemas type differently may be anything; fields that no schema names are let through."""
    column = extraction_column({"total": Kind.NUMBER, "date": None})
    assert (column.name, column.kind) == ("extraction", Kind.OBJECT)
    assert column.schema == {
        "type": ["object", "null"],
        "properties": {"total": {"type": ["number", "null"]}, "date": {"type": ANYTHING}},
        "additionalProperties": True,
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"message": "Export not found"}, ("", "Export not found")),
        ({"statusCode": 404, "message": "Export not found", "error": "Not Found"}, ("", "Export not found")),
        (
            {"message": ["schema_id must be a UUID", "end_date is missing"]},
            ("", "schema_id must be a UUID; end_date is missing"),
        ),
        ({"error": {"code": "GONE", "message": "it is gone"}}, ("GONE", "it is gone")),
        ({"error": "Bad Request"}, ("", "Bad Request")),
        ({"code": "X"}, ("X", "")),
        (["no"], ("", "no")),
        ({}, ("", "")),
    ],
)
def test_error_bodies_of_any_form(body: object, expected: tuple[str, str]) -> None:
    """Their form is not documented; what was said is said."""
    assert parse_error(reply(body, 400)) == expected


# The verbs ------------------------------------------------------------------------------------------------------------


def test_an_export_is_created_once() -> None:
    """The POST is never repeated by the client."""
    api, script = connect({EXPORTS: [CREATED]})
    assert api.submit(request()).id == ID
    assert script.sent == [("POST", EXPORTS, {"body": ASKED, "idempotent": False})]


def test_a_poll_asks_the_list() -> None:
    """There is no GET of one export; the filter is as narrow as the job's creation allows."""
    api, script = connect({EXPORTS: [LISTED]})
    assert api.poll(Job(ID, Status.PENDING, created_at=NOON)).status is Status.COMPLETED
    query = {"limit": 100, "sort_by": "createdAt", "sort_order": "asc", "page": 1}
    assert script.sent == [("GET", EXPORTS, {**query, "created_after": "2024-01-31T11:59:59.998Z"})]


def test_a_poll_looks_at_the_whole_list_before_a_job_counts_as_lost() -> None:
    """The creation that the ledger noted is by the tap's own clock."""
    api, script = connect({EXPORTS: [listed(), LISTED]})
    assert api.poll(Job(ID, Status.PENDING, created_at=from_text("2025-01-01"))).id == ID
    assert [sent.get("created_after") for _, _, sent in script.sent] == ["2024-12-31T23:59:59.998Z", None]
    api, script = connect({EXPORTS: [listed()]})
    with pytest.raises(JobLostError, match=f"export {ID} is not in the list any more"):
        api.poll(Job(ID, Status.PENDING, created_at=NOON))
    assert len(script.sent) == 2


def test_a_lost_job_is_found_by_what_it_was_asked_for() -> None:
    """The oldest one since the request, not one that failed, was made before, or holds something else."""
    ours = {**EXPORT, "id": "ours", "createdAt": "2024-02-01T00:00:00.000Z"}
    others = [
        {**EXPORT, "id": "before", "createdAt": "2024-01-31T23:59:59.999Z"},
        {**ours, "id": "failed", "status": "FAILED"},
        {**ours, "id": "lines", "expand_array": "lines"},
    ]
    api, _ = connect({EXPORTS: [listed(*others, ours)]})
    found = api.find(request(), from_text("2024-02-01T00:00:00Z"))
    assert found == parse_job(ours)
    assert api.find(request(), from_text("2024-02-01T00:00:00Z"), {"ours"}) is None
    api, _ = connect({EXPORTS: [listed(*others)]})
    assert api.find(request(), from_text("2024-02-01T00:00:00Z")) is None


def test_earlier_exports_of_a_request_come_with_their_windows() -> None:
    """Those of the same schema and array; one without both bounds covers nothing that is known."""
    ours = {**EXPORT, "id": "ours", "createdAt": "2024-02-01T00:00:00.000Z"}
    others = [{**ours, "id": "lines", "expand_array": "lines"}, {**ours, "id": "endless", "end_date": None}]
    api, _ = connect({EXPORTS: [listed(ours, *others)]})
    found = list(api.earlier(request(), from_text("2024-02-01T00:00:00Z")))
    assert found == [(parse_job(ours), request().window)]


def test_the_download_is_one_file() -> None:
    api, _ = connect({f"{EXPORTS}/{ID}/download": [DOWNLOAD]})
    assert list(api.open(Job(ID, Status.COMPLETED))) == [RemoteFile("export.csv", URL)]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (RefusedError("409 Conflict", 409), NotReadyError),
        (RefusedError("400 Bad Request", 400), RefusedError),
        (NotFoundError("404 Not Found"), JobLostError),
        ({"message": "soon"}, BadContentError),
        ({"url": None}, BadContentError),
    ],
)
def test_a_download_that_does_not_come(answer: object, error: type[Exception]) -> None:
    """409 is not ready, 404 is lost, anything else stops."""
    api, _ = connect({f"{EXPORTS}/{ID}/download": [answer]})
    with pytest.raises(error) as raised:
        api.open(Job(ID, Status.COMPLETED))
    assert raised.type is error


@pytest.mark.parametrize("answer", [DELETED, NotFoundError("404 Not Found")])
def test_a_job_that_is_gone_is_deleted(answer: object) -> None:
    api, script = connect({f"{EXPORTS}/{ID}": [answer]})
    api.delete(ID)
    assert [(method, path) for method, path, _ in script.sent] == [("DELETE", f"{EXPORTS}/{ID}")]


def test_jobs_of_others_are_cut_to_the_window() -> None:
    """Those of the schema and array, to the millisecond, whatever their status; the engine orders them."""
    job = {**EXPORT, "status": "FAILED"}
    items = [
        {**job, "id": "c", "createdAt": "2024-01-31T23:59:59.999Z"},
        {**job, "id": "late", "createdAt": "2024-02-01T00:00:00.000Z"},
        {**job, "id": "b", "createdAt": "2024-01-01T00:00:00.000Z"},
        {**job, "id": "a", "createdAt": "2024-01-01T00:00:00.000Z"},
        {**job, "id": "early", "createdAt": "2023-12-31T23:59:59.999Z"},
        {**job, "id": "lines", "expand_array": "lines"},
    ]
    api, _ = connect({EXPORTS: [listed(*items)]})
    assert [found.id for found in api.completed(request(None), JANUARY)] == ["c", "b", "a"]


def counted(total: int, pages: int, *ids: str) -> dict[str, Any]:
    rows = [{**EXPORT, "id": name, "createdAt": "2024-01-01T00:00:00.000Z"} for name in ids]
    return {"data": rows, "meta": {"total": total, "totalPages": pages}}


def test_a_deleted_export_hides_none_of_others() -> None:
    """One deleted between two pages moves the next one onto the page that was read: the list is read again."""
    moved = [counted(3, 2, "a", "b"), counted(2, 2)]
    api, _ = connect({EXPORTS: [*moved, counted(2, 1, "b", "c")]})
    assert {found.id for found in api.completed(request(None), JANUARY)} == {"a", "b", "c"}


def test_a_list_of_exports_that_is_never_whole_is_an_error() -> None:
    """Nobody takes an export that is missing there for one that does not exist."""
    api, _ = connect({EXPORTS: [counted(50, 1, str(n)) if n % 2 else counted(50, 1) for n in range(1, 80)]})
    with pytest.raises(CountError, match=r"^exelensia /v1/exports: 30 reads of this list differ"):
        list(api.completed(request(None), JANUARY))


def test_samples_are_the_newest_completed_exports() -> None:
    """Three of them at most; the list is read newest first."""
    items = [{**EXPORT, "id": str(n), "status": "FAILED" if n == 1 else "COMPLETED"} for n in range(6)]
    api, script = connect({EXPORTS: [listed(*items)]})
    assert [job.id for job in api.samples(request(None))] == ["0", "2", "3"]
    assert script.sent[0][2]["sort_order"] == "desc"


def test_results_come_with_their_extraction() -> None:
    api, script = connect({"/v1/results": [listed()], "/v1/files": [listed()]})
    assert [page.items for path in ("/v1/results", "/v1/files") for page in api.list(path, None)] == [[], []]
    assert [sent.get("include_extraction") for _, _, sent in script.sent] == ["true", None]


def test_a_schema_is_looked_for_in_the_list_too() -> None:
    """A 404 for one schema may be that of an API without that call; in neither place means a wrong setting."""
    schema = {"id": SCHEMA_ID, **FIELDS}
    one, every = f"/v1/schemas/{SCHEMA_ID}", "/v1/schemas"
    assert connect({one: [{"data": schema}]})[0].schema(SCHEMA_ID) == schema
    assert connect({one: [NotFoundError("404")], every: [listed(schema)]})[0].schema(SCHEMA_ID) == schema
    with pytest.raises(NotFoundError, match=rf"no schema {SCHEMA_ID} \(exports.schema_id\) in the account"):
        connect({one: [NotFoundError("404")], every: [listed()]})[0].schema(SCHEMA_ID)
