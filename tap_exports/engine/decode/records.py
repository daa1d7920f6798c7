"""Where the records of CSV text begin and end: fast guesses, and the exact grammar.

The grammar is that of pyarrow: a quote counts where a field begins; within quotes it is doubled; in a field that began
without one, quotes are text. What stands between a closing quote and the next delimiter belongs to no value: such a
record is found here, and rejected by whoever reads it. LF, CR and CRLF end a record outside quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Grammar:
    """The characters that divide CSV text, one byte each.

    Attributes:
        delimiter: Between two fields.
        quote: Around a field, or empty: quotes are text.
        escape: Makes the next character text, or empty.
        comment: A line that begins with it is no record, or empty.
    """

    delimiter: bytes = b","
    quote: bytes = b'"'
    escape: bytes = b""
    comment: bytes = b""


class Cell(NamedTuple):
    """One field: as written within its quotes, with quotes and escapes resolved, and what is wrong with it."""

    raw: bytes
    text: bytes
    quoted: bool
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """One record: `data[start:end]` is its text, `next` is where the next one begins."""

    start: int
    end: int
    next: int


def guessed_cut(data: bytes, quote: bytes = b'"') -> int:
    """Return the end of the last line that an even number of quotes precedes, or 0.

    That is the end of a record unless quotes stand within unquoted fields; the caller has to prove it.
    """
    if not quote:
        return data.rfind(b"\n") + 1 or data.rfind(b"\r", 0, len(data) - 1) + 1
    return _even_line_end(data, b"\n", len(data), quote) or _even_line_end(data, b"\r", len(data) - 1, quote)


def _even_line_end(data: bytes, newline: bytes, end: int, quote: bytes) -> int:
    """Search backwards, leaping over whole quoted fields."""
    odd = data.count(quote, 0, max(end, 0)) % 2
    while (found := data.rfind(newline, 0, max(end, 0))) >= 0:
        odd ^= data.count(quote, found, end) % 2
        if not odd:
            return found + 1
        end = data.rfind(quote, 0, found)
        odd ^= 1
    return 0


def exact_cut(data: bytes, grammar: Grammar) -> int:
    """Return the end of the last whole record; a final CR does not count, an LF may follow it."""
    end = 0
    for match in _matches(data.removesuffix(b"\r"), grammar):
        end = match.end()
    return end


def first_record(data: bytes, grammar: Grammar) -> Span | None:
    """Return the first record, or None where it does not end within the data."""
    return next(each_record(data, grammar), None)


def each_record(data: bytes, grammar: Grammar) -> Iterator[Span]:
    """Yield the records that end within the data; an empty line is one."""
    return (_span(match) for match in _matches(data, grammar) if match["record"] is not None)


def spans(data: bytes, grammar: Grammar, *, blank_rows: bool) -> list[Span] | None:
    """Return the records of a text, or None where its end lies within one.

    Args:
        data: Text that begins at a record.
        grammar: What divides it.
        blank_rows: Whether an empty line is a record, as it is where there is one column only.
    """
    found, end = [], 0
    for match in _matches(data, grammar):
        end = match.end()
        if match["record"] or (blank_rows and match["record"] is not None):
            found.append(_span(match))
    return found if end == len(data) else None


def fields(record: bytes, grammar: Grammar) -> list[bytes]:
    """Return the fields of one record, quotes and escapes resolved."""
    return [cell.text for cell in cells(record, grammar)]


def cells(record: bytes, grammar: Grammar) -> list[Cell]:
    """Return the fields of one record, each with what is wrong with it."""
    pattern, found, position = _field(grammar), [], 0
    while match := pattern.match(record, position):
        found.append(_cell(match["quoted"], match["plain"], grammar))
        if match.end() >= len(record):
            break
        position = match.end() + 1
    return found


def _cell(quoted: bytes | None, plain: bytes, grammar: Grammar) -> Cell:
    raw = plain if quoted is None else quoted
    if quoted is not None and plain:
        return Cell(raw, _doubled(quoted, grammar) + plain, quoted=True, fault="text stands behind a closing quote")
    if not grammar.escape or grammar.escape not in raw:
        return Cell(raw, raw if quoted is None else _doubled(quoted, grammar), quoted=quoted is not None)
    return _unescaped(raw, grammar, quoted=quoted is not None)


def _doubled(quoted: bytes, grammar: Grammar) -> bytes:
    return quoted.replace(grammar.quote * 2, grammar.quote)


def _unescaped(raw: bytes, grammar: Grammar, *, quoted: bool) -> Cell:
    """Take out escapes; what one before a letter or digit means (a line break, a tab) nobody knows for sure."""
    text, unclear = _escaped(grammar, quoted=quoted).sub(rb"\1", raw), _unclear(grammar).match(raw)
    fault = f'"{unclear[1].decode()}" has no one meaning' if unclear else ""
    return Cell(raw, text, quoted, fault)


def _matches(data: bytes, grammar: Grammar) -> Iterator[re.Match[bytes]]:
    """Yield records and comments from the start on, without a gap, up to the first that does not end."""
    pattern, position = _record(grammar), 0
    while match := pattern.match(data, position):
        yield match
        position = match.end()


def _span(match: re.Match[bytes]) -> Span:
    return Span(match.start(), match.start("line_end"), match.end())


@lru_cache(maxsize=16)
def _record(grammar: Grammar) -> re.Pattern[bytes]:
    """Return the pattern of one record and its line end; no alternative overlaps another, so it runs in linear time."""
    rest, body, quote, mark = _rest(grammar), _body(grammar), re.escape(grammar.quote), re.escape(grammar.delimiter)
    field = rb"(?:%b%b%b(?!%b)%b|(?!%b)%b)" % (quote, body, quote, quote, rest, quote, rest) if quote else rest
    record = rb"(?P<record>%b(?:%b%b)*)" % (field, mark, field)
    if grammar.comment:
        sign = re.escape(grammar.comment)
        record = rb"(?:%b[^\r\n]*|(?!%b)%b)" % (sign, sign, record)
    return re.compile(rb"%b(?P<line_end>\r\n?|\n)" % record, re.DOTALL)


@lru_cache(maxsize=16)
def _field(grammar: Grammar) -> re.Pattern[bytes]:
    """Return the pattern of one field of a whole record."""
    quote = re.escape(grammar.quote)
    quoted = (
        rb"(?:%b(?P<quoted>%b)%b(?!%b))?" % (quote, _body(grammar), quote, quote) if quote else rb"(?P<quoted>(?!))?"
    )
    return re.compile(rb"%b(?P<plain>%b)" % (quoted, _rest(grammar)), re.DOTALL)


def _rest(grammar: Grammar) -> bytes:
    """Return the pattern of text without quotes."""
    others, escape = (
        rb"[^%b\r\n%b]*" % (re.escape(grammar.delimiter), re.escape(grammar.escape)),
        re.escape(grammar.escape),
    )
    return rb"%b(?:%b.%b)*" % (others, escape, others) if escape else others


def _body(grammar: Grammar) -> bytes:
    """Return the pattern of text between quotes."""
    quote, escape = re.escape(grammar.quote), re.escape(grammar.escape)
    others = rb"[^%b%b]*" % (quote, escape)
    inner = rb"%b%b|%b." % (quote, quote, escape) if escape else rb"%b%b" % (quote, quote)
    return rb"%b(?:(?:%b)%b)*" % (others, inner, others)


@lru_cache(maxsize=16)
def _escaped(grammar: Grammar, *, quoted: bool) -> re.Pattern[bytes]:
    """Return the pattern of an escaped character, which also may be a quote that is doubled."""
    quote, escape = re.escape(grammar.quote), re.escape(grammar.escape)
    doubled = rb"|%b(?=%b)" % (quote, quote) if quoted and quote else b""
    return re.compile(rb"(?:%b%b)(.)" % (escape, doubled), re.DOTALL)


@lru_cache(maxsize=16)
def _unclear(grammar: Grammar) -> re.Pattern[bytes]:
    """Return the pattern of an escape before a letter or digit, which is not the one behind another escape."""
    escape = re.escape(grammar.escape)
    return re.compile(rb"(?:[^%b]|%b[^A-Za-z0-9])*?(%b[A-Za-z0-9])" % (escape, escape, escape), re.DOTALL)
