"""A quota or credits that are used up end a run at once, at every provider, and the next run goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from tap_exports.engine.clock import from_text
from tap_exports.engine.http import Client, HttpSettings
from tap_exports.engine.model import Job, Request, Status, Window
from tap_exports.errors import PaymentError, QuotaError, TapError, TooLargeError
from tap_exports.providers.declared.api import DeclaredApi
from tap_exports.providers.declared.declaration import checked
from tap_exports.providers.declared.exchange.calls import Calls
from tap_exports.providers.declared.streams import source_of
from tests.engine.fakes import FakeClock
from tests.engine.servers import Server, reply
from tests.providers import test_odd_replies as odd

NAMES = ["cension", "exelensia", "packagex", "cornect", "closient", "declared"]
USED_UP, UNPAID, EMPTY = reply(429, {"message": "slow down"}, Retry_After="86400"), reply(402, {}), reply(200, {})
HOUR = 3600


def of_declared(client: Client, *refusals: dict[str, str]) -> dict[str, Callable[[], object]]:
    source = source_of({"file": "exelensia_declared"}, "config")
    source.content["submit"]["refusals"] = list(refusals)
    declaration = checked(source)
    api = DeclaredApi(Calls(client, declaration, "http://127.0.0.1", {}))
    window = Window(from_text("2026-06-01"), from_text("2026-06-02"))
    asked = Request("declared", "stream", {"schema_id": "s"}, window)
    job = Job("j1", Status.PENDING, data={"schema_id": "s"})
    return {"declared submit": lambda: api.submit(asked), "declared poll": lambda: api.poll(job)}


@contextlib.contextmanager
def played(name: str, *steps: Any) -> Iterator[tuple[dict[str, Callable[[], object]], Server, FakeClock]]:  # noqa: ANN401 - of the server
    """Yield the verbs of a provider over a server."""
    clock, settings = FakeClock(), HttpSettings(allow_private_hosts=True, request_timeout_seconds=5)
    with Server(list(steps)) as server, closing(Client(name, server.url, {}, settings, clock)) as client:
        made = of_declared if name == "declared" else getattr(odd, f"of_{name}")
        yield made(client), server, clock


@pytest.mark.parametrize("name", NAMES)
def test_a_quota_of_a_day_is_not_waited_for(name: str) -> None:
    """Two runs end at once, without a wait, with its end in the message; a third one, after that end, asks again."""
    with played(name, USED_UP) as (verbs, server, clock):
        for ends in ("2026-07-02T00:00:00.000Z", "2026-07-02T00:00:00.000Z"):
            for verb in verbs.values():
                with pytest.raises(QuotaError, match=f"until {ends}, a run after that goes on"):
                    verb()
            clock.advance(HOUR)
        assert (clock.sleeps, len(server.seen)) == ([], len({seen.method for seen in server.seen}))
        asked = len(server.seen)
        clock.advance(24 * HOUR)
        for verb in verbs.values():
            with contextlib.suppress(TapError):
                verb()
        assert len(server.seen) > asked


@pytest.mark.parametrize("name", NAMES)
def test_credits_that_are_used_up_are_said(name: str) -> None:
    with played(name, UNPAID) as (verbs, _, clock):
        for verb in verbs.values():
            with pytest.raises(PaymentError, match="a run after they do goes on"):
                verb()
        assert clock.sleeps == []


@pytest.mark.parametrize(
    ("means", "kind", "says"),
    [
        ("too_large", TooLargeError, "nothing was created (`max_window_days` makes windows smaller"),
        ("quota", QuotaError, "nothing was created; the quota is used up until 2026-07-01T01:00:00.000Z"),
    ],
)
def test_declared_refusals_say_what_follows(means: str, kind: type[TapError], says: str) -> None:
    """What a refusal means stands in the declaration; a quota ends when `Retry-After` says so."""
    refusal = reply(422, {"message": "limit of rows"}, Retry_After="3600")
    clock, settings = FakeClock(), HttpSettings(allow_private_hosts=True, request_timeout_seconds=5)
    with Server([refusal]) as server, closing(Client("declared", server.url, {}, settings, clock)) as client:
        submit = of_declared(client, {"matches": "limit of rows", "means": means})["declared submit"]
        with pytest.raises(kind) as error:
            submit()
    assert says in error.value.message
