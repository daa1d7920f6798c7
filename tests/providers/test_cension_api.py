"""Cension's requests and replies, as pure functions and over a scripted client, as its documents show them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest

from tap_exports.engine.clock import from_text
from tap_exports.engine.http import Client, Reply
from tap_exports.engine.http.skew import ProviderClock
from tap_exports.engine.model import Job, Request, Status
from tap_exports.errors import BadContentError, NotFoundError, RefusedError
from tap_exports.providers.cension.api import (
    STATUSES,
    CensionApi,
    checked,
    parse_error,
    parse_job,
    parse_operation,
    parse_operation_id,
    parse_page,
)
from tests.engine.fakes import FakeClock

# The replies of https://www.cension.ai/docs/api/exports/, as they stand there, line numbers aside.
OPERATION = b"""{
"success": true,
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
"errorMessage": null
}
}"""
SCOPED = b"""{
"success": true,
"data": {
"items": [
{
"company": "Acme Corp",
"website": "acme.com",
"ceo_name": "John Doe",
"linkedin_url": "https://linkedin.com/in/johndoe"
}
],
"total_count": 1
}
}"""
RUN: dict[str, Any] = json.loads(OPERATION)["operation"]
ITEM: dict[str, Any] = json.loads(SCOPED)["data"]["items"][0]
START = Request("cension", "s", {"endpoint": "horizontal/create", "body": {"feedId": 123, "ogIds": ["1"]}})


def reply(body: object, status: int = 200) -> Reply:
    return Reply(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


class Script:
    """Answers requests from a list; an error is raised. The last answer stands for ever."""

    time = ProviderClock("provider", FakeClock())

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, str, Any]] = []

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Reply:
        return self._answer("GET", path, params)

    def send(self, method: str, path: str, *, body: Any = None, idempotent: bool = True) -> Reply:  # noqa: ANN401 - JSON
        return self._answer(method, path, (body, idempotent))

    def _answer(self, method: str, path: str, sent: Any) -> Reply:  # noqa: ANN401 - JSON
        self.sent.append((method, path, sent))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return reply(answer)


def connect(*answers: object) -> tuple[CensionApi, Script]:
    script = Script(*answers)
    return CensionApi(cast("Client", script), 1), script


@pytest.mark.parametrize(
    "body", [json.loads(OPERATION), {"success": True, "data": RUN}, {"data": {"operation": RUN}}, RUN]
)
def test_a_run_in_any_envelope(body: object) -> None:
    """Documented is `operation`; `data` is what the same API wraps everything else in."""
    assert parse_operation(body) == RUN


@pytest.mark.parametrize("body", [[], None, "soon", {"operation": "soon"}, {"data": [RUN]}])
def test_a_run_that_is_no_object_is_bad_content(body: object) -> None:
    with pytest.raises(BadContentError, match="holds no record of it"):
        parse_operation(body)


def test_the_documented_run_is_read() -> None:
    """The number of items feeds the stall timeout, and is the least number of rows once the run is completed."""
    started = from_text("2026-06-01T05:23:00Z")
    assert parse_job(RUN, 4836) == Job("4836", Status.COMPLETED, "completed", created_at=started, progress=50, rows=50)


@pytest.mark.parametrize(
    ("raw", "status", "terminal"),
    [
        ("running", Status.RUNNING, False),
        ("completed", Status.COMPLETED, True),
        ("failed", Status.FAILED, True),
        ("cancelled", Status.CANCELLED, True),
        ("queued", Status.UNKNOWN, False),
    ],
)
def test_statuses(raw: str, status: Status, terminal: bool) -> None:  # noqa: FBT001 - a parameter
    """The four documented ones, in lower case; any other is unknown and never an end."""
    job = parse_job({**RUN, "status": raw, "errorMessage": "why"}, 4836)
    assert (job.status, job.raw_status, job.reason, job.status.is_terminal) == (status, raw, "why", terminal)
    assert (raw in STATUSES) == (status is not Status.UNKNOWN)


@pytest.mark.parametrize("record", [{}, {"operationId": None}, {"operationId": 7}])
def test_a_run_without_its_number_has_the_one_that_was_asked_for(record: dict[str, Any]) -> None:
    assert parse_job(record, 7) == Job("7", Status.UNKNOWN, "")


@pytest.mark.parametrize(
    "body",
    [
        {"success": True, "operationId": 4843},
        {"success": True, "data": {"operationId": 4843}},
        {"success": True, "operation": {"operationId": "4843"}},
        {"success": True, "data": {"operation": {"operationId": 4843}}},
    ],
)
def test_the_number_of_a_begun_run_in_any_envelope(body: object) -> None:
    """The envelope around it is not documented."""
    assert parse_operation_id(body) == 4843


@pytest.mark.parametrize(
    "body", [{}, {"success": True}, {"data": {"operationId": None}}, {"operationId": "soon"}, [], None]
)
def test_a_begun_run_without_a_number_is_bad_content(body: object) -> None:
    """It was begun and maybe paid for: the message says where its number is."""
    with pytest.raises(BadContentError, match="names no operationId; look it up in the dashboard"):
        parse_operation_id(body)


PAGINATION = {"page": 1, "limit": 100, "total_count": 5000, "total_pages": 50}


@pytest.mark.parametrize(
    ("body", "total", "pages"),
    [
        (json.loads(SCOPED), 1, None),
        ({"success": True, "data": [ITEM], "pagination": PAGINATION}, 5000, 50),
        ({"success": True, "data": {"items": [ITEM]}}, None, None),
        ({"success": True, "data": [ITEM]}, None, None),
        ([ITEM], None, None),
    ],
)
def test_rows_in_any_envelope(body: object, total: int | None, pages: int | None) -> None:
    """Exports, saved queries, and the bare array of older documents; counts where there are any."""
    page = parse_page(body, "/api/export/459")
    assert (page.items, page.total, page.pages, page.last) == ([ITEM], total, pages, None)


@pytest.mark.parametrize("body", [None, {"data": None}, {"data": {"items": None, "total_count": "0"}}])
def test_nothing_is_an_empty_list(body: object) -> None:
    assert parse_page(body, "/api/export/459").items == []


def test_totals_as_text_are_numbers() -> None:
    page = parse_page({"data": {"items": [ITEM], "total_count": "235", "total_pages": "3"}}, "/api/export/459")
    assert (page.total, page.pages) == (235, 3)


@pytest.mark.parametrize("body", [{}, {"data": {}}, {"data": {"items": {}}}, {"error": "x"}, "soon"])
def test_a_page_without_rows_is_bad_content(body: object) -> None:
    """A reply without an array is never an empty export."""
    with pytest.raises(BadContentError, match=r"cension /api/export/459: neither data\.items nor an array of rows"):
        parse_page(body, "/api/export/459")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"success": False, "message": "no such export"}, ("", "no such export")),
        ({"success": False, "error": "no such export"}, ("", "no such export")),
        ({"error": {"code": "NOT_FOUND", "message": "no such export"}}, ("NOT_FOUND", "no such export")),
        ({"message": "first", "error": {"code": "X", "message": "second"}}, ("X", "first")),
        ({"success": False}, ("", "")),
        (["no"], ("", "['no']")),
    ],
)
def test_error_bodies_of_any_form(body: object, expected: tuple[str, str]) -> None:
    """`message`, then `error`, then `error.message`."""
    assert parse_error(reply(body, 400)) == expected


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"success": False, "message": "Export not found"}, "cension: Export not found"),
        ({"success": False}, "cension: the reply says success: false without a reason"),
    ],
)
def test_success_false_is_a_refusal_whatever_the_status(body: object, message: str) -> None:
    with pytest.raises(RefusedError) as raised:
        checked(reply(body))
    assert raised.value.message == message


@pytest.mark.parametrize("body", [{"success": True}, {}, [ITEM]])
def test_what_does_not_deny_success_is_taken(body: object) -> None:
    """Older forms have no such field."""
    assert checked(reply(body)) == body


# The verbs ------------------------------------------------------------------------------------------------------------


def test_a_run_is_begun_once() -> None:
    """The body is sent as it is configured, and the POST is never repeated by the client."""
    api, script = connect({"success": True, "data": {"operationId": 4843}})
    assert api.submit(START) == Job("4843", Status.RUNNING, "running")
    assert script.sent == [("POST", "/api/horizontal/create", ({"feedId": 123, "ogIds": ["1"]}, False))]


def test_a_refused_start_is_no_run() -> None:
    api, _ = connect({"success": False, "message": "not enough credits"})
    with pytest.raises(RefusedError, match="cension: not enough credits"):
        api.submit(START)


def test_a_run_is_polled_by_its_number() -> None:
    api, script = connect(OPERATION)
    assert api.poll(Job("4836", Status.RUNNING)).status is Status.COMPLETED
    assert script.sent == [("GET", "/api/operations/4836", None)]


@pytest.mark.parametrize(
    ("read", "what"),
    [
        (lambda api: api.operation(7), r"operation 7 \(operation_ids\)"),
        (lambda api: next(api.export(7)), r"export 7 \(cension\.exports\.export_id\)"),
        (lambda api: next(api.query(7)), r"query 7 \(cension\.queries\.query_id\)"),
    ],
)
def test_what_is_not_there_names_its_setting(read: Any, what: str) -> None:  # noqa: ANN401 - a function
    with pytest.raises(NotFoundError, match=f"cension: no {what} in the account of this key"):
        read(connect(NotFoundError("404"))[0])


@pytest.mark.parametrize(("number", "scope"), [(4836, {"operationId": 4836}), (None, {})])
def test_pages_are_asked_for_by_number(number: int | None, scope: dict[str, int]) -> None:
    """The filter on the run stands on every page; the count ends the list."""
    first = {"data": {"items": [ITEM] * 99 + [{}], "total_count": 101}}
    api, script = connect(first, {"data": {"items": [ITEM], "total_count": 101}})
    assert [len(page.items) for page in api.export(459, number)] == [100, 1]
    assert [sent for _, _, sent in script.sent] == [{"page": n, "limit": 100, **scope} for n in (1, 2)]
