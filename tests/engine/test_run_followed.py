from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from tap_exports.engine.clock import MILLISECOND, to_text
from tap_exports.engine.jobs import Outcome
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Job, Proven, Request, Status, Window
from tap_exports.engine.read.files import Reads
from tap_exports.engine.run.followed import FollowRun
from tap_exports.errors import BadContentError, FileGoneError, TapError
from tests.engine.fakes import FakeClock
from tests.engine.scripted import NOW, ScriptedApi, job, lifecycle


class Nothing:
    """A reader of files without a row."""

    def read(self, *_args: object) -> Any:  # noqa: ANN401 - events
        yield Proven()


@dataclass
class Broken:
    """A reader that cannot read the file of one job."""

    error: TapError

    def read(self, outcome: Outcome, *_args: object) -> Any:  # noqa: ANN401 - events
        if outcome.job.id == "j1":
            raise self.error
        yield Proven()


def window(days: int) -> Window:
    end = NOW - timedelta(days=days)
    return Window(end - timedelta(days=1) + MILLISECOND, end)


@dataclass
class Case:
    """A follower of two jobs, one for each of two windows, and how far its leader has come."""

    first: list[Status]
    proven: int
    bookmark: dict[str, Any] = field(default_factory=dict)
    reader: Reads = field(default_factory=Nothing)
    bad_reads: int = 0
    look: Callable[[StreamState], None] = lambda _state: None

    def read(self) -> StreamState:
        leading = dict[str, Any]()
        state, leader = StreamState.detached("errors", self.bookmark), StreamState.detached("rows", leading)
        for number in (1, 2):
            request = Request("packagex", "rows", {"n": number}, window(3 - number))
            state.opened(request, Job(f"j{number}", Status.PENDING), NOW)
            if number == 1 and self.bad_reads:
                state.note_bad_read(request.fingerprint, None)
        leader.advance("created_at", to_text(NOW - timedelta(days=self.proven)))
        api = ScriptedApi(polls={"j1": [job("j1", status) for status in self.first], "j2": [job("j2")]})
        clock = FakeClock(NOW)
        chased = lifecycle(api, clock)
        run = FollowRun("packagex", "errors", "created_at", chased, self.reader, state, leader, clock)
        for _ in run.events():
            self.look(state)
        return state

    @property
    def covers(self) -> str | None:
        value: str | None = self.bookmark.get("replication_key_value")
        return value


@pytest.mark.parametrize(("first", "proven"), [(Status.FAILED, 3), (Status.COMPLETED, 1)])
def test_the_bookmark_never_passes_that_of_the_leader(first: Status, proven: int) -> None:
    """The leader stands before a window whose job failed: what a follower read behind it is read, but not covered."""
    case = Case([first], proven)
    state = case.read()
    assert case.covers == (to_text(window(1).end) if first is Status.COMPLETED else None)
    assert state.entries == []


def test_a_replica_that_lags_is_asked_again() -> None:
    """The leader has read the job, so that it is completed whatever one replica still shows."""
    case = Case([Status.RUNNING, Status.COMPLETED], 1)
    state = case.read()
    assert (case.covers, state.entries) == (to_text(window(1).end), [])


def test_the_bookmark_never_passes_a_job_that_is_kept() -> None:
    """A job that the leader let go before its end stays for the next run, and what is behind it is not covered."""
    case = Case([Status.RUNNING], 3)
    state = case.read()
    assert (case.covers, [entry.id for entry in state.entries]) == (None, ["j1"])


@pytest.mark.parametrize(("error", "bad_reads"), [(FileGoneError("404"), 0), (BadContentError("HTML"), 1)], ids=str)
def test_rows_that_are_lost_are_said_before_state_goes_on_without_them(
    caplog: pytest.LogCaptureFixture, error: TapError, bad_reads: int
) -> None:
    """The run may die behind that STATE and before its end: no other run would know of the job."""
    said: list[bool] = []

    def look(state: StreamState) -> None:
        if not said and "j1" not in {entry.id for entry in state.entries}:
            said.append("job j1" in caplog.text and "its rows are lost" in caplog.text)

    case = Case([Status.COMPLETED], 1, reader=Broken(error), bad_reads=bad_reads, look=look)
    with pytest.raises(TapError, match="its rows are lost"):
        case.read()
    assert said == [True]
