"""What providers may answer to anything: read as what it means, or refused in words; never an internal error."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

import pytest

from tap_exports.engine.http import Reply
from tap_exports.engine.http.skew import ProviderClock
from tap_exports.engine.jobs.budget import Budget
from tap_exports.engine.model import Job, Request, Status, Window
from tap_exports.errors import TapError
from tap_exports.providers.cension import api as cension
from tap_exports.providers.closient import api as closient
from tap_exports.providers.cornect import api as cornect
from tap_exports.providers.exelensia import api as exelensia
from tap_exports.providers.packagex import api as packagex
from tests.engine.fakes import FakeClock

DAY = Window(datetime(2026, 1, 1, tzinfo=timezone.utc), datetime(2026, 1, 2, tzinfo=timezone.utc))
JOB = Job("7", Status.COMPLETED, "completed", data={"record": {}})
ITEM: dict[str, Any] = {"id": "7", "job_id": "7", "operationId": "7", "export_id": "7"}
KEYS = ("status", "createdAt", "created_at", "startedAt")
VALUES: list[Any] = [None, 5, "x", {}, []]
ODD: list[Any] = [
    None,
    {},
    [],
    "soon",
    7,
    True,
    [None],
    [1],
    {"data": None},
    {"data": None, "meta": None, "pagination": None, "items": None},
    {"data": {}},
    {"data": "x"},
    {"data": [None, {}]},
    {"items": [None], "next_cursor": 5},
    {"error": {"code": None}},
    {"error": "x", "message": ["a", 1]},
    {"data": [], "meta": {"total": "0", "totalPages": "1"}, "pagination": {"total_count": "0", "has_more": "false"}},
    {"items": [], "total": "235"},
    {"data": {"items": None, "total_count": "235", "total_pages": "x"}},
    {"operation": None, "data": {"operation": []}},
    ITEM,
    {"data": ITEM},
    *({**ITEM, key: value} for key in KEYS for value in VALUES),
    *({"data": [{**ITEM, key: value}]} for key in KEYS for value in VALUES),
    {**ITEM, "count_total": "x", "total_records": {}, "sections": [None, {"key": None}], "error": 5, "download_url": 5},
    {"balance": "200", "recent_transactions": [None, {}]},
    {"balance": None, "recent_transactions": None},
    {"balance": "x", "recent_transactions": [{"reference": "export:7:create", "amount": "x", "created_at": "x"}]},
    {"schema": {"fields": [None, {}, {"key": None}, {"key": 5, "type": 5, "label": []}]}},
    {"schema": {"fields": "x"}},
]


class Client:
    """Gives the same body to every request."""

    def __init__(self, body: object) -> None:
        self.time = ProviderClock("provider", FakeClock())
        self._reply = Reply(200, {"Date": "soon"}, json.dumps(body).encode(), "the provider: GET /")

    def get(self, *_: object, **__: object) -> Reply:
        return self._reply

    send = get


def request(**params: object) -> Request:
    return Request("provider", "stream", params, DAY)


def verbs(body: object) -> dict[str, Callable[[], object]]:
    """Return each verb of each provider as it would be called, its lists read to their ends."""
    client: Any = Client(body)
    return {
        **of_cension(client),
        **of_exelensia(client),
        **of_packagex(client),
        **of_cornect(client),
        **of_closient(client),
    }


def of_cension(client: Any) -> dict[str, Callable[[], object]]:  # noqa: ANN401 - a double
    api = cension.CensionApi(client, 1)
    return {
        "cension operation": lambda: api.operation(7),
        "cension submit": lambda: api.submit(request(endpoint="x", body={})),
        "cension export": lambda: list(api.export(7)),
        "cension query": lambda: list(api.query(7)),
    }


def of_exelensia(client: Any) -> dict[str, Callable[[], object]]:  # noqa: ANN401 - a double
    api, asked = exelensia.ExelensiaApi(client, 1), request(schema_id="s", expand_array=None)
    return {
        "exelensia list": lambda: list(api.list("/v1/files", DAY)),
        "exelensia schema": lambda: exelensia.parse_columns(api.schema("s")),
        "exelensia submit": lambda: api.submit(asked),
        "exelensia poll": lambda: api.poll(JOB),
        "exelensia find": lambda: api.find(asked, DAY.end),
        "exelensia open": lambda: api.open(JOB),
        "exelensia samples": lambda: list(api.samples(asked)),
        "exelensia completed": lambda: list(api.completed(asked, DAY)),
    }


def of_packagex(client: Any) -> dict[str, Callable[[], object]]:  # noqa: ANN401 - a double
    api = packagex.PackagexApi(client)
    asked = request(resource="shipment", options={}, columns=[], replication_key="created_at")
    return {
        "packagex list": lambda: list(api.list(packagex.PATH, None)),
        "packagex submit": lambda: api.submit(asked),
        "packagex poll": lambda: api.poll(JOB),
        "packagex open": lambda: api.open(JOB),
        "packagex find": lambda: api.find(asked, DAY.end),
        "packagex completed": lambda: list(api.completed(asked, DAY)),
        "packagex samples": lambda: list(api.samples(asked)),
    }


def of_cornect(client: Any) -> dict[str, Callable[[], object]]:  # noqa: ANN401 - a double
    api = cornect.CornectApi(client, FakeClock(), Budget(100, "max_credits"))
    asked = request(source_type="search", search_filters={}, list_id=None, export_format="csv")
    return {
        "cornect credits": api.credits,
        "cornect search": lambda: list(api.search({})),
        "cornect exports": lambda: list(api.exports(DAY, ["7"])),
        "cornect submit": lambda: api.submit(asked),
        "cornect find": lambda: api.find(asked, DAY.end),
        "cornect poll": lambda: api.poll(JOB),
        "cornect open": lambda: api.open(JOB),
        "cornect samples": lambda: list(api.samples(asked)),
    }


def of_closient(client: Any) -> dict[str, Callable[[], object]]:  # noqa: ANN401 - a double
    api = closient.ClosientApi(client, ["org"])
    return {
        "closient submit": lambda: api.submit(request(organization_id="org", archive_format="zip")),
        "closient poll": lambda: api.inventory(api.poll(JOB)),
        "closient open": lambda: api.open(JOB),
    }


@pytest.mark.parametrize("verb", list(verbs(None)))
def test_no_answer_is_an_internal_error(verb: str) -> None:
    """Whatever JSON comes, the verb returns, or says in an error of the tap's own what is wrong."""
    for body in ODD:
        with contextlib.suppress(TapError):
            verbs(body)[verb]()


