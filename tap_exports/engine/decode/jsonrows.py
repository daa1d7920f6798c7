"""JSON files to lists of typed rows: an array, an object that holds one, or JSON Lines."""

from __future__ import annotations

import logging
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tap_exports.engine.decode import source
from tap_exports.engine.decode.conform import Numbered, conformed
from tap_exports.engine.decode.cuts import Scan, scanned, string_end
from tap_exports.engine.decode.elements import FAULTS, OUTLINES, VALUES, Broken, Stream, broken_value, elements
from tap_exports.engine.decode.layout import RAW_LIMIT, Decoded, Ending, Layout, excerpt
from tap_exports.engine.model import LocalFile, NewColumns, Reject, Rows
from tap_exports.errors import BadContentError

logger = logging.getLogger("tap-exports.decode")
BLANK_LINE = re.compile(rb"(?:^|\n)[ \t\r]*\n")

LIST_NAMES = ("items", "companies", "data", "results", "rows")


def read_json(file: LocalFile, layout: Layout) -> Generator[Decoded, None, Ending]:
    """Yield the rows of a JSON file as lists of dicts, of about `source.CHUNK` bytes of text each.

    Each row holds `_sdc_row`, the 1-based ordinal, and where the contract is `discard` and a batch has unknown keys
    `_sdc_extra`. Integers are exact; a decimal is a float where that shows the same number, else a `decimal.Decimal`.
    Of equal keys in one object the last wins. The rejects of a batch come before its rows.

    An object alone in its file is a wrapper where it holds a list: the first of `LIST_NAMES` that is one, else its only
    list if that is empty or begins with an object. Otherwise, or where it has several keys and all of them are columns
    of the catalog, it is a row. Blank lines of JSON Lines are no rows.

    Returns:
        The ordinal behind the last row.

    Raises:
        BadContentError: The file is no JSON, or it is cut.
        StopError: An unknown key under the contract `freeze`.
    """
    first, seen = layout.first_row, set[str]()
    for values in _values(file, layout):
        for event in _events(values, first, layout, file):
            if isinstance(event, NewColumns):
                layout = layout.extended(event.columns)
            elif isinstance(event, Rows) and isinstance(event.data, list):
                seen.update(*event.data)
            yield event
        first += len(values)
    missing = [name for name in layout.columns if name not in seen | layout.deselected | layout.optional]
    if missing and first - 1 > layout.skip_rows:
        logger.warning("%s: declared columns are not in the file: %s", file.name, ", ".join(missing))
    return Ending(first)


def _events(values: list[Any], first: int, layout: Layout, file: LocalFile) -> Iterator[Decoded]:
    """Tell rows from what is none, and check the rows."""
    ordinals: Sequence[int] = range(first, first + len(values))
    if set(map(type, values)) != {dict}:
        for row, value in enumerate(values, first):
            if type(value) is not dict and row > layout.skip_rows:
                yield _no_row(row, value, file)
        ordinals = [row for row, value in enumerate(values, first) if type(value) is dict]
        values = [value for value in values if type(value) is dict]
    yield from conformed(Numbered(ordinals, values), layout, file.name)


def _no_row(row: int, value: object, file: LocalFile) -> Reject:
    """Reject what stands in the place of a row."""
    if isinstance(value, Broken):
        return Reject(file.name, row, "", "undecodable", value.message, value.raw[:RAW_LIMIT])
    raw = msgspec.json.encode(value).decode()
    return Reject(file.name, row, "", "type", f"{excerpt(raw)} is not an object", raw[:RAW_LIMIT])


def _values(file: LocalFile, layout: Layout) -> Iterator[list[Any]]:
    """Yield what stands where rows are due, by the form of the file."""
    stream = Stream(file, layout.csv.encoding)
    start = stream.peek()
    source.refuse_foreign(stream.data, file)
    if start == b"[":
        stream.drop(1)
        yield from elements(stream, VALUES)
        _expect_end(stream)
    elif start == b"{":
        yield from _lines(stream) if _begins_lines(stream) else _wrapped(stream, layout)
    elif not start:
        raise BadContentError(f"{file.name}: empty file where JSON is due")
    else:
        raise stream.malformed("at the start")


