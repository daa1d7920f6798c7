"""Cornect's requests and replies, as pure functions and over a scripted client, as its documents show them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest

from tap_exports.engine.clock import from_text
from tap_exports.engine.http import Client, Reply
from tap_exports.engine.http.skew import ProviderClock
from tap_exports.engine.jobs.budget import Budget
from tap_exports.engine.model import Job, RemoteFile, Request, Status
from tap_exports.errors import (
    BadContentError,
    JobLostError,
    LostReplyError,
    NotFoundError,
    NotReadyError,
    PaymentError,
    RefusedError,
    StopError,
    UnsafeUrlError,
)
from tap_exports.providers.cornect.api import (
    CREDITS,
    EXPORTS,
    SEARCH,
    STATUSES,
    CornectApi,
    body_of,
    parse_created,
    parse_error,
    parse_job,
    parse_search,
)
from tests.engine.fakes import FakeClock

ID = "9f1c1111-0000-4000-8000-000000000001"
CREATED = {
    "export_job": {
        "id": ID,
        "name": "US fintech 50+",
        "status": "pending",
        "export_format": "csv",
        "source_type": "search",
    },
    "requested_count": 500,
    "already_unlocked": 320,
    "new_count": 180,
    "cost": 180,
    "credits_charged": 180,
    "would_skip": 0,
    "capped_at_10k": False,
    "transaction_id": "t",
}
EXPORT = {
    "id": ID,
    "workspace_id": "w",
    "name": "label",
    "export_format": "csv",
    "source_type": "search",
    "status": "completed",
    "total_records": 180,
    "processed_records": 180,
    "file_size_bytes": 42_000,
    "created_at": "2026-05-28T12:00:00Z",
    "completed_at": "2026-05-28T12:00:30Z",
}
CHARGE = {
    "id": "t",
    "amount": -180,
    "reason": "export_charge",
    "reference": f"export:{ID}:create",
    "created_at": "2026-05-28T12:00:00Z",
}
FILTERS = {"query": "fintech", "countries": ["United States"]}
REQUEST = Request(
    "cornect",
    "cornect_export_fintech",
    {"source_type": "search", "search_filters": FILTERS, "export_format": "json"},
)
GIVEN = Request("cornect", "cornect_export_given", {"export_id": ID})


class Script:
    """Answers requests from lists by path; an error is raised. The last answer of a path stands for ever."""

    time = ProviderClock("provider", FakeClock())
    attempts = 1  # of a creation, the last of which the provider takes

    def __init__(self, answers: Mapping[str, list[Any]]) -> None:
        self.answers = {path: list(given) for path, given in answers.items()}
        self.sent: list[tuple[str, str, Any, bool]] = []

    def send(self, method: str, path: str, *, body: Any = None, idempotent: bool = True, gate: Any = None) -> Reply:  # noqa: ANN401 - JSON
        for _ in range(1 if idempotent else self.attempts):
            gate.before()
        self.sent.append((method, path, body, idempotent))
        given = self.answers[path]
        answer = given.pop(0) if len(given) > 1 else given[0]
        if isinstance(answer, Exception):
            raise answer
        return Reply(200, {}, json.dumps(answer).encode())

    def bodies(self, path: str) -> list[Any]:
        return [body for _, at, body, _ in self.sent if at == path]


def connect(limit: int = 1000, clock: FakeClock | None = None, **answers: list[Any]) -> tuple[CornectApi, Script]:
    """Return the api over a script of credits, searches, creations, exports and downloads."""
    paths = {"credits": CREDITS, "search": SEARCH, "create": EXPORTS, "export": f"{EXPORTS}/{ID}"}
    script = Script({paths.get(name, f"{EXPORTS}/{ID}/{name}"): given for name, given in answers.items()})
    return CornectApi(cast("Client", script), clock or FakeClock(), Budget(limit, "cornect.max_credits")), script


def balance(credits_left: int = 1000, *transactions: Mapping[str, Any]) -> dict[str, Any]:
    return {"workspace_id": "w", "balance": credits_left, "recent_transactions": list(transactions)}


def found(total: int | None, *ids: str, cursor: str | None = None) -> dict[str, Any]:
    return {"items": [{"id": i} for i in ids], "total": total, "aggregations": {}, "next_cursor": cursor}


def test_the_label_holds_stream_and_fingerprint() -> None:
    body = body_of(REQUEST)
    assert body == {"name": f"cornect_export_fintech {REQUEST.fingerprint}", **REQUEST.params}


def test_a_creation_tells_the_charge() -> None:
    job = parse_created(CREATED)
    assert (job.id, job.status, job.credits, job.warnings) == (ID, Status.PENDING, 180, ())


def test_a_capped_or_partial_export_says_so() -> None:
    job = parse_created({**CREATED, "capped_at_10k": True, "would_skip": 7})
    assert job.warnings == (
        "capped at 10000 companies by the provider (capped_at_10k): split the filters",
        "7 companies are missing: the balance did not cover them (would_skip)",
    )


def test_the_charge_may_be_called_cost() -> None:
    assert parse_created({k: v for k, v in CREATED.items() if k != "credits_charged"}).credits == 180


@pytest.mark.parametrize("body", [{}, {"export_job": {}}, {"export_job": None}, []])
def test_a_creation_without_an_id_is_bad_content(body: object) -> None:
    with pytest.raises(BadContentError):
        parse_created(body)


@pytest.mark.parametrize("raw", [*STATUSES, *map(str.upper, STATUSES)])
def test_documented_statuses_are_known(raw: str) -> None:
    assert parse_job({**EXPORT, "status": raw}).status is not Status.UNKNOWN


def test_an_unknown_status_ends_nothing() -> None:
    assert not parse_job({"id": ID, "status": "archived"}).status.is_terminal


@pytest.mark.parametrize("cursor", [None, ""])
def test_an_empty_or_missing_cursor_ends_the_search(cursor: str | None) -> None:
    page, following = parse_search(found(1, "a", cursor=cursor))
    assert (page.last, following) == (True, None)
    assert parse_search({"items": []})[1] is None


def test_a_search_sends_its_filters_with_every_cursor() -> None:
    api, script = connect(search=[found(3, "a", cursor="c1"), found(3, "b", cursor="c2"), found(3, "c")])
    assert [row["id"] for page in api.search(FILTERS) for row in page.items] == ["a", "b", "c"]
    assert script.bodies(SEARCH) == [FILTERS, {**FILTERS, "cursor": "c1"}, {**FILTERS, "cursor": "c2"}]


def test_the_same_cursor_twice_is_an_error() -> None:
    api, _ = connect(search=[found(3, "a", cursor="c1")])
    with pytest.raises(StopError, match="the same cursor came twice"):
        list(api.search(FILTERS))


def test_nothing_is_sent_that_could_cost_more_than_the_setting() -> None:
    """The most that an export can cost is what its search finds, 10,000 at most."""
    for limit, total in ((0, 5), (179, 180), (9_999, 250_000), (9_999, None)):
        api, script = connect(limit, credits=[balance(100_000)], search=[found(total, "a")], create=[CREATED])
        with pytest.raises(PaymentError, match="nothing was created or spent"):
            api.submit(REQUEST)
        assert script.bodies(EXPORTS) == []


def test_nothing_is_sent_that_the_balance_does_not_cover() -> None:
    api, script = connect(1000, credits=[balance(179)], search=[found(180, "a")], create=[CREATED])
    with pytest.raises(
        PaymentError, match=r"needs up to 180 credits, the balance is 179 and cornect\.max_credits is 1000"
    ):
        api.submit(REQUEST)
    assert script.bodies(EXPORTS) == []


def test_the_cap_holds_at_the_attempt_that_the_provider_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was busy for minutes: what the search finds by then counts, and what the first attempt reserved does not."""
    monkeypatch.setattr(Script, "attempts", 2)
    api, script = connect(180, credits=[balance()], search=[found(180, "a"), found(181, "a")], create=[CREATED])
    with pytest.raises(PaymentError, match=r"needs up to 181 credits, .* is 180; nothing was created or spent"):
        api.submit(REQUEST)
    api, script = connect(181, credits=[balance()], search=[found(180, "a"), found(181, "a")], create=[CREATED])
    assert api.submit(REQUEST).credits == 180
    assert [path for _, path, *_ in script.sent] == [CREDITS, SEARCH, CREDITS, SEARCH, EXPORTS]