EMPTY: Mapping[str, object] = {
    "exelensia list": [],
    "exelensia find": None,
    "exelensia samples": [],
    "packagex list": [],
    "packagex find": None,
    "cornect search": [],
    "cension export": [],
}


@pytest.mark.parametrize("verb", EMPTY)
@pytest.mark.parametrize("body", [None, {"data": None}, {"data": None, "items": None, "meta": {"total": "0"}}])
def test_nothing_is_an_empty_list_everywhere(verb: str, body: object) -> None:
    """A 204, an empty body and `data: null` hold no records; only `items` counts at Cornect."""
    if verb == "cornect search" and body == {"data": None}:
        return
    found = verbs(body)[verb]()
    rows = [row for page in found for row in page.items] if isinstance(found, list) else found
    assert rows == EMPTY[verb]


@pytest.mark.parametrize("provider", [cension, exelensia, packagex, cornect, closient])
def test_status_words_have_no_case(provider: Any) -> None:  # noqa: ANN401 - a module
    parse = (lambda row: cension.parse_job(row, 7)) if provider is cension else provider.parse_job
    more = ("org",) if provider is closient else ()
    for word, meaning in provider.STATUSES.items():
        for written in (
            word.lower(),
            word.upper(),
            f" {word.title()} ",
            word.replace("_", "-"),
            word.replace("_", " "),
        ):
            assert parse({**ITEM, "status": written}, *more).status is meaning
