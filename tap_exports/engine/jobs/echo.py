"""Comparison of what was asked for with what a provider echoes: by meaning, not by text."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tap_exports.engine.clock import from_text, to_text

INSTANT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?")


def means_same(asked: object, echoed: object) -> bool:
    """Return whether a value was echoed as it was sent.

    Instants are compared as instants, numbers by value; keys have no order, and keys that the provider added are
    passed over. Nothing, null and an empty text are the same.
    """
    if isinstance(asked, Mapping):
        echo = echoed if isinstance(echoed, Mapping) else {}
        return all(means_same(value, echo.get(key)) for key, value in asked.items())
    if isinstance(asked, list):
        pairs = zip(asked, echoed, strict=False) if isinstance(echoed, list) else ()
        return isinstance(echoed, list) and len(asked) == len(echoed) and all(means_same(*pair) for pair in pairs)
    return _plain(asked) == _plain(echoed)


def different(asked: Mapping[str, object], echoed: Mapping[str, object]) -> list[str]:
    """Return the keys whose echo contradicts what was sent; a key that is not echoed contradicts nothing."""
    return [key for key, value in asked.items() if echoed.get(key) is not None and not means_same(value, echoed[key])]


def _plain(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return INSTANT.sub(_instant, str(value))


def _instant(found: re.Match[str]) -> str:
    try:
        return to_text(from_text(found[0]))
    except ValueError:
        return found[0]