def test_a_price_that_cannot_be_read_is_no_lost_creation() -> None:
    """Nothing was sent, so that no job has to be looked for."""
    api, _ = connect(200, credits=[balance()], search=[BadContentError("no JSON")], create=[CREATED])
    with pytest.raises(StopError, match="no JSON; nothing was created or spent"):
        api.submit(REQUEST)


def test_a_refused_charge_tells_need_balance_and_setting() -> None:
    """The balance may have gone elsewhere between the look at it and the creation; nothing stays reserved then."""
    refused = PaymentError("cornect: POST /api/v1/exports: 402 Payment Required: insufficient_credits")
    api, _ = connect(1000, credits=[balance(179)], search=[found(170, "a")], create=[refused, CREATED])
    with pytest.raises(PaymentError) as error:
        api.submit(REQUEST)
    assert error.value.message == (
        "cornect: POST /api/v1/exports: 402 Payment Required: insufficient_credits; "
        "it needs up to 170 credits, the balance was 179 and cornect.max_credits is 1000"
    )


def test_a_list_may_take_the_whole_balance() -> None:
    """Nobody tells the size of a saved list."""
    listed = Request("cornect", "s", {"source_type": "list", "list_id": ID, "export_format": "csv"})
    api, script = connect(500, credits=[balance(501)], create=[CREATED])
    with pytest.raises(PaymentError):
        api.submit(listed)
    api, script = connect(501, credits=[balance(501)], create=[CREATED])
    assert api.submit(listed).credits == 180
    assert script.sent[-1] == ("POST", EXPORTS, body_of(listed), False)


