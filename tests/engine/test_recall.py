"""Without STATE, a job of the very same request is read in place of a new one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Job, Request, Status, Window
from tap_exports.engine.run.created import Export, ExportRun
from tap_exports.errors import TapError, TryAgainError
from tests.engine.fakes import FakeClock
from tests.engine.scripted import NOW, Files, Log, ScriptedApi, at, job, lifecycle, play, reader, receipts, window

Raw = dict[str, Any]
JULY_1 = window("2026-07-01", "2026-07-01T23:59:59.999Z")
JULY_2 = window("2026-07-01T23:59:59.999Z", "2026-07-02T23:59:59.999Z")
LAST = window("2026-07-02T23:59:59.999Z", "2026-07-03")
FRESH = NOW - timedelta(seconds=600)
DAYS = Export("exelensia", "s", {"x": 1}, replication_key="created_at", start=at("2026-07-01"), max_window_days=1)
FULL = Export("cornect", "s", {"x": 1})


class RecallingApi(ScriptedApi):
    """One that shows the jobs of a request."""

    def __init__(self, *found: tuple[Job, Window | None] | TapError, costs: bool = False) -> None:
        super().__init__([job(f"new{n}") for n in range(9)])
        self._found, self.costs = found, costs
        self.asked: list[datetime] = []

    def earlier(self, request: Request, since: datetime) -> Iterator[tuple[Job, Window | None]]:
        assert request.window is None
        self.asked.append(since)
        for each in self._found:
            if isinstance(each, TapError):
                raise each
            yield each

    def delete(self, job_id: str) -> None:
        self.calls.append(f"delete {job_id}")


@dataclass
class Stage:
    """A run over an api; what it leaves is its bookmark."""

    folder: Path
    api: RecallingApi
    bookmark: Raw = field(default_factory=dict)

    def play(self, asked: Export = DAYS, **settings: Any) -> tuple[Log, Exception | None]:  # noqa: ANN401 - of `JobSettings`
        clock = FakeClock(NOW)
        names = ["j1", "j2", "j3", *(f"new{n}" for n in range(9))]
        files = Files(self.folder, dict.fromkeys(names, b"a\n1\n"))
        state = StreamState.detached("s", self.bookmark)
        chased = lifecycle(self.api, clock, **settings)
        return play(ExportRun(asked, chased, reader(self.api, files, clock), state, clock), self.bookmark)


def jobs(log: Iterable[Any]) -> list[str]:
    return [event[1] for event in receipts(list(log))]


def test_jobs_of_the_same_windows_are_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One that is done and one that still runs; the run plans around them, and the log names both."""
    running = job("j2", Status.RUNNING, created_at=at("2026-07-03T00:00:59.999Z"))
    api = RecallingApi((job("j1", created_at=FRESH), JULY_1), (running, JULY_2))
    log, error = Stage(tmp_path, api).play()
    assert (jobs(log), error) == (["j1", "j2", "new0"], None)
    assert [request.window for request in api.requests] == [LAST]
    assert all(f"there is no STATE, and job {name} of " in caplog.text for name in ("j1", "j2"))


def test_a_last_window_that_ended_earlier_is_read_and_the_rest_requested(tmp_path: Path) -> None:
    """The end of a range is now, so it differs in each run: what is behind it is a window of its own."""
    earlier = Window(at("2026-07-01"), FRESH - timedelta(seconds=90))
    api = RecallingApi((job("j1", created_at=FRESH), earlier))
    export = Export("exelensia", "s", {"x": 1}, replication_key="created_at", start=at("2026-07-01"))
    log, error = Stage(tmp_path, api).play(export)
    assert (jobs(log), error) == (["j1", "new0"], None)
    assert [request.window for request in api.requests] == [Window(earlier.end, at("2026-07-03"))]


OLD = NOW - timedelta(seconds=3601)


