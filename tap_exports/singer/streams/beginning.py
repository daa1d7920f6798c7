"""Warns of a `start_date` that has no effect: a stream with a bookmark goes on from it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tap_exports.engine.clock import from_text, to_text
from tap_exports.errors import StateError
from tap_exports.singer.streams.stream import EventStream

LOGGER = logging.getLogger("tap-exports")
START = "start_date"  # beside `bookmarks` in STATE: the one that the last run had


def note_start(start: datetime | None, state: dict[str, Any], streams: Iterable[EventStream]) -> None:
    """Warn of streams that `start_date` has no effect on, then keep it in STATE for the next run.

    That is where a bookmark lies before it, in each run, and where it is earlier than in the run before, once.
    """
    if start is None:
        return
    bookmarks = {stream.name: at for stream in streams if (at := _bookmark(stream))}
    if behind := {name: at for name, at in bookmarks.items() if at < start}:
        _warn(start, behind, "what lies before it is read too")
    before = _instant(state.get(START))
    if before and start < before and bookmarks.keys() - behind.keys():
        ahead = {name: at for name, at in bookmarks.items() if name not in behind}
        _warn(start, ahead, f"what lies between it and {to_text(before)}, where they began, is not read")
    state[START] = to_text(start)


def _warn(start: datetime, bookmarks: dict[str, datetime], result: str) -> None:
    LOGGER.warning(
        "start_date %s has no effect on %s: STATE goes on from %s; %s; to begin at start_date, remove them from STATE",
        to_text(start),
        ", ".join(bookmarks),
        to_text(min(bookmarks.values())),
        result,
    )


def _bookmark(stream: EventStream) -> datetime | None:
    with contextlib.suppress(StateError):  # the stream itself fails with it, at its turn
        return _instant(stream.ledger.value)
    return None


def _instant(value: object) -> datetime | None:
    with contextlib.suppress(ValueError, OverflowError):
        return from_text(value) if isinstance(value, str) else None
    return None