def test_exports_of_one_run_share_the_cap() -> None:
    api, _ = connect(500, credits=[balance()], search=[found(400, "a")], create=[CREATED])
    assert api.submit(REQUEST).credits == 180
    with pytest.raises(PaymentError, match="leaves 320 of 500"):
        api.submit(Request("cornect", "another", REQUEST.params))


def test_an_export_that_nothing_matches_is_empty_and_free() -> None:
    """It is no failure: completed, without a file, also after a crash that leaves only its id."""
    refused = RefusedError("no", 400, "no_candidates")
    api, script = connect(400, credits=[balance()], search=[found(400, "a")], create=[refused, CREATED])
    job = api.submit(REQUEST)
    seen = api.poll(Job(job.id, Status.PENDING))
    assert (seen.status, api.open(seen), job.credits) == (Status.COMPLETED, [], 0)
    assert job.warnings == ("no company matches: the export is empty (no_candidates)",)
    assert api.submit(REQUEST).id == ID
    assert len(script.bodies(EXPORTS)) == 2


def test_any_other_refusal_is_a_refusal() -> None:
    api, _ = connect(credits=[balance()], search=[found(4, "a")], create=[RefusedError("no", 422, "")])
    with pytest.raises(RefusedError):
        api.submit(REQUEST)


