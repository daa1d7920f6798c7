"""PackageX's requests and replies, as pure functions against the forms that its documents show."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any, cast

import pytest

from tap_exports.engine.clock import from_text
from tap_exports.engine.http import Client, Reply
from tap_exports.engine.http.skew import ProviderClock
from tap_exports.engine.jobs import Statuses
from tap_exports.engine.model import Job, RemoteFile, Request, Status, Window
from tap_exports.errors import BadContentError, NotReadyError
from tap_exports.providers.packagex.api import (
    CSV,
    ERRORS,
    JSON,
    STATUSES,
    PackagexApi,
    body_of,
    is_exactly,
    is_like,
    is_removed,
    is_same,
    parse_error,
    parse_export,
    parse_files,
    parse_job,
    parse_page,
    unwrap,
    window_of,
)
from tests.engine.fakes import FakeClock

ID = "exp_7xKyu1HYgPnSAXZhtdxFxk"
NOON = "2026-07-01T12:00:00.000Z"
EXPORT = {"id": ID, "resource": "shipment", "status": "completed", "created_at": 1782907200, "count_total": 2}
PARAMS = {"resource": "shipment", "options": {}, "columns": [], "replication_key": "created_at"}


def request(start: str | None = "2026-07-01T00:00:00Z", end: str = NOON, **changes: object) -> Request:
    window = Window(from_text(start) if start else None, from_text(end))
    return Request("packagex", "packagex_export_shipments", {**PARAMS, **changes}, window)


def reply(body: object, **headers: str) -> Reply:
    return Reply(400, headers, json.dumps(body).encode())


def test_a_window_becomes_a_filter_with_both_ends() -> None:
    body = body_of(request())
    assert body["options"] == {"limit": "all", "created_at": f"bwi:2026-07-01T00:00:00.000Z,{NOON}"}
    assert body["resource"] == "shipment"


def test_a_window_without_a_start_has_one_bound() -> None:
    assert body_of(request(start=None))["options"]["created_at"] == f"lte:{NOON}"


def test_a_window_of_one_instant_is_no_pair() -> None:
    """`bwi` takes two dates of which the first is before the second."""
    assert body_of(request(start=NOON))["options"]["created_at"] == f"equals:{NOON}"


def test_the_bookmark_may_be_the_last_change() -> None:
    options = body_of(request(replication_key="updated_at", options={"status": "delivered"}))["options"]
    assert options == {"limit": "all", "status": "delivered", "updated_at": f"bwi:2026-07-01T00:00:00.000Z,{NOON}"}


def test_columns_keep_their_order_and_dates_their_offset() -> None:
    assert body_of(request(columns=["id", "status"]))["csv_field_options"] == {
        "timezone": "UTC",
        "datetime_format": "yyyy-MM-dd'T'HH:mm:ssxxx",
        "columns": {"id": True, "status": True},
    }
    assert list(body_of(request(columns=["b", "a"]))["csv_field_options"]["columns"]) == ["b", "a"]


@pytest.mark.parametrize("body", [{"data": EXPORT, "status": 200}, EXPORT])
def test_envelopes_with_and_without_data(body: object) -> None:
    assert unwrap(body) == EXPORT


@pytest.mark.parametrize("created", [1782907200, "1782907200", "2026-07-01T12:00:00Z", "2026-07-01T14:00:00+02:00"])
def test_every_form_of_an_instant_is_read(created: object) -> None:
    assert parse_job({**EXPORT, "created_at": created}).created_at == from_text(NOON)


def test_a_record_has_no_urls_and_instants_as_text() -> None:
    """A signed URL is a secret: no field that holds one is a column."""
    urls = dict.fromkeys(
        ["_json_url", "_csv_url", "_csv_error_url", "_csv_sanitized_url", "_pdf_url"], "https://secret"
    )
    assert parse_export({**EXPORT, **urls, "updated_at": "1782907200"}) == {
        **EXPORT,
        "created_at": NOON,
        "updated_at": NOON,
    }


@pytest.mark.parametrize(
    ("pagination", "last"),
    [
        ({"page": 1, "limit": 10, "has_more": True, "total_count": 11}, False),
        ({"page": 1, "limit": 10, "has_more": False}, True),
        ({"page": 1, "limit": 10}, None),
        (None, True),
    ],
)
def test_the_pagination_tells_what_follows(pagination: object, last: object) -> None:
    """`total_count` is missing in older replies, `pagination` may be null."""
    page = parse_page({"data": [EXPORT], "pagination": pagination})
    assert (page.last, page.items) == (last, [{**EXPORT, "created_at": NOON}])


def test_a_list_without_an_envelope_is_whole() -> None:
    page = parse_page([EXPORT])
    assert (page.last, page.items) == (True, [{**EXPORT, "created_at": NOON}])


@pytest.mark.parametrize("body", [{}, {"data": {}}, {"data": "soon"}, {"error": "x"}, {"data": [1]}])
def test_a_list_without_an_array_is_bad_content(body: object) -> None:
    with pytest.raises(BadContentError, match="`data` of a list: a list of records is due, got "):
        parse_page(body)


@pytest.mark.parametrize("pagination", [None, {"has_more": "false"}])
def test_nothing_is_an_empty_list(pagination: object) -> None:
    pages = [parse_page(None), parse_page({"data": None, "pagination": pagination})]
    assert [(page.items, page.last) for page in pages] == [([], True)] * 2


def test_totals_as_text_are_numbers() -> None:
    page = parse_page({"data": [], "pagination": {"total_count": "235", "has_more": "true"}})
    assert (page.total, page.last) == (235, False)


@pytest.mark.parametrize("raw", STATUSES)
def test_documented_statuses_are_known(raw: str) -> None:
    assert parse_job({**EXPORT, "status": raw}).status is not Status.UNKNOWN


@pytest.mark.parametrize("raw", ["requested", "expired", "archived", ""])
def test_other_statuses_end_nothing(raw: str) -> None:
    job = parse_job({**EXPORT, "status": raw, "reason": "why"})
    assert (job.status, job.status.is_terminal, job.raw_status, job.reason) == (Status.UNKNOWN, False, raw, "why")


def test_an_export_without_an_id_is_bad_content() -> None:
    with pytest.raises(BadContentError):
        parse_job({"status": "queued"})


def test_the_preferred_file_is_read_and_the_other_one_where_it_has_no_url() -> None:
    both = {**EXPORT, "_json_url": "https://f/j", "_csv_url": "https://f/c"}
    assert parse_files(both, (JSON, CSV)) == [RemoteFile("export.json", "https://f/j", "json", 2)]
    assert parse_files({**both, "_json_url": None}, (JSON, CSV)) == [RemoteFile("export.csv", "https://f/c", "csv", 2)]
    assert parse_files(both, (CSV, JSON)) == [RemoteFile("export.csv", "https://f/c", "csv", 2)]


def test_rows_without_any_url_close_nothing() -> None:
    """An export that counts rows, or does not count, and shows no file must not pass as empty."""
    for item in (EXPORT, {**EXPORT, "count_total": None}, {k: v for k, v in EXPORT.items() if k != "count_total"}):
        with pytest.raises(BadContentError, match="neither _json_url nor _csv_url"):
            parse_files(item, (JSON, CSV))


def test_a_replica_that_lags_does_not_say_that_there_are_no_errors() -> None:
    """Between the look that saw an export completed and the one for its URLs, another replica may answer."""

    class Behind:
        time = ProviderClock("provider", FakeClock())

        def get(self, _path: str, _params: object) -> Reply:
            return reply({**EXPORT, "status": "processing"})

    api = PackagexApi(cast("Client", Behind()), (ERRORS,))
    with pytest.raises(NotReadyError, match="was completed, and is shown as running now"):
        api.open(parse_job(EXPORT))


def test_a_word_that_the_configuration_explains_is_none_to_doubt() -> None:
    """`statuses: {archived: completed}`: the export is shown with the word that it was taken for completed by."""

    class Unchanged:
        time = ProviderClock("provider", FakeClock())

        def get(self, _path: str, _params: object) -> Reply:
            return reply({**EXPORT, "status": "archived", "_json_url": "https://f/j"})

    api = PackagexApi(cast("Client", Unchanged()), (JSON, CSV))
    job = Statuses.configured({"archived": "completed"}).applied(parse_job({**EXPORT, "status": "archived"}))
    assert (job.status, [file.name for file in api.open(job)]) == (Status.COMPLETED, ["export.json"])


def test_an_export_that_counts_no_row_needs_no_file() -> None:
    assert parse_files({**EXPORT, "count_total": 0}, (JSON, CSV)) == []


def test_errors_may_be_absent_and_are_not_counted() -> None:
    """`count_total` counts the rows of the main file."""
    assert parse_files(EXPORT, (ERRORS,)) == []
    shown = parse_files({**EXPORT, "_csv_error_url": "https://f/e"}, (ERRORS,))
    assert shown == [RemoteFile("errors.csv", "https://f/e", "csv", None)]


def test_a_job_is_recognised_by_its_echoed_options() -> None:
    asked = body_of(request())
    assert is_same({"resource": "shipment", "options": asked["options"]}, asked)
    assert not is_same({"resource": "contact", "options": asked["options"]}, asked)
    assert not is_same({"resource": "shipment", "options": {**asked["options"], "created_at": "lte:2020"}}, asked)
    assert not is_same({"resource": "shipment"}, asked)


def test_a_lost_job_is_the_newest_that_is_not_done_with() -> None:
    """Exports that asked for the same before are passed over, whether they are too old or known."""
    ours = {**EXPORT, "options": body_of(request())["options"]}
    others = [{**ours, "id": "before", "created_at": 1782907199}]

    class OnePage:
        time = ProviderClock("provider", FakeClock())

        def get(self, _path: str, _params: object) -> Reply:
            return reply({"data": [ours, *others], "pagination": {"has_more": False}})

    api = PackagexApi(cast("Client", OnePage()))
    newest = api.find(request(), from_text(NOON))
    assert newest is not None
    assert newest.id == ID
    assert api.find(request(), from_text(NOON), {ID}) is None


@pytest.mark.parametrize("start", ["2026-07-01T00:00:00Z", None, NOON], ids=["both", "no start", "one instant"])
def test_the_window_of_an_export_is_read_from_its_filter(start: str | None) -> None:
    asked = request(start=start)
    assert window_of(body_of(asked), "created_at") == asked.window


@pytest.mark.parametrize(
    "value", [None, 5, "gte:2026-07-01T00:00:00Z", "bwi:2026-07-01T00:00:00Z", "lte:soon"], ids=str
)
def test_other_filters_are_no_window(value: object) -> None:
    assert window_of({"options": {"created_at": value}}, "created_at") is None


@pytest.mark.parametrize(
    ("changes", "exact"),
    [
        ({}, True),
        ({"options": {"archived": None}}, True),
        ({"options": {"status": "delivered"}}, False),
        ({"options": {"limit": 100}}, False),
        ({"resource": "contact"}, False),
        ({"csv_field_options": body_of(request())["csv_field_options"]}, True),
        ({"csv_field_options": {"timezone": "America/New_York"}}, False),
    ],
    ids=str,
)
def test_an_export_that_asks_for_less_is_not_taken_for_ours(changes: dict[str, Any], exact: bool) -> None:  # noqa: FBT001 - a parameter
    """A filter that the request does not have leaves rows out; a default that is empty does not."""
    asked = body_of(request())
    item = {**EXPORT, **asked, **changes, "options": {**asked["options"], **changes.get("options", {})}}
    assert is_exactly({k: v for k, v in item.items() if k in changes or k != "csv_field_options"}, asked) == exact


def test_collecting_looks_at_resource_and_options_where_they_show() -> None:
    params = {**PARAMS, "options": {"status": "delivered"}}
    assert is_like({"resource": "shipment", "options": {"status": "delivered", "limit": 5}}, params)
    assert is_like({"resource": "shipment"}, params)
    assert not is_like({"resource": "shipment", "options": {"status": "pending"}}, params)


@pytest.mark.parametrize(
    ("hour", "status", "gone"),
    [(11, Status.COMPLETED, False), (13, Status.COMPLETED, True), (13, Status.RUNNING, False)],
)
def test_files_are_gone_a_day_after_by_the_providers_clock(hour: int, status: Status, gone: bool) -> None:  # noqa: FBT001 - a parameter of the table above
    """Whether a record outlives its files is not documented."""
    job = Job(ID, status, created_at=datetime(2026, 7, 1, 12, tzinfo=timezone.utc))
    assert is_removed(job, reply({}, Date=f"Thu, 02 Jul 2026 {hour}:00:00 GMT")) is gone
    assert not is_removed(job, reply({}))


@pytest.mark.parametrize("key", ["code", "error_code"])
def test_both_names_of_the_code_are_read(key: str) -> None:
    body: dict[str, object] = {
        "data": {},
        "message": "Invalid",
        "errors": ["resource"],
        key: "validation_error",
        "pagination": None,
    }
    assert parse_error(reply(body)) == ("validation_error", "Invalid: resource")
