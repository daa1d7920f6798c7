"""The bookmark and the ledger of one stream; only this package knows their shape in STATE.

`docs/state.md` describes the shape for users. A `StreamState` wraps the live STATE of the tap: every
method leaves it valid, and a caller that acts for a job must have STATE written before it continues.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from tap_exports.engine.changes import Changes
from tap_exports.engine.clock import from_text, to_text
from tap_exports.engine.ledger.basis import BASIS, ELSEWHERE, KEY, Basis, Difference, differences
from tap_exports.engine.ledger.checks import check, remedy
from tap_exports.engine.ledger.entries import (
    VERSION,
    Closed,
    Entry,
    Progress,
    Sized,
    bounds_of,
    entry_of,
    others,
    raw_entry,
    raw_of,
    raw_progress,
    raw_sized,
    sized_of,
    window_of,
)
from tap_exports.engine.model import Job, LocalFile, Request, Window
from tap_exports.errors import StateError

CLOSED_KEPT = 5  # enough where creation instants differ: `closed_created_at` rules out older jobs
CLOSED_AT_ONE_INSTANT = 100  # a provider with whole seconds may give many jobs the same instant
COUNTS_KEPT = 7  # of proven jobs, for `min_rows_ratio`
DELETIONS_KEPT = 1000  # that the provider refuses
PROVEN_KEPT = 1000  # what is proven beyond it is read again once the gap is closed


class StreamState:
    """The bookmark and the ledger of one stream.

    Args:
        stream: The stream's name, for messages.
        bookmark: The live dict under `bookmarks.<stream>`.
        changes: Records the stream's name before each change.

    Raises:
        StateError: The dict is malformed, or its ledger was written by a newer version.
    """

    def __init__(self, stream: str, bookmark: dict[str, Any], changes: Changes) -> None:
        """Check the dict; nothing in it is changed."""
        self._stream = stream
        self._bookmark = bookmark
        self._changes = changes
        self._reads_all = False
        self._basis: dict[str, str] = {}
        self._key: str | None = None
        self._closed: tuple[Sequence[str], str | None, Closed] | None = None
        check(stream, bookmark)

    @classmethod
    def detached(cls, stream: str, bookmark: dict[str, Any]) -> StreamState:
        """Return the state in a copy of a bookmark, whose changes are not recorded; arguments as for the class."""
        return cls(stream, bookmark, Changes())

    @property
    def stream(self) -> str:
        """Return the stream's name."""
        return self._stream

    def is_over(self, bookmark: object) -> bool:
        """Return whether this is the state in a bookmark, the very dict."""
        return self._bookmark is bookmark

    def reading_all(self, *, enabled: bool) -> StreamState:
        """Return this state; if enabled it shows no bookmark, so that the run reads everything again."""
        self._reads_all = enabled
        return self

    # What the bookmark is about

    def on(self, basis: Basis, key: str | None) -> StreamState:
        """Return this state, which writes what the configuration makes it about with the first change.

        Args:
            basis: From `basis_of`; without what is not known.
            key: The replication key, or None.
        """
        self._basis, self._key = dict(basis), key
        return self

    @property
    def differences(self) -> list[Difference]:
        """Return what the bookmark was about and is not any more."""
        return list(differences(self._bookmark, self._basis, self._key))

    @property
    def has_bookmark(self) -> bool:
        """Return whether anything is proven, so that the run would pass it over."""
        return self.value is not None or bool(self._proven())

    @property
    def is_blank(self) -> bool:
        """Return whether nothing is known of the stream: its first run, or its STATE was lost."""
        return not self._bookmark.keys() - {BASIS}

    def take_over(self) -> None:
        """Write the current basis, if there is anything in the bookmark."""
        before = self._bookmark.get(BASIS, {})
        if self._bookmark and {**before, **self._basis} != before:
            self._change()
            self._bookmark[BASIS] = {**before, **self._basis}
        if self._key and self._bookmark.get(KEY, self._key) != self._key:
            self._change()
            self._bookmark[KEY] = self._key

    def begin_anew(self) -> None:
        """Remove bookmark and ledger; proven jobs of the same account are still deleted at the provider."""
        deletions = [] if ELSEWHERE & {each.name for each in self.differences} else self.deletions
        self._changes.add(self._stream)
        self._bookmark.clear()
        for job_id in deletions:
            self.delete_later(job_id)

    # The bookmark

    @property
    def value(self) -> Any:  # noqa: ANN401 - text or integer, as the stream's replication key
        """Return the bookmark's value, or None."""
        return None if self._reads_all else self._bookmark.get("replication_key_value")

    @property
    def instant(self) -> datetime | None:
        """Return the bookmark as an instant, or None.

        Raises:
            StateError: The value is not ISO 8601.
        """
        if self.value is None:
            return None
        try:
            return from_text(self.value)
        except (ValueError, TypeError, AttributeError):
            msg = f"STATE of {self._stream}: replication_key_value is not an ISO 8601 date-time; {remedy(self._stream)}"
            raise StateError(msg) from None

    @property
    def number(self) -> int | None:
        """Return the bookmark as an integer, or None.

        Raises:
            StateError: The value is not an integer.
        """
        if self.value is None:
            return None
        try:
            return int(str(self.value))
        except ValueError:
            msg = f"STATE of {self._stream}: replication_key_value is not an integer; {remedy(self._stream)}"
            raise StateError(msg) from None

    def advance(self, key: str, value: str | int) -> None:
        """Set the bookmark; call it only for what is proven."""
        self._change()
        self._bookmark["replication_key"] = key
        self._bookmark["replication_key_value"] = value

    # What is proven beyond the bookmark

    @property
    def proven(self) -> list[Window]:
        """Return the windows that were proven beyond the bookmark, merged, in ascending order."""
        return [window_of(raw) for raw in self._proven() if isinstance(raw, list)]

    @property
    def proven_numbers(self) -> set[int]:
        """Return the numbers that were proven beyond the bookmark."""
        return {raw for raw in self._proven() if isinstance(raw, int)}

    def keep_proven(self, windows: Iterable[Window]) -> None:
        """Record what is proven beyond the bookmark: merged windows in ascending order."""
        self._keep_proven([bounds_of(window) for window in windows])

    def keep_proven_numbers(self, numbers: Iterable[int]) -> None:
        """Record the numbers that are proven beyond the bookmark."""
        self._keep_proven(sorted(numbers))

    def _proven(self) -> list[Any]:
        return [] if self._reads_all else self._bookmark.get("ledger", {}).get("proven", [])

    def _keep_proven(self, proven: list[Any]) -> None:
        self._put("proven", proven[:PROVEN_KEPT])

    # The ledger

    @property
    def entries(self) -> list[Entry]:
        """Return open jobs, then intents, each in order of creation."""
        ledger = self._bookmark.get("ledger", {})
        return [entry_of(raw) for raw in [*ledger.get("jobs", ()), *ledger.get("intents", ())]]

    def entry(self, fingerprint: str) -> Entry | None:
        """Return the open job or the intent of a request, or None."""
        ledger = self._bookmark.get("ledger", {})
        raws = chain(ledger.get("jobs", ()), ledger.get("intents", ()))
        return next((entry_of(raw) for raw in raws if raw["fingerprint"] == fingerprint), None)

    def intend(self, request: Request, at: datetime) -> None:
        """Record the intent to create a job; STATE must be written before the POST."""
        ledger, raw = self._ledger(), raw_entry(request, at)
        ledger["intents"] = [*others(ledger.get("intents", ()), raw["fingerprint"]), raw]
        ledger["jobs"] = others(ledger["jobs"], raw["fingerprint"])

    def opened(self, request: Request, job: Job, at: datetime, *, adopted: bool = False) -> None:
        """Replace the intent by its job; STATE holds at least one of both at every moment.

        Args:
            request: The request.
            job: The job that the provider answered with, or that was found.
            at: When its creation began.
            adopted: As in `Entry`.
        """
        raw = {"id": job.id, **raw_entry(request, at), "files": {}}
        if job.credits is not None:
            raw["credits"] = job.credits
        if job.is_capped:
            raw["capped"] = True
        if job.warnings:
            raw["warnings"] = list(job.warnings)
        if adopted:
            raw["adopted"] = True
        ledger = self._ledger()
        ledger["jobs"] = [*others(ledger["jobs"], raw["fingerprint"]), raw]
        self._drop_intent(raw["fingerprint"])

    def merge_entry(self, raw: Mapping[str, Any]) -> bool:
        """Record a job or an intent of the durable ledger; return False where STATE holds it, or a later one."""
        found, known = entry_of(raw), self.entry(raw["fingerprint"])
        if known and known.id == found.id:
            self._raise_counts(raw)
            return False
        if known and (known.requested_at, known.id is not None) >= (found.requested_at, found.id is not None):
            return False
        self.forget(found.fingerprint)
        ledger, taken = self._ledger(), {name: value for name, value in raw.items() if name != "read"}
        if found.id is None:
            ledger["intents"] = [*ledger.get("intents", ()), taken]
        else:
            ledger["jobs"] = [*ledger["jobs"], {**taken, "files": {}}]
        return True

    def _raise_counts(self, raw: Mapping[str, Any]) -> None:
        for job in self._bookmark["ledger"]["jobs"]:
            for name in ("bad_reads", "stalls"):
                if job["fingerprint"] == raw["fingerprint"] and raw.get(name, 0) > job.get(name, 0):
                    self._ledger()
                    job[name] = raw[name]

    def forget(self, fingerprint: str) -> None:
        """Remove the job and the intent of a request, if there are any."""
        if "ledger" in self._bookmark:
            ledger = self._ledger()
            ledger["jobs"] = others(ledger["jobs"], fingerprint)
            self._drop_intent(fingerprint)

    @property
    def closed(self) -> Closed:
        """Return the full exports that were read or discarded."""
        ledger = self._bookmark.get("ledger", {})
        ids, at = ledger.get("closed", ()), ledger.get("closed_created_at")
        if self._closed is None or self._closed[0] is not ids or self._closed[1] != at:  # thousands of jobs share it
            self._closed = ids, at, Closed(frozenset(ids), from_text(at) if at else None)
        return self._closed[2]

    def close(self, request: Request, job: Job, kept: int = CLOSED_AT_ONE_INSTANT) -> None:
        """Remove a proven or failed job; that of a full export is added to `closed`, so that it is never adopted.

        Args:
            request: What the job was created for.
            job: The job.
            kept: How many ids `closed` holds where the provider does not date its jobs.
        """
        self.forget(request.fingerprint)
        if request.window is None:
            last = self.closed.created_at
            self._remember(job.id, kept)
            if job.created_at and (last is None or job.created_at > last):
                ledger = self._ledger()
                ledger["closed_created_at"] = to_text(job.created_at)
                ledger["closed"] = ledger["closed"][-CLOSED_KEPT:]

    def may_be_anothers(self, request: Request) -> bool:
        """Return whether the job of a request was found, and the own one was not looked for beside it yet."""
        entry = self.entry(request.fingerprint)
        return entry is not None and entry.adopted and not entry.replaces

    def look_on(self, request: Request) -> None:
        """Drop a job that was found, and look for another one in the next run: nobody knows whose the first one was."""
        found = self.entry(request.fingerprint)
        if found and found.id:
            self.seek(request, found.requested_at, found.id)

    def seek(self, request: Request, at: datetime, beside: str) -> None:
        """Write the intent of a job that was created at an instant and is not the one that was found first."""
        self.intend(request, at)
        self._ledger()["intents"][-1] |= {"replaces": beside, "adopted": True}  # it may be another tap's
        if request.window is None:
            self._remember(beside)

    def _remember(self, job_id: str, kept: int = CLOSED_AT_ONE_INSTANT) -> None:
        ledger = self._ledger()
        ledger["closed"] = [*(i for i in ledger.get("closed", ()) if i != job_id), job_id][-kept:]

    def _drop_intent(self, fingerprint: str) -> None:
        ledger = self._ledger()
        if intents := others(ledger.get("intents", ()), fingerprint):
            ledger["intents"] = intents
        else:
            ledger.pop("intents", None)

    def rows_done(self, job_id: str, file: LocalFile) -> int:
        """Return how many rows of a file STATE covers, or 0 if the SHA-256 of the file differs."""
        known = self._files(job_id).get(file.name, {})
        return int(known.get("rows", 0)) if known.get("sha256") == file.sha256 else 0

    def rows_noted(self, job_id: str) -> dict[str, Any]:
        """Return what STATE says of the files of a job, by name: `sha256`, and the `rows` that it covers."""
        jobs = self._bookmark.get("ledger", {}).get("jobs", [])
        return next((dict(job.get("files", {})) for job in jobs if job["id"] == job_id), {})

    def note_rows(self, job_id: str, file: LocalFile, rows: int) -> None:
        """Record that the first `rows` rows of a file were written."""
        self._files(job_id)[file.name] = {"etag": file.etag, "sha256": file.sha256, "rows": rows}

    def note_bad_read(self, fingerprint: str, allowed: int | None) -> None:
        """Count a read of a job that found bad bytes; discard the job after `allowed` bad reads, None for never."""
        for job in self._jobs(fingerprint):
            job["bad_reads"] = job.get("bad_reads", 0) + 1
            if allowed is not None and job["bad_reads"] >= allowed:
                self.forget(fingerprint)
                if job.get("window") is None:
                    self._remember(job["id"])

    def note_stall(self, fingerprint: str) -> None:
        """Count a run that found the job of a request stalled."""
        for job in self._jobs(fingerprint):
            job["stalls"] = job.get("stalls", 0) + 1

    def note_progress(self, fingerprint: str, progress: Progress) -> None:
        """Record what the job of a request last showed, so that the next run knows for how long it has not moved."""
        for job in self._jobs(fingerprint):
            job["progress"] = raw_progress(progress)

    def note_replaced(self, fingerprint: str, job_id: str) -> None:
        """Record the job in whose place that of a request was created, or is about to be."""
        intents = [raw for raw in self._ledger().get("intents", ()) if raw["fingerprint"] == fingerprint]
        for raw in [*self._jobs(fingerprint), *intents]:
            raw["replaces"] = job_id

    def copy_entry(self, entry: Entry) -> None:
        """Record an entry of another copy of this state in place of that of the same request."""
        ledger = self._ledger()
        known: dict[str, Any] = next((job for job in ledger["jobs"] if job["id"] == entry.id), {"files": {}})
        self.forget(entry.fingerprint)
        if entry.id is None:
            ledger["intents"] = [*ledger.get("intents", ()), raw_of(entry)]
        else:
            ledger["jobs"] = [*ledger["jobs"], {**known, **raw_of(entry)}]

    def _jobs(self, fingerprint: str) -> list[dict[str, Any]]:
        """Return the jobs of a request for a change, which is recorded in `changes`."""
        return [job for job in self._ledger()["jobs"] if job["fingerprint"] == fingerprint]

    # Rows of the jobs that were proven last

    @property
    def counts(self) -> list[tuple[int, float | None]]:
        """Return rows and window in seconds (None: a full export) of the last proven jobs, oldest first."""
        return [(rows, seconds) for rows, seconds in self._bookmark.get("ledger", {}).get("counts", ())]

    def note_count(self, rows: int, seconds: float | None) -> None:
        """Record the rows of a proven job."""
        self._ledger()["counts"] = [*([*each] for each in self.counts), [rows, seconds]][-COUNTS_KEPT:]

    # Rows that were sent

    @property
    def sent(self) -> bytes:
        """Return the digests of rows that were sent, oldest first."""
        return b"" if self._reads_all else b64decode(self._bookmark.get("ledger", {}).get("sent", ""))

    def keep_sent(self, digests: bytes) -> None:
        """Record the digests of rows that were sent."""
        self._put("sent", b64encode(digests).decode())

    # What was read again before the bookmark

    @property
    def again(self) -> Window | None:
        """Return the range before the bookmark that was read again since the bookmark moved, or None."""
        raw = None if self._reads_all else self._bookmark.get("ledger", {}).get("again")
        return window_of(raw) if raw else None

    def keep_again(self, window: Window | None) -> None:
        """Record the range before the bookmark that was read again."""
        self._put("again", bounds_of(window) if window else None)

    # What guards refused

    @property
    def refused(self) -> set[str]:
        """Return the ids of jobs without an entry that a guard refused once."""
        return set(self._bookmark.get("ledger", {}).get("refused", ()))

    def keep_refused(self, ids: Iterable[str]) -> None:
        """Record the ids of jobs without an entry that a guard refused."""
        self._put("refused", sorted(ids)[-PROVEN_KEPT:])

    # Windows that size themselves

    @property
    def sized(self) -> Sized | None:
        """Return the length of windows, None while it is what the configuration says."""
        raw = self._bookmark.get("ledger", {}).get("sized")
        return sized_of(raw) if raw else None

    def keep_sized(self, sized: Sized | None) -> None:
        """Record the length of windows."""
        self._put("sized", raw_sized(sized) if sized else None)

    @property
    def kept_cuts(self) -> list[Window]:
        """Return the windows of which rows were written that are not proven: they are requested as they are."""
        return [window_of(raw) for raw in self._bookmark.get("ledger", {}).get("cuts", ())]

    def keep_cuts(self, windows: Iterable[Window]) -> None:
        """Record the windows of which rows were, or are about to be, written under a key that holds their start."""
        self._put("cuts", [bounds_of(window) for window in windows][-PROVEN_KEPT:])

    def _put(self, name: str, value: object) -> None:
        """Set a field of the ledger, or remove it where it is empty."""
        if value or name in self._bookmark.get("ledger", {}):
            self._ledger().pop(name, None)
            if value:
                self._ledger()[name] = value

    # Deletion in two phases

    @property
    def deletions(self) -> list[str]:
        """Return the ids of proven jobs that are to be deleted at the provider."""
        return list(self._bookmark.get("ledger", {}).get("delete", ()))

    def delete_later(self, job_id: str) -> None:
        """Schedule a job for deletion in the next run; of those that the provider refuses the last ones are kept."""
        ledger = self._ledger()
        ledger["delete"] = [*ledger.get("delete", ()), job_id][-DELETIONS_KEPT:]

    def deleted(self, job_id: str) -> None:
        """Remove a job from the scheduled deletions."""
        ledger = self._ledger()
        ledger["delete"] = [j for j in ledger.get("delete", ()) if j != job_id]

    def _ledger(self) -> dict[str, Any]:
        """Return the ledger for a change, which is recorded in `changes`; create it if it is missing."""
        self._change()
        ledger: dict[str, Any] = self._bookmark.setdefault("ledger", {"version": VERSION, "jobs": [], "delete": []})
        ledger.setdefault("jobs", [])
        ledger["version"] = VERSION
        return ledger

    def _change(self) -> None:
        """Record a change, and what the bookmark is about if it does not say so yet."""
        self._changes.add(self._stream)
        before = self._bookmark.get(BASIS, {})
        if not self._basis.keys() <= before.keys():
            self._bookmark[BASIS] = {**self._basis, **before}

    def _files(self, job_id: str) -> dict[str, Any]:
        """Return the entries of a job's files for a change, which is recorded in `changes`."""
        self._changes.add(self._stream)
        jobs = self._bookmark.get("ledger", {}).get("jobs", [])
        job: dict[str, Any] = next((j for j in jobs if j["id"] == job_id), {})
        files: dict[str, Any] = job.setdefault("files", {})
        return files
