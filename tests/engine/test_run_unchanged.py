"""`lookback_rows`: rows that come again unchanged are left out, late and changed ones are not."""

from __future__ import annotations

import copy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tap_exports.engine.ledger import StreamState, check_state
from tap_exports.engine.model import Page, Status
from tap_exports.engine.read.tally import Limits
from tap_exports.engine.run.created import Export, ExportRun
from tap_exports.engine.run.listed import Listing, ListRun
from tap_exports.engine.run.reopened import reopen_since, reopen_window
from tap_exports.engine.run.unchanged import UnchangedRun
from tap_exports.errors import BadContentError, StateError
from tests.engine.fakes import FakeClock
from tests.engine.scripted import Files, FindingApi, Log, at, job, layout, lifecycle, play, reader, values, window

START, DAY = at("2026-07-01"), timedelta(days=1)
Rows = list[str]


class Story:
    """One stream over several runs, three hours apart; each shows the rows of `lookback` and the new ones."""

    def __init__(self, folder: Path, kind: str = "export", most: int = 100) -> None:
        self.folder, self.kind, self.most = folder, kind, most
        self.clock, self.bookmark = FakeClock(at("2026-07-03")), dict[str, Any]()
        self.names: list[str] = []

    def run(self, rows: Rows, spoilt: Exception | None = None) -> Log:
        state = StreamState.detached("s", self.bookmark)
        inner = self._export(rows, state, spoilt) if self.kind == "export" else self._list(rows, state)
        log, error = play(UnchangedRun("s", inner, state, self.most), self.bookmark)
        assert (error is None) == (spoilt is None)
        check_state({"bookmarks": {"s": self.bookmark}})
        self.clock.advance(3 * 3600)
        return log

    def _export(self, rows: Rows, state: StreamState, spoilt: Exception | None) -> ExportRun | ListRun:
        self.names += [f"j{len(self.names)}", f"j{len(self.names) + 1}"]
        api = FindingApi([job(name, Status.PENDING) for name in self.names[-2:]])
        content = spoilt or ("a\n" + "".join(f"{row}\n" for row in rows)).encode()
        files = Files(self.folder, dict.fromkeys(self.names, content))
        asked = Export("p", "s", {}, "created_at", start=START, lookback=DAY)
        return ExportRun(asked, lifecycle(api, self.clock), reader(api, files, self.clock), state, self.clock)

    def _list(self, rows: Rows, state: StreamState) -> ExportRun | ListRun:
        items = [{"a": row, "at": "2026-07-02T20:00:00.000Z"} for row in rows]
        page = Page(items, total=len(rows), last=True)
        listing = Listing("s", lambda _: [lambda: iter([page])], ("a",), "at", start=START, lookback=DAY)
        return ListRun(listing, layout, Limits(), state, self.clock)


@pytest.mark.parametrize("kind", ["export", "list"])
def test_only_what_is_new_or_changed_comes_again(tmp_path: Path, kind: str) -> None:
    """Late rows and changed ones come, unchanged ones do not, and what changes back comes too."""
    story = Story(tmp_path, kind)
    assert values(story.run(["1", "2", "3"])) == ["1", "2", "3"]
    assert values(story.run(["1", "2", "3"])) == []
    assert values(story.run(["late", "1", "2b", "3", "4"])) == ["late", "2b", "4"]
    assert values(story.run(["late", "1", "2", "3", "4"])) == ["2"]


def test_how_often_a_row_stands_counts(tmp_path: Path) -> None:
    """Two equal rows are two rows."""
    story = Story(tmp_path)
    assert values(story.run(["1", "1"])) == ["1", "1"]
    assert values(story.run(["1", "1", "1"])) == ["1"]
    assert values(story.run(["1", "1", "1"])) == []


def test_beyond_the_bound_rows_come_again(tmp_path: Path) -> None:
    """STATE holds no more than so many; those that were read first are forgotten."""
    story = Story(tmp_path, most=3)
    rows = [str(n) for n in range(10)]
    assert values(story.run(rows)) == rows
    assert values(story.run(rows)) == rows[:7]
    assert len(story.bookmark["ledger"]["sent"]) == 32


def test_no_row_is_left_out_that_no_state_covers(tmp_path: Path) -> None:
    """P4: from each STATE that was written, the next run brings whatever was not written before it."""
    story, rows = Story(tmp_path), [str(n) for n in range(5)]
    seen: list[str] = []
    for event in story.run(rows):
        seen += [row["a"] for row in event[1]] if event[0] == "rows" else []
        if event[0] == "state":
            again = Story(tmp_path)
            again.clock, again.bookmark, again.names = story.clock, copy.deepcopy(event[1]), list(story.names)
            assert {*seen, *values(again.run(rows))} == {*rows}


def test_a_run_that_reads_nothing_forgets_nothing(tmp_path: Path) -> None:
    """A job that fails, or nothing that is due, leaves what STATE knows."""
    story = Story(tmp_path)
    story.run(["1", "2"])
    sent = story.bookmark["ledger"]["sent"]
    story.run([], BadContentError("HTML"))
    assert story.bookmark["ledger"]["sent"] == sent
    story.bookmark["ledger"]["jobs"] = []
    assert values(story.run(["1", "2"])) == []


def test_what_is_to_be_read_again_comes_again() -> None:
    """`replay` and `backfill` want the rows."""
    for is_window in (True, False):
        state = StreamState.detached("s", {"replication_key_value": "2026-07-03T00:00:00.000Z"})
        state.keep_sent(b"12345678")
        if is_window:
            assert reopen_window(state, "created_at", window("2026-07-01", "2026-07-02"), START)
        else:
            assert reopen_since(state, "created_at", START)
        assert state.sent == b""


def test_state_that_is_no_text_of_digests_is_refused() -> None:
    with pytest.raises(StateError):
        check_state({"bookmarks": {"s": {"ledger": {"version": 2, "sent": "%"}}}})