def test_a_lost_job_is_found_through_its_charge() -> None:
    """The transaction names the export, whose label holds the fingerprint; the charge is known from there."""
    mine = {**EXPORT, "name": body_of(REQUEST)["name"]}
    api, _ = connect(
        200,
        credits=[balance(), balance(820, CHARGE)],
        search=[found(200, "a")],
        create=[LostReplyError("?")],
        export=[mine],
    )
    with pytest.raises(LostReplyError):
        api.submit(REQUEST)
    job = api.find(REQUEST, from_text("2026-05-28T11:55:00Z"))
    assert job is not None
    assert (job.id, job.credits) == (ID, 180)


def test_earlier_exports_are_those_with_our_label() -> None:
    """Each with its charge; nothing is counted as spent by this run, and a configured export is not looked for."""
    api, _ = connect(10, credits=[balance(820, CHARGE)], export=[{**EXPORT, "name": body_of(REQUEST)["name"]}])
    found = list(api.earlier(REQUEST, from_text("2026-05-28T11:55:00Z")))
    assert [(job.id, job.credits, window) for job, window in found] == [(ID, 180, None)]
    assert list(api.earlier(REQUEST, from_text("2026-05-28T12:00:01Z"))) == []
    given = Request("cornect", REQUEST.stream, {"export_id": ID})
    assert list(api.earlier(given, from_text("2026-05-28T11:55:00Z"))) == []


def test_the_account_is_the_workspace() -> None:
    """Asked for once; where it cannot be told, the run goes on without it."""
    api, _ = connect(credits=[balance()])
    assert (api.account, api.account) == ("w", "w")
    failing, _ = connect(credits=[LostReplyError("?")])
    assert failing.account is None


@pytest.mark.parametrize(
    ("name", "since"), [("somebody's", "2026-05-28T11:55:00Z"), (body_of(REQUEST)["name"], "2026-05-28T12:00:01Z")]
)
def test_no_other_job_is_adopted(name: str, since: str) -> None:
    """A label without the fingerprint, or a charge before the creation began, is another job's."""
    api, _ = connect(credits=[balance(820, CHARGE)], export=[{**EXPORT, "name": name}])
    assert api.find(REQUEST, from_text(since)) is None


def test_what_a_lost_reply_may_have_cost_counts_as_spent() -> None:
    """The last run's export asked for the same and is not the lost one: another creation needs room for both."""
    mine = {**EXPORT, "name": body_of(REQUEST)["name"]}
    credit, creations = [balance(), balance(820, CHARGE)], [LostReplyError("?"), CREATED]
    for limit in (399, 400):
        api, _ = connect(limit, credits=list(credit), search=[found(200, "a")], create=list(creations), export=[mine])
        with pytest.raises(LostReplyError):
            api.submit(REQUEST)
        assert api.find(REQUEST, from_text("2026-05-28T11:55:00Z"), {ID}) is None
        if limit < 400:
            with pytest.raises(PaymentError, match="leaves 199 of 399"):
                api.submit(REQUEST)
        else:
            assert api.submit(REQUEST).id == ID


@pytest.mark.parametrize(
    "unknown", [BadContentError("no JSON"), UnsafeUrlError("a redirect"), RefusedError("499", 499)]
)
def test_every_unknown_outcome_counts_as_spent(unknown: Exception) -> None:
    """Not only a lost reply: whatever does not tell that nothing was created keeps its credits reserved."""
    api, _ = connect(300, credits=[balance()], search=[found(200, "a")], create=[unknown, CREATED])
    with pytest.raises(type(unknown)):
        api.submit(REQUEST)
    with pytest.raises(PaymentError, match="leaves 100 of 300"):
        api.submit(REQUEST)


def test_an_export_that_is_gone_does_not_stop_the_search() -> None:
    """A deleted export of somebody is passed over while the own one is looked for."""
    api, _ = connect(200, credits=[balance(820, CHARGE)], export=[NotFoundError("404")])
    assert api.find(REQUEST, from_text("2026-05-28T11:55:00Z")) is None


def test_a_configured_export_is_read_and_nothing_is_sent() -> None:
    api, script = connect(0, export=[EXPORT])
    assert api.submit(GIVEN).id == ID
    assert [method for method, *_ in script.sent] == ["GET"]


