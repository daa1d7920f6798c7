"""The provider's time, by the `Date` of its replies (RFC 9110 6.6.1)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

from tap_exports.engine.clock import Clock
from tap_exports.errors import TapError

LOGGER = logging.getLogger("tap-exports.http")
NOTICEABLE = timedelta(seconds=5)  # `Date` counts whole seconds, and a reply is on its way for a while
ZERO = timedelta()


class ProviderClock:
    """A clock that never shows a later time than the provider's own.

    A window that ends by a clock that is ahead covers records that the provider is yet to create: they would never be
    exported. Safe to use from several threads.

    Args:
        provider: Named in the warning.
        clock: This machine's clock; it also measures and waits.
    """

    def __init__(self, provider: str, clock: Clock) -> None:
        """Know nothing of the provider's time."""
        self._provider, self._clock = provider, clock
        self._lock = threading.Lock()
        self._skew: timedelta | None = None
        self.ask: Callable[[], object] | None = None

    @property
    def skew_seconds(self) -> float | None:
        """Return how far the provider's clock is ahead of this machine's; negative: behind; None before any reply."""
        return self._skew.total_seconds() if self._skew is not None else None

    def note(self, headers: Mapping[str, str]) -> None:
        """Learn from a reply. The latest of several times counts: a cache between may repeat an old `Date`."""
        try:
            told = parsedate_to_datetime(headers.get("Date", ""))
        except (TypeError, ValueError):
            return
        if told.tzinfo is None:
            told = told.replace(tzinfo=timezone.utc)
        seen = told - self._clock.now()
        seen = ZERO if abs(seen) <= NOTICEABLE else seen
        with self._lock:
            first, self._skew = self._skew is None, max(seen, self._skew if self._skew is not None else seen)
        if first and seen:
            how, seconds = ("ahead of" if seen > ZERO else "behind"), abs(seen.total_seconds())
            LOGGER.warning(
                "%s: its clock is %.0f s %s this machine's; windows end by the earlier of both",
                self._provider,
                seconds,
                how,
            )

    def now(self) -> datetime:
        """Return the earlier of the provider's time and this machine's; asks the provider once where it was not heard.

        Raises:
            TapError: It does not answer.
        """
        if self._skew is None and self.ask is not None:
            ask, self.ask = self.ask, None
            try:
                ask()
            except TapError:
                if self._skew is None:  # a refusal tells the time too
                    raise
        return self._clock.now() + min(ZERO, self._skew or ZERO)

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait; see `Clock`."""
        self._clock.sleep(seconds)