@pytest.mark.parametrize(
    ("found", "asked"),
    [
        ((job("j1", created_at=OLD), JULY_1), JULY_1),
        ((job("j1", Status.FAILED, created_at=FRESH), JULY_1), JULY_1),
        ((job("j1"), JULY_1), JULY_1),
        ((job("j1", created_at=FRESH), Window(at("2026-07-01"), FRESH - timedelta(seconds=61))), JULY_1),
        ((job("j1", created_at=FRESH), window("2026-07-01T00:00:00.001Z", "2026-07-01T23:59:59.999Z")), JULY_1),
        ((job("j1", created_at=FRESH), None), JULY_1),
        ((job("j1", created_at=FRESH), window("2026-07-01", "2026-07-01T12:00:00Z")), JULY_1),
    ],
    ids=["old", "failed", "undated", "longer", "later", "full", "ends earlier"],
)
def test_other_jobs_are_not_read(tmp_path: Path, found: tuple[Job, Window | None], asked: Window) -> None:
    """What failed, is stale, reaches further than the window or was made before the window was over."""
    api = RecallingApi(found)
    log, _ = Stage(tmp_path, api).play()
    assert (jobs(log)[0], api.requests[0].window) == ("new0", asked)


def test_a_job_that_was_made_before_its_window_was_settled_is_not_read(tmp_path: Path) -> None:
    """Somebody may have asked for a day that was not over: rows that came later are not in it."""
    log, error = Stage(tmp_path, RecallingApi((job("j1", created_at=FRESH), LAST))).play()
    assert (jobs(log), error) == (["new0", "new1", "new2"], None)


@pytest.mark.parametrize(("hours", "read"), [(24, ["j1"]), (25, ["new0"])])
def test_a_job_that_still_runs_may_be_older(tmp_path: Path, hours: int, read: list[str]) -> None:
    """As old as a job may become (`job_timeout_seconds`)."""
    running = job("j1", Status.RUNNING, created_at=NOW - timedelta(hours=hours))
    log, _ = Stage(tmp_path, RecallingApi((running, None))).play(FULL)
    assert jobs(log) == read


def test_an_old_job_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is created a second time without a word."""
    Stage(tmp_path, RecallingApi((job("j1", created_at=OLD), JULY_1))).play()
    assert "older than job_reuse_seconds (3600): j1; another one is created" in caplog.text


@pytest.mark.parametrize(("age", "read"), [(3600, ["j1"]), (3601, ["new0"])])
def test_a_full_export_is_as_good_as_new_for_a_while(tmp_path: Path, age: int, read: list[str]) -> None:
    """It shows what stood there when it was made, so it has to be fresh; the most recent one is read."""
    made = NOW - timedelta(seconds=age)
    older = (job("j3", created_at=made - timedelta(seconds=1)), None)
    log, error = Stage(tmp_path, RecallingApi(older, (job("j1", created_at=made), None))).play(FULL)
    assert (jobs(log), error) == (read, None)


def test_with_state_nothing_is_looked_for(tmp_path: Path) -> None:
    """The look costs a request: only the first run of a stream pays it."""
    stage = Stage(tmp_path, RecallingApi((job("j1", created_at=FRESH), None)))
    stage.play(FULL)
    log, _ = stage.play(FULL)
    assert (len(stage.api.asked), jobs(log)) == (1, ["new0"])


def test_zero_turns_it_off(tmp_path: Path) -> None:
    api = RecallingApi((job("j1", created_at=FRESH), None))
    log, _ = Stage(tmp_path, api).play(FULL, job_reuse_seconds=0)
    assert (api.asked, jobs(log)) == ([], ["new0"])


@pytest.mark.parametrize("costs", [False, True], ids=["free", "paid"])
def test_a_look_that_fails_stops_paid_jobs_only(tmp_path: Path, costs: bool) -> None:  # noqa: FBT001 - a parameter
    """What is optional may not stop data; money is not spent on a guess."""
    stage = Stage(tmp_path, RecallingApi(TryAgainError("503"), costs=costs))
    log, error = stage.play(FULL)
    assert (isinstance(error, TryAgainError), jobs(log)) == (costs, [] if costs else ["new0"])
    assert stage.api.calls.count("submit") == (not costs)


def test_a_job_that_was_there_is_never_deleted(tmp_path: Path) -> None:
    """Nobody knows who created it; a job that this run created is scheduled for deletion as ever."""
    export = Export(**{**{f: getattr(DAYS, f) for f in DAYS.__slots__}, "delete_after_load": True})
    stage = Stage(tmp_path, RecallingApi((job("j1", created_at=FRESH), JULY_1)))
    stage.play(export)
    assert stage.bookmark["ledger"]["delete"] == ["new0", "new1"]
