"""One outage of a provider: waited for by one request, told once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from tap_exports.engine.activity import Activity
from tap_exports.engine.http import Client, HttpSettings, Outage
from tap_exports.errors import LostReplyError, ProviderDownError, QuotaError, TryAgainError
from tests.engine.fakes import FakeClock
from tests.engine.servers import Server, Step, reply

SETTINGS = HttpSettings(allow_private_hosts=True, request_timeout_seconds=5)
OK, DOWN, BUSY = reply(200, {"ok": True}), reply(503), reply(429)


class Provider:
    """A server, and clients that share what they know of it."""

    def __init__(self, stack: ExitStack, *steps: Step) -> None:
        self.clock = FakeClock()
        self.activity = Activity(self.clock)
        self.server = stack.enter_context(Server(list(steps)))
        outage = Outage("cension", self.clock)
        self.clients = [
            stack.enter_context(
                closing(
                    Client("cension", self.server.url, {}, SETTINGS, self.clock, activity=self.activity, outage=outage)
                )
            )
            for _ in range(2)
        ]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def test_later_requests_do_not_run_through_all_attempts(stack: ExitStack) -> None:
    """Once a request has used its attempts and nobody was answered, others are attempted twice, with its message."""
    provider = Provider(stack, DOWN)
    first, second = provider.clients
    with pytest.raises(TryAgainError) as error:
        first.get("/a")
    assert len(provider.server.seen) == 6
    for path in ("/b", "/c"):
        with pytest.raises(ProviderDownError) as later:
            second.get(path)
        assert later.value.message == error.value.message
    assert len(provider.server.seen) == 6 + 2 + 2


def test_an_answer_ends_the_outage(stack: ExitStack) -> None:
    """After it a request has all its attempts again."""
    provider = Provider(stack, *[DOWN] * 6, OK, DOWN)
    first, second = provider.clients
    with pytest.raises(TryAgainError):
        first.get("/a")
    assert second.get("/b").status == 200
    with pytest.raises(TryAgainError) as error:
        second.get("/c")
    assert not isinstance(error.value, ProviderDownError)
    assert len(provider.server.seen) == 6 + 1 + 6


def test_one_path_that_fails_is_no_outage(stack: ExitStack) -> None:
    """A request whose attempts fail while others are answered says nothing of those others."""
    provider = Provider(stack, *[DOWN] * 3, OK, *[DOWN] * 3, DOWN, OK)
    first, second = provider.clients
    outage = first._outage
    sleep = provider.clock.sleep

    def answered_meanwhile(seconds: float) -> None:
        sleep(seconds)
        if len(provider.server.seen) == 3:
            provider.clock.advance(1)
            assert second.get("/other").status == 200

    provider.clock.sleep = answered_meanwhile  # type: ignore[method-assign] # a look in between
    with pytest.raises(TryAgainError):
        first.get("/a")
    assert outage.message is None
    assert second.get("/b").status == 200


def test_a_provider_that_asks_for_fewer_requests_is_not_down(stack: ExitStack) -> None:
    provider = Provider(stack, BUSY)
    first, second = provider.clients
    for client in (first, second):
        with pytest.raises(TryAgainError) as error:
            client.get("/a")
        assert not isinstance(error.value, ProviderDownError)
    assert len(provider.server.seen) == 12
    assert first._outage.message is None
    delays = provider.activity.delays()["cension"]
    assert (delays.retries, delays.throttled_seconds) == (10, delays.seconds)


def test_a_quota_of_a_day_ends_with_its_instant(stack: ExitStack) -> None:
    """Where the provider asks for more than a run waits, the first words say until when, and nobody waits or asks."""
    provider = Provider(stack, reply(429, Retry_After="86400"), OK)
    client = provider.clients[0]
    said = "; the quota is used up until 2026-07-02T00:00:00.000Z, a run after that goes on; a larger poll_interval"
    for path in ("/a", "/b"):
        with pytest.raises(QuotaError) as error:
            client.get(path)
        assert said in error.value.message
    assert (len(provider.server.seen), provider.clock.sleeps) == (1, [])
    client.send("POST", "/jobs", idempotent=False)  # creations have a quota of their own, and so have polls
    provider.clock.advance(86_401)
    client.get("/a")


def test_a_wait_that_attempts_can_bear_is_borne(stack: ExitStack) -> None:
    provider = Provider(stack, *[reply(429, Retry_After="400")] * 2, OK)
    provider.clients[0].get("/a")
    assert provider.clock.sleeps == [300, 300]


def test_a_provider_that_says_when_it_comes_back_is_not_waited_for_in_vain(stack: ExitStack) -> None:
    provider = Provider(stack, reply(503, Retry_After="7200"))
    with pytest.raises(TryAgainError, match="it asks to come back in 7200 s"):
        provider.clients[0].get("/a")
    assert provider.clock.sleeps == []


def test_a_creation_without_a_reply_stays_unknown(stack: ExitStack) -> None:
    """The breaker never turns an outcome that nobody knows into a plain failure."""
    provider = Provider(stack, DOWN)
    with pytest.raises(TryAgainError):
        provider.clients[0].get("/a")
    with pytest.raises(LostReplyError):
        provider.clients[1].send("POST", "/jobs", idempotent=False)


def test_an_outage_is_one_warning(stack: ExitStack, caplog: pytest.LogCaptureFixture) -> None:
    """All faults but the first are logged at DEBUG, the end of the outage at INFO."""
    provider = Provider(stack, *[DOWN] * 8, OK)
    with caplog.at_level(logging.DEBUG, "tap-exports.http"):
        for client in provider.clients:
            with pytest.raises(TryAgainError):
                client.get("/a")
        provider.clients[0].get("/a")
    told = [(r.levelname, r.message) for r in caplog.records if r.levelno >= logging.INFO and "clock" not in r.message]
    assert [level for level, _ in told] == ["WARNING", "INFO"]
    assert told[0][1].startswith("cension: GET /a: 503 Service Unavailable; attempt 1 of 6, next in ")
    assert told[1][1].startswith("cension: answers again, after 6 faults in ")
