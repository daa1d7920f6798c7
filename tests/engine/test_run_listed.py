from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tap_exports.engine import decode
from tap_exports.engine.clock import MILLISECOND, to_text
from tap_exports.engine.decode import Layout
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Column, Kind, Page, Row, Window
from tap_exports.engine.read.tally import Limits
from tap_exports.engine.run.listed import Listing, ListRun, Pages
from tap_exports.errors import TryAgainError
from tests.engine.fakes import FakeClock
from tests.engine.scripted import NOW, Log, at, bookmarks, layout, message, play, states, values

START, END = at("2026-07-01"), "2026-07-03T00:00:00.000Z"
FAULT = TryAgainError("502")


def row(a: str, created: object, status: str = "DONE") -> Row:
    return {"a": a, "c": created, "s": status}


def hour(number: int, millis: str = "000") -> str:
    return f"2026-07-01T{number:02d}:00:00.{millis}Z"


def page(*rows: Row, total: int | None = None) -> Page:
    return Page(list(rows), total=total)


def counted(pages: Sequence[Page | Exception]) -> Iterable[Page | Exception]:
    """Give pages without a total the true one; behind an error a page is missing."""
    rows = sum(1 if isinstance(each, Exception) else len(each.items) for each in pages)
    for each in pages:
        yield replace(each, total=rows) if isinstance(each, Page) and each.total is None else each


def read(pages: Sequence[Page | Exception], bookmark: dict[str, Any], **more: Any) -> tuple[Log, str, list[Any]]:  # noqa: ANN401 - of `Listing`
    asked: list[Window | None] = []
    limits = more.pop("limits", Limits())

    def serve(window: Window | None) -> Iterable[Page]:
        asked.append(window)
        for each in counted(pages):
            if isinstance(each, Exception):
                raise each
            yield each

    listing = Listing("s", lambda window: [partial(serve, window)], **{"replication_key": "c", "start": START, **more})
    run = ListRun(listing, plain, limits, StreamState.detached("s", bookmark), FakeClock(NOW))
    log, error = play(run, bookmark)
    return log, message(error) if error else "", asked


def plain(skip_rows: int = 0) -> Layout:
    return layout(skip_rows).extended([])


def open_rows(found: Row) -> bool:
    return bool(found["s"] == "OPEN")


def state(value: str) -> dict[str, Any]:
    return {"replication_key": "c", "replication_key_value": value}


def test_a_list_is_read_and_then_proven() -> None:
    """Rows come in the provider's order, with ordinals; the bookmark is the end of the window, not the last value."""
    log, error, asked = read([page(row("1", hour(5))), page(row("2", hour(2)))], {})
    assert [event for event in log if event[0] != "columns"] == [
        ("rows", [{**row("1", hour(5)), "_sdc_row": 1}]),
        ("rows", [{**row("2", hour(2)), "_sdc_row": 2}]),
        ("state", state(END)),
    ]
    assert (error, asked) == ("", [Window(START, at(END))])


def test_a_full_read_has_no_bookmark() -> None:
    """Without a replication key everything is read, whatever its age."""
    bookmark: dict[str, Any] = {}
    log, _, asked = read([page(row("1", "1999-01-01"), row("2", None))], bookmark, replication_key=None)
    assert (values(log), bookmark, asked) == (["1", "2"], {}, [None])


def test_the_window_is_cut_to_the_millisecond() -> None:
    """What the server sends beyond the bounds is dropped: no record comes twice, none is missed between two runs."""
    rows = [
        row("old", "2026-06-30T23:59:59.999999Z"),
        row("first", "2026-07-01T00:00:00.0004Z"),
        row("last", "2026-07-03T00:00:00.0009Z"),
        row("next", "2026-07-03T00:00:00.001Z"),
    ]
    bookmark: dict[str, Any] = {}
    log, _, _ = read([page(*rows)], bookmark)
    assert (values(log), bookmarks(log)) == (["first", "last"], [END])
    _, _, asked = read([page()], bookmark, settling_seconds=0)
    assert asked == [Window(at("2026-07-03T00:00:00.001Z"), NOW)]


