"""Entries of the ledger: open jobs, intents to create a job, and closed full exports."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tap_exports.engine.clock import from_text, to_text
from tap_exports.engine.model import Job, Request, Window

VERSION = 2
MOST_SECONDS = 36_500 * 86_400  # of a window
CLOCK_SKEW = timedelta(minutes=5)  # by which clocks may differ
FIRST_VERSION = 1  # has no `proven` and no `stalls`; everything else is the same, so it is read as it is


@dataclass(frozen=True, slots=True)
class Progress:
    """What a job last showed of its progress.

    Attributes:
        mark: Digest of its status and counts; another one means that it has moved.
        since: When it was first seen like this.
    """

    mark: str
    since: datetime

    @classmethod
    def of(cls, job: Job, since: datetime) -> Progress:
        """Return the progress that a job shows."""
        shown = repr((job.raw_status, job.progress, job.rows))
        return cls(hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest()[:16], since)


@dataclass(frozen=True, slots=True)
class Entry:
    """An open job, or the intent to create one (`id` None): written before the POST, so that a lost reply can be found.

    Attributes:
        id: The provider's job id, or None.
        fingerprint: Digest of the request.
        window: The window that the job covers, or None.
        requested_at: When the tap began to create it.
        credits: What the creation was charged, where the provider said so.
        stalls: Runs that found the job stalled.
        adopted: Whether it was found: after a lost reply, or since there was no STATE. Another tap of the same requests
            may have created it, so it is never deleted.
        bad_reads: Reads that found bad contents.
        progress: What the job last showed, or None.
        replaces: Id of the job in whose place it was created, since that one was lost or stalled; where jobs cost
            money, of one that was found, failed, and may have been another tap's. None where it replaces none.
        is_capped: Whether the reply to its creation said that the provider leaves rows out; no later reply may say so.
        warnings: What that reply told the user.
    """

    id: str | None
    fingerprint: str
    window: Window | None
    requested_at: datetime
    credits: int | None = None
    stalls: int = 0
    adopted: bool = False
    bad_reads: int = 0
    progress: Progress | None = None
    replaces: str | None = None
    is_capped: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Closed:
    """Full exports that were read or discarded. The next export has the same request and must not adopt one of them.

    Attributes:
        ids: Ids of the last few.
        created_at: When the provider created the most recent one, by its own clock; None where it does not say. Jobs
            created before it are ruled out too, so older ids need not be kept.
    """

    ids: frozenset[str] = frozenset()
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sized:
    """The length of windows that size themselves, while it is less than the configuration allows.

    Attributes:
        length: How long a window is at most.
        small: Small windows of that length in a row.
        too_many: Rows that were too many for one window, or None where nobody knows.
    """

    length: timedelta
    small: int = 0
    too_many: int | None = None


def text(value: object) -> str:
    """Return the value, which must be a string.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, str):
        raise TypeError
    return value


def others(entries: Iterable[dict[str, Any]], fingerprint: str) -> list[dict[str, Any]]:
    """Return the entries of all other requests in a new list, because a worker may be reading the old list."""
    return [entry for entry in entries if entry["fingerprint"] != fingerprint]


def entry_of(raw: Mapping[str, Any]) -> Entry:
    """Parse an entry of STATE."""
    bounds: Sequence[str | None] | None = raw.get("window")
    window = window_of(bounds) if bounds else None
    shown = raw.get("progress")
    return Entry(
        raw.get("id"),
        text(raw["fingerprint"]),
        window,
        from_text(raw["requested_at"]),
        raw.get("credits"),
        raw.get("stalls", 0),
        bool(raw.get("adopted")),
        raw.get("bad_reads", 0),
        Progress(text(shown[0]), from_text(shown[1])) if shown else None,
        text(raw["replaces"]) if raw.get("replaces") else None,
        bool(raw.get("capped")),
        tuple(text(each) for each in raw.get("warnings", ())),
    )


def window_of(bounds: Sequence[str | None]) -> Window:
    """Parse the bounds of a window; the first one is None where the window has no beginning."""
    return Window(from_text(bounds[0]) if bounds[0] else None, from_text(str(bounds[1])))


def bounds_of(window: Window) -> list[str | None]:
    """Return the bounds of a window as STATE holds them."""
    return [to_text(window.start) if window.start else None, to_text(window.end)]


def raw_entry(request: Request, at: datetime) -> dict[str, Any]:
    """Return a request as an entry of STATE, without its id."""
    bounds = bounds_of(request.window) if request.window else None
    return {"fingerprint": request.fingerprint, "window": bounds, "requested_at": to_text(at)}


def sized_of(raw: Mapping[str, Any]) -> Sized:
    """Parse the length of windows.

    Raises:
        ValueError: It is none.
    """
    seconds, small, too_many = float(raw["seconds"]), raw.get("small", 0), raw.get("too_many")
    if not 0 < seconds <= MOST_SECONDS or not isinstance(small, int) or not isinstance(too_many, int | None):
        raise ValueError
    return Sized(timedelta(seconds=seconds), small, too_many)


def raw_sized(sized: Sized) -> dict[str, Any]:
    """Return the length of windows as STATE holds it."""
    seconds = sized.length.total_seconds()
    raw = {"seconds": int(seconds) if seconds == int(seconds) else seconds, "small": sized.small}
    return raw if sized.too_many is None else {**raw, "too_many": sized.too_many}


def raw_of(entry: Entry) -> dict[str, Any]:
    """Return an entry as STATE holds it, without the files of its job."""
    bounds = bounds_of(entry.window) if entry.window else None
    raw = {"fingerprint": entry.fingerprint, "window": bounds, "requested_at": to_text(entry.requested_at)}
    progress = raw_progress(entry.progress) if entry.progress else None
    more = {
        "credits": entry.credits,
        "stalls": entry.stalls or None,
        "progress": progress,
        "replaces": entry.replaces,
        "adopted": entry.adopted or None,
        "capped": entry.is_capped or None,
        "warnings": list(entry.warnings) or None,
    }
    known = {**raw, **{name: value for name, value in more.items() if value is not None}}
    return known if entry.id is None else {"id": entry.id, **known}


def raw_progress(progress: Progress) -> list[str]:
    """Return progress as STATE holds it."""
    return [progress.mark, to_text(progress.since)]
