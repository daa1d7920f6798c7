from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from tap_exports.engine.http.quota import Quota
from tap_exports.errors import StopError
from tests.engine.fakes import FakeClock


@dataclass(frozen=True)
class Reply:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def told(limit: int, left: int, reset: float, status: int = 200, **more: str) -> Reply:
    headers = {"RateLimit-Limit": str(limit), "RateLimit-Remaining": str(left), "RateLimit-Reset": str(reset)}
    return Reply(status, {**headers, **more})


def waits(*replies: Reply) -> list[float]:
    """Return the waits before the request that follows each reply."""
    clock = FakeClock()
    quota = Quota("closient", clock)
    for reply in replies:
        quota.before()
        quota.after(reply)
    quota.before()
    return clock.sleeps


def test_an_ample_quota_costs_no_wait() -> None:
    assert waits(told(300, 299, 60), told(300, 200, 30), told(300, 61, 20)) == []


def test_without_headers_nothing_is_known() -> None:
    assert (
        waits(Reply(), Reply(headers={"RateLimit-Limit": "x", "RateLimit-Remaining": "", "RateLimit-Reset": "5"})) == []
    )


def test_a_scarce_quota_is_spread_over_the_time_until_its_reset() -> None:
    """With 60 of 300 left for 30 seconds, requests are half a second apart."""
    clock = FakeClock()
    quota = Quota("closient", clock)
    quota.after(told(300, 60, 30))
    for _ in range(61):
        quota.before()
    assert clock.sleeps[:3] == pytest.approx([0.5, 0.5, 0.5])
    assert clock.monotonic() >= 29.5


@pytest.mark.parametrize("left", [1, 5, 40])
def test_requests_alone_never_exhaust_a_scarce_quota(left: int) -> None:
    """Before the reset there are never more requests than were left."""
    clock = FakeClock()
    quota = Quota("closient", clock)
    quota.after(told(300, left, 60))
    sent = 0
    while True:
        quota.before()
        if clock.monotonic() >= 60:
            break
        sent += 1
    assert sent <= left


def test_an_empty_quota_waits_for_its_reset_and_then_goes_on() -> None:
    assert waits(told(300, 0, 42)) == [42]


def test_a_day_without_quota_ends_the_run_instead_of_waiting() -> None:
    """Polling never takes the last requests of a day: the stream stops and says why."""
    with pytest.raises(StopError, match=r"^closient: the key's quota asks for a wait of 28800 s, 0 of 10000 requests"):
        waits(told(10_000, 0, 28_800))
    with pytest.raises(StopError, match=r"wait of 576 s, 50 of 10000 requests left, until 2026-07-01T\S+Z; a run"):
        waits(told(10_000, 50, 28_800))


def test_a_day_that_runs_low_is_paced() -> None:
    assert waits(told(10_000, 2000, 43_200), told(10_000, 1999, 43_178)) == pytest.approx([21.6], abs=0.1)


def test_a_429_that_asks_for_hours_ends_the_run_at_once() -> None:
    """Six waits of five minutes would not help, and the reply is lost anyway."""
    with pytest.raises(StopError, match="wait of 7200 s"):
        waits(Reply(429, {"Retry-After": "7200"}))
    assert waits(Reply(429, {"Retry-After": "20"})) == []


def test_a_good_reply_is_kept_whatever_its_quota_says() -> None:
    quota = Quota("closient", FakeClock())
    quota.after(told(10_000, 0, 80_000))


def test_the_aliases_count_too_and_their_reset_is_an_instant() -> None:
    clock = FakeClock()
    quota = Quota("closient", clock)
    reset = str(int(clock.now().timestamp()) + 42)
    quota.after(Reply(200, {"X-RateLimit-Limit": "300", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}))
    quota.before()
    assert clock.sleeps == [42]


def test_what_was_told_is_forgotten_at_the_reset() -> None:
    clock = FakeClock()
    quota = Quota("closient", clock)
    quota.after(told(300, 0, 42))
    clock.advance(43)
    quota.before()
    assert clock.sleeps == []