def test_nothing_due_asks_for_nothing() -> None:
    """A bookmark at the end of the window makes no request; `end_date` is such an end."""
    assert read([page()], state(END)) == ([], "", [])
    assert read([page()], state("2026-07-02T00:00:00.000Z"), until=at("2026-07-02")) == ([], "", [])


def test_an_open_beginning() -> None:
    """Without `start_date` the first window has no start."""
    log, _, asked = read([page(row("1", "1999-01-01"))], {}, start=None)
    assert (values(log), asked, bookmarks(log)) == (["1"], [Window(None, at(END))], [END])


# Page by page ---------------------------------------------------------------------------------------------------------


def test_the_bookmark_follows_an_ordered_list() -> None:
    """It stays one millisecond before the newest row written: more rows of that instant may be on the next page."""
    first, second = page(row("1", hour(1)), row("2", hour(2))), page(row("3", hour(2)), row("4", hour(3)))
    bookmark: dict[str, Any] = {}
    log, error, _ = read([first, second, FAULT], bookmark, ordered=True)
    assert bookmarks(log) == ["2026-07-01T01:59:59.999Z", "2026-07-01T02:59:59.999Z"]
    assert error == "TryAgainError: 502"
    log, _, asked = read([page(row("4", hour(3)))], bookmark, ordered=True)
    assert (values(log), asked) == (["4"], [Window(at(hour(3)), at(END))])


def test_the_bookmark_waits_for_the_end_of_an_unordered_list() -> None:
    """Without the provider's promise an older row may follow, so a broken read proves nothing."""
    bookmark: dict[str, Any] = {}
    log, error, _ = read([page(row("1", hour(1))), page(row("2", hour(2))), FAULT], bookmark)
    assert (values(log), states(log), bookmark, error) == (["1", "2"], [], {}, "TryAgainError: 502")


def test_a_broken_promise_of_order_stops_the_following() -> None:
    """Once a row is older than one before it, the bookmark moves at the end only."""
    pages: list[Page | Exception] = [page(row("1", hour(3)), row("2", hour(2))), page(row("3", hour(4))), FAULT]
    log, _, _ = read(pages, {}, ordered=True)
    assert (values(log), states(log)) == (["1", "2", "3"], [])


def test_the_bookmark_never_moves_back() -> None:
    """Rows at the very start of the window leave it where it is."""
    log, _, _ = read([page(row("1", hour(0))), FAULT], state("2026-06-30T23:59:59.999Z"), ordered=True)
    assert states(log) == []


# Open records ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [True, False])
def test_the_bookmark_never_passes_an_open_record(ordered: bool) -> None:  # noqa: FBT001 - a parameter of the table
    """It stays just before the first record that will still change, and the next run brings that one again."""
    rows = [row("1", hour(1)), row("2", hour(2), "OPEN"), row("3", hour(3)), row("4", hour(4), "OPEN")]
    bookmark: dict[str, Any] = {}
    log, _, _ = read([page(each) for each in rows], bookmark, ordered=ordered, is_open=open_rows)
    assert (values(log), bookmarks(log)[-1]) == (["1", "2", "3", "4"], "2026-07-01T01:59:59.999Z")
    log, _, asked = read([page(row("2", hour(2)), row("3", hour(3)))], bookmark, is_open=open_rows)
    assert (bookmarks(log), asked) == ([END], [Window(at(hour(2)), at(END))])


def test_an_open_record_at_the_start_holds_the_bookmark() -> None:
    """Where the first record of the window is open nothing is proven, and STATE stays as it is."""
    bookmark = state("2026-06-30T23:59:59.999Z")
    log, _, _ = read([page(row("1", hour(0), "OPEN"), row("2", hour(2)))], bookmark, is_open=open_rows)
    assert (states(log), bookmark) == ([], state("2026-06-30T23:59:59.999Z"))


def test_an_open_record_outside_the_window_holds_nothing() -> None:
    """What the run does not emit does not bound its bookmark."""
    rows = [row("0", "2026-06-01", "OPEN"), row("1", hour(1)), row("9", "2026-07-04", "OPEN")]
    log, _, _ = read([page(*rows)], {}, is_open=open_rows)
    assert (values(log), bookmarks(log)) == (["1"], [END])


