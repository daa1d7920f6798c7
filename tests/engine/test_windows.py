from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tap_exports.engine import windows
from tap_exports.engine.clock import MILLISECOND
from tap_exports.engine.model import Window
from tests.engine.scripted import at, window

INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 3, 1)).map(  # noqa: DTZ001 - gets its zone below
    lambda instant: windows.floor_millisecond(instant.replace(tzinfo=timezone.utc))
)
SPANS = st.one_of(st.none(), st.floats(0.5, 40), st.integers(1, 40))


@st.composite
def open_windows(draw: st.DrawFn) -> list[Window]:
    pairs = draw(st.lists(st.tuples(INSTANTS, st.integers(0, 10**9)), max_size=5))
    found = [Window(start, start + timedelta(milliseconds=length)) for start, length in pairs]
    return [Window(None, at("2026-01-01T06:00:00Z")), *found] if draw(st.booleans()) else found


def test_a_range_is_cut_into_windows_of_the_longest_span() -> None:
    """Each window begins where the one before it ends: instants finer than a millisecond lie in no gap.

    The bound lies just before the full span: midnight, which many rows share, is in one window only.
    """
    assert windows.plan(window("2026-01-01", "2026-01-05T11:59:59.999Z"), 2) == [
        window("2026-01-01", "2026-01-02T23:59:59.999Z"),
        window("2026-01-02T23:59:59.999Z", "2026-01-04T23:59:59.999Z"),
        window("2026-01-04T23:59:59.999Z", "2026-01-05T11:59:59.999Z"),
    ]


def test_open_jobs_keep_their_windows() -> None:
    """The window of an open job stays as it is, and the rest is cut around it: nothing is asked for twice."""
    taken = [window("2026-01-02T12:00:00Z", "2026-01-03T11:59:59.999Z")]
    assert windows.plan(window("2026-01-01", "2026-01-04"), 2, taken) == [
        window("2026-01-01", "2026-01-02T12:00:00Z"),
        window("2026-01-02T12:00:00Z", "2026-01-03T11:59:59.999Z"),
        window("2026-01-03T11:59:59.999Z", "2026-01-04"),
    ]


def test_the_instants_between_windows_of_an_earlier_version_are_asked_for() -> None:
    """Version 0.1.0 began each window a millisecond late: the gap before the window of its open job is due."""
    taken = [window("2026-01-02T00:00:00.001Z", "2026-01-03")]
    assert windows.plan(window("2026-01-02", "2026-01-03"), 2, taken) == [
        window("2026-01-02", "2026-01-02T00:00:00.001Z"),
        *taken,
    ]


def test_an_open_beginning_is_one_window() -> None:
    """Without a first instant there is nothing to cut by."""
    assert windows.plan(window(None, "2026-01-04"), 2) == [window(None, "2026-01-04")]


def test_where_nothing_is_due_only_open_jobs_are_planned() -> None:
    """A bookmark at the end leaves nothing to ask for; jobs of an earlier run are still collected."""
    taken = [window("2026-01-03", "2026-01-04"), window("2026-01-01", "2026-01-02")]
    assert windows.plan(None, 2) == []
    assert windows.plan(None, 2, taken) == taken[::-1]


def test_a_span_below_a_millisecond_still_moves_on() -> None:
    """The shortest window is one millisecond, so a span of nearly nothing ends all the same."""
    start = at("2026-01-01")
    assert windows.plan(Window(start, start + MILLISECOND), 1e-12) == [
        Window(start, start),
        Window(start, start + MILLISECOND),
    ]


@given(INSTANTS, INSTANTS, SPANS, open_windows())
def test_windows_touch_and_cover_the_range(
    start: datetime, end: datetime, days: float | None, open_jobs: list[Window]
) -> None:
    """Whatever jobs are open, the windows begin at the start, touch each other, and reach the end."""
    start, end = sorted((start, end))
    taken = windows.usable(open_jobs, start)
    planned = windows.plan(Window(start, end), days, taken)
    assert [w for w in planned if w in taken] == taken
    expected = start
    for each in planned:
        assert each.start == expected
        assert each.end >= each.start
        expected = each.end
    assert expected == max([end, *(w.end for w in taken)])
    longest = timedelta.max if days is None else timedelta(days=days)
    assert all(w.end - (w.start or start) <= longest for w in planned if w not in taken)


