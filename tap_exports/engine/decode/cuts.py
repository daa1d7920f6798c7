"""Where the elements of a JSON array end: two guesses that cost little, and the exact scan.

An array is cut where a guess says, and the cut is proven by decoding what lies before it: JSON text has one
reading only from its start. Where no guess holds, the scan finds the exact places.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

SPACE = b" \t\r\n"

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_TEXT = re.compile(_STRING, re.DOTALL)
_TOKEN = re.compile(_STRING + rb'|[\[\]{},"]', re.DOTALL)
_GUESSES = 1_000  # closing braces that are looked at before guessing is given up
_NESTING = 6  # levels of brackets that the pattern of an element knows


def balanced_cut(data: bytes) -> int:
    """Return the end of the last object before which all brackets balance and behind which a comma stands, or 0.

    Brackets within strings mislead it.
    """
    braces = data.count(b"{") - data.count(b"}")
    brackets = data.count(b"[") - data.count(b"]")
    end = len(data)
    for _ in range(_GUESSES):
        found = data.rfind(b"}", 0, end)
        if found < 0:
            return 0
        behind = found + 1
        braces -= data.count(b"{", behind, end)
        brackets -= data.count(b"[", behind, end) - data.count(b"]", behind, end)
        if braces == 0 and brackets == 0 and data[behind : behind + 64].lstrip(SPACE)[:1] == b",":
            return behind
        braces += 1
        end = found
    return 0


def matched_cut(data: bytes) -> int:
    """Return the end of the last of the objects that follow each other from the start, or 0.

    It knows strings, but objects only to a certain depth.
    """
    pattern, end = _element(), 0
    while match := pattern.match(data, end and end + 1):
        end = match.end() - 1
    return end


def string_end(data: bytes) -> int:
    """Return the end of the string that the data begins with, or 0 where it does not end."""
    match = _TEXT.match(data)
    return match.end() if match else 0


@lru_cache(maxsize=1)
def _element() -> re.Pattern[bytes]:
    """Return the pattern of an object and the comma behind it; no alternative overlaps another: linear time."""
    other = rb'[^"\[\]{}]*'
    inner = _STRING
    for _ in range(_NESTING):
        inner = rb"(?:%b|[\[{]%b(?:%b%b)*[\]}])" % (_STRING, other, inner, other)
    return re.compile(rb"\s*\{%b(?:%b%b)*\}\s*," % (other, inner, other), re.DOTALL)


@dataclass(frozen=True, slots=True)
class Scan:
    """How far a scan came.

    Attributes:
        ends: The places of the commas behind elements, then of the bracket behind the last.
        closed: Whether that bracket was found.
        position: Where to go on with more data.
        depth: How many brackets are open there.
    """

    ends: tuple[int, ...] = ()
    closed: bool = False
    position: int = 0
    depth: int = 0


def scanned(data: bytes, before: Scan, *, single: bool = False) -> Scan:
    """Find the ends of elements exactly.

    Args:
        data: Text that begins with an element.
        before: How far an earlier scan of a part of the same data came without finding an end.
        single: Whether to stop at the end of the first element.
    """
    depth, ends, position = before.depth, list[int](), before.position
    for match in _TOKEN.finditer(data, before.position):
        token = match[0]
        if token == b'"':
            return Scan(tuple(ends), closed=False, position=match.start(), depth=depth)  # the string goes on
        position = match.end()
        if token in b"{[":
            depth += 1
        elif token in b"}]" and depth:
            depth -= 1
        elif depth == 0 and token in b",]}":
            ends.append(match.start())
            if single or token != b",":
                return Scan(tuple(ends), closed=token != b",")
    return Scan(tuple(ends), closed=False, position=position, depth=depth)
