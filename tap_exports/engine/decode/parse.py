"""One piece of CSV text to columns of text, and the proof that the piece ends where a record ends."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import IO, cast

import pyarrow as pa
from pyarrow import csv

from tap_exports.engine.decode.quotes import is_strict
from tap_exports.engine.decode.records import Cell, Grammar, Span, cells, spans

# A row of its own behind each piece: it comes back as a row only where the piece left no quote open. Random, so that no
# file can hold it.
_MARK = os.urandom(12).hex()


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a CSV file.

    Attributes:
        width: How many columns the header has.
        keep: Positions of the columns that are built, at least one.
        grammar: What divides the text.
        null_values: Unquoted texts that are null, beside nothing at all.
        trailing: Whether each row ends with a delimiter.
        refuses_nul: Whether a row with a NUL is a fault.
        rest: Positions of the other columns where their bytes are wanted, for the digests of rows.
    """

    width: int
    keep: tuple[int, ...]
    grammar: Grammar = field(default_factory=Grammar)
    null_values: tuple[str, ...] = ()
    trailing: bool = False
    refuses_nul: bool = False
    rest: tuple[int, ...] = ()

    @property
    def blank_rows(self) -> bool:
        """Return whether an empty line is a row (RFC 4180 reads it as one empty field), not just skipped."""
        return self.fields == 1

    @property
    def fields(self) -> int:
        """Return how many fields a row has."""
        return self.width + self.trailing

    @property
    def is_plain(self) -> bool:
        """Return whether pyarrow reads the form as it is."""
        return not (self.grammar.escape or self.grammar.comment or self.trailing)

    @property
    def mark(self) -> bytes:
        """Return the row that proves the end of a piece."""
        each = [b""] * self.fields
        each[self.keep[0]] = _MARK.encode()
        return self.grammar.delimiter.join(each) + b"\n"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a record is no row: the code of a reject, the position of the column or -1, and what is wrong."""

    code: str
    position: int
    message: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """The rows of a piece.

    Attributes:
        texts: Columns of text, one for each of `Form.keep`, of the records without a fault.
        count: The number of all records.
        faults: What is wrong, by the 0-based index of the record.
        rest: Columns of bytes, one for each of `Form.rest`.
    """

    texts: list[pa.StringArray]
    count: int
    faults: Mapping[int, Fault] = field(default_factory=dict)
    rest: list[pa.BinaryArray] = field(default_factory=list)


def parse(data: bytes, form: Form, end: int | None = None) -> Parsed | None:
    """Parse text that begins at a record and ends with a line end.

    Args:
        data: The text, and anything behind it.
        form: The form of the file.
        end: Where the text ends, or None for all of the data.

    Returns:
        The rows, or None where the text ends within quotes.
    """
    size = len(data) if end is None else end
    if not form.is_plain or (form.refuses_nul and data.find(b"\0", 0, size) >= 0):
        return _parse_exactly(data[:size], form)
    is_proven = is_strict(data, size, form.grammar)
    text = pa.py_buffer(data).slice(0, size)
    try:
        texts = _texts(text, form) if is_proven else _ended(text, form)
    except pa.ArrowInvalid:
        return _parse_exactly(data[:size], form)
    if texts is not None and not is_proven:
        return _parse_exactly(data[:size], form)
    return None if texts is None else _parsed(texts, len(texts[0]), {}, form)


def _parsed(columns: list[pa.StringArray], count: int, faults: Mapping[int, Fault], form: Form) -> Parsed:
    """Return the rows of columns that hold those of `Form.keep`, then those of `Form.rest`."""
    kept = len(form.keep)
    return Parsed(columns[:kept], count, faults, cast("list[pa.BinaryArray]", columns[kept:]))


def records(data: bytes, form: Form) -> list[Span]:
    """Return where the records of a parsed piece stand."""
    return spans(data, form.grammar, blank_rows=form.blank_rows) or []


def _ended(text: pa.Buffer | bytes, form: Form) -> list[pa.StringArray] | None:
    """Let pyarrow parse a text with a mark behind it, or return None where the mark is no row of its own."""
    texts = _texts(pa.py_buffer(b"".join((memoryview(text), form.mark))), form)
    rows = len(texts[0]) - 1
    if rows < 0 or texts[0][rows].as_py() != _MARK:
        return None
    return [column.slice(0, rows) for column in texts]


def _texts(text: pa.Buffer, form: Form) -> list[pa.StringArray]:
    """Let pyarrow parse; an unquoted empty field is null, a quoted one an empty string; the rest comes as bytes."""
    names = [str(position) for position in range(form.fields)]
    types = {str(at): pa.string() for at in form.keep} | {str(at): pa.binary() for at in form.rest}
    table = csv.read_csv(
        cast("IO[bytes]", pa.BufferReader(text)),
        read_options=csv.ReadOptions(use_threads=False, block_size=text.size + 1, column_names=names),
        parse_options=csv.ParseOptions(
            delimiter=form.grammar.delimiter.decode(),
            quote_char=form.grammar.quote.decode() or False,
            newlines_in_values=True,
            ignore_empty_lines=not form.blank_rows,
        ),
        convert_options=csv.ConvertOptions(
            column_types=types,
            include_columns=list(types),
            strings_can_be_null=True,
            null_values=["", *form.null_values],
            quoted_strings_can_be_null=False,
        ),
    )
    batches = table.to_batches()  # one block, one batch, or none; combining chunks would copy
    return cast("list[pa.StringArray]", batches[0].columns if batches else [pa.array([], of) for of in types.values()])


def _parse_exactly(data: bytes, form: Form) -> Parsed | None:
    """Find records by the exact grammar, take out those with a fault, and let pyarrow parse the others."""
    found = spans(data, form.grammar, blank_rows=form.blank_rows)
    if found is None:
        return None
    faults: dict[int, Fault] = {}
    good: list[bytes] = []
    for index, span in enumerate(found):
        record = data[span.start : span.end]
        row = cells(record, form.grammar)
        if fault := _fault(row, form):
            faults[index] = fault
        else:
            good.append(_plain(row, form) if form.grammar.escape else record)
    # With line ends of their own: a CR and the LF of an empty line, now side by side, would be one line end.
    texts = _ended(b"".join(record + b"\n" for record in good), _without_escape(form))
    return None if texts is None else _parsed(texts, len(found), faults, form)


def _without_escape(form: Form) -> Form:
    return replace(form, grammar=Grammar(form.grammar.delimiter)) if form.grammar.escape else form


def _plain(row: list[Cell], form: Form) -> bytes:
    """Return a record in the grammar that pyarrow reads: null is nothing, text is quoted."""
    return form.grammar.delimiter.join(
        b"" if _is_null(cell, form) else b'"%b"' % cell.text.replace(b'"', b'""') for cell in row
    )


def _is_null(cell: Cell, form: Form) -> bool:
    return not cell.quoted and (not cell.raw or cell.raw.decode(errors="replace") in form.null_values)


def _fault(row: list[Cell], form: Form) -> Fault | None:
    """Return what is wrong with a record: its number of fields, its quotes, or bytes of a kept column.

    A stray quote may shift the fields behind it: it is told of first, in whatever column.
    """
    for position, cell in enumerate(row):
        if cell.fault and not _is_null(cell, form):
            return Fault("quote", min(position, form.width - 1), cell.fault)
    if len(row) != form.fields:
        plural = "" if len(row) == 1 else "s"
        return Fault("ragged", -1, f"{len(row)} field{plural} where the header has {form.fields}")
    if form.trailing and (row[-1].text or row[-1].quoted):
        return Fault("ragged", -1, "it ends with a value where a delimiter is due (csv.trailing_delimiter)")
    return next(filter(None, (_unreadable(row[position].text, position, form) for position in form.keep)), None)


def _unreadable(text: bytes, position: int, form: Form) -> Fault | None:
    """Return what is wrong with a field that is no UTF-8, or holds a NUL that may not be there."""
    if form.refuses_nul and b"\0" in text:
        return Fault("nul", position, "a NUL is in the text (csv.nul: reject)")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return Fault("undecodable", position, f"byte 0x{text[error.start]:02x} is not text")
    return None
