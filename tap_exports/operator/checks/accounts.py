"""Key, clock, quota and credits of a provider, by free read-only requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tap_exports.engine.activity import counted
from tap_exports.engine.api import Prices, TellsTime
from tap_exports.errors import AuthError, GatewayError, TapError, UnreachableError
from tap_exports.operator.checks.result import Check, Verdict
from tap_exports.operator.facts.asking import Looks, limits_of
from tap_exports.operator.facts.sources import glance_of
from tap_exports.operator.loading import block_of, streams_of
from tap_exports.singer.streams.stream import EventStream
from tap_exports.tap import TapExports

SKEW_SECONDS = 60  # more of it makes windows end visibly early
FORBIDDEN = 403


def account(tap: TapExports, provider: str) -> Iterator[Check]:
    """Yield what a provider says of key, clock, quota and credits."""
    streams = [stream for name, stream in streams_of(tap) if name == provider]
    refused = [check for check in (_key(provider, stream) for stream in streams) if check]
    yield from refused[:1]
    if refused:
        return
    if not any(stream.has_free_call for stream in streams):
        detail = "not tried: the declaration describes no call that is free"
        yield Check(provider, "key", Verdict.SKIP, detail, "the first job shows whether it is taken")
        return
    role = _role(streams)
    yield Check(provider, "key", Verdict.OK, f"accepted by {counted(len(streams), 'stream')}{role}")
    yield _clock(provider, streams)
    yield _quota(provider, streams, tap.config)
    yield from _credits(provider, streams, block_of(tap, provider))


def _key(provider: str, stream: EventStream) -> Check | None:
    """Return what is wrong with a stream's key, or None; makes the request of `--test`."""
    try:
        if isinstance(stream.asked, TellsTime):
            stream.asked.time.now()
        stream.check_connection()
    except AuthError as error:
        scope = "give the key the scope or role that the stream needs" if error.status == FORBIDDEN else ""
        return Check(provider, "key", Verdict.FAIL, error.message, scope or "make a new key at the provider and set it")
    except (UnreachableError, GatewayError) as error:
        return Check(provider, "request", Verdict.FAIL, error.message, "see DNS, TLS and proxy above")
    except TapError as error:
        return Check(provider, stream.name, Verdict.FAIL, error.message, "correct what the message names")
    return None


def _role(streams: list[EventStream]) -> str:
    """Return the key's role where the provider tells it."""
    who = next((api.whoami for api in (s.asked for s in streams) if hasattr(api, "whoami")), None)
    caller: Mapping[str, Any] = (who() if who else {}) or {}
    key = (caller.get("data") or caller).get("api_key") or {}
    return f", role {key['role']}" if key.get("role") else ""


def _clock(provider: str, streams: list[EventStream]) -> Check:
    skew = next((s.skew_seconds for s in streams if s.skew_seconds is not None), None)
    if skew is None:
        return Check(provider, "clock", Verdict.SKIP, "its replies tell no time")
    detail = (
        f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's" if skew else "the same within 5 s"
    )
    if abs(skew) < SKEW_SECONDS:
        return Check(provider, "clock", Verdict.OK, detail)
    remedy = "set this machine's clock by NTP; windows end by the earlier of both clocks"
    return Check(provider, "clock", Verdict.WARN, detail, remedy)


def _quota(provider: str, streams: list[EventStream], config: Mapping[str, Any]) -> Check:
    stream = next((stream for stream in reversed(streams) if isinstance(stream.asked, Looks)), None)
    glance = glance_of(stream, config) if stream else None
    told = limits_of(stream.asked, *glance) if stream and glance and isinstance(stream.asked, Looks) else {}
    if not told:
        seen = "its replies tell of none" if glance else "no free request shows one"
        return Check(provider, "quota", Verdict.SKIP, seen)
    detail = ", ".join(f"{name} {value}" for name, value in told.items())
    if "0" in {told.get("RateLimit-Remaining"), told.get("X-RateLimit-Remaining")}:
        return Check(provider, "quota", Verdict.WARN, detail, "wait for the reset, or lower max_concurrent_requests")
    return Check(provider, "quota", Verdict.OK, detail)


def _credits(provider: str, streams: list[EventStream], block: Mapping[str, Any]) -> Iterator[Check]:
    api = next((s.asked for s in streams if isinstance(s.asked, Prices)), None)
    if not isinstance(api, Prices):
        return
    most = api.most_credits()
    creates = [entry for entry in block.get("exports", ()) if not entry.get("export_id")]
    detail = f"one export may take up to {most} credits, by the balance and max_credits"
    if creates and not most:
        remedy = f"set {provider}.max_credits to what a run may spend, and see to the balance"
        yield Check(provider, "credits", Verdict.FAIL, f"{len(creates)} exports would be refused: {detail}", remedy)
    else:
        yield Check(provider, "credits", Verdict.OK, detail)
