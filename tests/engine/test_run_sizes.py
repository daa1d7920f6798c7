"""`window_size: auto`: windows that are too large are cut, small ones grow, and no row is lost or comes twice."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tap_exports.engine.clock import MILLISECOND
from tap_exports.engine.ledger import StreamState, check_state
from tap_exports.engine.model import Job, LocalFile, RemoteFile, Request, Status, Window
from tap_exports.engine.read.files import FileReader
from tap_exports.engine.read.tally import Limits
from tap_exports.engine.run.created import Export, ExportRun
from tap_exports.errors import BadContentError, RefusedError, StateError, TooLargeError
from tests.engine.fakes import FakeClock
from tests.engine.scripted import Log, at, layout, lifecycle, play, receipts, sha256, states, values

START, UNTIL = at("2026-05-01"), at("2026-05-31T23:59:59.999Z")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WAYS = ("413", "refused", "timed out", "failed for size", "rows left out")


@dataclass
class Table:
    """A provider whose exports hold at most `most` rows; it refuses larger ones in one of the `WAYS`.

    Attributes:
        rows: Instants; the value of a row is its number.
        spoilt: Numbers of the jobs whose file is no CSV.
    """

    folder: Path
    rows: list[datetime]
    most: int = 10
    way: str = "413"
    spoilt: tuple[int, ...] = ()
    asked: list[Window] = field(default_factory=list)
    refused: int = 0

    def within(self, window: Window) -> list[int]:
        return [n for n, instant in enumerate(self.rows) if (window.start or START) <= instant <= window.end]

    def submit(self, request: Request) -> Job:
        assert request.window
        self.asked.append(request.window)
        is_large = len(self.within(request.window)) > self.most
        self.refused += is_large
        if is_large and self.way == "413":
            raise RefusedError("413 Content Too Large", 413)
        if is_large and self.way == "refused":
            raise TooLargeError("the range is too large")
        return Job(str(len(self.asked)), Status.PENDING, "pending")

    def find(self, request: Request, since: datetime, closed: Collection[str] = ()) -> Job | None:
        fits = request.window in self.asked and len(self.within(request.window)) <= self.most
        return Job(str(self.asked.index(request.window) + 1), Status.PENDING, "pending") if fits else None  # type: ignore[arg-type] # is in `asked`

    def poll(self, job: Job) -> Job:
        if len(self.within(self.asked[int(job.id) - 1])) <= self.most:
            return Job(job.id, Status.COMPLETED, "completed")
        if self.way == "timed out":
            return Job(job.id, Status.TIMED_OUT, "expired")
        if self.way == "failed for size":
            return Job(job.id, Status.FAILED, "failed", reason="more than the maximum of 10 rows")
        return Job(job.id, Status.COMPLETED, "completed", is_capped=True)

    def open(self, job: Job) -> list[RemoteFile]:
        return [RemoteFile("export.csv", job.id)]

    def download(self, remote: RemoteFile, again: Callable[[], RemoteFile]) -> LocalFile:
        number = int(remote.url)
        found = self.within(self.asked[number - 1])[: self.most]
        content = "a\n" + "".join(f"{n}\n" for n in found)
        if number in self.spoilt:
            raise BadContentError("HTML")
        path = self.folder / f"file-{remote.url}"
        path.write_text(content)
        return LocalFile(remote.name, path, len(content), sha256(content.encode()))


def asked(**more: Any) -> Export:  # noqa: ANN401 - of `Export`
    given = {"start": START, "until": UNTIL, "max_window_days": 31, "sizes_itself": True}
    return Export("p", "s", {}, "created_at", **{**given, **more})


def run(
    table: Table,
    bookmark: dict[str, Any],
    export: Export | None = None,
    clock: FakeClock | None = None,
    **more: Any,  # noqa: ANN401 - of `JobSettings`
) -> tuple[Log, str]:
    clock = clock or FakeClock(at("2026-07-03"))
    chased = lifecycle(table, clock, **{"max_concurrent_jobs": 1, **more})  # type: ignore[arg-type] # not scripted
    chased.settings = replace(chased.settings, **more)
    read = FileReader(table, table.download, layout, Limits(), clock)
    log, error = play(ExportRun(export or asked(), chased, read, StreamState.detached("s", bookmark), clock), bookmark)
    return log, str(error or "")


def every(step: timedelta, count: int) -> list[datetime]:
    """Return instants that lie on no bound of a window."""
    return [START + step * n + timedelta(milliseconds=500) for n in range(count)]


def numbers(count: int) -> list[str]:
    return [str(n) for n in range(count)]


@pytest.mark.parametrize("way", WAYS)
def test_a_window_that_is_too_large_comes_in_parts(tmp_path: Path, way: str) -> None:
    """Each row comes once, each part is proven alone, and the next run begins with the length that held."""
    table, bookmark = Table(tmp_path, every(6 * HOUR, 124), way=way), dict[str, Any]()
    log, error = run(table, bookmark)
    assert (sorted(values(log), key=int), error) == (numbers(124), "")
    assert bookmark["replication_key_value"] == "2026-05-31T23:59:59.999Z"
    assert [r[2] for r in receipts(log)].count("completed") == 16
    kept = bookmark["ledger"]["sized"]
    assert (timedelta(seconds=kept["seconds"]), bookmark["ledger"]["jobs"]) == (31 * DAY / 16, [])
    before = table.refused
    table.rows += [at("2026-06-01") + 6 * HOUR * n for n in range(100)]
    log, error = run(table, bookmark, asked(until=None))
    assert (sorted(values(log), key=int), error) == ([str(n) for n in range(124, 224)], "")
    assert table.refused == before


@pytest.mark.parametrize("unit", [timedelta(milliseconds=1), DAY])
def test_a_length_that_is_known_is_not_looked_for_again(tmp_path: Path, unit: timedelta) -> None:
    """The first part is halved down to the length that holds; what lies beside it is cut to that at once."""
    table, bookmark = Table(tmp_path, every(6 * HOUR, 128), most=4), dict[str, Any]()
    log, error = run(table, bookmark, asked(unit=unit, max_window_days=32, until=START + 32 * DAY - MILLISECOND))
    assert (sorted(values(log), key=int), error) == (numbers(128), "")
    assert (len(receipts(log)), table.refused) == (32, 9)  # by halves alone: 31
    assert bookmark["ledger"]["sized"] == {"seconds": 86_400, "small": 0, "too_many": 8}


@pytest.mark.parametrize("jobs", [1, 2, 16])
def test_the_windows_are_the_same_whatever_runs_at_once(tmp_path: Path, jobs: int) -> None:
    """P9: the rows carry the bounds of their window."""
    rows = [*every(6 * HOUR, 20), *every(DAY, 31), *(START + 20 * DAY + HOUR * n for n in range(60))]
    logs = []
    for at_once in (1, jobs):
        table = Table(tmp_path, sorted(rows))
        log, error = run(table, {}, asked(max_window_days=2), max_concurrent_jobs=at_once)
        assert error == ""
        logs.append([event for event in log if event[0] == "rows"])
    spans = [
        [(row["a"], row["_sdc_window_start"], row["_sdc_window_end"]) for e in log for row in e[1]] for log in logs
    ]
    assert spans[0] == spans[1]


def test_windows_grow_again(tmp_path: Path) -> None:
    """After eight small windows in a row the length doubles, until it is that of the configuration again."""
    table = Table(tmp_path, [START + timedelta(minutes=n) for n in range(100)], most=20)
    bookmark: dict[str, Any] = {"ledger": {"version": 2, "sized": {"seconds": 3600, "small": 0, "too_many": 100}}}
    log, error = run(table, bookmark, asked(max_window_days=1))
    assert (len(values(log)), error, "sized" in bookmark["ledger"]) == (100, "", False)
    lengths = [(w.end - (w.start or w.end)) / HOUR for w in table.asked]
    assert max(lengths) == pytest.approx(24, abs=0.01)
    assert len(table.asked) < 31 + 8 * 6 + 40


def test_windows_do_not_grow_to_what_was_too_much(tmp_path: Path) -> None:
    """A steady stream of rows: one refusal teaches the length, no further window is refused."""
    table, bookmark = Table(tmp_path, every(HOUR, 31 * 24), most=30), dict[str, Any]()
    log, error = run(table, bookmark, asked(max_window_days=2))
    assert (len(values(log)), error) == (31 * 24, "")
    assert table.refused <= 8  # those that were under way
    assert bookmark["ledger"]["sized"]["seconds"] == 86_400


@pytest.mark.parametrize("way", WAYS)
def test_what_is_never_small_enough_ends_soon(tmp_path: Path, way: str) -> None:
    """Three runs: a few requests each, then a message; nothing is proven."""
    table, bookmark = Table(tmp_path, every(HOUR, 744), most=-1, way=way), dict[str, Any]()
    for most in (40, 3, 3):
        before = len(table.asked)
        log, error = run(table, bookmark)
        assert (values(log), bookmark.get("replication_key_value")) == ([], None)
        assert len(table.asked) - before <= most
        assert error
    assert bookmark["ledger"]["sized"]["seconds"] <= 120


def test_a_part_that_fails_holds_no_other(tmp_path: Path) -> None:
    """Each half is proven alone, beyond the bookmark as well; the next run requests only the one that failed."""
    table, bookmark = Table(tmp_path, every(2 * DAY, 16), spoilt=(2, 4)), dict[str, Any]()
    log, error = run(table, bookmark)
    assert (error, values(log)) == ("HTML", numbers(16)[8:])
    assert [len(bookmark["ledger"][name]) for name in ("proven", "jobs")] == [1, 1]
    for said, due in (("HTML", []), ("", numbers(16)[:8])):
        table.spoilt = (2,)
        log, error = run(table, bookmark)
        assert (error, values(log)) == (said, due)
    assert (len(table.asked), "proven" in bookmark["ledger"]) == (4, False)


def test_a_stop_anywhere_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """From each STATE that was written the next run brings all that it does not cover, and no more."""
    table, bookmark = Table(tmp_path, every(6 * HOUR, 124)), dict[str, Any]()
    log, _ = run(table, bookmark)
    seen: list[str] = []
    for event in log:
        seen += [row["a"] for row in event[1]] if event[0] == "rows" else []
        if event[0] != "state":
            continue
        again, error = run(Table(tmp_path, table.rows, asked=list(table.asked)), event[1])
        assert error == ""
        assert sorted({*seen, *values(again)}, key=int) == numbers(124)


def test_parts_in_the_durable_ledger_go_before_the_window_that_was_too_large(tmp_path: Path) -> None:
    """The loader kept STATE in which the whole is open; the jobs of its halves are read, and none is created."""
    middle = at("2026-05-16T11:59:59.999Z")
    whole, *halves = (Window(START, UNTIL), Window(START, middle), Window(middle, UNTIL))
    bookmark = dict[str, Any]()
    state = StreamState.detached("s", bookmark)
    for number, window in enumerate([whole, *halves], 1):
        state.opened(asked().request(window), Job(str(number), Status.PENDING), START + number * HOUR)
    table = Table(tmp_path, every(2 * DAY, 16), asked=[whole, *halves])
    assert (values(run(table, bookmark)[0]), len(table.asked)) == (numbers(16), 3)


def test_rows_at_the_target_keep_the_cut(tmp_path: Path) -> None:
    """Where the start of a window is part of the key, its rows would come again under another one.

    The first export breaks behind its rows, and the provider then takes longer than it may for the whole: the window
    stays as it is, the message says how to cut it all the same.
    """
    table, bookmark = Table(tmp_path, every(DAY, 5), most=9), dict[str, Any]()
    by_key = asked(keeps_cuts=True)
    log, error = run(table, bookmark, by_key)
    cuts = [state["ledger"].get("cuts") for state in states(log)]
    assert (error, [["2026-05-01T00:00:00.000Z", "2026-05-31T23:59:59.999Z"]] in cuts) == ("", True)
    assert "cuts" not in bookmark["ledger"]

    sent = next(state for state in states(log) if state["ledger"].get("cuts"))
    sent["ledger"]["jobs"] = []  # the job is gone, its rows are at the target
    table.most, table.way = 3, "timed out"
    log, error = run(table, sent, by_key)
    assert (values(log), "primary_keys" in error, "window_size: fixed" in error) == ([], True, True)
    assert table.asked[-1] == table.asked[0]
    log, error = run(table, sent, asked(max_window_days=3, sizes_itself=False))
    assert (sorted(values(log)), error) == (numbers(5), "")
    assert "cuts" not in sent["ledger"]


def test_a_window_without_rows_at_the_target_is_cut(tmp_path: Path) -> None:
    """Nothing was written before the job timed out, so any cut will do."""
    table, bookmark = Table(tmp_path, every(DAY, 31), way="timed out"), dict[str, Any]()
    log, error = run(table, bookmark, asked(keeps_cuts=True))
    assert (sorted(values(log), key=int), error) == (numbers(31), "")


@pytest.mark.parametrize(("takes", "read"), [(False, []), (True, numbers(10))])
def test_rows_that_a_provider_leaves_out_are_not_lost_in_silence(
    tmp_path: Path,
    takes: bool,  # noqa: FBT001 - a parameter of pytest
    read: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """P1: a window of which rows were left out is not proven, unless `verify_counts` says so."""
    table, bookmark = Table(tmp_path, every(DAY, 31), way="rows left out"), dict[str, Any]()
    log, error = run(table, bookmark, asked(sizes_itself=False, takes_capped=takes))
    assert values(log) == read
    assert ("window_size: auto" in error and "verify_counts: warn" in error) != takes
    assert ("which are lost" in caplog.text) == takes


def test_an_open_beginning_cannot_be_cut(tmp_path: Path) -> None:
    table = Table(tmp_path, every(DAY, 31), way="timed out")
    assert "set start_date" in run(table, {}, asked(start=None))[1]


@pytest.mark.parametrize("unit", [timedelta(milliseconds=1), DAY])
@pytest.mark.parametrize("way", WAYS)
def test_detached_runs_cut_as_well(tmp_path: Path, way: str, unit: timedelta) -> None:
    """Parts are created while fewer than `max_concurrent_jobs` are open; the others by the next run."""
    table, bookmark, read = Table(tmp_path, every(6 * HOUR, 124), way=way), dict[str, Any](), list[str]()
    for _ in range(60):
        log, error = run(table, bookmark, asked(unit=unit), detach=True, max_concurrent_jobs=2)
        read += values(log)
        assert error == ""
    assert (sorted(read, key=int), bookmark["ledger"]["jobs"]) == (numbers(124), [])


def test_days_stay_whole(tmp_path: Path) -> None:
    """Where the provider takes days, parts end with one."""
    table = Table(tmp_path, every(6 * HOUR, 124))
    log, error = run(table, {}, asked(unit=DAY))
    assert (sorted(values(log), key=int), error) == (numbers(124), "")
    assert all(f"{w.end:%H:%M:%S.%f}" == "23:59:59.999000" for w in table.asked)


# Windows of a lookback, where their start is part of the key ----------------------------------------------------------


@pytest.mark.parametrize(("lookback", "longest"), [(0.5, 31), (1, 31), (2.5, 31), (40, 31), (3, 0.25)])
def test_rows_that_are_read_again_keep_the_start_of_their_window(
    tmp_path: Path, lookback: float, longest: float
) -> None:
    """Whenever a run ends, and from whatever STATE it begins, also behind a gap."""
    table = Table(tmp_path, every(5 * HOUR, 140), most=10_000, spoilt=(5,))
    by_key = asked(
        start=START + HOUR, until=None, lookback=timedelta(days=lookback), max_window_days=longest,
        sizes_itself=False, keeps_cuts=True,
    )  # fmt: skip
    starts: dict[str, set[str]] = {}
    bookmark: dict[str, Any] = {}
    older = [copy.deepcopy(bookmark)]
    for number in range(9):
        clock = FakeClock(START + DAY + number * timedelta(hours=17, minutes=number))
        state = copy.deepcopy(older[-3]) if number == 7 else bookmark  # an older STATE of another run
        log, _ = run(table, state, by_key, clock=clock)
        bookmark = state
        older.append(copy.deepcopy(bookmark))
        for row in (row for event in log if event[0] == "rows" for row in event[1]):
            starts.setdefault(row["a"], set()).add(row["_sdc_window_start"])
    assert {row for row, found in starts.items() if len(found) > 1} == set()
    last = at(bookmark["replication_key_value"])
    assert {*starts} == {str(n) for n, instant in enumerate(table.rows) if START + HOUR <= instant <= last}


def test_a_refusal_says_what_makes_windows_smaller(tmp_path: Path) -> None:
    """P11: also where windows have a fixed size, and where `lookback` keeps them as they are."""
    for keeps, says in ((False, "`window_size: auto` by itself"), (True, "with `primary_keys`")):
        fixed = asked(sizes_itself=False, keeps_cuts=keeps, lookback=DAY)
        error = run(Table(tmp_path, every(HOUR, 744)), {}, fixed)[1]
        assert error.startswith("413 Content Too Large; `max_window_days` makes windows smaller")
        assert says in error


@pytest.mark.parametrize("keeps", [False, True])
def test_a_lookback_that_takes_several_runs_comes_to_its_end(tmp_path: Path, keeps: bool) -> None:  # noqa: FBT001 - of pytest
    """P11: with one job at a time, a run would begin again with the first window of the lookback, for ever."""
    table, bookmark, read = Table(tmp_path, every(5 * HOUR, 100), most=1000), dict[str, Any](), list[str]()
    export = asked(until=None, lookback=3 * DAY, max_window_days=1, sizes_itself=False, keeps_cuts=keeps)
    for number in range(40):
        clock = FakeClock(START + 4 * DAY + number * HOUR)
        log, error = run(table, bookmark, export, clock=clock, detach=True, max_concurrent_jobs=1)
        assert error == ""
        read += values(log)
    assert at(bookmark["replication_key_value"]) > START + 5 * DAY
    assert min(read.count(number) for number in read if int(number) < 10) >= 2
    check_state({"bookmarks": {"s": bookmark}})


@pytest.mark.parametrize("seconds", [0, -1, 1e999, "x", None])
def test_a_length_in_state_that_is_none_is_refused(seconds: object) -> None:
    """With a message, before anything is requested."""
    with pytest.raises(StateError):
        check_state({"bookmarks": {"s": {"ledger": {"version": 2, "sized": {"seconds": seconds}}}}})
