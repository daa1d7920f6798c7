from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Job, RemoteFile, Request, Status, Window
from tap_exports.engine.read import files as files_module
from tap_exports.engine.run.collected import CollectRun
from tap_exports.engine.run.created import Export
from tap_exports.errors import (
    BadContentError,
    CountError,
    FileGoneError,
    JobLostError,
    TryAgainError,
    UrlRefusedError,
)
from tests.engine.fakes import FakeClock
from tests.engine.scripted import (
    NOW,
    CollectingApi,
    Files,
    Log,
    at,
    bookmarks,
    job,
    message,
    play,
    reader,
    receipts,
    sha256,
    states,
    values,
)

ROWS = {"j1": b"a\n1\n", "j2": b"a\n2\n", "j3": b"a\n3\n"}
DAY = 86_400
START, END = at("2026-07-01"), "2026-07-03T00:00:00.000Z"
J2, MADE = "job j2 of others: ", "2026-07-01T02:00:00.000Z"
PASSED = f"; it is passed, `tap-exports replay s --from {MADE} --to {MADE}` has it read again"


def made(job_id: str, hour: int, status: Status = Status.COMPLETED, **more: Any) -> Job:  # noqa: ANN401 - of `Job` or `Export`
    return job(job_id, status, created_at=START + timedelta(hours=hour), **more)


def collect(
    folder: Path,
    jobs: list[Job],
    bookmark: dict[str, Any],
    contents: dict[str, Any] | None = None,
    stall: float = 10 * DAY,
    opens: dict[str, Any] | None = None,
    **more: Any,  # noqa: ANN401 - of `Job` or `Export`
) -> tuple[Log, str, CollectingApi]:
    api, clock = CollectingApi(jobs, opens=opens), FakeClock(NOW)
    export = Export("exelensia", "s", {"schema_id": "x"}, **{"replication_key": "created_at", "start": START, **more})
    read = reader(api, Files(folder, contents or ROWS), clock)
    state = StreamState.detached("s", bookmark)
    log, error = play(CollectRun(export, api, read, state, clock, stall_seconds=stall), bookmark)
    return log, message(error) if error else "", api


