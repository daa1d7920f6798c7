"""Errors of a declaration's shape, and mistakes that look like something else, in words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from jsonschema import ValidationError

from tap_exports.providers.declared.declaration.format import KEYS, NAME, PYTHON
from tap_exports.providers.declared.declaration.source import Place

KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
}
# What a pattern or format of the JSON Schema means, by the beginning of it.
MEANT = {
    "^/": "a path below base_url is due, beginning with one /",
    "^https?://": "an URL is due, beginning with https://",
    "^https://": "an URL is due, beginning with https://",
    "^[a-z][a-z0-9_]*$": "lower-case letters, digits and _ are due, a letter first",
    "^[1-9]": "a number of minutes, hours, days or weeks is due, such as 7 days",
    PYTHON: "the name of a Python file beside the declaration is due, without a folder, such as vendor.py",
    KEYS: "up to three keys are due, separated by dots",
    NAME: "letters, digits and _ are due, no digit first",
    "date": "a day such as 2026-01-31 is due",
}
BOUNDS = {"exclusiveMinimum": "more than", "minimum": "at least", "maximum": "at most"}
_SHOWN_CHARACTERS = 60
_UNQUOTED = re.compile(r"[A-Za-z_]\w*(:\w+)?")
_DOUBLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def described(error: ValidationError) -> Iterator[tuple[Place, str]]:
    """Yield the place of an error of the JSON Schema and what is wrong there."""
    place, rule, value = tuple(error.absolute_path), cast("Any", error.validator_value), cast("Any", error.instance)
    if error.validator == "additionalProperties" and isinstance(error.schema, Mapping):
        known = sorted(error.schema["properties"])
        for key in (key for key in value if key not in known):
            yield (*place, key), f'unknown key; the nearest is "{nearest(key, known)}"'
    elif error.validator == "required":
        yield from ((place, f'the key "{key}" is missing') for key in rule if key not in value)
    elif error.validator == "enum":
        words = [str(word) for word in rule]
        yield place, f'one of {", ".join(words)} is due; the nearest is "{nearest(str(value), words)}"'
    elif error.validator == "type":
        yield place, _kind(rule, value, place)
    elif error.validator in {"pattern", "format"}:
        meant = next((words for begin, words in MEANT.items() if _is_about(begin, str(rule))), f"{rule} does not fit")
        yield place, f"{meant}, got {_shown(value, place)}"
    elif error.validator in BOUNDS:
        yield place, f"{BOUNDS[error.validator]} {rule} is due, got {_shown(value, place)}"
    else:
        yield place, f"does not fit: {error.validator} {rule}"


def _is_about(begin: str, rule: str) -> bool:
    return rule == begin or (begin in {"^/", "^[1-9]"} and rule.startswith(begin))


def _kind(rule: object, value: object, place: Place) -> str:
    due = " or ".join(KINDS.get(str(kind), str(kind)) for kind in (rule if isinstance(rule, list) else [rule]))
    if hole := unquoted(value):
        return f'{due} is due; {{{hole}}} without quotes is a mapping, write "{{{hole}}}"'
    return f"{due} is due, got {_shown(value, place)}"


def _shown(value: object, place: Place) -> str:
    """Return a wrong value; texts and numbers of `auth` may be keys, so they are not shown."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return "a text" if place[:1] == ("auth",) else f'"{value[:_SHOWN_CHARACTERS]}"'
    if isinstance(value, bool):
        return str(value).lower()
    return "a number" if place[:1] == ("auth",) else str(value)


def unquoted(value: object) -> str:
    """Return the hole that YAML read as a mapping since it was not quoted, or an empty text."""
    if isinstance(value, Mapping) and len(value) == 1:
        key, inner = next(iter(value.items()))
        if inner is None and _UNQUOTED.fullmatch(str(key)):
            return str(key)
    return ""


def mistakes(templates: Iterator[tuple[Place, object]], known: Sequence[str]) -> Iterator[tuple[Place, str]]:
    """Yield what is a hole elsewhere and none here.

    Args:
        templates: Every value of the templates, mappings too.
        known: Names of holes that the tap fills.
    """
    for place, value in templates:
        if hole := unquoted(value):
            yield place, f'{{{hole}}} without quotes is a mapping; write "{{{hole}}}"'
        for found in _DOUBLE.finditer(value) if isinstance(value, str) else ():
            if found[1] in known:
                yield place, f"{found[0]} is no hole; write {{{found[1]}}}"


def nearest(word: str, known: Sequence[str]) -> str:
    """Return the most similar word."""
    return difflib.get_close_matches(word, known, n=1, cutoff=0.0)[0]
