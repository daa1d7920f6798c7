"""The first record of a CSV file, read as strictly as its rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from tap_exports.engine.decode import source
from tap_exports.engine.decode.delimiter import LOOK, best
from tap_exports.engine.decode.layout import Layout, excerpt
from tap_exports.engine.decode.records import Grammar, cells, each_record
from tap_exports.engine.model import LocalFile
from tap_exports.errors import BadContentError, EmptyFileError, MisreadError

_LINE_ENDS = b"\r\n"
_JSON_START = re.compile(rb'\{\s*"|\[\s*[\[{"]')
_SEP = re.compile(rb'("?)sep=([^\r\n])\1[ \t]*(?:\r\n?|\n)', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the rows: the names, what divides the text, and the text behind the header that was read."""

    names: list[str]
    grammar: Grammar
    rest: bytes


def read_header(blocks: Iterator[bytes], file: LocalFile, layout: Layout) -> Header:
    """Read up to the end of the first record; empty lines and comments before it do not count.

    Args:
        blocks: The text of the file.
        file: Named in errors.
        layout: Its `csv` says what is known of the file; the names that it knows help to find the delimiter.

    Raises:
        BadContentError: An empty file, markup, an archive, JSON, a quote that is never closed, no text, or text behind
            a closing quote.
    """
    data, wanted = b"", LOOK
    for block in blocks:
        data = (data + block).lstrip(_LINE_ENDS)
        source.refuse_foreign(data, file)
        if len(data) < wanted and len(data) <= source.LIMIT:
            continue
        wanted = 2 * len(data)
        if found := _header(data, file, layout):
            _refuse_json(data, file)
            return found
        if len(data) > source.LIMIT:
            break
    _refuse_json(data, file)
    return _whole(data, file, layout)


def _whole(data: bytes, file: LocalFile, layout: Layout) -> Header:
    """Return the header of a file that may have nothing but a header without a line end."""
    if not data.strip():
        raise EmptyFileError(f"{file.name}: empty file where a header is due")
    ended = data if data.endswith((b"\n", b"\r")) else data + b"\n"
    found = _header(ended, file, layout, is_whole=True) if len(data) <= source.LIMIT else None
    if found is None:
        raise MisreadError(f"{file.name}: a quote in the header is opened and never closed")
    return found


def _header(data: bytes, file: LocalFile, layout: Layout, *, is_whole: bool = False) -> Header | None:
    """Return the header, or None where its end is not there yet."""
    head = data if is_whole else data.removesuffix(b"\r")  # it may still become CRLF
    said, begin = _said(head)
    delimiter = layout.csv.delimiter or said
    grammar = layout.csv.grammar(delimiter.encode()) if delimiter else best(head[begin:], layout)
    spans = (span for span in each_record(head[begin:], grammar) if span.end > span.start)
    if (span := next(spans, None)) is None:
        return None
    names = _names(head[begin + span.start : begin + span.end], grammar, file)
    return Header(names, grammar, data[begin + span.next :])


def _said(data: bytes) -> tuple[str | None, int]:
    """Return what a first line `sep=;` says, and where the text behind it begins."""
    match = _SEP.match(data)
    return (match[2].decode(), match.end()) if match and match[2].isascii() else (None, 0)


def _names(record: bytes, grammar: Grammar, file: LocalFile) -> list[str]:
    names = []
    for position, cell in enumerate(cells(record, grammar), 1):
        if cell.fault:
            shown = excerpt(record.decode(errors="replace"))
            raise MisreadError(f"{file.name}: column {position} of the header: {cell.fault}: {shown}")
        try:
            names.append(cell.text.decode())
        except UnicodeDecodeError as error:
            what = f"byte 0x{cell.text[error.start]:02x} is not text"
            raise MisreadError(f"{file.name}: column {position} of the header: {what}") from error
    return names


def _refuse_json(data: bytes, file: LocalFile) -> None:
    """Stop where JSON came instead of CSV.

    A header may begin with a bracket too: so the data, or its first line, has to be JSON; of data that is only the
    beginning of a large file, the first two tokens have to.
    """
    if data.lstrip()[:1] not in {b"{", b"["}:
        return
    beginning = len(data) >= source.CHUNK and _JSON_START.match(data.lstrip())
    if beginning or _is_json(data) or _is_json(data.lstrip().partition(b"\n")[0]):
        raise BadContentError(f"{file.name}: JSON where CSV is due: {excerpt(data[:400].decode(errors='replace'))}")


def _is_json(data: bytes) -> bool:
    """Return whether bytes are one JSON value."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True
