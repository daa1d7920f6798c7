"""The durable ledger: intents and open jobs beside STATE, since loaders give STATE out late, or never after a kill.

It never holds a bookmark. What it holds of a stream is a copy of the ledger in STATE, written before a job is created,
and the jobs that were read: STATE proves their windows, and nobody knows yet whether the loader has kept that STATE.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tap_exports.engine.changes import Changes
from tap_exports.engine.clock import from_text, to_text
from tap_exports.engine.ledger.checks import check_entries
from tap_exports.engine.ledger.entries import CLOCK_SKEW, Entry, entry_of
from tap_exports.engine.ledger.places import LocalPlace, Nowhere, Place
from tap_exports.engine.ledger.state import StreamState
from tap_exports.errors import LedgerError

LOGGER = logging.getLogger("tap-exports.ledger")
FORMAT = 1
READ_KEPT = 1000  # jobs of a stream that were read, the last ones
WINDOW_KEPT, FULL_KEPT = timedelta(days=7), timedelta(days=1)  # an older job that was read is not read again
SECTION_KEPT = timedelta(days=90)
Raw = dict[str, Any]


class DurableLedger:
    """The durable ledger of one run; keeps nothing until it is opened. For the main thread.

    Args:
        bookmarks: Returns the live `bookmarks` of STATE.
        changes: Records which bookmarks may have changed.
    """

    def __init__(self, bookmarks: Callable[[], Raw], changes: Changes) -> None:
        """Start with nothing kept."""
        self._bookmarks, self._changed = bookmarks, changes.reader()
        self._place: Place = Nowhere()
        self._earlier: LocalPlace | None = None
        self._is_required = False
        self._is_written = True
        self._sections: dict[str, Raw] = {}
        self._keys: dict[str, str] = {}
        self._read: set[tuple[str, str]] = set()
        self._now: Callable[[], datetime] | None = None

    @property
    def name(self) -> str:
        """Return where it is, `none` where nothing is kept."""
        return self._place.name

    @property
    def keeps(self) -> bool:
        """Return whether what is written outlives the process."""
        return not isinstance(self._place, Nowhere)

    @property
    def is_named(self) -> bool:
        """Return whether the configuration names its place."""
        return self._is_required

    def open(
        self, place: Place, now: Callable[[], datetime], *, required: bool, earlier: LocalPlace | None = None
    ) -> None:
        """Lock and read what earlier runs left; then `merge` the streams and `write`.

        Args:
            place: Where it is.
            now: Returns the current instant.
            required: Whether the configuration names the place; else one that cannot be used is done without.
            earlier: A ledger of another name to take over; it is locked, and removed by the first `write`.

        Raises:
            LedgerError: Another run has it, it cannot be read, or it is required and cannot be used.
        """
        self._place, self._is_required, self._now, self._earlier = place, required, now, earlier
        places = _both(place, earlier)
        try:
            for each in places:
                each.lock()
            sections = _read(places)
        except OSError as error:
            self._fail(error)
            return
        oldest = to_text(now() - SECTION_KEPT)
        self._sections = {key: raw for key, raw in sections.items() if raw["updated_at"] >= oldest}
        self._is_written = False  # so that the first write shows whether the place takes it, before anything is created

    def look(self, place: Place, now: Callable[[], datetime], earlier: Place | None = None) -> None:
        """Read what earlier runs left, without a lock; then `merge` the streams, and never write.

        Args:
            place: Where it is.
            now: Returns the current instant.
            earlier: A ledger of another name that a run would take over.

        Raises:
            LedgerError: It cannot be read.
        """
        self._now = now
        try:
            self._sections = _read(_both(place, earlier))
        except OSError as error:
            raise LedgerError(f"the ledger {place.name} cannot be read: {error.strerror or error}") from error

    def held(self, keys: Sequence[str]) -> list[Entry]:
        """Return what sections hold; call it before `merge`, which takes them over."""
        return [entry_of(raw) for raw in self._raw(keys)]

    def _raw(self, keys: Sequence[str]) -> list[Raw]:
        sections = [self._sections.get(key, {}) for key in keys]
        return [raw for kind in ("jobs", "intents") for section in sections for raw in section.get(kind, ())]

    def drop(self, stream: str, chosen: Callable[[Entry], bool]) -> int:
        """Drop entries of a stream, of any request; return how many. Call it between `open` and `close`."""
        dropped = 0
        for key, section in self._sections.items():
            for kind in ("jobs", "intents") if key.rpartition("@")[0] == stream else ():
                kept = [raw for raw in section.get(kind, ()) if not chosen(entry_of(raw))]
                dropped += len(section.get(kind, ())) - len(kept)
                section[kind] = kept
        self._is_written = self._is_written and not dropped
        return dropped

    def merge(self, stream: str, keys: Sequence[str], state: StreamState, *, reads_all: bool, is_full: bool) -> None:
        """Take over into STATE what it lacks, and drop what it proves.

        Args:
            stream: The stream's name.
            keys: Names of the stream's section, those of earlier versions first: another account, request or range
                has another one. The last one is written.
            state: The stream's state over the live STATE.
            reads_all: Whether the run reads again what the bookmark covers.
            is_full: Whether the stream is a full table, whose later exports hold what earlier ones held.
        """
        incoming = StreamState.detached(stream, self._bookmarks().get(stream, {}))  # as the loader gave it out
        for raw in self._raw(keys):
            entry, was_read = entry_of(raw), raw.get("read", False)
            is_proven = _proves(incoming, entry) and (was_read or not reads_all or entry.window is None)
            if is_proven or (was_read and self._is_stale(entry, is_full=is_full)):
                continue
            if state.merge_entry(raw):
                what = f"job {entry.id}" if entry.id else "the intent to create a job"
                said = "an earlier run read it, which STATE does not prove" if was_read else "STATE does not hold it"
                LOGGER.info("%s: %s of %s is in the ledger: %s", stream, what, entry.requested_at.isoformat(), said)
        for key in keys:
            self._sections.pop(key, None)
        self._keys[stream], self._sections[keys[-1]] = keys[-1], {}
        self._changed.add(stream)

    def _is_stale(self, entry: Entry, *, is_full: bool) -> bool:
        """Return whether to ask anew instead of reading a job again: not where no later job holds its rows."""
        if entry.window is None and not is_full:
            return False
        kept = WINDOW_KEPT if entry.window else FULL_KEPT
        return self._now is not None and self._now() - entry.requested_at > kept

    def note_read(self, stream: str, fingerprint: str) -> None:
        """Record that all rows of a job are written; a run whose STATE does not prove it reads the same job again."""
        self._read.add((stream, fingerprint))

    def write(self) -> None:
        """Write what changed; call it before STATE is written, and before what STATE announces is done.

        Raises:
            LedgerError: The configuration names the place and it cannot be written; nothing may be created then.
        """
        for stream in self._changed & self._keys.keys():
            self._update(stream)
        self._changed.clear()
        if self._is_written:
            return
        try:
            self._place.write(msgspec.json.encode({"version": FORMAT, "streams": self._sections}))
            self._drop_earlier()
        except OSError as error:
            self._fail(error)
        self._is_written = True

    def _drop_earlier(self) -> None:
        """Remove the ledger that was taken over; a run that dies before this takes it over again."""
        if self._earlier and self.keeps:
            LOGGER.info("the ledger %s holds what %s held", self.name, self._earlier.name)
            self._earlier.remove()
            self._earlier.close()
            self._earlier = None

    def _update(self, stream: str) -> None:
        """Copy a stream's ledger from STATE, less progress inside files, beside the jobs that were read."""
        ledger, before = self._bookmarks().get(stream, {}).get("ledger", {}), self._sections[self._keys[stream]]
        jobs = [{name: value for name, value in job.items() if name != "files"} for job in ledger.get("jobs", ())]
        intents = list(ledger.get("intents", ()))
        live = {raw["fingerprint"] for raw in [*jobs, *intents]}
        gone = [raw for raw in before.get("jobs", ()) if raw["fingerprint"] not in live]
        read = [{**raw, "read": True} for raw in gone if raw.get("read") or (stream, raw["fingerprint"]) in self._read]
        section = {"jobs": [*read[-READ_KEPT:], *jobs], "intents": intents}
        if self._now and section != {name: before.get(name) for name in section}:
            self._sections[self._keys[stream]] = {"updated_at": to_text(self._now()), **section}
            self._is_written = False

    def _fail(self, error: OSError) -> None:
        """Go on without a place that nobody asked for."""
        reason = error.strerror or str(error) or type(error).__name__
        if self._is_required:
            msg = f"config: ledger: {self.name} cannot be used: {reason}; nothing is created without it"
            raise LedgerError(msg) from error
        LOGGER.warning(
            "the ledger %s cannot be kept (%s): a run that is killed before the loader gave out STATE may create its "
            "jobs again; set `ledger` to a path or URL that can be written, or to `none`",
            self.name,
            reason,
        )
        self._place = Nowhere()

    def close(self) -> None:
        """Write what changed and release the lock.

        Raises:
            LedgerError: As for `write`.
        """
        try:
            self.write()
        finally:
            for each in _both(self._place, self._earlier):
                each.close()