def open_entry(job_id: str, requested_at: str, **files: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    fingerprint = Request("exelensia", "s", {"schema_id": "x", "job_id": job_id}).fingerprint
    return {"id": job_id, "fingerprint": fingerprint, "window": None, "requested_at": requested_at, "files": files}


def done(value: str, *jobs: dict[str, Any]) -> dict[str, Any]:
    return {
        "replication_key": "created_at",
        "replication_key_value": value,
        "ledger": {"version": 2, "jobs": list(jobs), "delete": []},
    }


def test_completed_jobs_are_read_oldest_first(tmp_path: Path) -> None:
    """The bookmark moves to just before the next job, and to the end of the window after the last one."""
    log, error, api = collect(tmp_path, [made("j1", 1), made("j2", 2)], {})
    assert [event for event in log if event[0] != "rows"] == [
        ("state", {"replication_key": "created_at", "replication_key_value": "2026-07-01T00:59:59.999Z"}),
        ("receipt", "j1", "completed", 1),
        ("state", done("2026-07-01T01:59:59.999Z")),
        ("receipt", "j2", "completed", 1),
        ("state", done(END)),
    ]
    assert (values(log), error) == (["1", "2"], "")
    assert api.windows == [Window(START, at(END))]


def test_a_second_run_reads_what_is_new(tmp_path: Path) -> None:
    """The window starts one millisecond after the bookmark; `end_date` bounds it."""
    _, _, api = collect(tmp_path, [], done("2026-07-01T12:00:00.000Z"), until=at("2026-07-02"))
    assert api.windows == [Window(at("2026-07-01T12:00:00.001Z"), at("2026-07-02"))]
    assert collect(tmp_path, [made("j1", 1)], done(END))[0] == []


def test_an_open_job_stops_the_run(tmp_path: Path) -> None:
    """The bookmark stays before a job that is not terminal, of a known status or not, and before all after it."""
    for status in (Status.PENDING, Status.RUNNING, Status.UNKNOWN):
        log, error, _ = collect(tmp_path, [made("j1", 1), made("j2", 2, status), made("j3", 3)], {})
        assert (values(log), bookmarks(log)[-1], error) == (["1"], "2026-07-01T01:59:59.999Z", "")


@pytest.mark.parametrize("status", [Status.PENDING, Status.RUNNING, Status.UNKNOWN])
def test_a_job_that_never_ends_is_passed(tmp_path: Path, caplog: pytest.LogCaptureFixture, status: Status) -> None:
    """Once it has not changed for `job_stall_timeout_seconds`, with a receipt: the jobs behind it are read."""
    jobs = [made("j1", 1), made("j2", 2, status, raw_status="WAITING"), made("j3", 3)]
    log, error, _ = collect(tmp_path, jobs, {}, stall=3600)
    assert (values(log), bookmarks(log)[-1], error) == (["1", "3"], END, "")
    assert receipts(log)[1] == ("receipt", "j2", "stalled", 0)
    assert 's: job j2: it is "WAITING", without a change for 3600 s (job_stall_timeout_seconds)' in caplog.text


def test_a_job_that_changes_is_not_passed(tmp_path: Path) -> None:
    """Its age counts from the last change that the provider shows, but no job may be open for more than a week."""
    young = made("j1", 1, Status.RUNNING, updated_at=NOW - timedelta(minutes=59))
    log, _, _ = collect(tmp_path, [young, made("j2", 2)], {}, stall=3600)
    assert (values(log), receipts(log)) == ([], [])
    old = made("j1", -8 * 24, Status.RUNNING, updated_at=NOW)
    log, _, _ = collect(tmp_path, [old, made("j2", 2)], {}, stall=3600, start=at("2026-01-01"))
    assert (values(log), receipts(log)[0]) == (["2"], ("receipt", "j1", "stalled", 0))


def test_a_list_of_jobs_that_is_not_whole_moves_nothing(tmp_path: Path) -> None:
    """No job is read and no bookmark moves before all jobs are known: one that is missing would be passed."""

    def jobs() -> Iterator[Job]:
        yield made("j1", 1)
        raise CountError("8 reads differ")

    bookmark: dict[str, Any] = {}
    log, error, _ = collect(tmp_path, jobs(), bookmark)  # type: ignore[arg-type] # read once
    assert (log, bookmark, error) == ([], {}, "CountError: 8 reads differ")


def test_jobs_come_in_any_order(tmp_path: Path) -> None:
    """They are read by their age, so that the bookmark passes none."""
    log, _, _ = collect(tmp_path, [made("j3", 3), made("j1", 1), made("j2", 2)], {})
    assert values(log) == ["1", "2", "3"]


def test_jobs_of_one_millisecond_are_passed_together(tmp_path: Path) -> None:
    """A job that cannot be read keeps the bookmark before the other jobs of its instant, which come again."""
    same = [made("j1", 1), made("j2", 1)]
    bookmark: dict[str, Any] = {}
    log, error, _ = collect(tmp_path, same, bookmark, {**ROWS, "j2": BadContentError("HTML")})
    assert (values(log), bookmarks(log), error) == (["1"], ["2026-07-01T00:59:59.999Z"], "BadContentError: HTML")
    log, _, api = collect(tmp_path, same, bookmark)
    assert (values(log), bookmarks(log)) == (["1", "2"], [END])
    assert api.windows == [Window(at("2026-07-01T01:00:00Z"), at(END))]


def test_an_open_job_of_the_same_millisecond_holds_the_bookmark(tmp_path: Path) -> None:
    """The bookmark never passes the instant of a job that is still open."""
    log, _, _ = collect(tmp_path, [made("j1", 1), made("j2", 1, Status.RUNNING)], {})
    assert (values(log), bookmarks(log)) == (["1"], ["2026-07-01T00:59:59.999Z"])


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED, Status.TIMED_OUT])
def test_failed_jobs_of_others_are_passed(tmp_path: Path, status: Status) -> None:
    """They have no rows and never will; the receipt says how they ended."""
    log, error, _ = collect(tmp_path, [made("j1", 1, status), made("j2", 2)], {})
    assert receipts(log) == [("receipt", "j1", status.value, 0), ("receipt", "j2", "completed", 1)]
    assert (values(log), bookmarks(log)[-1], error) == (["2"], END, "")


@pytest.mark.parametrize("error", [JobLostError("404"), FileGoneError("no file")])
def test_a_job_of_others_that_is_gone_is_passed(tmp_path: Path, error: Exception) -> None:
    """The run that meets it fails at its end, with a receipt; later jobs are read, and no later run meets it again."""
    jobs, bookmark = [made("j1", 1), made("j2", 2), made("j3", 3)], dict[str, Any]()
    log, failure, _ = collect(tmp_path, jobs, bookmark, {**ROWS, "j2": error})
    assert (values(log), failure) == (["1", "3"], f"{type(error).__name__}: {J2}{error}{PASSED}")
    assert receipts(log)[1] == ("receipt", "j2", "lost", 0)
    assert bookmark == done(END)
    assert [collect(tmp_path, jobs, bookmark, {**ROWS, "j2": error})[1] for _ in range(2)] == ["", ""]


def test_a_job_that_is_not_found_once_is_read(tmp_path: Path) -> None:
    """A replica that has not heard of it answers one request or two."""
    api_opens = {"j1": [JobLostError("404"), JobLostError("404"), [RemoteFile("export.csv", "j1")]]}
    log, failure, _ = collect(tmp_path, [made("j1", 1)], {}, opens=api_opens)
    assert (values(log), failure, bookmarks(log)[-1]) == (["1"], "", END)


