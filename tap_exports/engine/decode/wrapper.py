"""A JSON object alone in its file: the list of rows that it wraps, or a row itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tap_exports.engine.decode.cuts import Scan, scanned, string_end
from tap_exports.engine.decode.elements import FAULTS, OUTLINES, VALUES, Stream, elements
from tap_exports.engine.decode.identity import refuse_stranger
from tap_exports.engine.decode.jsonlines import last_line, lines
from tap_exports.engine.decode.layout import Layout, excerpt
from tap_exports.engine.decode.names import renamed
from tap_exports.errors import BadContentError

LIST_NAMES = ("items", "companies", "records", "data", "results", "rows", "values")
WRAPPERS = ("data", "result", "results", "response", "payload", "body", "content", "export")
ERRORS = frozenset({"error", "errors", "fault", "faults"})
DEEPEST = 3  # objects within each other that are looked into


@dataclass(frozen=True, slots=True)
class Held:
    """A list in an object: the offset behind its bracket, and whether it may hold rows."""

    offset: int
    holds_rows: bool


@dataclass(frozen=True, slots=True)
class Null:
    """A null, which stands for an empty list where one is due."""


Outline = Mapping[str, object]  # by key: Held, Null, the Outline of an object, or None for anything else


def wrapped(stream: Stream, layout: Layout) -> Iterator[list[Any]]:
    """Yield the rows of the list in an object, or the object itself; it is read to its end first.

    Raises:
        BadContentError: It holds no list and is no row of this export.
    """
    begin = stream.offset
    keys = _outline(stream, 1)
    is_row = len(keys) > 1 and all(layout.knows(layout.aliases.get(key, key)) for key in keys)
    follows = stream.peek()
    again = Stream(stream.file, layout.csv.encoding, begin)
    if follows == b"{":
        yield from lines(again)
    elif follows:
        raise stream.malformed("behind the end")
    elif not is_row and isinstance(rows := _rows_of(keys), Held):
        yield from elements(Stream(stream.file, layout.csv.encoding, rows.offset), VALUES)
    elif not (not is_row and isinstance(rows, Null)):
        while again.more():
            pass
        if not is_row:
            _refuse_no_row(keys, layout, stream.file.name, again.data)
        yield [last_line(again)]


def listed_at(stream: Stream, layout: Layout, place: str) -> Iterator[list[Any]]:
    """Yield the rows of the list at a place in an object; null stands for an empty one.

    Args:
        stream: Stands before the object.
        layout: Says the encoding.
        place: Keys, joined by dots.

    Raises:
        BadContentError: There is no list, or something follows the object.
    """
    found: object = _outline(stream, 1)
    if stream.peek():
        raise stream.malformed("behind the end")
    for key in place.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    if isinstance(found, Held):
        yield from elements(Stream(stream.file, layout.csv.encoding, found.offset), VALUES)
    elif not isinstance(found, Null):
        raise BadContentError(f'{stream.file.name}: no list at "{place}" where rows are due')


def _refuse_no_row(keys: Outline, layout: Layout, file: str, data: bytes) -> None:
    """Stop at an object that is no row: an error, or another object than the rows that are known."""
    others = renamed(list(keys), layout)
    names = [others.get(key, key) for key in keys]
    shown = layout.own.intersection(names)
    if not shown or 2 * len(shown) < len(layout.own) or ERRORS.intersection(keys) - layout.own:
        what = excerpt(data[:400].decode(errors="replace"))
        raise BadContentError(f"{file}: an object without a list where rows are due: {what}")
    refuse_stranger(names, list(keys), layout, file)


def _rows_of(keys: Outline) -> Held | Null | None:
    """Choose the list that holds the rows, as near to the top as can be."""
    lists = {name: held for name, held in keys.items() if isinstance(held, Held)}
    for name in LIST_NAMES:
        if name in lists:
            return lists[name]
    if len(lists) == 1:
        (name, only), *_ = lists.items()
        return only if only.holds_rows and name not in ERRORS else None
    for name in WRAPPERS:
        inner = keys.get(name)
        if isinstance(inner, dict) and (found := _rows_of(inner)):
            return found
    if ERRORS.isdisjoint(keys):
        return next((null for name in LIST_NAMES if isinstance(null := keys.get(name), Null)), None)
    return None


def _outline(stream: Stream, depth: int) -> dict[str, object]:
    """Read an object to its end and return what its keys hold."""
    keys: dict[str, object] = {}
    stream.drop(1)
    if stream.peek() == b"}":
        stream.drop(1)
        return keys
    while True:
        key = _key(stream)
        start = stream.peek()
        if start == b"[":
            keys[key] = _held(stream)
        elif start == b"{" and depth < DEEPEST:
            keys[key] = _outline(stream, depth + 1)
        else:
            keys[key] = Null() if _skip_value(stream) == b"null" else None
        separator = stream.peek()
        if separator not in {b",", b"}"}:
            raise stream.malformed("in the outer object") if separator else stream.cut()
        stream.drop(1)
        if separator == b"}":
            return keys


def _key(stream: Stream) -> str:
    """Read a key and its colon."""
    if stream.peek() != b'"':
        raise stream.malformed("in the outer object") if stream.data else stream.cut()
    while not (end := string_end(stream.data)):
        if not stream.more():
            raise stream.cut()
    try:
        key = msgspec.json.decode(stream.data[:end], type=str)
    except FAULTS as error:
        raise stream.malformed("in the outer object") from error
    stream.drop(end)
    if stream.peek() != b":":
        raise stream.malformed("in the outer object") if stream.data else stream.cut()
    stream.drop(1)
    return key


def _held(stream: Stream) -> Held:
    """Read a list to its end without building it."""
    stream.drop(1)
    held = Held(stream.offset, stream.peek() in {b"{", b"]"})
    for _ in elements(stream, OUTLINES):
        pass
    return held


def _skip_value(stream: Stream) -> bytes:
    """Read a value that is no list; return its text."""
    scan = scanned(stream.data, Scan(), single=True)
    while not scan.ends:
        if not stream.more():
            raise stream.cut()
        scan = scanned(stream.data, scan, single=True)
    try:
        msgspec.json.decode(stream.data[: scan.ends[0]], type=msgspec.Raw)
    except FAULTS as error:
        raise stream.malformed("in the outer object") from error
    text = stream.data[: scan.ends[0]].strip()
    stream.drop(scan.ends[0])
    return text
