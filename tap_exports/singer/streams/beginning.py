"""Warns of where streams begin: a `start_date` that has no effect, an account that STATE knows by another name."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from tap_exports.engine.clock import from_text, to_text
from tap_exports.engine.ledger.partitions import accounts_in
from tap_exports.engine.secrets import printable
from tap_exports.errors import StateError
from tap_exports.singer.streams.stream import EventStream

LOGGER = logging.getLogger("tap-exports")
MOST_NAMED = 3
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


def note_accounts(bookmarks: Mapping[str, Any], streams: Iterable[EventStream]) -> None:
    """Warn of accounts without a bookmark where STATE has some that are not configured: one may have been renamed.

    Args:
        bookmarks: Those of STATE, by the names within the tap.
        streams: Of all accounts.
    """
    configured: dict[str, dict[str, bool]] = {}  # by provider, whether STATE knows the account
    held: dict[str, set[str]] = {}
    for stream in streams:
        if stream.account is not None:
            known = configured.setdefault(stream.provider_name, {})
            known[stream.account] = known.get(stream.account, False) or bool(bookmarks.get(stream.name))
            held.setdefault(stream.provider_name, set()).add(stream.shared_name)
    for provider, known in configured.items():
        gone = {each for name in held[provider] for each in accounts_in(bookmarks, name)} - known.keys()
        if gone and (new := [account for account, is_known in known.items() if not is_known]):
            LOGGER.warning(
                "%s: STATE has accounts that are not configured (%s), and nothing of %s, read from the beginning; if "
                "one was renamed, give it its former name, or rename it in STATE too (docs/state.md, Accounts)",
                provider,
                _few(sorted(gone)),
                _few(new),
            )


def _few(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(printable(name) for name in names[:MOST_NAMED]) + more


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
