"""Which character divides the fields of a CSV file, where neither a setting nor the file says so."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from math import inf

from tap_exports.engine.decode.layout import Layout
from tap_exports.engine.decode.records import Cell, Grammar, cells, each_record, first_record

CANDIDATES = (b",", b";", b"\t", b"|")
LOOK = 1 << 16  # bytes at the beginning of a file that are looked at
_ROWS = 20


def best(data: bytes, layout: Layout) -> Grammar:
    """Return the grammar of the most likely delimiter.

    The best one shows the most names that the catalog knows; then rows that have as many fields as the header; then the
    most names. The comma wins where nothing speaks for another.

    Args:
        data: The text from the header on; only its beginning is looked at, so that blocks make no difference.
        layout: The names that are known, and the rest of the grammar.
    """
    grammars = [layout.csv.grammar(mark) for mark in CANDIDATES if mark not in _taken(layout)]
    return max(grammars, key=lambda grammar: _merit(data, grammar, layout))


def _taken(layout: Layout) -> set[bytes]:
    dialect = layout.csv
    return {mark.encode() for mark in (dialect.quote, dialect.escape, dialect.comment) if mark}


def _merit(data: bytes, grammar: Grammar, layout: Layout) -> tuple[int, int, int, float]:
    """Return what speaks for a delimiter, the strongest first.

    One under which the header cannot be read stands before one that nothing speaks for: the error is to be seen.
    """
    header, *rows = first_rows(data, grammar) or [[]]
    if not header or any(cell.fault for cell in header):
        return 1, 0, 0, 0
    width = len(header)
    known = sum(_is_known(cell.text, layout) for cell in header)
    alike = sum(len(row) == width for row in rows) if width > 1 else 0
    fits = known or alike or (width > 1 and not rows)
    return 2 if fits else 0, known, alike, inf if width > 1 and not rows and grammar.delimiter == b"," else width


def _is_known(name: bytes, layout: Layout) -> bool:
    text = name.decode(errors="replace")
    return layout.knows(text) or text in layout.aliases


def first_rows(data: bytes, grammar: Grammar) -> list[Sequence[Cell]]:
    """Return the header and the first rows that end within the beginning of the data."""
    head = data[:LOOK]
    lines = (span for span in each_record(head, grammar) if span.end > span.start)
    found = [cells(head[span.start : span.end], grammar) for span in islice(lines, 1 + _ROWS)]
    if not found and (span := first_record(data, grammar)):  # a header that is longer than all that is looked at
        found.append(cells(data[span.start : span.end], grammar))
    return list(found)
