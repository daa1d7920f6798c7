"""Entries of the ledger: open jobs, intents to create a job, and closed full exports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tap_exports.engine.clock import from_text, to_text
from tap_exports.engine.model import Request, Window

VERSION = 2
FIRST_VERSION = 1  # has no `proven` and no `stalls`; everything else is the same, so it is read as it is


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
        adopted: Whether it was there before this stream had STATE: nobody knows who created it, so it is never deleted.
        bad_reads: Reads that found bad contents.
    """

    id: str | None
    fingerprint: str
    window: Window | None
    requested_at: datetime
    credits: int | None = None
    stalls: int = 0
    adopted: bool = False
    bad_reads: int = 0


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
    return Entry(
        raw.get("id"),
        text(raw["fingerprint"]),
        window,
        from_text(raw["requested_at"]),
        raw.get("credits"),
        raw.get("stalls", 0),
        bool(raw.get("adopted")),
        raw.get("bad_reads", 0),
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
