"""Changes of STATE by which the next run reads again what is proven; nothing is asked of the provider.

A stream of windows forgets that one range is proven and keeps all other proof: the bookmark goes back to the beginning
of the range, and what was proven behind it stands in the ledger, as behind any other gap.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from shlex import quote

from tap_exports.engine import windows
from tap_exports.engine.clock import MILLISECOND, to_text
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Window


def replay_command(stream: str, first: datetime, last: datetime) -> str:
    """Return the command that has a range read again, for messages about what a run has passed."""
    return f"`tap-exports replay {quote(stream)} --from {to_text(first)} --to {to_text(last)}`"


def reopen_window(state: StreamState, key: str, hole: Window, since: datetime | None = None) -> bool:
    """Have a range of a stream of windows read again; return whether any of it was proven.

    Args:
        state: Bookmark and ledger; open jobs stay as they are.
        key: The bookmark's name.
        hole: The range; its beginning is not open.
        since: Where the stream begins without a bookmark: what lies before it counts as read.
    """
    bookmark = state.instant or since
    covered = [Window(None, bookmark)] if bookmark else []
    left = windows.without([*covered, *state.proven], hole)
    if left == [*covered, *state.proven] or hole.start is None:
        return False
    frontier, beyond = windows.joined(None, left)
    if frontier:  # None: the range has an open beginning, of which only what is proven beyond it is known
        state.advance(key, to_text(frontier))
    state.keep_proven(beyond)
    state.keep_sent(b"")
    return True


def reopen_runs(state: StreamState, key: str, numbers: range, configured: Iterable[int]) -> list[int]:
    """Have configured runs of a stream read again; return their numbers.

    Args:
        state: Bookmark and ledger; runs in the ledger stay.
        key: The bookmark's name.
        numbers: The numbers of the runs.
        configured: All numbers of the configuration.
    """
    bookmark, proven = state.number, state.proven_numbers
    known = set(configured)
    done = {i for i in known if bookmark is not None and i <= bookmark} | proven
    again = sorted(done & known & set(numbers))
    if not again:
        return []
    if bookmark is not None and numbers.start <= bookmark:
        state.advance(key, numbers.start - 1)
        bookmark = numbers.start - 1
    state.keep_proven_numbers(i for i in done - set(again) if bookmark is None or i > bookmark)
    return again


def reopen_since(state: StreamState, key: str, start: datetime) -> bool:
    """Have a list read again from an instant on; return whether the bookmark was past it."""
    if state.instant is None or state.instant < start:
        return False
    state.advance(key, to_text(windows.floor_millisecond(start) - MILLISECOND))
    state.keep_sent(b"")
    return True


def reopen_since_number(state: StreamState, key: str, number: int) -> bool:
    """Have records be read again from a number on; return whether the bookmark was at or past it."""
    if state.number is None or state.number < number:
        return False
    state.advance(key, number - 1)
    return True
