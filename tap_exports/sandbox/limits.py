"""Rate limits on the sandbox's clock: token buckets and fixed windows."""

from __future__ import annotations

from dataclasses import dataclass

from tap_exports.sandbox.clock import Clock


class Bucket:
    """A token bucket: full at first, refilled evenly."""

    def __init__(self, clock: Clock, per_minute: float) -> None:
        """Allow `per_minute` requests a minute, at least one at once."""
        self._clock = clock
        self._size = max(1.0, per_minute)
        self._per_second = per_minute / 60
        self._tokens = self._size
        self._seen = clock.now()

    def take(self) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        now = self._clock.now()
        refill = (now - self._seen).total_seconds() * self._per_second
        self._tokens, self._seen = min(self._size, self._tokens + refill), now
        if self._tokens < 1:
            return (1 - self._tokens) / self._per_second
        self._tokens -= 1
        return 0.0


@dataclass(frozen=True, slots=True)
class Quota:
    """Where a window stands: its limit, what is left of it, and the seconds until it starts anew."""

    limit: int
    remaining: int
    reset: float


class Window:
    """A number of requests per window of fixed length; the first request opens one."""

    def __init__(self, clock: Clock, limit: int, seconds: int) -> None:
        """Allow `limit` requests per `seconds`."""
        self.limit = limit
        self.seconds = seconds
        self._clock = clock
        self._used = 0
        self._opened = clock.now()

    def take(self) -> bool:
        """Count one request; return whether it is allowed."""
        if self.quota().reset <= 0:
            self._used, self._opened = 0, self._clock.now()
        allowed = self._used < self.limit
        self._used += allowed
        return allowed

    def quota(self) -> Quota:
        """Return where the window stands."""
        reset = self.seconds - (self._clock.now() - self._opened).total_seconds()
        return Quota(self.limit, self.limit - self._used, reset)
