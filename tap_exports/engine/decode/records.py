"""Where the records of CSV text begin and end: fast guesses, and the exact grammar.

The grammar is that of pyarrow: a quote counts where a field begins; within quotes it is doubled; after the closing
quote, and in a field that began without one, quotes are text. LF, CR and CRLF end a record outside quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Span:
    """One record: `data[start:end]` is its text, `next` is where the next one begins."""

    start: int
    end: int
    next: int


def guessed_cut(data: bytes) -> int:
    """Return the end of the last line that an even number of quotes precedes, or 0.

    That is the end of a record unless quotes stand within unquoted fields; the caller has to prove it.
    """
    return _even_line_end(data, b"\n", len(data)) or _even_line_end(data, b"\r", len(data) - 1)


def _even_line_end(data: bytes, newline: bytes, end: int) -> int:
    """Search backwards, leaping over whole quoted fields."""
    odd = data.count(b'"', 0, max(end, 0)) % 2
    while (found := data.rfind(newline, 0, max(end, 0))) >= 0:
        odd ^= data.count(b'"', found, end) % 2
        if not odd:
            return found + 1
        end = data.rfind(b'"', 0, found)
        odd ^= 1
    return 0


def exact_cut(data: bytes, delimiter: bytes) -> int:
    """Return the end of the last whole record; a final CR does not count, an LF may follow it."""
    end = 0
    for span in _records(data.removesuffix(b"\r"), delimiter):
        end = span.next
    return end


def first_record(data: bytes, delimiter: bytes) -> Span | None:
    """Return the first record, or None where it does not end within the data."""
    return next(_records(data, delimiter), None)


def spans(data: bytes, delimiter: bytes, *, blank_rows: bool) -> list[Span] | None:
    """Return the records of a text, or None where its end lies within one.

    Args:
        data: Text that begins at a record.
        delimiter: One byte.
        blank_rows: Whether an empty line is a record, as it is where there is one column only.
    """
    found, end = [], 0
    for span in _records(data, delimiter):
        end = span.next
        if blank_rows or span.end > span.start:
            found.append(span)
    return found if end == len(data) else None


def fields(record: bytes, delimiter: bytes) -> list[bytes]:
    """Return the fields of one record, quotes resolved."""
    pattern, found, position = _field(delimiter), [], 0
    while match := pattern.match(record, position):
        quoted, plain = match["quoted"], match["plain"]
        found.append(quoted.replace(b'""', b'"') + plain if quoted is not None else plain)
        if match.end() >= len(record):
            break
        position = match.end() + 1
    return found


def _records(data: bytes, delimiter: bytes) -> Iterator[Span]:
    """Yield records from the start on, without a gap, up to the first that does not end."""
    pattern, position = _record(delimiter), 0
    while match := pattern.match(data, position):
        yield Span(position, match.start("line_end"), match.end())
        position = match.end()


@lru_cache(maxsize=8)
def _record(delimiter: bytes) -> re.Pattern[bytes]:
    """Return the pattern of one record and its line end; no alternative overlaps another, so it runs in linear time."""
    mark = re.escape(delimiter)
    rest = rb"[^%b\r\n]*" % mark
    field = rb'(?:"[^"]*(?:""[^"]*)*"(?!")%b|(?!")%b)' % (rest, rest)
    return re.compile(rb"%b(?:%b%b)*(?P<line_end>\r\n?|\n)" % (field, mark, field))


@lru_cache(maxsize=8)
def _field(delimiter: bytes) -> re.Pattern[bytes]:
    """Return the pattern of one field of a whole record."""
    return re.compile(rb'(?:"(?P<quoted>[^"]*(?:""[^"]*)*)"(?!"))?(?P<plain>[^%b\r\n]*)' % re.escape(delimiter))
