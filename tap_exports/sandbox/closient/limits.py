"""The rate limits of a Closient key: a minute and a day, told in the headers of every answer."""

from __future__ import annotations

import math

from tap_exports.sandbox.clock import Clock
from tap_exports.sandbox.limits import Window
from tap_exports.sandbox.web import Headers, Refusal

_MINUTE, _DAY = 60, 86_400


class Limits:
    """Both windows of a key."""

    def __init__(self, clock: Clock, per_minute: int, per_day: int) -> None:
        """Open both windows now."""
        self._clock = clock
        self._windows = (Window(clock, per_minute, _MINUTE), Window(clock, per_day, _DAY))

    def take(self) -> None:
        """Count a request.

        Raises:
            Refusal: 429, with the seconds to wait in `details` and in Retry-After.
        """
        # Both windows count every request, also one that the other refuses.
        allowed = [window.take() for window in self._windows]
        if not all(allowed):
            wait = max(math.ceil(window.quota().reset) for window in self._windows if not window.quota().remaining)
            retry_after = (("Retry-After", str(wait)),)
            raise Refusal(429, f"Rate limit exceeded, retry after {wait} seconds", details=wait, headers=retry_after)

    def headers(self) -> Headers:
        """Return the headers: those of the most restrictive window, and the policy of both."""
        quota = min((window.quota() for window in self._windows), key=lambda each: each.remaining)
        reset = max(0, math.ceil(quota.reset))
        absolute = math.ceil(self._clock.now().timestamp()) + reset
        return (
            ("RateLimit-Policy", ", ".join(f"{window.limit};w={window.seconds}" for window in self._windows)),
            ("RateLimit-Limit", str(quota.limit)),
            ("RateLimit-Remaining", str(quota.remaining)),
            ("RateLimit-Reset", str(reset)),
            ("X-RateLimit-Limit", str(quota.limit)),
            ("X-RateLimit-Remaining", str(quota.remaining)),
            ("X-RateLimit-Reset", str(absolute)),
        )
