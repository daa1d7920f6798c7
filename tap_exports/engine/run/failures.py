"""Failures of the parts of a stream: each is kept until the other parts are read."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from tap_exports.errors import (
    AuthError,
    BadContentError,
    ConfigError,
    CountError,
    GuardError,
    NotReadyError,
    PaymentError,
    ProviderDownError,
    QuotaError,
    TapError,
    TryAgainError,
)

LOGGER = logging.getLogger("tap-exports.run")
READS_OF_ONE_JOB = 2  # a job whose bytes were bad is read once more before it is discarded
BAD_READS = (BadContentError, CountError, GuardError, NotReadyError)  # another job may give what this one did not
OUTAGE = 3  # parts in a row that got no reply of success from the provider
STREAM_WIDE = (
    AuthError,
    ConfigError,
    PaymentError,
    ProviderDownError,
    QuotaError,
)  # whatever part is asked for next would fail alike


@dataclass(slots=True)
class Failures:
    """Failures of one run of a stream, in order.

    Attributes:
        stream: The stream's name, for messages.
        first: The first failure, or None.
    """

    stream: str
    first: TapError | None = None
    _unreached: int = 0

    def add(self, error: TapError, *, more: bool) -> bool:
        """Record the failure of a part; return whether no further part may be begun.

        Args:
            error: The failure; the first one is raised by `end`.
            more: Whether parts are left to read.
        """
        self._unreached = self._unreached + 1 if isinstance(error, TryAgainError) else 0
        stops = isinstance(error, STREAM_WIDE) or self._unreached >= OUTAGE
        is_news = self.first is None or not _are_alike(error, self.first)
        if is_news and (self.first or more):
            LOGGER.warning("%s: %s%s", self.stream, error, "" if stops else "; what is behind it is still read")
        self.first = self.first or error
        return stops

    def lose(self, error: TapError) -> None:
        """Record a failure whose rows no later run brings; call it before STATE goes on without them.

        It is said at once: the run may die before `end`, and no other run would know of it.
        """
        LOGGER.warning("%s: %s", self.stream, error)
        self.passed()
        self.first = self.first or error

    def passed(self) -> None:
        """Record that a part did not fail."""
        self._unreached = 0

    def end(self) -> None:
        """Raise the first failure; call it after the last part.

        Raises:
            TapError: There was one.
        """
        if self.first:
            raise self.first


def _are_alike(one: TapError, other: TapError) -> bool:
    """Return whether two failures tell the same: those of a whole stream, such as a quota, may differ by an instant."""
    return one.message == other.message or (isinstance(one, STREAM_WIDE) and type(one) is type(other))
