"""Keeps within a quota that every reply tells: slower as it runs low, and a clear end instead of hours of waiting.

Headers as in https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/03/: `RateLimit-Limit`, `-Remaining`
and `-Reset` in seconds from now. Their `X-` twins count too, whose reset may be a Unix time instead.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tap_exports.engine.clock import Clock, to_text
from tap_exports.engine.http.pace import Answered
from tap_exports.engine.http.retry import LONGEST_QUOTA_SECONDS, retry_after
from tap_exports.errors import QuotaError

SCARCE = 0.2  # the share of a quota below which the rest is spread over the time until its reset
LONGEST_WAIT_SECONDS = 300.0
SPARING = "a larger poll_interval_seconds spends less of it"
_UNIX_TIMES = 1_000_000_000
_TOO_MANY_REQUESTS = 429


@dataclass(frozen=True, slots=True)
class _Window:
    """The most restrictive window, as the last reply tells it; `reset_at` on the monotonic clock."""

    limit: int
    left: int
    reset_at: float


class Quota:
    """Paces the requests of one key by what its replies say of the quota; safe to share between threads.

    Args:
        provider: The provider's name, for messages.
        clock: Measures and waits.
    """

    def __init__(self, provider: str, clock: Clock) -> None:
        """Know of no quota yet."""
        self._provider = provider
        self._clock = clock
        self._window: _Window | None = None
        self._next = 0.0
        self._lock = threading.Lock()

    def before(self) -> None:
        """Wait for the next slot: none while the quota is ample, later ones as it runs low.

        Raises:
            QuotaError: The wait would be longer than five minutes.
        """
        with self._lock:
            wait = self._take(self._clock.monotonic())
        if wait > 0:
            self._clock.sleep(wait)

    def after(self, reply: Answered) -> None:
        """Learn from the headers of a reply.

        Raises:
            QuotaError: The reply is a 429 that asks for more than five minutes.
        """
        window = self._told(reply.headers)
        with self._lock:
            self._window = window or self._window
        if reply.status == _TOO_MANY_REQUESTS:
            self._refuse_long(retry_after(reply.headers, self._clock.now()) or 0.0)

    def _take(self, now: float) -> float:
        """Return the seconds to wait, and count the request."""
        window = self._window
        if window is None or now >= window.reset_at:
            self._window, self._next = None, now
            return 0.0
        left, slot = max(window.left, 0), max(self._next, now)
        slot = min(slot, window.reset_at) if left else window.reset_at
        step = 0.0 if left > window.limit * SCARCE else (window.reset_at - slot) / max(left, 1)
        self._refuse_long(max(step, slot - now))
        self._next = slot + step
        self._window = _Window(window.limit, left - 1, window.reset_at)
        return slot - now

    def _refuse_long(self, seconds: float) -> None:
        if seconds > LONGEST_WAIT_SECONDS:
            window = self._window
            left = f", {max(window.left, 0)} of {window.limit} requests left" if window else ""
            until = to_text(_end(self._clock.now(), seconds))
            msg = f"{self._provider}: the key's quota asks for a wait of {seconds:.0f} s{left}, until {until}"
            raise QuotaError(f"{msg}; a run after that goes on; {SPARING}")

    def _told(self, headers: Mapping[str, str]) -> _Window | None:
        limit, left, reset = (_number(headers, name) for name in ("Limit", "Remaining", "Reset"))
        if limit is None or left is None or reset is None:
            return None
        seconds = reset - self._clock.now().timestamp() if reset >= _UNIX_TIMES else reset
        return _Window(limit, left, self._clock.monotonic() + max(0.0, seconds))


def used_up(now: datetime, seconds: float) -> str:
    """Return until when a quota is used up, for messages."""
    return f"the quota is used up until {to_text(_end(now, seconds))}, a run after that goes on"


def _end(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=min(seconds, LONGEST_QUOTA_SECONDS))


def _number(headers: Mapping[str, str], name: str) -> int | None:
    """Return the whole number of a header, None where it is absent or anything else."""
    text = headers.get(f"RateLimit-{name}") or headers.get(f"X-RateLimit-{name}") or ""
    return int(text) if text.isascii() and text.isdigit() else None