@pytest.mark.parametrize(("days", "holds"), [(6, True), (8, False)])
@pytest.mark.parametrize("ordered", [True, False])
def test_a_record_that_stays_open_does_not_hold_the_bookmark_for_ever(
    caplog: pytest.LogCaptureFixture, days: int, *, ordered: bool, holds: bool
) -> None:
    """After seven days it is passed, and the log names it; younger ones still hold the bookmark."""
    born = NOW - timedelta(days=days)
    rows = [{"id": "f1", **row("1", to_text(born), "OPEN")}, {"id": "f2", **row("2", hour(2))}]
    log, error, _ = read([page(*rows)], {}, key=("id",), start=at("2026-01-01"), is_open=open_rows, ordered=ordered)
    assert (bookmarks(log)[-1], error) == (to_text(born - MILLISECOND) if holds else END, "")
    told = "s: 1 records did not end within 7 days, the first is {'id': 'f1', 'status': None}; the bookmark passes them"
    assert (told in caplog.text) is not holds


# Lists that are not whole ---------------------------------------------------------------------------------------------


def changing(total: int | None) -> Callable[[Window | None], Sequence[Pages]]:
    """Return a list that shows another record with each read."""
    fresh = iter(range(100))
    return lambda _: [lambda: [page(row(str(next(fresh)), hour(1)), total=total)]]


def run_over(lists: Callable[[Window | None], Sequence[Pages]], limits: Limits) -> tuple[Log, str, list[bool]]:
    bookmark: dict[str, Any] = {}
    proofs: list[bool] = []
    listing = Listing("s", lists, ("a",), "c", start=START)
    run = ListRun(listing, plain, limits, StreamState.detached("s", bookmark), FakeClock(NOW))
    log, error = play(run, bookmark, proofs)
    return log, message(error) if error else "", proofs


@pytest.mark.parametrize(("verify", "stops"), [("fail", True), ("warn", False), ("off", False)])
@pytest.mark.parametrize("total", [None, 50])
def test_no_bookmark_over_a_list_that_is_not_proven_whole(
    caplog: pytest.LogCaptureFixture, total: int | None, verify: str, *, stops: bool
) -> None:
    """Whatever the setting tolerates: rows come, but the bookmark stays and no version is activated."""
    log, error, proofs = run_over(changing(total), Limits(verify_counts=verify))
    counts = "gives no total" if total is None else "counts 50"
    told = f"s: 30 reads of this list differ, they show 30 different records, the provider {counts}"
    assert (bookmarks(log), proofs) == ([], [] if stops else [False])
    assert values(log) == [str(n) for n in range(30)]
    assert (told in error, told in caplog.text) == (stops, verify == "warn")


def test_a_total_that_is_too_low_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Two reads agree that there is more: the bookmark moves, a warning says so, no version is activated."""
    pages = [page(row("1", hour(1)), total=1), page(row("2", hour(2)), total=1)]
    log, error, proofs = run_over(lambda _: [lambda: pages], Limits())
    assert (values(log), bookmarks(log), error, proofs) == (["1", "2"], [END], "", [False])
    assert "s: 2 different records read, the provider counts 1 (verify_counts: fail)" in caplog.text


def test_the_bookmark_does_not_follow_a_list_that_moves() -> None:
    """Once the total changes a record may have moved to a page that was read: a crash must not lose it."""
    first = page(row("1", hour(1)), row("2", hour(2)), total=5)
    pages: list[Page | Exception] = [first, page(row("4", hour(4)), row("5", hour(5)), total=4), FAULT]
    bookmark: dict[str, Any] = {}
    log, error, _ = read(pages, bookmark, key=("a",), ordered=True)
    assert (values(log), error) == (["1", "2", "4", "5"], "TryAgainError: 502")
    assert bookmarks(log) == ["2026-07-01T01:59:59.999Z"]


def test_each_list_of_a_stream_is_proven_by_itself() -> None:
    """A stream of several lists is whole when each of them is."""
    lists: list[Pages] = [lambda: [page(row("1", hour(1)), total=1)], lambda: [page(row("2", hour(1)), total=2)]]
    _, error, proofs = run_over(lambda _: lists, Limits())
    assert (error, proofs) == (
        "CountError: s: 1 different records read, the provider counts 2 (verify_counts: fail)",
        [],
    )


# Counts and rejects ---------------------------------------------------------------------------------------------------


def test_fewer_rows_than_counted_prove_nothing() -> None:
    """All rows that the server sent are held against its latest count, those outside the window included."""
    rows = [row("0", "2026-06-01"), row("1", hour(1))]
    assert read([page(*rows, total=2)], {})[1] == ""
    bookmark: dict[str, Any] = {}
    log, error, _ = read([page(*rows, total=3)], bookmark)
    assert error == "CountError: s: 2 different records read, the provider counts 3 (verify_counts: fail)"
    assert (values(log), bookmark) == (["1"], {})
    log, error, _ = read([page(*rows, total=3)], {}, limits=Limits(verify_counts="warn"))
    assert (bookmarks(log), error) == ([END], "")


def test_a_list_that_grows_while_it_is_read_is_complete() -> None:
    """More rows than the first page counted are no fault: the last page's count holds."""
    pages = [page(row("1", hour(1)), total=1), page(row("2", hour(2)), total=2), page(row("3", hour(3)), total=2)]
    assert bookmarks(read(pages, {})[0]) == [END]


