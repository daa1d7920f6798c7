"""What a plain YAML scalar stands for, without losing a character.

A value gets a type only where YAML 1.1 and 1.2 agree on it and JSON can write it as it stands; everything else stays
the text that the file holds: `007`, `1e5`, `1_000`, `1:30`, `no`, `.nan`. Dates and times become ISO 8601 text.
Rules: https://yaml.org/type/ and https://yaml.org/spec/1.2.2/#103-core-schema.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal

Scalar = str | int | bool | Decimal | None

_WORDS: dict[str, Scalar] = dict.fromkeys(("", "~", "null", "Null", "NULL"))
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True)
_WORDS |= dict.fromkeys(("false", "False", "FALSE"), False)
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+][0-9]{1,3})?")
_TIME = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(?:\.(\d*))?"
    r"(?:[ \t]*(?:(Z)|([-+])(\d\d?)(?::?(\d\d))?))?",
    re.ASCII,
)
_MACHINE_DIGITS = 18  # more may not fit into 64 bits, and stay exact as a decimal
_STARTS = frozenset("-0123456789")


def plain(text: str) -> Scalar:
    """Return the value of a plain scalar: null, boolean, integer, decimal, ISO 8601 text, or the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _STARTS:
        return text
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) <= _MACHINE_DIGITS else Decimal(text)
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    return _time(text)


def _time(text: str) -> str:
    """Return a YAML timestamp as ISO 8601 with all its digits; a date alone has that form already."""
    match = _TIME.fullmatch(text)
    if match is None:
        return text
    *parts, fraction, utc, sign, hours, minutes = match.groups()
    year, month, day, hour, minute, second = map(int, parts)
    try:
        instant = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - only its form is wanted
    except ValueError:
        return text
    offset = f"{sign}{int(hours):02d}:{minutes or '00'}" if sign else utc or ""
    return instant.isoformat() + (f".{fraction}" if fraction else "") + offset
