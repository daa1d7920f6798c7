"""The provider's time: no window ends later than it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from tap_exports.engine.http.skew import ProviderClock
from tests.engine.fakes import FakeClock

NOW = datetime(2026, 7, 3, 12, 0, 0, 400_000, tzinfo=timezone.utc)


def heard(*seconds: float) -> ProviderClock:
    clock = ProviderClock("p", FakeClock(NOW))
    for each in seconds:
        clock.note({"Date": format_datetime(NOW + timedelta(seconds=each), usegmt=True)})
    return clock


@pytest.mark.parametrize(
    ("heard_seconds", "expected", "skew"),
    [
        ([], 0, None),
        ([0], 0, 0),
        ([-3], 0, 0),  # a whole second, and the way of the reply
        ([-300], -300.4, -300.4),
        ([300], 0, 299.6),  # the earlier of both
        ([-3600, 0], 0, 0),  # a cache between repeats an old reply
        ([-300, -301, -300], -300.4, -300.4),
    ],
)
def test_the_earlier_of_both_clocks(heard_seconds: list[float], expected: float, skew: float | None) -> None:
    clock = heard(*heard_seconds)
    assert clock.now() == NOW + timedelta(seconds=expected)
    assert clock.skew_seconds == skew


@pytest.mark.parametrize("date", ["", "yesterday", "0", "Fri, 99 Jul 2026 12:00:00 GMT"])
def test_what_is_no_date_tells_nothing(date: str) -> None:
    clock = heard()
    clock.note({"Date": date})
    clock.note({})
    assert (clock.now(), clock.skew_seconds) == (NOW, None)


def test_a_skew_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    heard(-300, -300, -300)
    assert [record.message for record in caplog.records] == [
        "p: its clock is 300 s behind this machine's; windows end by the earlier of both"
    ]


def test_a_provider_that_was_not_heard_is_asked_once() -> None:
    """Before the first window is planned; not where a reply told the time already."""
    asked: list[int] = []
    clock = heard()
    clock.ask = lambda: asked.append(1)
    assert [clock.now(), clock.now()] == [NOW, NOW]
    assert asked == [1]
    told = heard(0)
    told.ask = lambda: asked.append(2)
    told.now()
    assert asked == [1]
