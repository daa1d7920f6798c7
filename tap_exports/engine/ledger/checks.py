"""Validates an incoming STATE before any of it is used."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from shlex import quote
from typing import Any

from tap_exports.engine.clock import from_text
from tap_exports.engine.ledger.basis import BASIS
from tap_exports.engine.ledger.entries import FIRST_VERSION, VERSION, entry_of, sized_of, text, window_of
from tap_exports.errors import NewerStateError, StateError


def remedy(stream: str) -> str:
    """Return what a user does where the STATE of a stream cannot be used; nobody has to edit it."""
    return f"`tap-exports forget {quote(stream)}` drops what STATE has of it, the next run begins at start_date then"


def malformed(stream: str, what: str) -> StateError:
    """Return the error of a stream's STATE that cannot be read, with the way out."""
    return StateError(f"STATE of {stream} is malformed: {what}; {remedy(stream)}")


def check_state(state: object) -> None:
    """Check the incoming STATE; None and an empty object pass.

    Raises:
        StateError: It is malformed, or written by a newer version; none of it may be used.
    """
    if state is None or state == {}:
        return
    bookmarks = state.get("bookmarks") if isinstance(state, Mapping) else None
    if not isinstance(bookmarks, Mapping):
        msg = 'STATE is malformed: expected an object with "bookmarks"; restore it, or begin without it'
        raise StateError(msg)
    for stream, bookmark in bookmarks.items():
        check(stream, bookmark)


def check(stream: str, bookmark: object) -> None:
    """Check the shape of one stream's STATE.

    Raises:
        StateError: It is malformed, or from a newer version.
    """
    if not isinstance(bookmark, Mapping):
        raise malformed(stream, f"expected an object under bookmarks.{stream}")
    _check_basis(stream, bookmark.get(BASIS, {}))
    ledger = bookmark.get("ledger")
    if ledger is None:
        return
    if not isinstance(ledger, Mapping) or not isinstance(ledger.get("version"), int):
        raise malformed(stream, f"bookmarks.{stream}.ledger has no version")
    _check_version(stream, ledger["version"])
    try:
        check_entries(ledger)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise malformed(stream, f"bookmarks.{stream}.ledger holds an entry that cannot be read") from None


def _check_basis(stream: str, basis: object) -> None:
    if not isinstance(basis, Mapping) or not all(isinstance(value, str) for value in basis.values()):
        raise malformed(stream, f"bookmarks.{stream}.{BASIS} must be an object of texts")


def _check_version(stream: str, version: int) -> None:
    """Check that the version of the ledger is supported; older ones are taken over."""
    if version > VERSION:
        msg = (
            f"STATE of {stream} has ledger version {version}, this tap knows up to {VERSION}: "
            "it was written by a newer tap-exports; upgrade this one"
        )
        raise NewerStateError(msg)
    if version < FIRST_VERSION:
        msg = f"STATE of {stream} has ledger version {version}, which no tap-exports wrote; {remedy(stream)}"
        raise StateError(msg)


def check_entries(ledger: Mapping[str, Any]) -> None:
    """Parse every field of a ledger once, in STATE or in the durable ledger.

    Raises:
        LookupError: Something is missing; TypeError, ValueError or AttributeError: something is of another type.
    """
    jobs, intents, delete = (_list(ledger.get(key, [])) for key in ("jobs", "intents", "delete"))
    for raw in [*jobs, *intents]:
        entry_of(raw)
    for raw in jobs:
        text(raw["id"])
        _whole(raw.get("bad_reads", 0))
        _whole(raw.get("stalls", 0))
        for file in raw.get("files", {}).values():
            _whole(file.get("rows", 0))
    for job_id in [*delete, *_list(ledger.get("closed", [])), *_list(ledger.get("refused", []))]:
        text(job_id)
    if "closed_created_at" in ledger:
        from_text(ledger["closed_created_at"])
    for rows, seconds in _list(ledger.get("counts", [])):
        _whole(rows)
        float(seconds or 0)
    _check_windows(ledger)
    for proven in _list(ledger.get("proven", [])):
        window_of(proven) if isinstance(proven, list) else _whole(proven)


def _check_windows(ledger: Mapping[str, Any]) -> None:
    if "sized" in ledger:
        sized_of(ledger["sized"])
    b64decode(text(ledger.get("sent", "")), validate=True)
    if "again" in ledger:
        window_of(_list(ledger["again"]))
    for cut in _list(ledger.get("cuts", [])):
        window_of(cut)


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int):  # a JSON parser may return infinity for 1e999
        raise TypeError
    return value