def _expect_end(stream: Stream) -> None:
    """Stop where anything follows the text."""
    if stream.peek():
        raise stream.malformed("behind the end")


def _begins_lines(stream: Stream) -> bool:
    """Return whether the first line is a whole value and another object follows it."""
    line, newline, rest = stream.data.partition(b"\n")
    return bool(newline) and rest.lstrip()[:1] == b"{" and not isinstance(_line(line), Broken)


def _lines(stream: Stream) -> Iterator[list[Any]]:
    """Yield JSON Lines; only LF ends a line."""
    while True:
        end = stream.data.rfind(b"\n") + 1
        if end:
            yield _decoded_lines(stream.data[:end])
            stream.drop(end)
        if not stream.more():
            break
    if stream.peek():
        yield [_last_line(stream)]


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


def _last_line(stream: Stream) -> object:
    """Decode a line without an end; the file may be cut there."""
    try:
        return VALUES.decode(stream.data)
    except FAULTS as error:
        broken = broken_value(stream.data, error)
        if broken is None:
            raise stream.cut() from error
        return broken


@dataclass(frozen=True, slots=True)
class _Held:
    """A list in an object: the offset behind its bracket, and whether it may hold rows."""

    offset: int
    holds_rows: bool


def _wrapped(stream: Stream, layout: Layout) -> Iterator[list[Any]]:
    """Yield the rows of the one list of an object, or the object itself; it is read to its end first."""
    begin = stream.offset
    keys = _outline(stream)
    is_row = len(keys) > 1 and all(layout.knows(layout.aliases.get(key, key)) for key in keys)
    follows = stream.peek()
    again = Stream(stream.file, layout.csv.encoding, begin)
    if follows == b"{":
        yield from _lines(again)
    elif follows:
        raise stream.malformed("behind the end")
    elif not is_row and (rows := _rows_of(keys)) is not None:
        yield from elements(Stream(stream.file, layout.csv.encoding, rows.offset), VALUES)
    else:
        while again.more():
            pass
        yield [_last_line(again)]


def _rows_of(keys: Mapping[str, _Held | None]) -> _Held | None:
    """Choose the list that holds the rows."""
    lists = {name: held for name, held in keys.items() if held}
    for name in LIST_NAMES:
        if name in lists:
            return lists[name]
    only = next(iter(lists.values())) if len(lists) == 1 else None
    return only if only and only.holds_rows else None


def _outline(stream: Stream) -> dict[str, _Held | None]:
    """Read an object to its end and return its keys, each with the list that it holds."""
    keys: dict[str, _Held | None] = {}
    stream.drop(1)
    if stream.peek() == b"}":
        stream.drop(1)
        return keys
    while True:
        key = _key(stream)
        if stream.peek() == b"[":
            keys[key] = _held(stream)
        else:
            keys.setdefault(key, None)
            _skip_value(stream)
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


def _held(stream: Stream) -> _Held:
    """Read a list to its end without building it."""
    stream.drop(1)
    held = _Held(stream.offset, stream.peek() in {b"{", b"]"})
    for _ in elements(stream, OUTLINES):
        pass
    return held


def _skip_value(stream: Stream) -> None:
    """Read a value that is no list."""
    scan = scanned(stream.data, Scan(), single=True)
    while not scan.ends:
        if not stream.more():
            raise stream.cut()
        scan = scanned(stream.data, scan, single=True)
    try:
        msgspec.json.decode(stream.data[: scan.ends[0]], type=msgspec.Raw)
    except FAULTS as error:
        raise stream.malformed("in the outer object") from error
    stream.drop(scan.ends[0])
