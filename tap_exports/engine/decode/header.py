"""The first record of a CSV file, and the form of the file that it shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from tap_exports.engine.decode import source
from tap_exports.engine.decode.layout import excerpt
from tap_exports.engine.decode.records import fields, first_record
from tap_exports.engine.model import LocalFile
from tap_exports.errors import BadContentError

_LINE_ENDS = b"\r\n"
_OTHER_DELIMITERS = (b";", b"\t")
_JSON_START = re.compile(rb'\{\s*"|\[\s*[\[{"]')


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the rows: the names, the delimiter, and the text after the header that was read already."""

    names: list[str]
    delimiter: bytes
    rest: bytes


def read_header(blocks: Iterator[bytes], file: LocalFile, delimiter: str | None) -> Header:
    """Read up to the end of the first record; empty lines before it do not count.

    Args:
        blocks: The text of the file.
        file: Named in errors.
        delimiter: One character, or None to take what the header shows.

    Raises:
        BadContentError: An empty file, markup, an archive, JSON, a quote that is never closed, or no text.
    """
    data = b""
    for block in blocks:
        data = (data + block).lstrip(_LINE_ENDS)
        source.refuse_foreign(data, file)
        found = _header(data, delimiter) if data.strip() else None
        if found:
            _refuse_json(data, file)
            return found
        if len(data) > source.LIMIT:
            break
    _refuse_json(data, file)
    return _whole(data, file, delimiter)


def _whole(data: bytes, file: LocalFile, delimiter: str | None) -> Header:
    """Return the header of a file that may have nothing but a header without a line end."""
    if not data.strip():
        raise BadContentError(f"{file.name}: empty file where a header is due")
    found = _header(data + b"\n", delimiter) if len(data) <= source.LIMIT else None
    if found is None:
        raise BadContentError(f"{file.name}: a quote in the header is opened and never closed")
    return found


def _header(data: bytes, delimiter: str | None) -> Header | None:
    """Return the header, or None where its end is not there yet."""
    if delimiter is not None:
        return _split(data, delimiter.encode())
    found = _split(data, b",")
    if found is None or len(found.names) > 1:
        return found
    others = [other for other in (_split(data, mark) for mark in _OTHER_DELIMITERS) if other]
    return max([found, *others], key=lambda header: len(header.names))


def _split(data: bytes, delimiter: bytes) -> Header | None:
    """Split the first record; a CR at the end of the data may still become CRLF."""
    span = first_record(data.removesuffix(b"\r"), delimiter)
    if span is None:
        return None
    cells = fields(data[: span.end], delimiter)
    return Header([cell.decode(errors="replace") for cell in cells], delimiter, data[span.next :])


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