def test_five_creations_a_minute_are_kept_by_waiting() -> None:
    clock = FakeClock()
    api, _ = connect(10_000, clock, credits=[balance(10_000)], search=[found(1, "a")], create=[CREATED])
    for number in range(6):
        api.submit(Request("cornect", f"stream {number}", REQUEST.params))
    assert clock.sleeps == [60.0]


def test_an_export_that_is_gone_is_lost() -> None:
    api, _ = connect(export=[NotFoundError("404")])
    with pytest.raises(JobLostError):
        api.poll(Job(ID, Status.PENDING))


def test_polling_keeps_charge_and_warnings() -> None:
    api, _ = connect(export=[EXPORT])
    seen = api.poll(Job(ID, Status.PENDING, credits=180, warnings=("capped",)))
    assert (seen.status, seen.rows, seen.credits, seen.warnings) == (Status.COMPLETED, 180, 180, ("capped",))


def test_the_download_is_asked_for_by_post() -> None:
    api, script = connect(export=[EXPORT], download=[{"download_url": "https://f/x?sig", "expires_at": "…"}])
    assert api.open(Job(ID, Status.COMPLETED)) == [RemoteFile("export.csv", "https://f/x?sig", "csv")]
    assert script.sent[-1][:2] == ("POST", f"{EXPORTS}/{ID}/download")


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (RefusedError("400", 400), NotReadyError),
        (RefusedError("422", 422), RefusedError),
        (NotFoundError("404"), JobLostError),
    ],
)
def test_400_is_not_ready(error: Exception, meaning: type[Exception]) -> None:
    api, _ = connect(export=[EXPORT], download=[error])
    with pytest.raises(meaning):
        api.open(Job(ID, Status.COMPLETED, data={"export_format": "csv"}))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            {"detail": {"code": "INSUFFICIENT_SCOPE", "message": "too small", "details": {}}},
            ("INSUFFICIENT_SCOPE", "too small"),
        ),
        ({"detail": "Export is not completed"}, ("", "Export is not completed")),
        ({"detail": [{"loc": ["body", "name"], "msg": "required", "type": "x"}]}, ("", "body.name: required")),
    ],
)
def test_all_forms_of_an_error_are_read(body: object, told: tuple[str, str]) -> None:
    assert parse_error(Reply(400, {}, json.dumps(body).encode())) == told


def test_samples_have_the_form_of_the_request() -> None:
    """Nothing is created for a sample, and CSV tells nothing of the types in JSON."""
    for form, count in (("json", 1), ("csv", 0)):
        api, script = connect(credits=[balance(820, CHARGE)], export=[{**EXPORT, "export_format": form}])
        assert len(list(api.samples(REQUEST))) == count
        assert script.bodies(EXPORTS) == []


def test_the_best_sample_is_an_earlier_export_of_this_very_request() -> None:
    other = {**CHARGE, "id": "u", "reference": "export:other:create", "created_at": "2026-05-28T13:00:00Z"}
    api, script = connect(
        credits=[balance(820, CHARGE, other)],
        export=[{**EXPORT, "name": body_of(REQUEST)["name"], "export_format": "json"}],
    )
    script.answers[f"{EXPORTS}/other"] = [{**EXPORT, "id": "other", "export_format": "json"}]
    assert [job.id for job in api.samples(REQUEST)] == [ID, "other"]


def test_many_streams_take_their_samples_from_one_look() -> None:
    """Discovery of 40 exports would else wait for the pace of GET /exports/{id}, a minute and more."""
    api, script = connect(credits=[balance(820, CHARGE)], export=[{**EXPORT, "export_format": "json"}])
    assert [len(list(api.samples(REQUEST))) for _ in range(40)] == [1] * 40
    assert [path for _, path, _, _ in script.sent] == [CREDITS, f"{EXPORTS}/{ID}"]
