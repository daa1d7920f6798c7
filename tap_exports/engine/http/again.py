"""A record that is not found: one 404 may pass, such as that of a replica which lags."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tap_exports.engine.clock import Clock
from tap_exports.errors import NotFoundError

WAIT_SECONDS = (1.0, 2.0)
Found = TypeVar("Found")


def if_any(ask: Callable[[], Found], clock: Clock) -> Found | None:
    """Return a record, None where three looks in a row do not find it.

    Args:
        ask: Returns the record, or raises `NotFoundError`.
        clock: Waits between two looks.
    """
    for wait in (*WAIT_SECONDS, None):
        try:
            return ask()
        except NotFoundError:  # noqa: PERF203 - the next look is due only because this one failed
            if wait is not None:
                clock.sleep(wait)
    return None
