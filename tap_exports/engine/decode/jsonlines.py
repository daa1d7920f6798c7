"""JSON Lines: one value a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tap_exports.engine.decode.elements import FAULTS, VALUES, Broken, Stream, broken_value

BLANK_LINE = re.compile(rb"(?:^|\n)[ \t\r]*\n")


def begins_lines(stream: Stream) -> bool:
    """Return whether the first line is a whole value and another object follows it."""
    line, newline, rest = stream.data.partition(b"\n")
    return bool(newline) and rest.lstrip()[:1] == b"{" and not isinstance(_line(line), Broken)


def lines(stream: Stream) -> Iterator[list[Any]]:
    """Yield JSON Lines; only LF ends a line."""
    while True:
        end = stream.data.rfind(b"\n") + 1
        if end:
            yield _decoded_lines(stream.data[:end])
            stream.drop(end)
        if not stream.more():
            break
    if stream.peek():
        yield [last_line(stream)]


def _decoded_lines(data: bytes) -> list[Any]:
    """Decode whole lines at once, or one by one where that fails or a blank line could hide two values in another."""
    try:
        values: list[Any] = VALUES.decode_lines(data)
    except FAULTS:
        values = []
    if len(values) == data.count(b"\n") and not BLANK_LINE.search(data):
        return values
    return [_line(line) for line in data.split(b"\n") if line.strip()]


def _line(line: bytes) -> object:
    """Decode one line; the others do not depend on it."""
    try:
        return VALUES.decode(line)
    except FAULTS as error:
        return broken_value(line, error) or Broken(line.decode(errors="replace").strip(), str(error))


def last_line(stream: Stream) -> object:
    """Decode a line without an end; the file may be cut there."""
    try:
        return VALUES.decode(stream.data)
    except FAULTS as error:
        broken = broken_value(stream.data, error)
        if broken is None:
            raise stream.cut() from error
        return broken
