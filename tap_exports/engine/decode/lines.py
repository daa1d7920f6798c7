"""What a `csv` block takes out of a text before it is read: titles above the header, lines at the end, NUL."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tap_exports.engine.decode.dialect import CsvDialect

_LINE = re.compile(rb"[^\r\n]*(?:\r\n?|\n)")


def prepared(blocks: Iterator[bytes], dialect: CsvDialect) -> Iterator[bytes]:
    """Return the blocks of a text without what is no table; the same blocks where the dialect asks for nothing."""
    if dialect.nul == "strip":
        blocks = (block.replace(b"\0", b"") for block in blocks)
    if dialect.skip_rows:
        blocks = _without_first(blocks, dialect.skip_rows)
    return _without_last(blocks, dialect.footer_rows) if dialect.footer_rows else blocks


def _without_first(blocks: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Leave out the first lines, empty ones counted."""
    data = b""
    for block in blocks:
        data += block
        while count and (match := _LINE.match(data)) and match.end() < len(data):  # a CR at the end may become CRLF
            data, count = data[match.end() :], count - 1
        if not count:
            yield data
            yield from blocks


def _without_last(blocks: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Leave out the last lines, empty ones not counted."""
    data = b""
    for block in blocks:
        data += block
        if begin := _last_lines(data, count + 1):  # the last line may go on
            yield data[:begin]
            data = data[begin:]
    yield data[: _last_lines(data, count)]


def _last_lines(data: bytes, count: int) -> int:
    """Return where the last lines that hold anything begin; 0 where there are not more."""
    begin = len(data)
    for _ in range(count):
        begin = len(data[:begin].rstrip(b"\r\n"))
        begin = max(data.rfind(b"\n", 0, begin), data.rfind(b"\r", 0, begin)) + 1
        if not begin:
            return 0
    return begin
