from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tap_exports.engine import windows
from tap_exports.engine.clock import to_text
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import (
    FILE,
    JOB_ID,
    ROW,
    WINDOW_END,
    WINDOW_START,
    Job,
    LocalFile,
    Receipt,
    RemoteFile,
    Request,
    Status,
    Window,
)
from tap_exports.engine.read import files as files_module
from tap_exports.engine.read.guards import GuardedReader, Guards
from tap_exports.engine.read.proof import Proof
from tap_exports.engine.read.tally import Limits
from tap_exports.engine.run.created import Export, ExportRun
from tap_exports.engine.run.frontier import Frontier
from tap_exports.engine.run.growth import Growth
from tap_exports.errors import (
    AuthError,
    BadContentError,
    FileGoneError,
    JobLostError,
    LostReplyError,
    NotReadyError,
    QuotaError,
    RefusedError,
    TryAgainError,
)
from tests.engine.fakes import FakeClock
from tests.engine.scripted import (
    NOW,
    Files,
    FindingApi,
    Log,
    ScriptedApi,
    at,
    bookmarks,
    job,
    lifecycle,
    message,
    play,
    reader,
    receipts,
    sha256,
    states,
    values,
    window,
)

PARAMS = {"schema_id": "x"}
JULY_1 = window("2026-07-01", "2026-07-01T23:59:59.999Z")
JULY_2 = window("2026-07-01T23:59:59.999Z", "2026-07-02T23:59:59.999Z")
LAST = window("2026-07-02T23:59:59.999Z", "2026-07-03")  # NOW minus settling_seconds
ROWS = b"a\n1\n2\n3\n"
GONE = JobLostError("job j1 is gone")


def export(**more: Any) -> Export:  # noqa: ANN401 - of `Export`, or JSON
    given = {"replication_key": "created_at", "start": at("2026-07-01"), "until": JULY_1.end}
    return Export("exelensia", "s", PARAMS, **{**given, **more})


def days(**more: Any) -> Export:  # noqa: ANN401 - of `Export`, or JSON
    return export(until=None, max_window_days=1, **more)


def fingerprint(asked: Window | None = JULY_1, **params: Any) -> str:  # noqa: ANN401 - JSON
    return Request("exelensia", "s", {**PARAMS, **params}, asked).fingerprint


