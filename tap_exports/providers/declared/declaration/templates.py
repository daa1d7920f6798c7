"""Templates of requests: JSON values whose texts hold `{name}` or `{name:form}`, and nothing else that is evaluated."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote
from uuid import UUID

from tap_exports.engine.clock import to_text

FORMS: Mapping[str, Callable[[datetime], str | int]] = {
    "iso_ms": to_text,
    "iso": lambda t: f"{t.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
    "unix": lambda t: int(t.timestamp()),
    "unix_ms": lambda t: int(t.timestamp()) * 1000 + t.microsecond // 1000,
    "date": lambda t: f"{t.astimezone(timezone.utc):%Y-%m-%d}",
    "year": lambda t: t.astimezone(timezone.utc).year,
    "month": lambda t: t.astimezone(timezone.utc).month,
    "day": lambda t: t.astimezone(timezone.utc).day,
}
TEXT_FORMS: Mapping[str, Callable[[str], str]] = {  # of other values; `uuid` of `mark`, for APIs that want one
    "uuid": lambda text: str(UUID(text)),
}
HOLE = re.compile(r"\{\{|\{([A-Za-z_]\w*)(?::(\w+))?\}")
Values = Mapping[str, Any]


def fill(template: object, values: Values) -> Any:  # noqa: ANN401 - JSON
    """Return a template with its holes filled; an item whose value is missing is left out.

    Args:
        template: A JSON value. A text that is one hole keeps the type of its value.
        values: By name; instants take the form that the hole names, `iso_ms` without one.
    """
    if isinstance(template, Mapping):
        filled = {key: fill(inner, values) for key, inner in template.items()}
        return {key: value for key, value in filled.items() if value is not None}
    if isinstance(template, list):
        return [value for value in (fill(inner, values) for inner in template) if value is not None]
    return _text(template, values) if isinstance(template, str) else template


def fill_path(template: str, values: Values) -> str:
    """Return a path with its holes filled and percent-encoded.

    Raises:
        KeyError: A value is missing.
    """
    return HOLE.sub(lambda hole: "{" if hole[1] is None else quote(str(_required(hole, values)), safe=""), template)


def holes(template: object) -> Iterator[tuple[str, str | None]]:
    """Yield name and form of each hole."""
    if isinstance(template, Mapping):
        template = list(template.values())
    if isinstance(template, list):
        for inner in template:
            yield from holes(inner)
    elif isinstance(template, str):
        yield from ((hole[1], hole[2]) for hole in HOLE.finditer(template) if hole[1] is not None)


def _text(template: str, values: Values) -> Any:  # noqa: ANN401 - JSON
    whole = HOLE.fullmatch(template)
    if whole and whole[1] is not None:
        return _value(whole, values)
    found = [_value(hole, values) for hole in HOLE.finditer(template) if hole[1] is not None]
    if any(value is None for value in found):
        return None
    return HOLE.sub(lambda hole: "{" if hole[1] is None else str(_value(hole, values)), template)


def _required(hole: re.Match[str], values: Values) -> object:
    value = _value(hole, values)
    if value is None:
        raise KeyError(hole[1])
    return value


def _value(hole: re.Match[str], values: Values) -> Any:  # noqa: ANN401 - JSON
    value = values.get(hole[1])
    if isinstance(value, datetime):
        return FORMS[hole[2] or "iso_ms"](value)
    return TEXT_FORMS[hole[2]](str(value)) if value is not None and hole[2] in TEXT_FORMS else value
