"""The `csv` block that would read a file that does not fit, from a look at its first rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice, product
from typing import Any

from tap_exports.engine.decode import source
from tap_exports.engine.decode.dialect import CsvDialect
from tap_exports.engine.decode.guesses import Column, guesses
from tap_exports.engine.decode.layout import Layout
from tap_exports.engine.decode.lines import prepared
from tap_exports.engine.decode.names import property_names
from tap_exports.engine.decode.records import Cell, cells, each_record
from tap_exports.engine.model import LocalFile
from tap_exports.errors import TapError

_LOOK, _ROWS = 1 << 16, 50
_MOST_TITLES, _MOST_FOOTERS = 8, 3
_DELIMITERS, _RARE_DELIMITERS = (",", ";", "\t", "|"), ("^", "~", ":")


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a dialect makes of the first rows.

    Attributes:
        dialect: The dialect.
        names: The properties of the header.
        rows: The rows that it reads.
        bad: How many rows it does not read.
        strays: How many of those are not just too short.
        known: How many names the catalog knows.
    """

    dialect: CsvDialect
    names: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    bad: int
    strays: int
    known: int

    @property
    def merit(self) -> tuple[int, int, int, int]:
        """Return what speaks for it, the strongest first; of equals the one that came first wins."""
        share = len(self.rows) * _ROWS // max(len(self.rows) + self.bad, 1)
        return self.known, share, len(self.names) if self.rows else 0, -self.dialect.skip_rows


def proposal(file: LocalFile, layout: Layout) -> str:
    """Return the end of a message that proposes a `csv` block, or nothing where none is better than the one in use.

    Args:
        file: A complete file; gzip and zip are taken off.
        layout: The columns that are known, and the dialect in use.
    """
    try:
        head, is_whole = source.head(file, _LOOK)
    except (TapError, OSError):
        return ""
    dialect = replace(layout.csv, encoding=_encoding(head, layout.csv))
    text = _text(head, dialect.encoding, is_whole=is_whole)
    read = _readings(text, dialect, layout, is_whole=is_whole)
    best = max(read, key=lambda reading: reading.merit, default=None)
    if best is None or not best.rows or (layout.columns and not best.known):
        return ""
    guessed = guesses(list(_columns(best, layout)), best.dialect)
    if guessed is None:
        return ""
    changes, doubts = guessed
    block = _block(replace(best.dialect, **changes))
    if layout.csv.delimiter is None and block.get("delimiter") == ",":
        del block["delimiter"]  # it is found
    if block == _block(layout.csv):
        return ""
    shown = json.dumps(block, ensure_ascii=False)
    count = len(best.rows) + best.bad
    return f"; {len(best.rows)} of its first {count} rows can be read with csv: {shown}{doubts}"


def _encoding(head: bytes, dialect: CsvDialect) -> str | None:
    """Return the encoding in use, or the one that the bytes look like."""
    if source.has_mark(head):
        return dialect.encoding
    if head.count(b"\0", 1) * 3 > len(head):
        return "utf-16-le" if head[1:2] == b"\0" else "utf-16-be"
    try:
        head[: head.rfind(b"\n") + 1].decode(dialect.encoding or "utf-8")
    except (UnicodeError, LookupError):
        return "cp1252"
    return dialect.encoding


def _text(head: bytes, encoding: str | None, *, is_whole: bool) -> bytes:
    """Return whole lines as UTF-8."""
    text = source.decoded(head, encoding)
    whole = text if text.endswith((b"\n", b"\r")) else text + b"\n"
    return whole if is_whole else text[: max(text.rfind(b"\n"), text.rfind(b"\r")) + 1]


def _readings(text: bytes, dialect: CsvDialect, layout: Layout, *, is_whole: bool) -> Iterator[_Reading]:
    """Yield what dialects make of a text, the one in use first."""
    for changed in _candidates(text, dialect, knows=bool(layout.columns)):
        reading = _reading(text, changed, layout)
        if reading is None:
            continue
        yield reading
        if is_whole and 0 < reading.bad <= _MOST_FOOTERS and not (dialect.footer_rows or reading.strays):
            shorter = _reading(text, replace(changed, footer_rows=reading.bad), layout)
            if shorter and not shorter.bad:
                yield shorter


def _candidates(text: bytes, dialect: CsvDialect, *, knows: bool) -> Iterator[CsvDialect]:
    usual = (*_DELIMITERS, *_RARE_DELIMITERS) if knows else _DELIMITERS
    marks = dict.fromkeys([dialect.delimiter, *usual] if dialect.delimiter else usual)
    escapes = dict.fromkeys([dialect.escape, *(["\\"] if b"\\" in text else [])])
    comments = dict.fromkeys([dialect.comment, *(["#"] if re.search(rb"(?:^|[\r\n])#", text) else [])])
    quotes = dict.fromkeys([dialect.quote, *(["'"] if text.count(b"'") > 1 and b'"' not in text else [])])
    skips = dict.fromkeys([dialect.skip_rows, *range(_MOST_TITLES + 1)])
    ends = dict.fromkeys([dialect.trailing_delimiter, True])
    for skip, mark, escape, comment, quote, trailing in product(skips, marks, escapes, comments, quotes, ends):
        if not trailing or f"{mark}\n".encode() in text.replace(b"\r", b"\n"):
            yield replace(
                dialect,
                delimiter=mark,
                escape=escape,
                comment=comment,
                quote=quote,
                skip_rows=skip,
                trailing_delimiter=trailing,
            )


def _reading(text: bytes, dialect: CsvDialect, layout: Layout) -> _Reading | None:
    """Return what a dialect makes of a text, or None where it shows no header."""
    rest = b"".join(prepared(iter([text]), dialect)).lstrip(b"\r\n")
    grammar = dialect.grammar((dialect.delimiter or ",").encode())
    lines = (span for span in each_record(rest, grammar) if span.end > span.start)
    header, *rows = [cells(rest[span.start : span.end], grammar) for span in islice(lines, _ROWS + 1)] or [[]]
    if not header or any(cell.fault for cell in header):
        return None
    shown = [cell.text.decode(errors="replace") for cell in header]
    if dialect.trailing_delimiter and not shown[-1]:
        shown.pop()
    names = property_names(shown, layout)
    width = len(shown) + dialect.trailing_delimiter
    good = [row for row in rows if len(row) == width and not any(map(_is_faulty, row))]
    known = sum(map(layout.knows, names))
    strays = sum(len(row) > width or any(map(_is_faulty, row)) for row in rows)
    whole = (*good,) if len(names) > 1 or known else ()
    return _Reading(dialect, names, whole, len(rows) - len(good), strays, known)


def _is_faulty(cell: Cell) -> bool:
    return bool(cell.fault) and (cell.quoted or cell.raw != b"\\N")


def _columns(reading: _Reading, layout: Layout) -> Iterator[Column]:
    """Yield the columns that the catalog types, with their texts."""
    for position, name in enumerate(reading.names):
        if name in layout.columns and name not in layout.deselected:
            found = [row[position] for row in reading.rows]
            raw = [(cell.text if cell.quoted else cell.raw).decode(errors="replace") for cell in found]
            bare = frozenset(text for text, cell in zip(raw, found, strict=True) if text and not cell.quoted)
            yield Column(name, layout.columns[name].kind, [text for text in raw if text], bare)


def _block(dialect: CsvDialect) -> dict[str, Any]:
    """Return a dialect as a `csv` block: what is not the default."""
    plain = CsvDialect()
    changed = {f.name: getattr(dialect, f.name) for f in fields(dialect)}
    found = {name: value for name, value in changed.items() if value != getattr(plain, name)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}