@pytest.mark.parametrize(("last", "reads"), [(END, 1), ("2026-07-03T00:00:00.001Z", 2)])
def test_a_list_with_records_younger_than_its_window_is_read_twice(last: str, reads: int) -> None:
    """It is not cut by date: as one of its records comes, another one may go, and no total tells that one is hidden."""
    log, error, asked = read([page(row("1", hour(1)), row("2", last))], {})
    assert (error, len(asked), bookmarks(log)) == ("", reads, [END])


def test_a_list_that_grows_has_no_other_read_twice() -> None:
    """Each list of a stream is proven by itself."""
    asked: list[str] = []

    def list_of(name: str, created: str) -> Pages:
        def serve() -> Iterable[Page]:
            asked.append(name)
            yield page(row(name, created), total=1)

        return serve

    lists = [list_of("young", "2026-07-03T00:00:30.000Z"), list_of("old", hour(1))]
    run_over(lambda _window: lists, Limits())
    assert asked == ["young", "young", "old"]


def test_a_row_without_an_instant_always_comes() -> None:
    """Null cannot be placed in a window: the row is written rather than lost, and bounds nothing."""
    log, error, _ = read([page(row("1", None), row("2", hour(2)))], {}, ordered=True)
    assert (values(log), bookmarks(log)[-1], error) == (["1", "2"], END, "")


@pytest.mark.parametrize("bad", ["soon", 1751328000, ["2026"]])
def test_an_instant_that_cannot_be_read_is_a_reject(bad: object) -> None:
    """It counts against the limit; under it the other rows are written, with ordinals of their own."""
    rows = [row("1", hour(1)), row("2", bad), row("3", hour(3))]
    log, error, _ = read([page(*rows)], {}, limits=Limits(rejects_max_count=1))
    assert log[0] == ("reject", "", 1, "c")
    assert [each["_sdc_row"] for event in log if event[0] == "rows" for each in event[1]] == [2, 3]
    assert (bookmarks(log), error) == ([END], "")
    _, error, _ = read([page(*rows)], {})
    assert error.startswith(f's: file s, row 1, column "c": "{bad}" is not an ISO 8601 date-time; 1 rows', 18)


def test_ordinals_stay_different_when_rows_are_rejected() -> None:
    """They are part of the key of full reads: a rejected row uses one up."""
    pages = [page(row("1", None), {"a": 5}), page(row("2", None))]
    log, _, _ = read(pages, {}, replication_key=None, limits=Limits(rejects_max_count=1))
    assert [event for event in log if event[0] == "reject"] == [("reject", "", 2, "a")]
    assert [each["_sdc_row"] for event in log if event[0] == "rows" for each in event[1]] == [1, 3]


def test_a_list_with_rejects_is_proven_at_its_end_only() -> None:
    """A share of rejects is known at the end, so until then no bookmark passes a rejected row."""
    pages = [page({"a": 5, "c": hour(1), "s": "x"}), page(row("2", hour(2)))]
    limits = Limits(rejects_max_ratio=0.4)
    bookmark: dict[str, Any] = {}
    log, error, _ = read(pages, bookmark, ordered=True, limits=limits)
    assert error.startswith("RejectLimitError: ")
    assert (values(log), bookmark) == (["2"], {})
    log, error, _ = read([*pages, page(row("3", hour(3)))], {}, ordered=True, limits=limits)
    assert (bookmarks(log), error) == ([END], "")


