"""What the fields of a reply mean, read as tolerantly at every provider: envelopes, nulls, numbers as text.

Nothing here raises anything but `BadContentError`: what a provider sends is never an internal error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from tap_exports.engine.clock import from_text
from tap_exports.engine.model import Row, Status
from tap_exports.errors import BadContentError

_WHOLE = re.compile(r"\s*(-?\d{1,18})(?:\.0*)?\s*")
_BETWEEN_WORDS = re.compile(r"[\s_\-]+")
_SHOWN_CHARACTERS = 40


def mapping(value: object) -> Row:
    """Return an object as it is, an empty one for anything else: an absent part has no fields."""
    return dict(value) if isinstance(value, Mapping) else {}


def record(body: object, what: str, *, key: str = "", inside: Sequence[str] = ("data",)) -> Row:
    """Return the object that a reply is about, bare or in an envelope.

    Args:
        body: A JSON value.
        what: What is due, for the message.
        key: A field without which it is not that object; empty for none.
        inside: Names under which envelopes hold it.

    Raises:
        BadContentError: There is none.
    """
    outer = mapping(body)
    found = next((outer[name] for name in inside if isinstance(outer.get(name), Mapping)), outer)
    if not found or (key and text(found.get(key)) is None):
        named = f" with {key}" if key else ""
        raise BadContentError(f"{what}: an object{named} is due, got {shown(body)}")
    return dict(found)


def records(value: object, what: str, *, key: str = "") -> list[Row]:
    """Return a list of objects: none for null, and without elements that are null.

    Args:
        value: A JSON value.
        what: What is due, for the message.
        key: A field without which an object is no record of this list; empty for none.

    Raises:
        BadContentError: It is no list, or holds something else than such objects.
    """
    if value is None:
        return []
    items = [item for item in value if item is not None] if isinstance(value, list) else None
    if items is None or not all(isinstance(item, dict) for item in items):
        raise BadContentError(f"{what}: a list of records is due, got {shown(value)}")
    if key and not all(text(item.get(key)) for item in items):
        raise BadContentError(f"{what}: a record without {key}")
    return items


def number(value: object) -> int | None:
    """Return a whole number, also one that is written as text or with a fraction of zero; None for anything else."""
    if isinstance(value, bool):
        return None
    found = _WHOLE.fullmatch(str(value))
    return int(found[1]) if found else None


def flag(value: object) -> bool | None:
    """Return a truth value, also one that is written as text; None for anything else."""
    return {"true": True, "1": True, "false": False, "0": False}.get(str(value).strip().lower())


def text(value: object) -> str | None:
    """Return text as it is, numbers as text, None for null and for an empty text."""
    return None if value is None or value == "" else str(value)


def instant(value: object, what: str) -> datetime | None:
    """Return an instant of ISO 8601 text, None for null and for an empty text.

    Raises:
        BadContentError: It is neither.
    """
    if value is None or value == "":
        return None
    try:
        return from_text(str(value))
    except ValueError:
        raise BadContentError(f"{what}: {shown(value)} is no date-time") from None


def status(words: Mapping[str, Status], value: object) -> Status:
    """Return what a status word means, without regard to its case and to what joins its parts.

    Args:
        words: As the provider documents them.
        value: As it wrote it now; unknown words are `Status.UNKNOWN`.
    """
    plain = _plain(str(value))
    return next((meaning for word, meaning in words.items() if _plain(word) == plain), Status.UNKNOWN)


def _plain(word: str) -> str:
    return _BETWEEN_WORDS.sub("_", word.strip().casefold())


def shown(value: object) -> str:
    """Return the kind of a JSON value, and a scalar's beginning, for messages."""
    if isinstance(value, (Mapping, list)):
        return f"{'an object' if isinstance(value, Mapping) else 'a list'} of {len(value)}"
    return "null" if value is None else repr(value)[:_SHOWN_CHARACTERS]
