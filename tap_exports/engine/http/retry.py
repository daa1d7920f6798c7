"""How often and how long to wait before a request is repeated."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import backoff

from tap_exports.engine.clock import Clock, from_text
from tap_exports.engine.http.reply import Reply
from tap_exports.engine.http.transport import HttpSettings

_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]*)?")
LONGEST_QUOTA_SECONDS = 366 * 86_400  # what is longer is no instant of a quota
_UNIX_TIMES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an attempt came to nothing.

    Attributes:
        text: The reason, without secrets.
        hint: Seconds that the provider asks to wait.
        ambiguous: Whether the request may have taken effect.
        unreachable: Whether no connection came about.
        reply: What came, where it says more than that the attempts are over, or None.
        brief: Whether one more look is enough: the reply may well mean what it says.
        throttled: Whether it is a 429: the provider is there, and asks for fewer requests.
    """

    text: str
    hint: float | None = None
    ambiguous: bool = False
    unreachable: bool = False
    reply: Reply | None = None
    brief: bool = False
    throttled: bool = False


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that `Retry-After` asks for, never negative; None where it is absent or not understood.

    Both forms of RFC 9110, section 10.2.3, seconds and an HTTP date, and what servers send beside them: fractions, a
    Unix time, an ISO 8601 date.
    """
    text = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
        return seconds if seconds < _UNIX_TIMES else max(0.0, seconds - now.timestamp())
    instant = _instant(text)
    return None if instant is None else max(0.0, (instant - now).total_seconds())


def _instant(text: str) -> datetime | None:
    if not text:  # as in almost every reply
        return None
    for read in (parsedate_to_datetime, from_text):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            instant = read(text)
            return instant if instant.tzinfo else instant.replace(tzinfo=timezone.utc)
    return None


class Attempts:
    """Counts the attempts at one thing and waits between them: exponential growth, jitter, the server's hint.

    No wait is shorter than the one before it, whatever a server says: `Retry-After: 0` must not make a tight loop.

    Attributes:
        count: Attempts that failed since the start or the last progress.
    """

    def __init__(self, settings: HttpSettings, clock: Clock) -> None:
        """Start with nothing failed."""
        self._settings = settings
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        """Forget what failed so far: there was progress."""
        self.count = 0
        self._waits = _waits(self._settings.retry_wait_max_seconds)

    def failed(self) -> bool:
        """Note one more failure and return whether another attempt is allowed."""
        self.count += 1
        return self.count < self._settings.max_attempts

    def are_over(self, fault: Fault) -> bool:
        """Return whether the attempt that ended with a fault was the last one."""
        return self.count + 1 >= self._settings.max_attempts or (fault.brief and self.count > 0)

    def cannot_bear(self, hint: float | None) -> bool:
        """Return whether a server asks for more than all attempts that are left would wait: they would be in vain."""
        left = max(1, self._settings.max_attempts - self.count)
        return left * self._settings.retry_after_cap_seconds < (hint or 0.0) <= LONGEST_QUOTA_SECONDS

    def next_wait(self, hint: float | None) -> float:
        """Return the seconds to wait: the next of the growing ones, or the server's capped hint if that is longer."""
        return max(next(self._waits), min(hint or 0.0, self._settings.retry_after_cap_seconds))

    def wait(self, seconds: float) -> bool:
        """Wait, and return whether to go on: False when the clock woke up early because the run is ending."""
        started = self._clock.monotonic()
        self._clock.sleep(seconds)
        # A tenth of a second of slack: timers may fire a little early.
        return self._clock.monotonic() - started >= seconds - 0.1


def _waits(max_seconds: float) -> Iterator[float]:
    """Yield waits of half to all of a second, of two, four, eight, … up to a ceiling; the half keeps them growing."""
    growing = backoff.expo(max_value=max_seconds)
    next(growing)  # the generator answers its first call with a placeholder
    for ceiling in growing:
        yield ceiling / 2 + backoff.full_jitter(ceiling / 2)
