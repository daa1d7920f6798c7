"""What STATE may say while rows wait in a part that no BATCH message has named yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from tap_exports.engine.changes import Changes
from tap_exports.engine.ledger import Entry, StreamState
from tap_exports.engine.model import Job, Request, Status

Bookmarks = dict[str, Any]


class Covered:
    """STATE as it was when no row waited in an open part; one for all streams, as they take turns.

    Args:
        bookmarks: Returns the live `bookmarks` of STATE.
        changes: Names those that may have changed.
    """

    def __init__(self, bookmarks: Callable[[], Bookmarks], changes: Changes) -> None:
        """Hold nothing yet."""
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
        """Return what was noted of a stream."""
        noted: Bookmarks = self._copies.get(stream, {})
        return noted

    def changed(self) -> list[tuple[str, Bookmarks]]:
        """Return the streams whose bookmark is another now, with it."""
        live = self.live()
        maybe = self._changed | {s for s in live if s not in self._copies}
        return [(s, live[s]) for s in live if s in maybe and live[s] != self.before(s)]


class HeldState:
    """STATE while rows wait in an open part: new jobs show in it at once, rows only when a BATCH has named them.

    Args:
        stream: The stream whose rows wait.
        covered: What may be said of them.
    """

    def __init__(self, stream: str, covered: Covered) -> None:
        """Begin with what is live: no row waits."""
        self._stream, self._covered = stream, covered

    def mark(self) -> None:
        """Take note of the live STATE: all rows that it covers are announced."""
        self._covered.mark()

    def is_proof(self, *, of_job: bool) -> bool:
        """Tell whether a checkpoint lets go of a job, or moves past one: the open part ends there.

        Progress inside a file or a list, and jobs that were created meanwhile, do not.
        """
        return any(self._passed(s, now, of_job=of_job) for s, now in self._covered.changed())

    def _passed(self, stream: str, now: Bookmarks, *, of_job: bool) -> bool:
        before, after = StreamState.detached(stream, self._covered.before(stream)), StreamState.detached(stream, now)
        moved = (before.value, before.deletions) != (after.value, after.deletions)
        return (of_job and stream == self._stream and moved) or bool(_job_ids(before) - _job_ids(after))

    def _held(self, stream: str, now: Bookmarks) -> Bookmarks:
        """Return the noted bookmark with the jobs and intents that are live."""
        held: Bookmarks = deepcopy(self._covered.before(stream))
        state, live = StreamState.detached(stream, held), StreamState.detached(stream, now).entries
        for entry in live:
            if state.entry(entry.fingerprint) != entry:
                _note(state, stream, entry)
        for entry in state.entries:
            if entry.id is None and entry not in live:
                state.forget(entry.fingerprint)
        return held

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Have STATE read as held within the context; who holds the live bookmark does not see it."""
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
        """Take back what no BATCH covers, key by key: workers may be reading."""
        for stream, live in self._covered.changed():
            self._covered.changes.add(stream)
            held = self._held(stream, live)
            for key in [key for key in live if key not in held]:
                del live[key]
            live.update(held)


class _Known(Request):
    """A request of which only the fingerprint is known."""

    __slots__ = ()

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint that the ledger holds."""
        return str(self.params["fingerprint"])


def _note(state: StreamState, stream: str, entry: Entry) -> None:
    request = _Known("", stream, {"fingerprint": entry.fingerprint}, entry.window)
    if entry.id is None:
        state.intend(request, entry.requested_at)
    else:
        job = Job(entry.id, Status.PENDING, credits=entry.credits)
        state.opened(request, job, entry.requested_at)


def _job_ids(state: StreamState) -> set[str]:
    return {entry.id for entry in state.entries if entry.id is not None}
