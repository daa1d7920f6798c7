"""The windows of the two peers whose exports are written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta


def windows(start: datetime, end: datetime, days: int) -> Iterator[tuple[str, str]]:
    """Yield the bounds of windows of so many days; the second one is exclusive."""
    while start < end:
        until = min(start + timedelta(days=days), end)
        yield written(start), written(until)
        start = until


def written(moment: datetime) -> str:
    """Return an instant as the API takes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