def test_a_young_job_that_is_not_found_is_left_to_the_next_run(tmp_path: Path) -> None:
    """It may not have arrived everywhere: the bookmark stays before it, and the next run reads it."""
    young, bookmark = job("j1", created_at=NOW - timedelta(minutes=4)), dict[str, Any]()
    log, failure, _ = collect(tmp_path, [young], bookmark, {"j1": JobLostError("404")}, settling_seconds=0)
    assert (values(log), failure) == ([], "JobLostError: 404")
    log, failure, _ = collect(tmp_path, [young], bookmark, settling_seconds=0)
    assert (values(log), failure) == (["1"], "")


@pytest.mark.parametrize("error", [BadContentError("HTML"), UrlRefusedError("403")])
def test_a_job_of_others_that_is_broken_is_passed_in_a_second_run(tmp_path: Path, error: Exception) -> None:
    """Bad contents may be a blip: the bookmark stays before the job once. The third run meets it no more."""
    jobs, bookmark, contents = [made("j1", 1), made("j2", 2), made("j3", 3)], dict[str, Any](), {**ROWS, "j2": error}
    log, failure, _ = collect(tmp_path, jobs, bookmark, contents)
    assert (values(log), failure) == (["1"], f"{type(error).__name__}: {error}")
    log, failure, _ = collect(tmp_path, jobs[1:], bookmark, contents)
    assert (values(log), failure) == (["3"], f"{type(error).__name__}: {J2}{error}{PASSED}")
    assert receipts(log)[0] == ("receipt", "j2", "failed", 0)
    assert bookmark == done(END)
    assert collect(tmp_path, [], bookmark, contents)[:2] == ([], "")


def test_an_outage_passes_no_job(tmp_path: Path) -> None:
    """What may be otherwise tomorrow holds the bookmark in every run."""
    bookmark, contents = dict[str, Any](), {**ROWS, "j1": TryAgainError("down")}
    for _ in range(3):
        assert collect(tmp_path, [made("j1", 1), made("j2", 2)], bookmark, contents)[1] == "TryAgainError: down"
    assert bookmark["replication_key_value"] == "2026-07-01T00:59:59.999Z"


def test_a_broken_read_goes_on_inside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger holds how far one job is read, and the next run skips what STATE covers."""
    monkeypatch.setattr(files_module, "ROWS_PER_CHECKPOINT", 1)
    log, _, _ = collect(tmp_path, [made("j1", 1)], {})
    covered = {"etag": None, "sha256": sha256(ROWS["j1"]), "rows": 1}
    entry = open_entry("j1", "2026-07-01T01:00:00.000Z", **{"export.csv": covered})
    assert states(log)[1] == done("2026-07-01T00:59:59.999Z", entry)
    log, _, _ = collect(tmp_path, [made("j1", 1)], states(log)[1])
    assert (values(log), receipts(log)) == ([], [("receipt", "j1", "completed", 1)])


def test_what_is_read_of_a_job_outlives_a_move_of_the_bookmark(tmp_path: Path) -> None:
    """The bookmark that moves up to a job leaves alone what the ledger knows of that job."""
    covered = {"etag": None, "sha256": sha256(ROWS["j1"]), "rows": 1}
    entry = open_entry("j1", "2026-07-01T01:00:00.000Z", **{"export.csv": covered})
    log, _, _ = collect(tmp_path, [made("j1", 1)], done("2026-06-30T23:59:59.999Z", entry))
    assert (values(log), receipts(log)) == ([], [("receipt", "j1", "completed", 1)])
    assert bookmarks(log) == ["2026-07-01T00:59:59.999Z", END]


def test_the_ledger_keeps_one_job(tmp_path: Path) -> None:
    """What earlier runs left of jobs that vanished since does not pile up."""
    old = [open_entry(f"old{n}", "2026-06-01T00:00:00.000Z") for n in range(3)]
    bookmark = done("2026-07-01T00:00:00.000Z", *old)
    log, _, _ = collect(tmp_path, [made("j1", 1)], bookmark, {"j1": BadContentError("HTML")})
    assert receipts(log) == [("receipt", "j1", "failed", 0)]
    entry = {**open_entry("j1", "2026-07-01T01:00:00.000Z"), "bad_reads": 1}
    assert bookmark == done("2026-07-01T00:59:59.999Z", entry)
    collect(tmp_path, [], bookmark)
    assert bookmark == done(END)


def test_without_a_replication_key_there_is_no_bookmark(tmp_path: Path) -> None:
    """Every run reads all jobs then, and the ledger ends empty."""
    bookmark: dict[str, Any] = {}
    jobs = [made("j1", 1), job("j2")]
    collect(tmp_path, jobs, bookmark, {**ROWS, "j2": BadContentError("HTML")}, replication_key=None)
    assert [entry["id"] for entry in bookmark["ledger"]["jobs"]] == ["j2"]
    log, _, _ = collect(tmp_path, jobs, bookmark, replication_key=None)
    assert (values(log), bookmark) == (["1", "2"], {"ledger": {"version": 2, "jobs": [], "delete": []}})