def _both(place: Place, earlier: Place | None) -> list[Place]:
    return [earlier, place] if earlier else [place]


def _read(places: Iterable[Place]) -> dict[str, Raw]:
    """Return the sections of ledgers; of sections of one name that of the last ledger counts."""
    sections: dict[str, Raw] = {}
    for place in places:
        if data := place.read():
            sections |= _sections(data, place.name)
    return sections


def _sections(data: bytes, name: str) -> dict[str, Raw]:
    """Return the checked sections of a ledger.

    Raises:
        LedgerError: It cannot be read.
    """
    try:
        content = msgspec.json.decode(data)
        version, sections = content["version"], content["streams"]
        if version == FORMAT:
            for section in sections.values():
                from_text(section["updated_at"])
                check_entries(section)
    except (LookupError, TypeError, ValueError, AttributeError):
        msg = f"the ledger {name} cannot be read: it is damaged or no ledger of this tap. Move it away, or set another"
        raise LedgerError(f"{msg} `ledger`; jobs that only it knows are created again then") from None
    if version != FORMAT:
        msg = f"the ledger {name} has version {version}, this tap knows {FORMAT}: upgrade it, or set another `ledger`"
        raise LedgerError(msg)
    return dict(sections)


def _proves(state: StreamState, entry: Entry) -> bool:
    """Return whether STATE proves what a job was asked for, so that it need not be read again."""
    if entry.window is None:
        return _has_closed(state, entry)
    begin, end, bookmark = entry.window.start, entry.window.end, state.instant
    beyond = any(w.start and begin and w.start <= begin and end <= w.end for w in state.proven)
    return beyond or (bookmark is not None and end <= bookmark)


def _has_closed(state: StreamState, entry: Entry) -> bool:
    """Return whether STATE has closed a full export, a later one, or proven a run of this number."""
    closed, number = state.closed, str(state.value)
    if entry.id is None:
        return False
    if entry.id.isdigit() and number.isdigit() and int(entry.id) <= int(number):
        return True
    is_passed = closed.created_at is not None and closed.created_at - CLOCK_SKEW > entry.requested_at
    return is_passed or entry.id in closed.ids or entry.id in map(str, state.proven_numbers)
