from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tap_exports.engine.decode import Layout
from tap_exports.engine.jobs import Outcome, Statuses
from tap_exports.engine.jobs.cadence import SHORTEST_WAIT_SECONDS
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import OPERATION_ID, ROW, Column, Job, Kind, Page, Proven, Request, Row, Status
from tap_exports.engine.read.tally import Limits, Tally
from tap_exports.engine.run.numbered import GivenRun, PageReader, StatusRun
from tap_exports.errors import AuthError, LostReplyError, NotFoundError, StopError
from tests.engine.fakes import FakeClock
from tests.engine.scripted import (
    NOW,
    Log,
    ScriptedApi,
    all_shown,
    bookmarks,
    job,
    layout,
    lifecycle,
    message,
    play,
    receipts,
    states,
    values,
)

BEGIN = Request("cension", "s", {"endpoint": "horizontal/create", "body": {"feedId": 1}})
OTHER = Request("cension", "s", {"endpoint": "horizontal/create", "body": {"feedId": 2}})
RUNNING = job("30", Status.RUNNING)


def runs(number: str, **age: float) -> Job:
    return job(number, Status.RUNNING, created_at=NOW - timedelta(**age))


def rows_of(job: Job) -> Iterator[Page]:
    return iter([Page([{"a": f"{job.id}a"}], total=2), Page([{"a": f"{job.id}b"}], total=2)])


class Stage:
    """Runs of one export; `pages` gives their rows."""

    def __init__(self, api: ScriptedApi, pages: Callable[[Job], Iterator[Page]] = rows_of) -> None:
        self.api, self.clock, self.pages = api, FakeClock(NOW), pages

    def play(self, numbers: list[int], bookmark: dict[str, Any], **more: Any) -> tuple[Log, str]:  # noqa: ANN401 - of `JobSettings`
        on_failed, begin = more.pop("on_failed", "stop"), more.pop("begin", None)
        read = PageReader(self.pages, layout, Limits(), self.clock)
        chased, state = lifecycle(self.api, self.clock, **more), StreamState.detached("s", bookmark)
        run = GivenRun("s", "cension", numbers, "operationId", on_failed, begin, chased, read, state, self.clock)
        log, error = play(run, bookmark)
        return log, message(error) if error else ""


