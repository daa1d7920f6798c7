"""Instants as numbers: seconds since 1970, as some providers write them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta, timezone

from tap_exports.engine.clock import to_text
from tap_exports.engine.model import Row

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def instant_text(value: object) -> object:
    """Return seconds since 1970, as a number or as text, as ISO 8601 in UTC; anything else as it is."""
    digits = isinstance(value, str) and value.isascii() and value.isdigit()
    if isinstance(value, bool) or not (digits or isinstance(value, int | float)):
        return value
    try:
        return to_text(EPOCH + timedelta(seconds=float(str(value))))
    except (OverflowError, ValueError):
        return value


def mend_instants(rows: list[Row], names: Collection[str]) -> None:
    """Write the instants of some columns as text, in place."""
    for row in rows:
        for name in names:
            if name in row:
                row[name] = instant_text(row[name])
