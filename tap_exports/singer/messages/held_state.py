"""Keeps rows out of STATE while they are in a part that no BATCH message has announced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from tap_exports.engine.changes import Changes
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.ledger.basis import BASIS

Bookmarks = dict[str, Any]


class Covered:
    """A copy of STATE from when no part was open; one for all streams, as they are synced in turn.

    Args:
        bookmarks: Returns the live `bookmarks` of STATE.
        changes: Records which bookmarks may have changed.
    """

    def __init__(self, bookmarks: Callable[[], Bookmarks], changes: Changes) -> None:
        """Start without a copy."""
        self.live, self.changes = bookmarks, changes
        self._changed = changes.reader()
        self._copies: Bookmarks = {}

    def mark(self) -> None:
        """Take note of the live STATE: all rows that it covers are announced."""
        live = self.live()
        for stream in [*self._changed, *(s for s in live if s not in self._copies)]:
            self._copies[stream] = deepcopy(live.get(stream, {}))
        self._changed.clear()

    def before(self, stream: str) -> Bookmarks:
        """Return the copied bookmark of a stream, or an empty one."""
        noted: Bookmarks = self._copies.get(stream, {})
        return noted

    def changed(self) -> list[tuple[str, Bookmarks]]:
        """Return the streams whose live bookmark differs from the copy, with the live bookmark."""
        live = self.live()
        maybe = self._changed | {s for s in live if s not in self._copies}
        return [(s, live[s]) for s in live if s in maybe and live[s] != self.before(s)]


class HeldState:
    """STATE while a part is open: new jobs appear in it at once, rows only after a BATCH message announced them.

    Args:
        stream: The stream whose part is open.
        covered: The copy of STATE without the rows of open parts.
    """

    def __init__(self, stream: str, covered: Covered) -> None:
        """Keep the copy; no part may be open yet."""
        self._stream, self._covered = stream, covered

    def mark(self) -> None:
        """Take note of the live STATE: all rows that it covers are announced."""
        self._covered.mark()

    def is_proof(self, *, of_job: bool) -> bool:
        """Return whether STATE has proven or dropped a job since the copy, so that the open part must be closed.

        Progress within a file or a list does not count, nor do jobs that were created meanwhile.

        Args:
            of_job: Whether the open part holds rows of a job; then a moved bookmark counts as proof.
        """
        return any(self._passed(s, now, of_job=of_job) for s, now in self._covered.changed())

    def _passed(self, stream: str, now: Bookmarks, *, of_job: bool) -> bool:
        before, after = StreamState.detached(stream, self._covered.before(stream)), StreamState.detached(stream, now)
        moved = (before.value, before.deletions) != (after.value, after.deletions)
        return (of_job and stream == self._stream and moved) or bool(_job_ids(before) - _job_ids(after))

    def _held(self, stream: str, now: Bookmarks) -> Bookmarks:
        """Return the copied bookmark with the live jobs and intents."""
        held: Bookmarks = deepcopy(self._covered.before(stream))
        if BASIS in now:
            held[BASIS] = now[BASIS]
        state, live = StreamState.detached(stream, held), StreamState.detached(stream, now).entries
        for entry in live:
            if state.entry(entry.fingerprint) != entry:
                state.copy_entry(entry)
        for entry in state.entries:
            if entry.id is None and entry not in live:
                state.forget(entry.fingerprint)
        return held

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Within the context, replace the stream's bookmark in STATE by the held one; the live dict is not changed."""
        bookmarks = self._covered.live()
        live = bookmarks.get(self._stream, {})
        self._covered.changes.add(self._stream)
        bookmarks[self._stream] = self._held(self._stream, live)
        try:
            yield
        finally:
            bookmarks[self._stream] = live
            self._covered.changes.add(self._stream)

    def roll_back(self) -> None:
        """Remove from STATE what no BATCH message covers; key by key, since workers may be reading the live dict."""
        for stream, live in self._covered.changed():
            self._covered.changes.add(stream)
            held = self._held(stream, live)
            for key in [key for key in live if key not in held]:
                del live[key]
            live.update(held)


def _job_ids(state: StreamState) -> set[str]:
    return {entry.id for entry in state.entries if entry.id is not None}
