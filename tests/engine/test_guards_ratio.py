"""`min_rows_ratio`: the rows of a job against those of the last ones, which STATE keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tap_exports.engine.jobs import Outcome
from tap_exports.engine.ledger import StreamState, check_state
from tap_exports.engine.model import Event, Proven, Request, Status, Window
from tap_exports.engine.read.guards import GuardedReader, Guards, usual_rows
from tap_exports.engine.read.tally import Tally
from tap_exports.errors import GuardError, StateError
from tests.engine.fakes import FakeClock
from tests.engine.scripted import at, job, window

DAY = window("2026-07-01", "2026-07-02")
HALF = window("2026-07-02", "2026-07-02T12:00:00Z")


class Counted:
    """Reads as many rows as it is told."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def read(self, outcome: Outcome, state: StreamState, tally: Tally) -> Iterator[Event]:
        tally.rows += self.rows
        yield Proven()


def read(state: StreamState, rows: int, asked: Window | None = None, ratio: float | None = 0.5) -> None:
    guarded = GuardedReader(Counted(rows), Guards(min_rows_ratio=ratio), FakeClock())
    outcome = Outcome(Request("p", "s", {}, asked), job("j9", Status.COMPLETED), at("2026-07-01"), 0.0, 1)
    list(guarded.read(outcome, state, Tally()))


def state_of(bookmark: dict[str, Any]) -> StreamState:
    return StreamState.detached("s", bookmark)


def test_too_few_rows_stop_before_the_bookmark_moves() -> None:
    """The message says what is usual, and how to go on; the refused job is not counted."""
    bookmark: dict[str, Any] = {}
    state = state_of(bookmark)
    for rows in (2_000_000, 1_900_000, 2_100_000):
        read(state, rows)
    with pytest.raises(GuardError) as error:
        read(state, 0)
    assert error.value.message == (
        "s, job j9: 0 rows where 2,000,000 are usual, min_rows_ratio is 0.5; the window stays open; "
        "to accept them, set min_rows_ratio to 0 for one run"
    )
    assert [rows for rows, _ in state.counts] == [2_000_000, 1_900_000, 2_100_000]
    read(state, 0, ratio=0)
    assert state.counts[-1] == (0, None)
    check_state({"bookmarks": {"s": bookmark}})


def test_nothing_is_usual_before_three_jobs() -> None:
    state = state_of({})
    for rows in (1000, 1000, 0):
        read(state, rows)
    with pytest.raises(GuardError):
        read(state, 499)
    read(state, 500)


def test_windows_count_by_their_length() -> None:
    """Half a day is due half of a day's rows; full exports do not count."""
    state = state_of({})
    for rows in (10, 1000, 1000, 1000):
        read(state, rows, None if rows == 10 else DAY)
    read(state, 250, HALF)
    with pytest.raises(GuardError, match=r"249 rows where 500 are usual"):
        read(state, 249, HALF)
    assert usual_rows(state.counts, None) is None


def test_the_last_seven_are_kept() -> None:
    state = state_of({})
    for rows in range(10):
        read(state, rows, ratio=0)
    assert [rows for rows, _ in state.counts] == [3, 4, 5, 6, 7, 8, 9]


def test_without_the_setting_state_holds_no_counts() -> None:
    bookmark: dict[str, Any] = {}
    read(state_of(bookmark), 5, ratio=None)
    assert bookmark == {}


@pytest.mark.parametrize("counts", [5, [5], [["a", None]], [[1, "x"]], [[1, None, 2]]])
def test_counts_that_cannot_be_read_are_refused(counts: object) -> None:
    state = {"bookmarks": {"s": {"ledger": {"version": 2, "jobs": [], "delete": [], "counts": counts}}}}
    with pytest.raises(StateError, match="holds an entry that cannot be read"):
        check_state(state)