@given(INSTANTS, SPANS, open_windows())
def test_an_open_beginning_is_covered_too(end: datetime, days: float | None, open_jobs: list[Window]) -> None:
    """From the beginning on, the windows touch each other."""
    planned = windows.plan(Window(None, end), days, windows.usable(open_jobs, None))
    assert planned[0].start is None
    assert [w.start for w in planned[1:]] == [w.end for w in planned[:-1]]
    assert planned[-1].end >= end


def test_windows_that_cannot_be_used() -> None:
    """An open job is of no use where its window is partly proven, past `end_date`, or over an earlier one."""
    good = window("2026-01-03", "2026-01-04")
    found = windows.usable(
        [
            good,
            window("2026-01-03T12:00:00Z", "2026-01-05"),
            window("2026-01-02", "2026-01-03T12:00:00Z"),
            window("2026-01-02", "2026-01-05"),
            window(None, "2026-01-02"),
            window("2026-01-01", "2026-01-06"),
            window("2026-01-07", "2026-01-06"),
            window("2026-01-08", "2026-01-09"),
        ],
        at("2026-01-02"),
        at("2026-01-08"),
    )
    assert found == [good]


def test_what_is_due() -> None:
    """From the bookmark, else from the start, up to the settled past or `end_date`, in whole milliseconds."""
    now, start = at("2026-01-09T00:01:00.123456Z"), at("2026-01-01T00:00:00.0009Z")
    assert windows.due(None, start, None, now, 60) == window("2026-01-01", "2026-01-09T00:00:00.123Z")
    assert windows.due(at("2026-01-02T23:59:59.999Z"), start, at("2026-01-04T00:00:00.9999Z"), now, 60) == window(
        "2026-01-02T23:59:59.999Z", "2026-01-04T00:00:00.999Z"
    )
    assert windows.due(None, None, at("2027-01-01"), now, 0) == window(None, "2026-01-09T00:01:00.123Z")


def test_nothing_is_due_at_or_after_the_end() -> None:
    """A bookmark at the end is proven up to there; a start at the end leaves that one instant."""
    end, now = at("2026-01-04"), at("2026-01-09")
    assert windows.due(end, None, end, now, 0) is None
    assert windows.due(end + MILLISECOND, None, end, now, 0) is None
    assert windows.due(None, end + MILLISECOND, end, now, 0) is None
    assert windows.due(None, end, end, now, 0) == Window(end, end)


@given(st.lists(st.tuples(INSTANTS, st.integers(1, 10**9)), max_size=6), INSTANTS, SPANS)
def test_what_is_proven_is_left_out_and_nothing_else(
    pairs: list[tuple[datetime, int]], start: datetime, days: float | None
) -> None:
    """The plan and what is proven cover the range without a gap and overlap nowhere."""
    done = [Window(begin, begin + timedelta(milliseconds=length)) for begin, length in pairs]
    frontier, beyond = windows.joined(start, done)
    span = Window(frontier, at("2026-04-01"))
    planned = windows.plan(span, days, (), beyond, follows=True)
    every = sorted([*planned, *beyond], key=lambda w: w.start or start)
    assert all(before.end == after.start for before, after in pairwise(every))
    assert (every[0].start, every[-1].end) == (frontier, at("2026-04-01"))
    assert all(w.end <= (frontier or start) for w in done if w.start and w.start <= start)


def test_what_touches_is_merged() -> None:
    """The frontier passes what begins at or before it; what is beyond a gap is merged where it touches."""
    days = [window(f"2026-01-{n:02}", f"2026-01-{n + 1:02}") for n in (7, 1, 2, 5, 6)]
    assert windows.joined(at("2026-01-01"), days) == (at("2026-01-03"), [window("2026-01-05", "2026-01-08")])
    assert windows.joined(None, days)[0] is None
    assert windows.joined(None, [window(None, "2026-01-05"), *days])[0] == at("2026-01-08")


def test_what_is_proven_past_the_range_is_not_planned_up_to() -> None:
    """An `end_date` before a proven window bounds the plan."""
    span, beyond = window("2026-01-01", "2026-01-03"), [window("2026-01-05", "2026-01-06")]
    assert windows.plan(span, None, (), beyond) == [span]


def test_open_windows_over_proven_ones() -> None:
    """They may touch what is proven, not overlap it."""
    beyond = [window("2026-01-05", "2026-01-06")]
    open_ones = [window("2026-01-04", "2026-01-05"), window("2026-01-05", "2026-01-07"), window(None, "2026-01-09")]
    assert windows.apart(open_ones, beyond) == open_ones[:1]
