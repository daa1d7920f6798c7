"""Instants as numbers: seconds since 1970, as some providers write them."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from tap_exports.engine.clock import to_text
from tap_exports.engine.model import Row

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]{1,6})?")


def instant_text(value: object) -> object:
    """Return seconds since 1970, as a number or as text, as ISO 8601 in UTC; anything else as it is."""
    is_text = isinstance(value, str) and _SECONDS.fullmatch(value)
    if isinstance(value, bool) or not (is_text or isinstance(value, int | float)):
        return value
    try:
        moment = EPOCH + timedelta(microseconds=round(Decimal(str(value)).scaleb(6)))
    except (ArithmeticError, ValueError):
        return value
    return f"{moment.isoformat()[:-6]}Z" if moment.microsecond % 1000 else to_text(moment)


def mend_instants(rows: list[Row], names: Collection[str]) -> None:
    """Write the instants of some columns as text, in place."""
    for row in rows:
        for name in names:
            if name in row:
                row[name] = instant_text(row[name])
