"""JSON files to lists of typed rows: an array, an object that holds one, or JSON Lines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import msgspec

from tap_exports.engine.decode import source
from tap_exports.engine.decode.conform import Numbered, conformed
from tap_exports.engine.decode.elements import VALUES, Broken, Stream, elements
from tap_exports.engine.decode.identity import refuse_stranger
from tap_exports.engine.decode.jsonlines import begins_lines, lines
from tap_exports.engine.decode.layout import RAW_LIMIT, Decoded, Ending, Layout, excerpt
from tap_exports.engine.decode.names import renamed
from tap_exports.engine.decode.wrapper import listed_at, wrapped
from tap_exports.engine.model import LocalFile, NewColumns, Reject, Row, Rows
from tap_exports.engine.place import Places
from tap_exports.errors import BadContentError, EmptyFileError, StopError

logger = logging.getLogger("tap-exports.decode")


def read_json(file: LocalFile, layout: Layout, places: Places | None = None) -> Generator[Decoded, None, Ending]:
    """Yield the rows of a JSON file as lists of dicts, of about `source.CHUNK` bytes of text each.

    Each row holds `_sdc_row`, the 1-based ordinal, its place where `places` are given, and where the contract is
    `discard` and a batch has unknown keys `_sdc_extra`. Integers are exact; a decimal is a float where that shows the
    same number, else a `decimal.Decimal`. Of equal keys in one object the last wins. The rejects of a batch come before
    its rows.

    Where the file's `columns` are known, rows may be arrays of as many values; the list at `rows_at` holds the rows.

    An object alone in its file is a wrapper where it holds a list: the first of `LIST_NAMES` that is one, else its only
    list if that is empty or begins with an object; objects under `WRAPPERS` are looked into, too. Without a list, or
    where it has several keys and all of them are columns of the catalog, it is a row if it shows the known columns.
    Blank lines of JSON Lines, and empty objects, are no rows.

    Returns:
        The ordinal behind the last row.

    Raises:
        BadContentError: The file is no JSON, or it is cut.
        EmptyFileError: There is no text.
        StopError: An unknown key under the contract `freeze`.
    """
    first, seen, recognised = layout.first_row, set[str](), False
    for values in _turned(_named(_values(file, layout), file), layout, file):
        recognised = recognised or _recognised(values, layout, file)
        for event in _events(values, first, layout, file, places):
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


def _recognised(values: list[Any], layout: Layout, file: LocalFile) -> bool:
    """Look at the first rows for the known columns; return whether there were any rows.

    Raises:
        BadContentError: They show almost none of them.
    """
    keys = list(dict.fromkeys(key for value in values if type(value) is dict for key in value))
    if keys:
        others = renamed(keys, layout)
        refuse_stranger([others.get(key, key) for key in keys], keys, layout, file.name)
    return bool(keys)


def _events(values: list[Any], first: int, layout: Layout, file: LocalFile, places: Places | None) -> Iterator[Decoded]:
    """Tell rows from what is none, and check the rows."""
    ordinals: Sequence[int] = range(first, first + len(values))
    if set(map(type, values)) != {dict} or not all(values):
        for row, value in enumerate(values, first):
            if not _is_row(value) and row > layout.skip_rows:
                yield _no_row(row, value, file)
        ordinals = [row for row, value in enumerate(values, first) if _is_row(value)]
        values = [value for value in values if _is_row(value)]
    placed = places.of_records(values) if places else None
    yield from conformed(Numbered(ordinals, values, placed), layout, file.name)


def _is_row(value: object) -> bool:
    return type(value) is dict and bool(value)


def _no_row(row: int, value: object, file: LocalFile) -> Reject:
    """Reject what stands in the place of a row."""
    if isinstance(value, Broken):
        return Reject(file.name, row, "", "undecodable", value.message, value.raw[:RAW_LIMIT])
    raw = msgspec.json.encode(value).decode()
    what = "is empty" if value == {} else "is not an object"
    return Reject(file.name, row, "", "type", f"{excerpt(raw)} {what}", raw[:RAW_LIMIT])


def _named(pages: Iterator[list[Any]], file: LocalFile) -> Iterator[list[Any]]:
    """Give the values of arrays the names of the file's columns; without names, arrays stay as they are."""
    if len(set(file.columns)) < len(file.columns):
        raise BadContentError(f"{file.name}: two columns have one name: {', '.join(file.columns)}")
    return ([_object(value, file.columns) for value in values] for values in pages) if file.columns else pages


def _turned(pages: Iterator[list[Any]], layout: Layout, file: LocalFile) -> Iterator[list[Any]]:
    """Replace objects by the rows that `layout.row` makes of them."""
    row = layout.row
    return (_made(row, values, file) for values in pages) if row else pages


def _made(row: Callable[[Row], Row], values: list[Any], file: LocalFile) -> list[Any]:
    """Return what a function makes of objects.

    Raises:
        StopError: It raised something.
    """
    try:
        return [row(value) if type(value) is dict else value for value in values]
    except Exception as error:
        raise StopError(f"{file.name}: the function `row` failed: {type(error).__name__}: {error}") from error


def _object(value: object, columns: Sequence[str]) -> object:
    if type(value) is not list:
        return value
    if len(value) == len(columns):
        return dict(zip(columns, value, strict=True))
    raw = msgspec.json.encode(value).decode()
    return Broken(raw, f"an array of {len(value)} values where there are {len(columns)} columns")


def _values(file: LocalFile, layout: Layout) -> Iterator[list[Any]]:
    """Yield what stands where rows are due, by the form of the file."""
    stream = Stream(file, layout.csv.encoding)
    start = stream.peek()
    source.refuse_foreign(stream.data, file)
    if file.rows_at and start == b"{":
        yield from listed_at(stream, layout, file.rows_at)
    elif start == b"[":
        stream.drop(1)
        yield from elements(stream, VALUES)
        _expect_end(stream)
    elif start == b"{":
        yield from lines(stream) if begins_lines(stream) else wrapped(stream, layout)
    elif not start:
        raise EmptyFileError(f"{file.name}: empty file where JSON is due")
    else:
        raise stream.malformed("at the start")


def _expect_end(stream: Stream) -> None:
    """Stop where anything follows the text."""
    if stream.peek():
        raise stream.malformed("behind the end")