def at(value: int, **ledger: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    bookmark = {"replication_key": "operationId", "replication_key_value": value}
    return {**bookmark, "ledger": {"version": 2, "jobs": [], "delete": [], **ledger}} if ledger else bookmark


def raw(job_id: str | None = None, request: Request = BEGIN) -> dict[str, Any]:
    entry = {"fingerprint": request.fingerprint, "window": None, "requested_at": "2026-07-03T00:01:00.000Z"}
    return {"id": job_id, **entry, "files": {}} if job_id else entry


def test_runs_are_read_in_ascending_order() -> None:
    """Each number once, those at or below the bookmark not at all; the bookmark takes each proven number in turn."""
    log, error = Stage(ScriptedApi()).play([20, 10, 5, 20], at(5))
    assert log == [
        ("rows", [{"a": "10a", ROW: 1, OPERATION_ID: 10}]),
        ("rows", [{"a": "10b", ROW: 2, OPERATION_ID: 10}]),
        ("receipt", "10", "completed", 2),
        ("state", at(10)),
        ("rows", [{"a": "20a", ROW: 1, OPERATION_ID: 20}]),
        ("rows", [{"a": "20b", ROW: 2, OPERATION_ID: 20}]),
        ("receipt", "20", "completed", 2),
        ("state", at(20)),
    ]
    assert error == ""


def test_nothing_new_does_nothing() -> None:
    """With every number at or below the bookmark no request is made."""
    stage = Stage(ScriptedApi())
    assert (stage.play([5, 4], at(5)), stage.api.calls) == (([], ""), [])


def test_the_bookmark_never_passes_a_run_that_goes_on() -> None:
    """With `detach` a run that is not terminal holds the bookmark, not the rows of those after it."""
    stage, bookmark = Stage(ScriptedApi(polls={"10": [runs("10"), job("10")]})), dict[str, Any]()
    log, error = stage.play([5, 10, 20], bookmark, detach=True)
    assert (values(log), bookmarks(log), error) == (["5a", "5b", "20a", "20b"], [5], "")
    assert bookmark == at(5, jobs=[], proven=[20])
    log, error = stage.play([5, 10, 20], bookmark, detach=True)
    assert (values(log), bookmarks(log), error) == (["10a", "10b"], [20], "")
    assert bookmark == at(20, jobs=[])


@pytest.mark.parametrize(("hung", "seconds"), [(runs("10", hours=25), 0), (job("10", Status.RUNNING), 60)])
def test_a_configured_run_that_hangs_is_named_with_detach_too(hung: Job, seconds: int) -> None:
    """By its age, or, where nobody tells its age, after a wait in this very run; those behind it are read."""
    stage, bookmark = Stage(ScriptedApi(polls={"10": [hung]})), dict[str, Any]()
    log, error = stage.play([10, 20], bookmark, detach=True, job_stall_timeout_seconds=60)
    assert (values(log), bookmark["ledger"]["proven"]) == (["20a", "20b"], [20])
    assert error.startswith("JobStalledError: s, job 10: ")
    assert seconds <= sum(stage.clock.sleeps) + 1e-6 < seconds + 1.1 * SHORTEST_WAIT_SECONDS, "one wait more"


def test_a_gap_that_nobody_asks_for_any_more_is_passed() -> None:
    """A number that leaves the configuration holds the bookmark no more, and what is proven is not read again."""
    stage, bookmark = Stage(ScriptedApi()), at(5, jobs=[], proven=[20, 30])
    assert stage.play([20, 30], bookmark) == ([], "")
    assert (bookmark, stage.api.calls) == (at(30, jobs=[]), [])


def test_a_run_that_stalls_stops_the_stream() -> None:
    """A status that is not known is never success; the bookmark stays before that run."""
    odd = job("10", Status.UNKNOWN, raw_status="archived")
    log, error = Stage(ScriptedApi(polls={"10": [odd]})).play([5, 10, 20], {}, job_stall_timeout_seconds=60)
    assert bookmarks(log) == [5]
    assert error == (
        'JobStalledError: s, job 10: status "archived" is not known: say what it means in the setting '
        "cension.statuses; it made no progress for 60 s (job_stall_timeout_seconds); the bookmark stays; "
        "`operation_ids` without it moves past it"
    )


# Failed runs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [Status.FAILED, Status.CANCELLED, Status.TIMED_OUT])
def test_a_failed_run_stops_the_stream(end: Status) -> None:
    """By default the bookmark stays before it, with a receipt and a message that names the way out; later ones flow."""
    api = ScriptedApi(polls={"10": [job("10", end, reason="no credits")]})
    log, error = Stage(api).play([5, 10, 20], {})
    assert (bookmarks(log), receipts(log)[1]) == ([5], ("receipt", "10", end.value, 0))
    assert states(log)[-1] == at(5, jobs=[], proven=[20])
    assert error == (
        f'JobFailedError: s, job 10: ended as "{end.value}": no credits; the bookmark stays. '
        "on_failed_run: skip moves past it, pull reads the rows that it processed"
    )


@pytest.mark.parametrize(("on_failed", "rows"), [("skip", 0), ("pull", 2)])
def test_a_failed_run_may_be_passed(on_failed: str, rows: int, caplog: pytest.LogCaptureFixture) -> None:
    """`skip` goes past with a warning, `pull` reads what the run did process; both keep its true status."""
    api = ScriptedApi(polls={"10": [job("10", Status.FAILED)]})
    log, error = Stage(api).play([10, 20], {}, on_failed=on_failed)
    assert receipts(log) == [("receipt", "10", "failed", rows), ("receipt", "20", "completed", 2)]
    assert (bookmarks(log), error, len(values(log))) == ([10, 20], "", rows + 2)
    assert f's: job 10 ended as "failed"; on_failed_run: {on_failed}' in caplog.text


def test_a_wrong_count_stops_the_stream() -> None:
    """The pages of a run must hold as many rows as the provider counts."""
    stage = Stage(ScriptedApi(), lambda _: iter([Page([{"a": "1"}], total=2)]))
    log, error = stage.play([10], {})
    assert log[1:] == [("receipt", "10", "failed", 1)]
    assert error == "CountError: s, job 10: 1 different records read, the provider counts 2 (verify_counts: fail)"


# Begin ----------------------------------------------------------------------------------------------------------------


def test_a_run_is_begun_and_read_last() -> None:
    """Intent and number are in STATE before what follows; proof empties the ledger."""
    bookmark: dict[str, Any] = {}
    log, error = Stage(ScriptedApi([RUNNING])).play([], bookmark, begin=BEGIN)
    assert states(log) == [
        {"ledger": {"version": 2, "jobs": [], "delete": [], "intents": [raw()]}},
        {"ledger": {"version": 2, "jobs": [raw("30")], "delete": []}},
        at(30, jobs=[]),
    ]
    assert (values(log), receipts(log), error) == (["30a", "30b"], [("receipt", "30", "completed", 2)], "")


def test_a_begun_run_is_taken_up_again() -> None:
    """A run that the ledger names is read at its place among the configured ones; none is begun and paid again."""
    stage = Stage(ScriptedApi([RUNNING]))
    log, error = stage.play([20, 40], at(10, jobs=[raw("30")]), begin=BEGIN)
    assert (bookmarks(log), error) == ([20, 30, 40], "")
    assert "submit" not in stage.api.calls
    assert states(log)[-1] == at(40, jobs=[])


def test_the_bookmark_does_not_move_back_to_a_begun_run() -> None:
    """A run that the ledger still names below the bookmark is read all the same."""
    log, error = Stage(ScriptedApi()).play([20], at(40, jobs=[raw("30")]), begin=BEGIN)
    assert (values(log), states(log), error) == (["30a", "30b"], [at(40, jobs=[])], "")


@pytest.mark.parametrize("begin", [None, OTHER])
def test_a_begun_run_is_read_whatever_the_configuration_says_now(begin: Request | None) -> None:
    """It was paid for: its rows are read and it leaves the ledger, also when `start` is gone or has changed."""
    stage = Stage(ScriptedApi([job("50", Status.RUNNING)]))
    log, _ = stage.play([20], at(10, jobs=[raw("30")]), begin=begin)
    assert values(log)[:4] == ["20a", "20b", "30a", "30b"]
    assert stage.api.calls.count("submit") == (1 if begin else 0)
    assert states(log)[-1] == at(50 if begin else 30, jobs=[])


def test_a_detached_begin_is_submitted_behind_an_open_run() -> None:
    """A configured run that goes on holds back the rows, not the submission; the number gets into the ledger."""
    stage = Stage(ScriptedApi([RUNNING], polls={"10": [runs("10")]}))
    bookmark: dict[str, Any] = {}
    log, error = stage.play([10], bookmark, begin=BEGIN, detach=True)
    assert (values(log), error) == ([], "")
    assert bookmark == {"ledger": {"version": 2, "jobs": [raw("30")], "delete": []}}


def test_a_refused_begin_leaves_no_intent() -> None:
    """What was refused was not begun."""
    log, error = Stage(ScriptedApi([AuthError("no")])).play([], {}, begin=BEGIN)
    assert states(log)[-1] == {"ledger": {"version": 2, "jobs": [], "delete": []}}
    assert error == "AuthError: no"


NEVER_AGAIN = (
    "UnsettledError: s: a job may have been created at 2026-07-03 00:01:00 UTC, its reply was lost and cension offers "
    "no way to find it: nothing is created again. If there is none, `tap-exports forget s --lost-reply` has it "
    "created; `recreate_paid_jobs: true` allows another one, at its price. If a run was begun, its number among "
    "`operation_ids` settles it"
)


def test_a_lost_begin_is_never_repeated() -> None:
    """A run costs credits: without an answer the stream stops, in this run and in every later one."""
    bookmark: dict[str, Any] = {}
    stage = Stage(ScriptedApi([LostReplyError("reset")]))
    assert stage.play([], bookmark, begin=BEGIN)[1] == NEVER_AGAIN
    assert bookmark == {"ledger": {"version": 2, "jobs": [], "delete": [], "intents": [raw()]}}
    assert stage.play([], bookmark, begin=BEGIN) == ([], NEVER_AGAIN)
    assert stage.api.calls == ["submit"]


def test_a_configured_run_answers_a_lost_begin() -> None:
    """A number that began after the intent is the run that was paid for: it is read, and none is begun in this run."""
    stage = Stage(ScriptedApi(polls={"30": [job("30", created_at=NOW + timedelta(seconds=2))]}))
    log, error = stage.play([30], at(10, intents=[raw()]), begin=BEGIN)
    assert (states(log), error) == ([at(30, intents=[raw()]), at(30, jobs=[])], "")
    assert stage.api.calls == ["poll 30"]


@pytest.mark.parametrize("began", [None, NOW - timedelta(minutes=6)])
def test_an_older_run_answers_nothing(began: datetime | None) -> None:
    """A number that began before the intent, or nobody knows when, says nothing of it: the stream stops after it."""
    stage = Stage(ScriptedApi(polls={"20": [job("20", created_at=began)]}))
    log, error = stage.play([20], at(10, intents=[raw()]), begin=BEGIN)
    assert (bookmarks(log), error) == ([20], NEVER_AGAIN)
    assert stage.api.calls == ["poll 20"]


def test_a_lost_begin_of_another_configuration_is_left_alone() -> None:
    """An intent that nothing asks for any more leaves the ledger; it is not looked for."""
    log, error = Stage(ScriptedApi([RUNNING])).play([], at(10, intents=[raw(None, OTHER)]), begin=BEGIN)
    assert states(log)[0] == at(10, intents=[raw()])
    assert (bookmarks(log)[-1], error) == (30, "")


def test_a_ledger_with_a_text_for_a_number_is_refused() -> None:
    """STATE from elsewhere stops the stream with a message."""
    _, error = Stage(ScriptedApi()).play([], at(10, jobs=[raw("abc")]))
    assert error.startswith(
        'StateError: STATE of s is malformed: job "abc" of its ledger is not a number; `tap-exports '
    )


# Pages and records ----------------------------------------------------------------------------------------------------


def pages_read(pages: list[Page], limits: Limits) -> tuple[Log, Tally]:
    tally = Tally()
    outcome = Outcome(BEGIN, job("7"), NOW, 0.0, 0)
    read = PageReader(lambda _: iter(pages), layout, limits, FakeClock())
    return all_shown(read.read(outcome, StreamState.detached("s", {}), tally), {}), tally


def test_rejects_use_up_ordinals_and_count_as_read() -> None:
    """The ordinals of a run are part of its rows' key; a rejected row is one that the provider counts."""
    log, tally = pages_read([Page([{"a": "1"}, {"a": 2}], total=3), Page([{"a": "3"}], total=3)], Limits("fail", 1))
    assert [event for event in log if event[0] == "reject"] == [("reject", "7", 2, "a")]
    assert [row[ROW] for event in log if event[0] == "rows" for row in event[1]] == [1, 3]
    assert (tally.rows, tally.rejects) == (2, 1)


def test_a_total_below_what_the_job_counts_is_looked_at_again() -> None:
    """A replica may show a completed run before all of its rows."""
    looks, clock, tally = [1, 1, 2, 2], FakeClock(), Tally()

    def pages(_job: Job) -> Iterator[Page]:
        total = looks.pop(0) if looks else 2
        yield Page([{"a": str(n)} for n in range(total)], total=total)

    read = PageReader(pages, layout, Limits("fail"), clock)
    log = all_shown(read.read(Outcome(BEGIN, job("7", rows=2), NOW, 0.0, 0), StreamState.detached("s", {}), tally), {})
    assert ([row["a"] for event in log if event[0] == "rows" for row in event[1]], clock.sleeps) == (["0", "1"], [1, 4])


def test_reads_that_differ_are_spread() -> None:
    """Two reads prove a list that stands still; replicas that disagree need time to agree."""
    shown, clock, tally = iter(["ab", "ac", "ab", "ac", "abc", "abc"]), FakeClock(), Tally()
    read = PageReader(lambda _: iter([Page([{"a": each} for each in next(shown)])]), layout, Limits(), clock)
    log = all_shown(read.read(Outcome(BEGIN, job("7"), NOW, 0.0, 0), StreamState.detached("s", {}), tally), {})
    assert sorted(row["a"] for event in log if event[0] == "rows" for row in event[1]) == ["a", "b", "c"]
    assert clock.sleeps == [6, 12], "the second read shows something new"


def test_reads_that_agree_below_what_the_job_counts_are_spread(caplog: pytest.LogCaptureFixture) -> None:
    """Without a total nothing but the job's count tells of rows that a replica does not show yet."""
    shown, clock, tally = iter(["", "", "ab", "ab"]), FakeClock(), Tally()
    read = PageReader(lambda _: iter([Page([{"a": each} for each in next(shown)])]), layout, Limits(), clock)
    outcome = Outcome(BEGIN, job("7", rows=2), NOW, 0.0, 0)
    log = all_shown(read.read(outcome, StreamState.detached("s", {}), tally), {})
    assert [row["a"] for event in log if event[0] == "rows" for row in event[1]] == ["a", "b"]
    assert clock.sleeps == [6, 12]
    assert caplog.text == ""


def test_what_a_job_counts_without_a_total_need_not_be_rows(caplog: pytest.LogCaptureFixture) -> None:
    """Where three reads, spread over a replica's lag, show no more than before, those are the rows."""
    clock, tally = FakeClock(), Tally()
    read = PageReader(lambda _: iter([Page([{"a": "1"}])]), layout, Limits(), clock)
    all_shown(read.read(Outcome(BEGIN, job("7", rows=9), NOW, 0.0, 0), StreamState.detached("s", {}), tally), {})
    assert (tally.rows, tally.agrees, sum(clock.sleeps)) == (1, True, 18)
    assert "job 7 counts 9 items, its rows are 1" in caplog.text


def test_what_a_job_counts_need_not_be_rows(caplog: pytest.LogCaptureFixture) -> None:
    """Where the total stays below it, the rows are read all the same, with a warning."""
    tally, outcome = Tally(), Outcome(BEGIN, job("7", rows=9), NOW, 0.0, 0)
    read = PageReader(lambda _: iter([Page([{"a": "1"}], total=1)]), layout, Limits("fail"), FakeClock())
    all_shown(read.read(outcome, StreamState.detached("s", {}), tally), {})
    assert (tally.rows, tally.agrees) == (1, True)
    assert "job 7 counts 9 items, its rows are 1" in caplog.text


def test_new_columns_come_before_their_rows() -> None:
    """A key that appears on a later page is announced first."""
    log, _ = pages_read([Page([{"a": "1"}]), Page([{"a": "2", "b": True}])], Limits())
    assert [event[0] for event in log] == ["rows", "columns", "rows"]


@pytest.mark.parametrize(("verify", "proves"), [("fail", False), ("warn", True), ("off", True)])
def test_the_last_count_holds(verify: str, proves: bool) -> None:  # noqa: FBT001 - a parameter of the table above
    """The count of the last page is held against all rows, as strictly as the setting says."""
    pages = [Page([{"a": "1"}], total=1), Page([{"a": "2"}], total=3)]
    if proves:
        assert pages_read(pages, Limits(verify))[1].rows == 2
        return
    with pytest.raises(StopError, match=r"^s, job 7: 2 different records read, the provider counts 3"):
        pages_read(pages, Limits(verify))


@pytest.mark.parametrize(
    ("pages", "proof"),
    [
        ([Page([{"a": "1"}], total=2), Page([{"a": "2"}], total=2)], "A"),
        ([Page([{"a": "1"}]), Page([{"a": "2"}])], "B"),
        ([Page([{"a": "1"}, {"a": "1"}], total=2)], "B"),
        ([Page([{"a": "1"}, {"a": "2"}], total=0)], "B"),
    ],
)
def test_the_receipt_says_how_the_rows_of_a_run_are_proven(pages: list[Page], proof: str) -> None:
    """Distinct rows as many as counted are `A`; two reads that agree are `B`, as for rows that stand twice."""
    log, tally = pages_read(pages, Limits())
    assert (len(values(log)), tally.proof) == (2, proof)


def test_rows_of_a_run_that_never_agree_are_not_proven() -> None:
    """With `verify_counts: warn` the run is passed, and its receipt says `C`; by default the stream stops."""
    fresh = iter(range(100))
    read = PageReader(lambda _: iter([Page([{"a": str(next(fresh))}], total=50)]), layout, Limits("warn"), FakeClock())
    tally, outcome = Tally(), Outcome(BEGIN, job("7"), NOW, 0.0, 0)
    told = list(read.read(outcome, StreamState.detached("s", {}), tally))
    assert (told[-1], tally.proof) == (Proven(is_whole=False), "C")
    read = replace(read, limits=Limits())
    with pytest.raises(StopError, match=r"^s, job 7: 30 reads of this list differ, they show 30 different records"):
        list(read.read(outcome, StreamState.detached("s", {}), Tally()))


def records(
    jobs: Mapping[int, Job | Exception],
    bookmark: dict[str, Any],
    limits: Limits | None = None,
    statuses: Statuses = Statuses(),  # noqa: B008 - frozen
) -> tuple[Log, str]:
    def fetch(number: int) -> tuple[Row, Job]:
        found = jobs[number]
        if isinstance(found, Exception):
            raise found
        return {"operationId": number, "status": found.raw_status or None}, found

    def columns(skip_rows: int = 0) -> Layout:
        return Layout({"operationId": Column("operationId", Kind.INTEGER), "status": Column("status", Kind.STRING)})

    state = StreamState.detached("s", bookmark)
    run = StatusRun("s", list(jobs), "operationId", fetch, columns, state, limits or Limits(), statuses)
    log, error = play(run, bookmark)
    return log, message(error) if error else ""


def test_records_of_runs_up_to_the_first_open_one() -> None:
    """Every record comes; the bookmark stops before the first run that is not terminal, so that one comes again."""
    jobs = {n: job(str(n), status) for n, status in [(1, Status.FAILED), (3, Status.COMPLETED), (2, Status.RUNNING)]}
    bookmark: dict[str, Any] = {}
    log, error = records(jobs, bookmark)
    assert log == [
        ("rows", [{"operationId": 1, "status": "failed", ROW: 1}]),
        ("state", at(1)),
        ("rows", [{"operationId": 2, "status": "running", ROW: 2}]),
        ("rows", [{"operationId": 3, "status": "completed", ROW: 3}]),
    ]
    assert (error, bookmark) == ("", at(1))
    log, _ = records({n: job(str(n)) for n in jobs}, bookmark)
    assert bookmarks(log) == [2, 3]


def test_a_record_that_is_missing_holds_the_bookmark_only() -> None:
    """Those behind it come all the same; the error names it at the end, whatever the statuses of the others."""
    bookmark: dict[str, Any] = {}
    log, error = records({1: job("1"), 2: NotFoundError("no 2 (operation_ids)"), 3: job("3")}, bookmark)
    assert [row["operationId"] for entry in log if entry[0] == "rows" for row in entry[1]] == [1, 3]
    assert (bookmarks(log), error) == ([1], "NotFoundError: no 2 (operation_ids)")


def test_a_configured_status_ends_a_record() -> None:
    """The bookmark passes a run whose word the configuration explains."""
    odd = job("1", Status.UNKNOWN, raw_status="Archived")
    assert bookmarks(records({1: odd}, {}, statuses=Statuses.configured({"archived": "completed"}))[0]) == [1]
    assert bookmarks(records({1: odd}, {})[0]) == []


def test_a_record_that_does_not_fit_counts_against_the_limit() -> None:
    """Past the limit the stream stops, and the bookmark stays before that record."""
    jobs = {1: job("1"), 2: Job("2", Status.COMPLETED, 5)}  # type: ignore[arg-type] # what a provider should not send
    bookmark: dict[str, Any] = {}
    log, error = records(jobs, bookmark)
    assert (bookmark, error[:37]) == (at(1), "RejectLimitError: s: file s, row 2, c")
    log, error = records(jobs, {}, Limits(rejects_max_count=1))
    assert (log[-2:], error) == ([("reject", "2", 2, "status"), ("state", at(2))], "")