TIMES = [f"2026-06-30T23:59:59.{n:03d}Z" for n in (998, 999)] + [hour(n, m) for n in (0, 1, 2) for m in ("000", "001")]
TIMES += ["2026-07-01T01:00:00.0004Z", "2026-07-03T00:00:00.000Z", "2026-07-03T00:00:00.001Z", "2026-07-01T03:00:00Z"]
dated = st.builds(
    row, st.just("x"), st.sampled_from([*TIMES, "2026-07-01T03:00:00"]), st.sampled_from(["OPEN", "DONE"])
)
records = st.one_of(dated, st.builds(row, st.just("x"), st.sampled_from(["soon", None, 7])))


@given(
    pages=st.lists(st.lists(records, max_size=4), max_size=3),
    ordered=st.booleans(),
    ascending=st.booleans(),
    kind=st.sampled_from([Kind.DATETIME, Kind.ANY]),
)
@example(pages=[[row("x", hour(n))] for n in (2, 1, 3)], ordered=True, ascending=False, kind=Kind.DATETIME)
def test_pages_that_fit_as_a_whole_are_read_like_others(
    pages: list[list[Row]], *, ordered: bool, ascending: bool, kind: Kind
) -> None:
    """The check of a whole page is a shortcut: rows, rejects and every STATE are those of the look at each record."""
    if ascending:
        found = sorted((each for each in chain(*pages) if isinstance(each["c"], str)), key=lambda each: str(each["c"]))
        pages = [found[:3], found[3:]]
    columns = {"a": Column("a", Kind.STRING), "c": Column("c", kind), "s": Column("s", Kind.STRING)}

    def run() -> Log:
        bookmark: dict[str, Any] = {}
        total = sum(map(len, pages))
        listing = Listing(
            "s",
            lambda _: [lambda: [page(*each, total=total) for each in pages]],
            replication_key="c",
            is_open=open_rows,
            start=START,
            ordered=ordered,
        )
        limits = Limits(rejects_max_count=9)
        state = StreamState.detached("s", bookmark)
        return play(ListRun(listing, lambda _=0: Layout(columns), limits, state, FakeClock(NOW)), bookmark)[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "fit", lambda *_: None)
        slow = run()
    assert run() == slow


@pytest.mark.parametrize(("total", "began"), [(4, [0, 5, 15, 15, 15]), (1, [0]), (None, [0, 0])])
def test_a_list_whose_total_disagrees_is_read_again_after_waits(total: int | None, began: list[float]) -> None:
    """A replica that lags shows the same gap to two reads at once; where there is no total, nothing tells of one."""
    clock, reads, shown = FakeClock(NOW), [], 1 if total == 1 else 4

    def serve() -> Iterable[Page]:
        reads.append(clock.monotonic())
        yield page(*(row(str(n), None) for n in range(min(len(reads), shown))), total=total)

    listing = Listing("s", lambda _window: [serve], key=("a",))
    found: dict[str, Any] = {}
    play(ListRun(listing, plain, Limits(), StreamState.detached("s", found), clock), found)
    assert reads == began


@pytest.mark.parametrize(
    ("pages", "began"),
    [
        ([page(row("1", None)), page(row("2", None)), page()], [0, 15]),
        ([replace(page(row("1", None)), last=False), page()], [0, 15]),
        ([page(row("1", None)), page()], [0, 0]),
    ],
)
def test_a_list_of_several_pages_without_a_total_is_read_again_after_a_wait(
    pages: list[Page], began: list[float]
) -> None:
    """A record that one of two replicas shows moves another one from a page of the other to the next of its own."""
    clock, reads = FakeClock(NOW), []

    def serve() -> Iterable[Page]:
        reads.append(clock.monotonic())
        return iter(pages)

    listing = Listing("s", lambda _window: [serve], key=("a",))
    found: dict[str, Any] = {}
    play(ListRun(listing, plain, Limits(), StreamState.detached("s", found), clock), found)
    assert reads == began
