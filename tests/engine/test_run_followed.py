from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from tap_exports.engine.clock import MILLISECOND, to_text
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Job, Proven, Request, Status, Window
from tap_exports.engine.run.followed import FollowRun
from tests.engine.fakes import FakeClock
from tests.engine.scripted import NOW, ScriptedApi, job, lifecycle


class Nothing:
    """A reader of files without a row."""

    def read(self, *_args: object) -> Any:  # noqa: ANN401 - events
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

    def read(self) -> StreamState:
        leading = dict[str, Any]()
        state, leader = StreamState.detached("errors", self.bookmark), StreamState.detached("rows", leading)
        for number in (1, 2):
            request = Request("packagex", "rows", {"n": number}, window(3 - number))
            state.opened(request, Job(f"j{number}", Status.PENDING), NOW)
        leader.advance("created_at", to_text(NOW - timedelta(days=self.proven)))
        api = ScriptedApi(polls={"j1": [job("j1", status) for status in self.first], "j2": [job("j2")]})
        clock = FakeClock(NOW)
        chased = lifecycle(api, clock)
        run = FollowRun("packagex", "errors", "created_at", chased, Nothing(), state, leader, clock)
        for _ in run.events():
            pass
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
