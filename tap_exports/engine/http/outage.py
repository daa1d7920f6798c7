"""One circuit breaker per provider: an outage is waited for by one request and told once, not by each.

It opens when a request has used all its attempts and the provider has answered no other request meanwhile. While it is
open each request is attempted twice; the first answer closes it.
"""

from __future__ import annotations

import logging
import threading

from tap_exports.engine.clock import Clock

LOGGER = logging.getLogger("tap-exports.http")
WORTH_A_LINE = 3  # faults of an outage whose end is logged


class Outage:
    """What the requests to one provider know of its being down; safe to share between threads.

    Args:
        provider: The provider's name.
        clock: Measures.
    """

    def __init__(self, provider: str, clock: Clock) -> None:
        """Take the provider for up."""
        self._provider, self._clock = provider, clock
        self._faults, self._began = 0, 0.0
        self._answered_at = float("-inf")
        self._message: str | None = None
        self._lock = threading.Lock()

    @property
    def message(self) -> str | None:
        """Return what the request said that found the provider down, None while it is up."""
        return self._message

    def answered(self) -> None:
        """Note an answer of the provider, whatever it says."""
        with self._lock:
            now, faults = self._clock.monotonic(), self._faults
            seconds = now - self._began
            self._answered_at, self._faults, self._message = now, 0, None
        if faults >= WORTH_A_LINE:
            LOGGER.info("%s: answers again, after %d faults in %.0f s", self._provider, faults, seconds)

    def failed(self, what: str) -> None:
        """Note a fault; the first of an outage is a warning, the others are logged at DEBUG."""
        with self._lock:
            is_first = not self._faults
            self._faults += 1
            self._began = self._clock.monotonic() if is_first else self._began
        LOGGER.log(logging.WARNING if is_first else logging.DEBUG, "%s", what)

    def exhausted(self, began: float, message: str) -> None:
        """Note that a request has used all its attempts.

        Args:
            began: When its first attempt began, on the monotonic clock; an answer since then shows that the provider
                is up.
            message: What it raises.
        """
        with self._lock:
            if self._answered_at <= began:
                self._message = self._message or message