def raw(job_id: str | None = None, asked: Window = JULY_1, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - of `Export`, or JSON
    bounds = [f"{i:%Y-%m-%dT%H:%M:%S}.{i.microsecond // 1000:03d}Z" for i in (asked.start or NOW, asked.end)]
    entry = {"fingerprint": fingerprint(asked), "window": bounds, "requested_at": "2026-07-03T00:01:00.000Z"}
    return {**({"id": job_id} if job_id else {}), **entry, **({"files": {}} if job_id else {}), **more}


LATER = "2026-07-03T00:06:06.000Z"  # once a job that was just created may be lost


def left(*jobs: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401 - of `Export`, or JSON
    """Return the bookmark that a run left behind with these jobs open."""
    return {"ledger": {"version": 2, "jobs": list(jobs), "delete": []}, **more}


def proven(end: str = "2026-07-01T23:59:59.999Z", **ledger: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    empty = {"version": 2, "jobs": [], "delete": []}
    return {"ledger": {**empty, **ledger}, "replication_key": "created_at", "replication_key_value": end}


class Stage:
    """An api, its files, and a run over both."""

    def __init__(self, folder: Path, api: ScriptedApi, contents: dict[str, bytes | Exception] | None = None) -> None:
        self.api = api
        self.folder = folder
        self.files = Files(folder, contents or {"j1": ROWS})
        self.clock, self.proofs = FakeClock(NOW), list[bool]()

    def play(
        self,
        bookmark: dict[str, Any],
        asked: Export | None = None,
        limits: Limits | None = None,
        guards: Guards = Guards(),  # noqa: B008 - frozen
        **settings: Any,  # noqa: ANN401 - of `JobSettings`
    ) -> tuple[Log, str]:
        chased = lifecycle(self.api, self.clock, **settings)
        read = GuardedReader(reader(self.api, self.files, self.clock, limits), guards, self.clock)
        run = ExportRun(asked or export(), chased, read, StreamState.detached("s", bookmark), self.clock)
        log, error = play(run, bookmark, self.proofs)
        assert list(self.folder.iterdir()) == []
        return log, message(error) if error else ""


# One window -----------------------------------------------------------------------------------------------------------


def test_a_window_from_its_plan_to_its_proof(tmp_path: Path) -> None:
    """Intent, job, rows with their lineage, the receipt, then bookmark and empty ledger in one STATE."""
    bookmark: dict[str, Any] = {}
    stage = Stage(tmp_path, ScriptedApi([job(status=Status.PENDING)]))
    log, error = stage.play(bookmark)
    lineage = {
        JOB_ID: "j1",
        FILE: "export.csv",
        WINDOW_START: "2026-07-01T00:00:00.000Z",
        WINDOW_END: "2026-07-01T23:59:59.999Z",
    }
    assert log == [
        ("state", {"ledger": {"version": 2, "jobs": [], "delete": [], "intents": [raw()]}}),
        ("state", left(raw("j1"))),
        ("rows", [{"a": str(n), ROW: n, **lineage} for n in (1, 2, 3)]),
        ("receipt", "j1", "completed", 3),
        ("state", proven()),
    ]
    assert error == ""
    assert stage.api.calls == ["submit", "poll j1", "open j1"]


def test_a_full_export_has_no_bookmark(tmp_path: Path) -> None:
    """Without a replication key one job covers everything, and its rows carry no window."""
    bookmark: dict[str, Any] = {}
    log, _ = Stage(tmp_path, ScriptedApi([job(status=Status.PENDING)])).play(bookmark, export(replication_key=None))
    assert [event for event in log if event[0] == "rows"] == [
        ("rows", [{"a": str(n), ROW: n, JOB_ID: "j1", FILE: "export.csv"} for n in (1, 2, 3)])
    ]
    assert bookmark == {"ledger": {"version": 2, "jobs": [], "delete": [], "closed": ["j1"]}}


def test_a_lost_full_export_is_not_the_one_before(tmp_path: Path) -> None:
    """The last full export asked for the same a minute ago; it would bring old rows."""
    known: dict[str, Any] = {"ledger": {"version": 2, "jobs": [], "delete": [], "closed": ["j9"]}}
    api = FindingApi([LostReplyError("no reply"), job(status=Status.PENDING)], finds=[job("j9")])
    log, _ = Stage(tmp_path, api).play(known, export(replication_key=None))
    assert (api.calls.count("submit"), values(log)) == (2, ["1", "2", "3"])
    assert "poll j9" not in api.calls
    assert known["ledger"]["closed"] == ["j9", "j1"]


def test_a_lost_full_export_is_younger_than_all_before(tmp_path: Path) -> None:
    """STATE keeps few ids of what is done with: the provider's own instant of the last one rules out the rest."""
    known: dict[str, Any] = {}
    api = FindingApi([job(status=Status.PENDING)], polls={"j1": [job(created_at=at("2026-07-02T23:59:30Z"))]})
    Stage(tmp_path, api).play(known, export(replication_key=None))
    assert known["ledger"]["closed_created_at"] == "2026-07-02T23:59:30.000Z"
    api = FindingApi([LostReplyError("no reply"), job(status=Status.PENDING)])
    Stage(tmp_path, api).play(known, export(replication_key=None))
    assert set(api.since) == {at("2026-07-02T23:59:30Z")}  # else five minutes before NOW


def test_a_job_let_go_for_its_bytes_is_not_found_again(tmp_path: Path) -> None:
    """A full export whose file was bad twice is done with, though nothing of it was proven."""
    known: dict[str, Any] = {}
    for _ in range(2):
        api = ScriptedApi([job(status=Status.PENDING)])
        Stage(tmp_path, api, {"j1": b"<html>"}).play(known, export(replication_key=None))
    assert known["ledger"]["closed"] == ["j1"]


def test_a_second_run_asks_for_what_is_new(tmp_path: Path) -> None:
    """The next window starts one millisecond after the bookmark and ends at now minus the settling time."""
    stage = Stage(tmp_path, ScriptedApi([job(status=Status.PENDING)]))
    stage.play(proven(), export(until=None))
    assert [r.window for r in stage.api.requests] == [Window(JULY_1.end, LAST.end)]


def test_nothing_due_writes_nothing(tmp_path: Path) -> None:
    """A run whose bookmark stands at the end asks for nothing and leaves STATE as it is."""
    bookmark = proven()
    assert Stage(tmp_path, ScriptedApi()).play(bookmark) == ([], "")
    assert bookmark == proven()


# Open jobs ------------------------------------------------------------------------------------------------------------


def test_an_open_job_is_collected(tmp_path: Path) -> None:
    """The job of an earlier run is read; none is created."""
    stage = Stage(tmp_path, ScriptedApi())
    log, _ = stage.play(left(raw("j1")))
    assert log[-2:] == [("receipt", "j1", "completed", 3), ("state", proven())]
    assert stage.api.calls == ["poll j1", "open j1"]


def test_an_open_job_survives_bounds_below_a_millisecond(tmp_path: Path) -> None:
    """STATE holds milliseconds, so a `start_date` with more digits still names the same window."""
    stage = Stage(tmp_path, ScriptedApi())
    stage.play(
        left(raw("j1")), export(start=at("2026-07-01T00:00:00.000900Z"), until=at("2026-07-01T23:59:59.999999Z"))
    )
    assert stage.api.calls == ["poll j1", "open j1"]


def test_a_reader_goes_on_inside_a_file(tmp_path: Path) -> None:
    """Rows that STATE covers are not written again when the bytes are the same, and they count as read."""
    covered = {"export.csv": {"etag": None, "sha256": sha256(ROWS), "rows": 2}}
    log, error = Stage(tmp_path, ScriptedApi(polls={"j1": [job(rows=3)]})).play(left(raw("j1", files=covered)))
    assert values(log) == ["3"]
    assert (receipts(log), error) == ([("receipt", "j1", "completed", 3)], "")


def test_a_reader_starts_over_when_the_bytes_differ(tmp_path: Path) -> None:
    """Another digest proves nothing, so all rows come again."""
    covered = {"export.csv": {"etag": None, "sha256": "other", "rows": 2}}
    log, _ = Stage(tmp_path, ScriptedApi()).play(left(raw("j1", files=covered)))
    assert values(log) == ["1", "2", "3"]


def test_state_follows_a_long_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every so many rows the ledger says how far the file was written, and never further, however large a batch is."""
    monkeypatch.setattr(files_module, "ROWS_PER_CHECKPOINT", 2)
    stage = Stage(tmp_path, ScriptedApi())
    log, _ = stage.play(left(raw("j1")))
    covered = {"export.csv": {"etag": None, "sha256": sha256(ROWS), "rows": 2}}
    assert [event[0] for event in log] == ["rows", "state", "rows", "receipt", "state"]
    assert states(log) == [left(raw("j1", files=covered)), proven()]


def test_a_stranger_is_left_alone(tmp_path: Path) -> None:
    """A job that the configuration does not ask for any more leaves the ledger; it is neither read nor deleted."""
    other = {**raw("j9"), "fingerprint": fingerprint(schema_id="other")}
    stage = Stage(tmp_path, FindingApi([job(status=Status.PENDING)]))
    log, _ = stage.play(left(other))
    assert states(log)[0] == {"ledger": {"version": 2, "jobs": [], "delete": [], "intents": [raw()]}}
    assert stage.api.calls == ["submit", "poll j1", "open j1"]


def test_an_open_job_past_a_new_end_date_is_not_read(tmp_path: Path) -> None:
    """`end_date` bounds the rows, also where a job was asked for before it was set."""
    stage = Stage(tmp_path, ScriptedApi([job(status=Status.PENDING)]))
    stage.play(left(raw("j9", Window(JULY_1.start, JULY_2.end))))
    assert [r.window for r in stage.api.requests] == [JULY_1]
    assert stage.api.calls == ["submit", "poll j1", "open j1"]


# Several windows ------------------------------------------------------------------------------------------------------


def test_windows_are_proven_in_their_order(tmp_path: Path) -> None:
    """The bookmark takes the end of each window in turn, whichever job ends first."""
    created = [job(i, Status.PENDING) for i in ("j1", "j2", "j3")]
    stage = Stage(tmp_path, ScriptedApi(created), {"j1": b"a\n1\n", "j2": b"a\n2\n", "j3": b"a\n3\n"})
    bookmark: dict[str, Any] = {}
    log, error = stage.play(bookmark, days())
    assert values(log) == ["1", "2", "3"]
    assert bookmarks(log) == ["2026-07-01T23:59:59.999Z", "2026-07-02T23:59:59.999Z", "2026-07-03T00:00:00.000Z"]
    assert [r.window for r in stage.api.requests] == [JULY_1, JULY_2, LAST]
    assert (bookmark, error) == (proven("2026-07-03T00:00:00.000Z"), "")


def test_windows_around_open_jobs(tmp_path: Path) -> None:
    """An open job keeps its window, and what lies before and after is asked for."""
    stage = Stage(
        tmp_path,
        ScriptedApi([job("j1", Status.PENDING), job("j3", Status.PENDING)]),
        {"j1": b"a\n1\n", "j2": b"a\n2\n", "j3": b"a\n3\n"},
    )
    log, _ = stage.play(left(raw("j2", JULY_2)), days())
    assert values(log) == ["1", "2", "3"]
    assert [r.window for r in stage.api.requests] == [JULY_1, LAST]


def test_a_failed_window_keeps_the_bookmark_before_it(tmp_path: Path) -> None:
    """Later windows are proven beyond the gap; the next run asks for the failed one alone, and the bookmark jumps."""
    created = [job(i, Status.PENDING) for i in ("j1", "j2", "j3")]
    api = ScriptedApi(created, polls={"j2": [job("j2", Status.FAILED, reason="out of paper")]})
    stage = Stage(tmp_path, api, dict.fromkeys(("j1", "j3", "j4"), b"a\n1\n"))
    bookmark: dict[str, Any] = {}
    log, error = stage.play(bookmark, days())
    assert error == (
        "JobFailedError: s 2026-07-01T23:59:59.999Z…2026-07-02T23:59:59.999Z, job j2: "
        'ended as "failed": out of paper; the window stays open, the next run asks again, '
        "`max_window_days` makes windows smaller, `window_size: auto` by itself"
    )
    assert bookmarks(log) == ["2026-07-01T23:59:59.999Z"]
    assert receipts(log) == [
        ("receipt", "j1", "completed", 1),
        ("receipt", "j2", "failed", 0),
        ("receipt", "j3", "completed", 1),
    ]
    assert bookmark == proven(proven=[["2026-07-02T23:59:59.999Z", "2026-07-03T00:00:00.000Z"]])
    again = Stage(tmp_path, ScriptedApi([job("j4", Status.PENDING)]), stage.files.contents)
    log, error = again.play(bookmark, days())
    assert [r.window for r in again.api.requests] == [JULY_2]
    assert (receipts(log), error) == ([("receipt", "j4", "completed", 1)], "")
    assert bookmark == proven("2026-07-03T00:00:00.000Z")


@pytest.mark.parametrize("end", [Status.FAILED, Status.CANCELLED, Status.TIMED_OUT])
def test_a_job_that_ends_badly_leaves_the_ledger(tmp_path: Path, end: Status) -> None:
    """Its window stays open with a receipt, and the next run asks for a new job."""
    stage = Stage(tmp_path, ScriptedApi(polls={"j1": [job(status=end)]}))
    log, error = stage.play(left(raw("j1")))
    assert log == [("receipt", "j1", end.value, 0), ("state", left())]
    assert error.partition(": ")[2] == (
        f's 2026-07-01T00:00:00.000Z…2026-07-01T23:59:59.999Z, job j1: ended as "{end.value}"; the window stays '
        "open, the next run asks again, `max_window_days` makes windows smaller, `window_size: auto` by itself"
    )


def test_the_ledger_is_bounded(tmp_path: Path) -> None:
    """Of many windows no more than twice the allowed jobs are in flight."""
    created = [job(f"j{n}", Status.PENDING) for n in range(40)]
    stage = Stage(tmp_path, ScriptedApi(created), {f"j{n}": b"a\n1\n" for n in range(40)})
    log, error = stage.play({}, days(start=at("2026-06-01")), max_concurrent_jobs=2)
    most = max(len(s["ledger"]["jobs"]) + len(s["ledger"].get("intents", ())) for s in states(log))
    assert (len(receipts(log)), error) == (33, "")
    assert 2 <= most <= 4


# Detached -------------------------------------------------------------------------------------------------------------


def test_detached_jobs_are_left_in_the_ledger(tmp_path: Path) -> None:
    """The first run only submits; the next one collects, and creates nothing for the same windows."""
    created = [job(i, Status.PENDING) for i in ("j1", "j2", "j3")]
    bookmark: dict[str, Any] = {}
    stage = Stage(tmp_path, ScriptedApi(created), dict.fromkeys(("j1", "j2", "j3"), b"a\n1\n"))
    log, error = stage.play(bookmark, days(), detach=True, max_concurrent_jobs=3)
    assert (values(log), receipts(log), error) == ([], [], "")
    assert sorted(entry["id"] for entry in bookmark["ledger"]["jobs"]) == ["j1", "j2", "j3"]
    stage.api.calls.clear()
    log, error = stage.play(bookmark, days(), detach=True, max_concurrent_jobs=2)
    assert (len(receipts(log)), error, bookmark) == (3, "", proven("2026-07-03T00:00:00.000Z"))
    assert "submit" not in stage.api.calls


def test_the_bookmark_never_passes_a_detached_job(tmp_path: Path) -> None:
    """A later window whose job ended first is read and kept as proven; the bookmark jumps once the gap is closed."""
    jobs = [raw("j1", JULY_1), raw("j2", JULY_2)]
    until = export(until=JULY_2.end, max_window_days=1)
    stage = Stage(tmp_path, ScriptedApi(polls={"j1": [job("j1", Status.RUNNING), job("j1")]}), {"j1": ROWS, "j2": ROWS})
    bookmark = left(*jobs)
    log, error = stage.play(bookmark, until, detach=True)
    assert (receipts(log), bookmarks(log), error) == ([("receipt", "j2", "completed", 3)], [], "")
    assert bookmark["ledger"] == {
        **left(jobs[0])["ledger"],
        "proven": [["2026-07-01T23:59:59.999Z", "2026-07-02T23:59:59.999Z"]],
    }
    log, _ = stage.play(bookmark, until, detach=True)
    assert (bookmarks(log), receipts(log)) == (["2026-07-02T23:59:59.999Z"], [("receipt", "j1", "completed", 3)])


def test_a_detached_job_that_replaces_a_lost_one_is_not_a_failure(tmp_path: Path) -> None:
    """A job that was lost while it was read is submitted again, and the next run collects the new one."""
    api = ScriptedApi([job("j2", Status.PENDING)], opens={"j1": [GONE]})
    bookmark = left(raw("j1"))
    log, error = Stage(tmp_path, api).play(bookmark, detach=True)
    assert receipts(log) == [("receipt", "j1", "lost", 0)]
    assert (error, bookmark) == ("", left(raw("j2", requested_at=LATER)))


def test_detached_runs_keep_to_the_number_of_open_jobs(tmp_path: Path) -> None:
    """No new window is requested while `max_concurrent_jobs` jobs are open, however many runs there are."""
    running = [job(f"j{n}", Status.RUNNING) for n in range(1, 9)]
    api = ScriptedApi(running, polls={j.id: [j] for j in running})
    stage, bookmark = Stage(tmp_path, api), dict[str, Any]()
    for _ in range(4):
        stage.play(bookmark, days(start=at("2026-06-01")), detach=True, max_concurrent_jobs=2)
    assert [entry["id"] for entry in bookmark["ledger"]["jobs"]] == ["j1", "j2"]


def test_intents_that_lead_to_no_job_keep_to_it_too(tmp_path: Path) -> None:
    """Two creations without a reply, of which none took effect: as many jobs are created as may be open."""
    running = [job(f"j{n}", Status.RUNNING) for n in (1, 2)]
    api = FindingApi(running, finds=[None], polls={j.id: [j] for j in running})
    bookmark = left()
    bookmark["ledger"]["intents"] = [raw(None, JULY_1), raw(None, JULY_2)]
    stage = Stage(tmp_path, api)
    for _ in range(2):
        stage.play(bookmark, days(), detach=True, max_concurrent_jobs=1)
    assert ([entry["id"] for entry in bookmark["ledger"]["jobs"]], api.calls.count("submit")) == (["j1"], 1)


# Windows behind a gap -------------------------------------------------------------------------------------------------

FOUR = ["j1", "j2", "j3", "j4"]


def four_days() -> Export:
    return export(start=at("2026-06-29"), until=at("2026-07-02T23:59:59.999Z"), max_window_days=1)


def outcome_of(reason: str) -> dict[str, Any]:
    """Return how the second of four windows fails: what the api answers for its job."""
    answers: dict[str, dict[str, Any]] = {
        "failed": {"polls": {"j2": [job("j2", Status.FAILED)]}},
        "stalled": {"polls": {"j2": [job("j2", Status.RUNNING)]}},
        "unknown": {"polls": {"j2": [job("j2", Status.UNKNOWN, raw_status="EXPIRED")]}},
        "unreachable": {"polls": {"j2": [TryAgainError("502")]}},
        "not ready": {"opens": {"j2": [NotReadyError("409")]}},
    }
    return answers[reason]


@pytest.mark.parametrize("reason", ["failed", "stalled", "unknown", "unreachable", "not ready"])
def test_what_is_done_flows_past_what_is_stuck(tmp_path: Path, reason: str) -> None:
    """Whatever holds a window, later ones are read in their order and proven, and the stream fails at its end."""
    api = ScriptedApi([job(i, Status.PENDING) for i in FOUR], **outcome_of(reason))
    stage, bookmark = Stage(tmp_path, api, {i: f"a\n{i}\n".encode() for i in FOUR}), dict[str, Any]()
    log, error = stage.play(bookmark, four_days(), job_stall_timeout_seconds=60)
    assert values(log) == ["j1", "j3", "j4"]
    assert (bookmarks(log), error != "", stage.proofs) == (["2026-06-29T23:59:59.999Z"], True, [])
    assert bookmark["ledger"]["proven"] == [["2026-06-30T23:59:59.999Z", "2026-07-02T23:59:59.999Z"]]


def test_the_third_run_in_a_row_goes_on(tmp_path: Path) -> None:
    """One of four jobs hangs: the second run discards it with a receipt, and only its window is requested again."""
    api = ScriptedApi([job(i, Status.PENDING) for i in [*FOUR, "j5"]], polls={"j2": [job("j2", Status.RUNNING)]})
    stage, bookmark = Stage(tmp_path, api, {i: f"a\n{i}\n".encode() for i in [*FOUR, "j5"]}), dict[str, Any]()
    stage.play(bookmark, four_days(), job_stall_timeout_seconds=60)
    log, error = stage.play(bookmark, four_days(), job_stall_timeout_seconds=60)
    assert (values(log), error) == (["j5"], "")
    assert receipts(log) == [("receipt", "j2", "stalled", 0), ("receipt", "j5", "completed", 1)]
    assert bookmark == proven("2026-07-02T23:59:59.999Z")
    assert stage.play(bookmark, four_days()) == ([], "")


def test_a_refused_creation_does_not_hold_those_behind_it(tmp_path: Path) -> None:
    """The provider refuses one window; the others are created and proven."""
    refused = RefusedError("422: too large", 422)
    api = ScriptedApi([job("j1", Status.PENDING), refused, job("j3", Status.PENDING), job("j4", Status.PENDING)])
    stage, bookmark = Stage(tmp_path, api, dict.fromkeys(FOUR, b"a\n1\n")), dict[str, Any]()
    log, error = stage.play(bookmark, four_days())
    assert ([r[1] for r in receipts(log)], error) == (["j1", "j3", "j4"], "RefusedError: 422: too large")


@pytest.mark.parametrize("fault", [AuthError("401"), TryAgainError("502")])
def test_an_outage_ends_the_creations(tmp_path: Path, fault: Exception) -> None:
    """A refused key, or three windows in a row without an answer: no further window is begun."""
    stage = Stage(tmp_path, ScriptedApi([fault]))
    _, error = stage.play({}, days(start=at("2026-06-01")))
    assert error == message(fault)
    assert 1 <= stage.api.calls.count("submit") <= 5


def test_an_open_job_over_a_proven_range_is_dropped(tmp_path: Path) -> None:
    """What is proven is not read again, whatever the ledger holds."""
    bookmark = proven("2026-06-29T23:59:59.999Z", proven=[["2026-06-30T23:59:59.999Z", "2026-07-02T23:59:59.999Z"]])
    bookmark["ledger"]["jobs"] = [raw("j9", JULY_2)]
    stage = Stage(tmp_path, ScriptedApi([job(status=Status.PENDING)]))
    stage.play(bookmark, four_days())
    assert [str(r.window) for r in stage.api.requests] == ["2026-06-29T23:59:59.999Z…2026-06-30T23:59:59.999Z"]
    assert bookmark == proven("2026-07-02T23:59:59.999Z")


def test_the_bookmark_follows_a_start_date_past_the_gap(tmp_path: Path) -> None:
    """A range that begins inside what is proven needs nothing before its end."""
    bookmark = {"ledger": proven(proven=[["2026-06-30T23:59:59.999Z", "2026-07-02T23:59:59.999Z"]])["ledger"]}
    stage = Stage(tmp_path, ScriptedApi())
    assert stage.play(bookmark, replace(four_days(), start=at("2026-07-01"))) == ([], "")
    assert bookmark == proven("2026-07-02T23:59:59.999Z")


# Lost jobs ------------------------------------------------------------------------------------------------------------


def test_a_job_lost_while_it_is_read_is_asked_for_again(tmp_path: Path) -> None:
    """The lost job leaves the ledger, gets a receipt, and the same window is submitted again."""
    api = ScriptedApi([job("j2", Status.PENDING)], opens={"j1": [GONE]})
    stage = Stage(tmp_path, api, {"j2": ROWS})
    log, error = stage.play(left(raw("j1")))
    assert [event for event in log if event[0] != "rows"] == [
        ("receipt", "j1", "lost", 0),
        ("state", left()),
        ("state", {"ledger": {"version": 2, "jobs": [], "delete": [], "intents": [raw(requested_at=LATER)]}}),
        ("state", left(raw("j2", requested_at=LATER))),
        ("receipt", "j2", "completed", 3),
        ("state", proven()),
    ]
    assert (values(log), error) == (["1", "2", "3"], "")


def test_a_replica_that_lags_behind_the_download_loses_nothing(tmp_path: Path) -> None:
    """A job that is completed and not found where it is opened is looked at again for its grace."""
    api = ScriptedApi(opens={"j1": [*[GONE] * 9, [RemoteFile("export.csv", "j1")]]})
    log, error = Stage(tmp_path, api, {"j1": ROWS}).play(left(raw("j1")))
    assert (values(log), error, api.calls.count("submit")) == (["1", "2", "3"], "", 0)


def test_the_receipt_of_a_job_that_was_looked_at_again_counts_its_creation(tmp_path: Path) -> None:
    """A replica that lags behind the download makes no created job look as if the ledger had named it."""
    api = ScriptedApi([job(credits=180)], opens={"j1": [GONE, GONE, [RemoteFile("export.csv", "j1")]]})
    bookmark: dict[str, Any] = {}
    read = reader(api, Files(tmp_path, {"j1": ROWS}), FakeClock(NOW))
    run = ExportRun(export(), lifecycle(api, FakeClock(NOW)), read, StreamState.detached("s", bookmark), FakeClock(NOW))
    run.start()
    told = [event for event in run.events() if isinstance(event, Receipt)]
    assert [(each.status, each.attempts, each.credits_charged) for each in told] == [("completed", 1, 180)]


def test_the_receipt_of_a_job_that_has_no_successor(tmp_path: Path) -> None:
    """A creation that is refused does not swallow what became of the job before; the next run creates one."""
    api = ScriptedApi([RefusedError("no", 422), job("j2")], polls={"j1": [GONE]})
    bookmark = left(raw("j1"))
    log, error = Stage(tmp_path, api).play(bookmark, job_grace_seconds=0)
    assert (receipts(log), error) == ([("receipt", "j1", "lost", 0)], "RefusedError: no")
    assert bookmark == left()
    log, error = Stage(tmp_path, api, {"j2": ROWS}).play(bookmark)
    assert (values(log), error) == (["1", "2", "3"], "")


@pytest.mark.parametrize(
    ("polls", "opens"),
    [
        ({}, {"j1": [GONE], "j2": [GONE]}),
        ({"j1": [GONE]}, {"j2": [GONE]}),
        ({"j2": [GONE]}, {"j1": [GONE]}),
        ({"j1": [GONE], "j2": [GONE]}, {}),
    ],
)
def test_a_window_is_asked_for_again_once(tmp_path: Path, polls: dict[str, Any], opens: dict[str, Any]) -> None:
    """Two losses in one run stop the stream, whether they show while waiting or while reading."""
    api = ScriptedApi([job("j2", Status.PENDING)], polls=polls, opens=opens)
    log, error = Stage(tmp_path, api).play(left(raw("j1")))
    assert error == "JobLostError: job j1 is gone"
    assert api.calls.count("submit") == 1
    assert bookmarks(log) == []


def test_a_job_lost_while_it_is_waited_for_gets_a_receipt(tmp_path: Path) -> None:
    """Every job that ended has one."""
    api = ScriptedApi([job("j2", Status.PENDING)], polls={"j1": [GONE]})
    log, _ = Stage(tmp_path, api, {"j2": ROWS}).play(left(raw("j1")))
    assert receipts(log) == [("receipt", "j1", "lost", 0), ("receipt", "j2", "completed", 3)]


def test_a_file_that_is_gone_is_a_lost_job(tmp_path: Path) -> None:
    """A job that no longer holds the file whose URL expired is submitted again."""

    class Expired(Files):
        def download(self, remote: RemoteFile, again: Callable[[], RemoteFile]) -> LocalFile:
            return super().download(again() if remote.url == "j1" else remote, again)

    api = ScriptedApi([job("j2", Status.PENDING)], opens={"j1": [[RemoteFile("export.csv", "j1")], []]})
    stage = Stage(tmp_path, api)
    stage.files = Expired(tmp_path, {"j2": ROWS})
    log, error = stage.play(left(raw("j1")))
    assert (values(log), error, api.calls.count("submit")) == (["1", "2", "3"], "", 1)


# Bad content ----------------------------------------------------------------------------------------------------------


def test_bad_bytes_are_read_twice_and_then_let_go(tmp_path: Path) -> None:
    """A completed job keeps its place for one more read; after the second bad one the next run asks for a new job."""
    bookmark = left(raw("j1"))
    stage = Stage(tmp_path, ScriptedApi(), {"j1": BadContentError("export.csv: an HTML page")})
    first, error = stage.play(bookmark)
    assert first == [("receipt", "j1", "failed", 0), ("state", left(raw("j1", bad_reads=1)))]
    assert error == "BadContentError: export.csv: an HTML page"
    second, _ = stage.play(bookmark)
    assert second == [("receipt", "j1", "failed", 0), ("state", left())]


@pytest.mark.parametrize(("declared", "files"), [(4, None), (None, 4)])
def test_a_wrong_count_closes_no_window(tmp_path: Path, declared: int | None, files: int | None) -> None:
    """The rows of the file must be as many as the provider counts, for the job or for each file."""
    opens = {"j1": [[RemoteFile("export.csv", "j1", rows=files)]]}
    stage = Stage(tmp_path, ScriptedApi(polls={"j1": [job(rows=declared)]}, opens=opens))
    log, error = stage.play(left(raw("j1")))
    assert error == (
        "CountError: s 2026-07-01T00:00:00.000Z…2026-07-01T23:59:59.999Z, job j1: "
        "3 rows read, the provider counts 4 (verify_counts: fail)"
    )
    assert log[1:] == [("receipt", "j1", "failed", 3), ("state", left(raw("j1", bad_reads=1)))]


@pytest.mark.parametrize("verify", ["warn", "off"])
def test_a_wrong_count_may_be_tolerated(tmp_path: Path, verify: str, caplog: pytest.LogCaptureFixture) -> None:
    """`warn` says it, `off` does not; both prove the window."""
    stage = Stage(tmp_path, ScriptedApi(polls={"j1": [job(rows=4)]}))
    log, _ = stage.play(left(raw("j1")), limits=Limits(verify_counts=verify))
    assert bookmarks(log) == ["2026-07-01T23:59:59.999Z"]
    assert ("3 rows read, the provider counts 4 (verify_counts: warn)" in caplog.text) == (verify == "warn")


def test_a_job_that_is_not_ready_stays_open(tmp_path: Path) -> None:
    """It is looked at again for a while, and counts as a bad read then: the next run reads the same job once more."""
    bookmark = left(raw("j1"))
    log, error = Stage(tmp_path, ScriptedApi(opens={"j1": [NotReadyError("409")]})).play(bookmark)
    twice = left(raw("j1", bad_reads=1))
    assert (log, error) == ([("receipt", "j1", "failed", 0), ("state", twice)], "NotReadyError: 409")
    assert bookmark == twice


def test_rejects_count_against_the_limit_and_for_the_count(tmp_path: Path) -> None:
    """A ragged row is quarantined while the limit allows it, and it is one of the rows that the provider counts."""
    stage = Stage(tmp_path, ScriptedApi(polls={"j1": [job(rows=3)]}), {"j1": b"a\n1\n2,2\n3\n"})
    log, error = stage.play(left(raw("j1")), limits=Limits(rejects_max_count=1))
    assert log[0] == ("reject", "j1", 2, "")
    assert ([row[ROW] for row in log[1][1]], error) == ([1, 3], "")
    log, error = stage.play(left(raw("j1")))
    assert error.startswith("RejectLimitError: s: file export.csv, row 2: ")
    assert log == [("receipt", "j1", "failed", 0)]


def test_no_state_inside_a_file_with_rejects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed read could not count the rejects before it, so such a file is read from its start."""
    monkeypatch.setattr(files_module, "ROWS_PER_CHECKPOINT", 1)
    stage = Stage(tmp_path, ScriptedApi(), {"j1": b"a\n1\n2,2\n3\n"})
    log, _ = stage.play(left(raw("j1")), limits=Limits(rejects_max_ratio=0.5))
    assert states(log) == [proven()]


# Deleting -------------------------------------------------------------------------------------------------------------


def test_a_loaded_job_is_deleted_by_the_next_run(tmp_path: Path) -> None:
    """Proof notes the job; the next run, whose STATE shows that the target kept the rows, deletes it first."""
    bookmark = left(raw("j1"))
    stage = Stage(tmp_path, FindingApi([job("j2", Status.PENDING)]), {"j1": ROWS, "j2": ROWS})
    log, _ = stage.play(bookmark, export(delete_after_load=True))
    assert (bookmark, "delete j1" in stage.api.calls) == (proven(delete=["j1"]), False)
    log, _ = stage.play(bookmark, export(delete_after_load=True))
    assert (log, bookmark) == ([("state", proven())], proven())
    assert stage.api.calls[-1] == "delete j1"


@pytest.mark.parametrize("intents", [[], [raw()]], ids=["in this run", "in an earlier run"])
def test_a_job_that_was_found_after_a_lost_reply_is_never_deleted(
    tmp_path: Path, intents: list[dict[str, Any]]
) -> None:
    """Another tap of the same requests may have created it, and still need it."""
    api = FindingApi([LostReplyError("no reply")], finds=[job(status=Status.PENDING, created_at=NOW)])
    bookmark = {"ledger": {"version": 2, "jobs": [], "intents": intents, "delete": []}}
    log, error = Stage(tmp_path, api).play(bookmark, export(delete_after_load=True))
    assert (values(log), error, bookmark) == (["1", "2", "3"], "", proven())


class PaidApi(FindingApi):
    costs = True


SPANS = [export(), export(replication_key=None, start=None, until=None)]


def _failed(job_id: str) -> list[Job | Exception]:
    return [job(job_id, Status.FAILED)]


@pytest.mark.parametrize("asked", SPANS, ids=["a window", "all"])
def test_a_found_job_that_failed_may_be_that_of_another_tap(tmp_path: Path, asked: Export) -> None:
    """The own one, which is paid for, is looked for again before another is created, once."""
    finds = [job("theirs", created_at=NOW), job("ours", created_at=NOW)]
    submits = [LostReplyError("no reply"), job("another", Status.PENDING)]
    api = PaidApi(submits, {name: _failed(name) for name in ("theirs", "ours")}, finds=finds)
    stage, bookmark = Stage(tmp_path, api, {"another": ROWS}), dict[str, Any]()
    assert "ended as" in stage.play(bookmark, asked)[1]
    (intent,) = bookmark["ledger"]["intents"]
    assert (intent["replaces"], bookmark["ledger"]["jobs"]) == ("theirs", [])
    assert "ended as" in stage.play(bookmark, asked)[1]
    assert api.calls.count("submit") == 1
    log, error = stage.play(bookmark, asked)
    assert (values(log), error, api.calls.count("submit")) == (["1", "2", "3"], "", 2)


GONE = JobLostError("job theirs is gone")
THEIRS: dict[str, tuple[dict[str, Any], str]] = {
    "failed": ({"polls": {"theirs": _failed("theirs")}}, "ended as"),
    "gone": ({"polls": {"theirs": [GONE]}}, "the next run looks for the own one"),
    "without its file": ({"opens": {"theirs": [FileGoneError("the file is gone")]}}, "the next run looks for the own"),
}


@pytest.mark.parametrize("case", THEIRS)
def test_a_found_job_of_which_nothing_can_be_used_costs_no_second_one(tmp_path: Path, case: str) -> None:
    """The job whose reply was lost is found in the second run, and read."""
    answers, words = THEIRS[case]
    finds = [job("theirs", created_at=NOW), job("ours", created_at=NOW)]
    api = PaidApi([LostReplyError("no reply")], finds=finds, **answers)
    stage, bookmark = Stage(tmp_path, api, {"ours": ROWS}), dict[str, Any]()
    assert words in stage.play(bookmark)[1]
    log, error = stage.play(bookmark)
    assert (values(log), error, bookmark, api.calls.count("submit")) == (["1", "2", "3"], "", proven(), 1)


@pytest.mark.parametrize("asked", SPANS, ids=["a window", "all"])
@pytest.mark.parametrize("case", THEIRS)
def test_where_jobs_are_free_the_own_one_is_read_too(tmp_path: Path, case: str, asked: Export) -> None:
    """In the same run where the other one is gone, in the next one where it failed; no second one is created."""
    finds = [job("theirs", created_at=NOW), job("ours", created_at=NOW)]
    api = FindingApi([LostReplyError("no reply")], finds=finds, **THEIRS[case][0])
    stage, bookmark = Stage(tmp_path, api, {"ours": ROWS}), dict[str, Any]()
    log, error = stage.play(bookmark, asked)
    if case == "failed":
        assert "ended as" in error
        log, error = stage.play(bookmark, asked)
    assert (values(log), error, api.calls.count("submit")) == (["1", "2", "3"], "", 1)


@pytest.mark.parametrize("case", THEIRS)
def test_where_jobs_are_free_the_own_one_is_looked_for_once(tmp_path: Path, case: str) -> None:
    """If there is none, another one is created."""
    finds = [job("theirs", created_at=NOW), None]
    api = FindingApi([LostReplyError("no reply"), job("another", Status.PENDING)], finds=finds, **THEIRS[case][0])
    stage, bookmark = Stage(tmp_path, api, {"another": ROWS}), dict[str, Any]()
    ended = [stage.play(bookmark) for _ in range(1 + (case == "failed"))]
    assert (values(ended[-1][0]), ended[-1][1], api.calls.count("submit")) == (["1", "2", "3"], "", 2)
    assert bookmark == proven()


def test_nothing_is_deleted_once_the_setting_is_off(tmp_path: Path) -> None:
    """What an earlier run noted is struck off, and stays at the provider."""
    bookmark = proven(delete=["j1"])
    stage = Stage(tmp_path, FindingApi())
    assert stage.play(bookmark) == ([("state", proven())], "")
    assert stage.api.calls == []


@pytest.mark.parametrize("refusal", [AuthError("no", 403), RefusedError("no", 404), TryAgainError("no")])
def test_a_refused_deletion_stops_no_data(tmp_path: Path, refusal: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """Three runs: the job stays on the list with a warning, what is due is read; once it is allowed it is deleted."""

    class Refusing(FindingApi):
        refusals = 2

        def delete(self, job_id: str) -> None:
            super().delete(job_id)
            self.refusals -= 1
            if self.refusals >= 0:
                raise refusal

    api = Refusing([job("j2", Status.PENDING)])
    stage, asked = Stage(tmp_path, api, {"j2": ROWS}), export(until=JULY_2.end, delete_after_load=True)
    bookmark = proven(delete=["j0", "j1"])
    log, error = stage.play(bookmark, asked)
    assert (values(log), error, bookmark["ledger"]["delete"]) == (["1", "2", "3"], "", ["j0", "j1", "j2"])
    assert "s: no; the next run tries to delete job j0" in caplog.text
    assert stage.play(bookmark, asked) == ([], "")
    assert stage.play(bookmark, asked)[1] == ""
    assert (bookmark["ledger"]["delete"], api.calls.count("delete j2")) == ([], 1)


def test_more_windows_than_one_run_takes_are_left_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """All windows of a run are held in memory: a range of years cut by minutes is not planned at once."""
    monkeypatch.setattr(windows, "MOST", 2)
    api = FindingApi([job("j1", Status.PENDING), job("j2", Status.PENDING), job("j3", Status.PENDING)])
    stage, bookmark = Stage(tmp_path, api, dict.fromkeys(("j1", "j2", "j3"), ROWS)), dict[str, Any]()
    log, error = stage.play(bookmark, days())
    assert (len(receipts(log)), error, bookmark, stage.proofs) == (2, "", proven("2026-07-02T23:59:59.999Z"), [])
    assert "more windows are due than" in caplog.text
    log, error = stage.play(bookmark, days())
    assert (len(receipts(log)), error, bookmark, stage.proofs) == (1, "", proven("2026-07-03T00:00:00.000Z"), [True])
    log, error = stage.play(bookmark, days())
    assert (receipts(log), error, stage.api.calls.count("submit")) == ([], "", 3)


def test_a_quota_ends_what_is_not_created_and_nothing_else(tmp_path: Path) -> None:
    """What is under way is read; no further job is asked for, and the next run goes on."""
    api = FindingApi([job("j1", Status.PENDING), QuotaError("429; until 18:00"), job("j3", Status.PENDING)])
    stage, bookmark = Stage(tmp_path, api, {"j1": ROWS, "j3": b"a\n4\n"}), dict[str, Any]()
    log, error = stage.play(bookmark, days(start=at("2026-06-20")), max_concurrent_jobs=1)
    assert (values(log), error) == (["1", "2", "3", "4"], "QuotaError: 429; until 18:00")
    assert bookmark["replication_key_value"] == "2026-06-20T23:59:59.999Z"
    assert (len(bookmark["ledger"]["proven"]), bookmark["ledger"]["jobs"]) == (1, [])
    assert api.calls.count("submit") == 3  # of 13 windows


# Guards that cannot heal ----------------------------------------------------------------------------------------------


def test_a_quiet_window_stops_no_later_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Three runs: the first fails by `min_rows`, the second believes another export, the third is done."""
    api = FindingApi([job("j1", Status.PENDING), job("j2", Status.PENDING)])
    stage = Stage(tmp_path, api, {"j1": ROWS, "j2": ROWS})
    bookmark: dict[str, Any] = {}
    log, error = stage.play(bookmark, guards=Guards(min_rows=4))
    assert (error.partition(": ")[0], receipts(log)) == ("TooFewRowsError", [("receipt", "j1", "failed", 3)])
    log, error = stage.play(bookmark, guards=Guards(min_rows=4))
    assert (error, bookmark) == ("", proven())
    assert receipts(log) == [("receipt", "j1", "failed", 3), ("receipt", "j2", "completed", 3)]
    assert "3 rows, min_rows is 4; the window stays open; a second read shows the same" in caplog.text
    assert (stage.play(bookmark, guards=Guards(min_rows=4)), api.calls.count("submit")) == (([], ""), 2)


def test_an_old_job_is_asked_for_anew(tmp_path: Path) -> None:
    """A job only grows older: where `max_age_hours` refuses it, another one takes its place in the same run."""
    old = job("j1", created_at=at("2026-07-01"))
    api = FindingApi([job("j2", Status.PENDING)], {"j1": [old], "j2": [job("j2", created_at=NOW)]})
    stage, bookmark = Stage(tmp_path, api, {"j2": ROWS}), left(raw("j1"))
    log, error = stage.play(bookmark, guards=Guards(max_age_hours=24))
    assert (values(log), error, bookmark) == (["1", "2", "3"], "", proven())
    assert receipts(log) == [("receipt", "j1", "failed", 0), ("receipt", "j2", "completed", 3)]


def test_a_new_job_that_is_too_old_is_not_asked_for_for_ever(tmp_path: Path) -> None:
    """The provider dates it wrongly: one more is created in a run, then the stream stops with the setting's name."""
    old = [job(name, created_at=at("2026-07-01")) for name in ("j1", "j2")]
    api = FindingApi([job("j1", Status.PENDING), job("j2", Status.PENDING)], {"j1": old[:1], "j2": old[1:]})
    log, error = Stage(tmp_path, api).play({}, guards=Guards(max_age_hours=24))
    assert (len(receipts(log)), api.calls.count("submit"), "max_age_hours is 24" in error) == (2, 2, True)


# Signals --------------------------------------------------------------------------------------------------------------


def test_a_signal_between_proof_and_ledger_asks_for_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bookmark moves before the job leaves the ledger: a run that ends in between leaves a job that is passed."""
    bookmark = left(raw("j1"))
    monkeypatch.setattr(StreamState, "forget", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Stage(tmp_path, ScriptedApi()).play(bookmark)
    monkeypatch.undo()
    assert bookmark == proven(jobs=[raw("j1")])
    stage = Stage(tmp_path, ScriptedApi())
    assert stage.play(bookmark) == ([], "")
    assert stage.api.calls == []


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_a_job_warns_of_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A capped export says so."""
    Stage(tmp_path, ScriptedApi(polls={"j1": [job(warnings=("capped at 10,000",))]})).play(left(raw("j1")))
    assert "s: job j1: capped at 10,000" in caplog.text


def test_receipts_hold_the_facts_of_a_job(tmp_path: Path) -> None:
    """Times, counts, bytes, digest and charge are those of this job."""
    stage = Stage(tmp_path, ScriptedApi([Job("j1", Status.PENDING, "pending", credits=5)]))
    chased, state = lifecycle(stage.api, stage.clock), StreamState.detached("s", {})
    run = ExportRun(export(), chased, reader(stage.api, stage.files, stage.clock), state, stage.clock)
    run.start()
    last = next(event for event in Proof().watched(run.events()) if isinstance(event, Receipt))
    assert vars_of(last) == {
        "provider": "exelensia",
        "job_id": "j1",
        "stream": "s",
        "fingerprint": fingerprint(),
        "status": "completed",
        "window_start": "2026-07-01T00:00:00.000Z",
        "window_end": "2026-07-01T23:59:59.999Z",
        "requested_at": "2026-07-03T00:01:00.000Z",
        "completed_at": "2026-07-03T00:01:00.000Z",
        "wait_seconds": 0.0,
        "read_seconds": 0.0,
        "attempts": 1,
        "rows": 3,
        "rejects": 0,
        "bytes": len(ROWS),
        "sha256": sha256(ROWS),
        "credits_charged": 5,
        "proof": "B",
        "reason": None,
        "clock_skew_seconds": None,
        "warnings": (),
    }


def vars_of(value: object) -> dict[str, Any]:
    return {name: getattr(value, name) for name in type(value).__slots__}  # type: ignore[attr-defined] # a slotted value


# Windows that grow while nothing comes --------------------------------------------------------------------------------

SPARSE_START, SPARSE_DAYS = at("2026-05-01"), 36


def sparse(folder: Path, full: set[int], *, grows: bool = True, jobs: int = 4) -> tuple[list[int], list[str]]:
    """Export 36 windows of a day, of which some have a row; return how many days each job covers, and the bookmarks."""
    ids = [f"j{n}" for n in range(SPARSE_DAYS)]
    api = ScriptedApi([job(i, Status.PENDING) for i in ids])
    rows: dict[str, bytes | Exception] = {i: b"a\n1\n" if n in full else b"a\n" for n, i in enumerate(ids)}
    end = SPARSE_START + timedelta(days=SPARSE_DAYS) - timedelta(milliseconds=1)
    asked = export(start=SPARSE_START, until=end, max_window_days=1, grows=grows)
    stage, bookmark = Stage(folder, api, rows), dict[str, Any]()
    chased = lifecycle(api, stage.clock)  # one worker, so that jobs are created in their order
    chased.settings = replace(chased.settings, max_concurrent_jobs=jobs)
    read = reader(api, stage.files, stage.clock)
    run = ExportRun(asked, chased, read, StreamState.detached("s", bookmark), stage.clock)
    log, error = play(run, bookmark, stage.proofs)
    assert (error, stage.proofs[-1:], bookmark["replication_key_value"]) == (None, [True], to_text(end))
    spans = [request.window for request in api.requests if request.window]
    assert [span.start for span in spans[1:]] == [span.end for span in spans[:-1]]
    return [round((w.end - (w.start or w.end)) / timedelta(days=1)) for w in spans], bookmarks(log)


def test_windows_double_while_nothing_comes(tmp_path: Path) -> None:
    """36 empty windows take 13 jobs: eight of a day, then as many at once as were empty eight windows before."""
    assert sparse(tmp_path, set())[0] == [1] * 8 + [2, 4, 8, 8, 6]


def test_rows_end_the_growth(tmp_path: Path) -> None:
    """What a window's length depends on ended eight windows before it."""
    assert sparse(tmp_path, {2})[0] == [1] * 8 + [2, 4, 1, 2, 4, 8, 7]
    assert sparse(tmp_path, set(range(36)))[0] == [1] * 36


@pytest.mark.parametrize("jobs", [1, 2, 16])
def test_the_windows_are_the_same_whatever_runs_at_once(tmp_path: Path, jobs: int) -> None:
    """P9: rows carry the bounds of their window, so its length may not depend on concurrency."""
    assert sparse(tmp_path, {3}, jobs=jobs) == sparse(tmp_path, {3})


def test_a_configured_length_is_kept(tmp_path: Path) -> None:
    assert sparse(tmp_path, set(), grows=False)[0] == [1] * 36


def test_windows_of_open_jobs_are_not_joined(tmp_path: Path) -> None:
    """A job of an earlier run covers its own window, whatever was empty before."""
    spans = [window(f"2026-05-{n:02}", f"2026-05-{n + 1:02}") for n in range(1, 20)]
    asked = [Request("exelensia", "s", PARAMS, span) for span in spans]
    growth = Growth(enabled=True, is_fixed=lambda request: request == asked[9])
    waiting, taken = deque(asked), list[int]()
    while before := len(waiting):
        request = growth.next(waiting)
        taken.append(before - len(waiting))
        growth.ended(request, 0)
    assert taken == [1] * 10 + [8, 1]


# Rows that appear late ------------------------------------------------------------------------------------------------


def spans_of(bookmark: dict[str, Any], asked: Export, folder: Path) -> list[str]:
    """Return the windows that a run requests."""
    api = ScriptedApi([job(f"n{n}", Status.PENDING) for n in range(9)])
    names = ["j1", *(f"n{n}" for n in range(9))]
    stage = Stage(folder, api, dict.fromkeys(names, ROWS))
    stage.play(bookmark, asked)
    return [str(request.window) for request in api.requests]


def test_lookback_requests_the_end_of_what_is_proven_again(tmp_path: Path) -> None:
    """The bookmark never moves back, and `start_date` stays the earliest instant."""
    asked = export(until=None, lookback=timedelta(hours=6))
    bookmark = proven(JULY_1.end.isoformat())
    assert spans_of(bookmark, asked, tmp_path) == ["2026-07-01T17:59:59.999Z…2026-07-03T00:00:00.000Z"]
    assert bookmark["replication_key_value"] == "2026-07-03T00:00:00.000Z"
    bookmark = proven("2026-07-01T02:00:00.000Z")
    assert spans_of(bookmark, asked, tmp_path) == ["2026-07-01T00:00:00.000Z…2026-07-03T00:00:00.000Z"]
    bookmark = proven("2026-06-01T00:00:00.000Z")
    assert spans_of(bookmark, asked, tmp_path) == ["2026-06-01T00:00:00.000Z…2026-07-03T00:00:00.000Z"]


def test_lookback_alone_requests_nothing(tmp_path: Path) -> None:
    """Where no new instant is due no job is created."""
    assert spans_of(proven(), export(lookback=timedelta(days=1)), tmp_path) == []


def test_what_was_read_again_counts_until_the_bookmark_moves() -> None:
    """In whatever order its jobs end: with `detach`, those before the bookmark left no room for new ones."""
    state, asked = StreamState.detached("s", proven()), days(start=at("2026-06-01"), lookback=timedelta(days=2))

    def frontier() -> Frontier:
        return Frontier(state, "created_at", asked.start)

    first = window("2026-06-29T23:59:59.999Z", "2026-07-01")
    middle, last = window("2026-07-01", "2026-07-01T12:00"), Window(at("2026-07-01T12:00"), JULY_1.end)
    for each in (middle, last, first):
        frontier().prove(each)
    assert state.again == Window(first.start, last.end)
    due = [request.window for request in asked.requests(state, frontier(), NOW)]
    assert due[0] is not None
    assert due[0].start == JULY_1.end
    for asked_for in due:
        assert asked_for is not None
        frontier().prove(asked_for)
    assert state.again is None


def test_an_open_job_of_a_lookback_is_kept(tmp_path: Path) -> None:
    """The next run re-attaches to it, and requests only what follows."""
    again = window("2026-06-30T23:59:59.999Z", "2026-07-02")
    bookmark = proven(jobs=[raw("j1", again)])
    asked = export(start=at("2026-06-01"), until=None, lookback=timedelta(days=1))
    assert spans_of(bookmark, asked, tmp_path) == ["2026-07-02T00:00:00.000Z…2026-07-03T00:00:00.000Z"]
    assert bookmark["replication_key_value"] == "2026-07-03T00:00:00.000Z"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (window("2026-06-28T23:59:59.999Z", "2026-06-29T23:59:59.999Z"), True),  # of a day, in the middle of a cell
        (window("2026-06-27T23:59:59.999Z", "2026-06-30T23:59:59.999Z"), True),  # of two cells
        (window("2026-06-27T23:59:59.999Z", "2026-06-29T23:59:59.999Z"), False),
        (window("2026-06-26T12:00:00.000Z", "2026-06-26T23:59:59.999Z"), False),  # from the first instant of all
    ],
)
def test_a_job_whose_window_other_settings_cut_is_named(
    asked: Window,
    says: bool,  # noqa: FBT001 - a parameter of the table above
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its rows have the start of that window in their key; the durable ledger brings it without what STATE knew."""
    first = at("2026-06-26T12:00:00.000Z")
    cells = days(start=first, lookback=timedelta(days=2), keeps_cuts=True)
    spans_of(left(raw("j1", asked)), replace(cells, max_window_days=2), tmp_path)
    assert ("windows are cut elsewhere" in caplog.text) == says
