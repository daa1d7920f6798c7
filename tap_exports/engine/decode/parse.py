"""One piece of CSV text to columns of text, and the proof that the piece ends where a record ends."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, cast

import pyarrow as pa
from pyarrow import csv

from tap_exports.engine.decode.records import Span, fields, spans

# A row of its own behind each piece: it comes back as a row only where the piece left no quote open. Random, so that no
# file can hold it.
_MARK = os.urandom(12).hex()


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a CSV file.

    Attributes:
        width: How many columns the header has.
        keep: Positions of the columns that are built, at least one.
        delimiter: One byte.
    """

    width: int
    keep: tuple[int, ...]
    delimiter: bytes = b","

    @property
    def blank_rows(self) -> bool:
        """Return whether an empty line is a row (RFC 4180 reads it as one empty field), not just skipped."""
        return self.width == 1

    @property
    def mark(self) -> bytes:
        """Return the row that proves the end of a piece."""
        cells = [b""] * self.width
        cells[self.keep[0]] = _MARK.encode()
        return self.delimiter.join(cells) + b"\n"


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
    """

    texts: list[pa.StringArray]
    count: int
    faults: Mapping[int, Fault] = field(default_factory=dict)


def parse(data: bytes, form: Form, end: int | None = None) -> Parsed | None:
    """Parse text that begins at a record and ends with a line end.

    Args:
        data: The text, and anything behind it.
        form: The form of the file.
        end: Where the text ends, or None for all of the data.

    Returns:
        The rows, or None where the text ends within quotes.
    """
    text = memoryview(data)[:end]
    try:
        texts = _texts(text, form)
    except pa.ArrowInvalid:
        return _parse_faulty(bytes(text), form)
    return None if texts is None else Parsed(texts, len(texts[0]))


def records(data: bytes, form: Form) -> list[Span]:
    """Return where the records of a parsed piece stand."""
    return spans(data, form.delimiter, blank_rows=form.blank_rows) or []


def _texts(data: bytes | memoryview, form: Form) -> list[pa.StringArray] | None:
    """Let pyarrow parse; an unquoted empty field is null, a quoted one an empty string."""
    names = [str(position) for position in range(form.width)]
    kept = [str(position) for position in form.keep]
    whole = b"".join((data, form.mark))
    table = csv.read_csv(
        cast("IO[bytes]", pa.BufferReader(whole)),
        read_options=csv.ReadOptions(use_threads=False, block_size=len(whole) + 1, column_names=names),
        parse_options=csv.ParseOptions(
            delimiter=form.delimiter.decode(),
            newlines_in_values=True,
            ignore_empty_lines=not form.blank_rows,
        ),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(kept, pa.string()),
            include_columns=kept,
            strings_can_be_null=True,
            null_values=[""],
            quoted_strings_can_be_null=False,
        ),
    )
    rows = table.num_rows - 1
    if rows < 0 or table.column(0)[rows].as_py() != _MARK:
        return None
    (batch,) = table.to_batches()  # one block, one batch; combining chunks would copy
    return [cast("pa.StringArray", column.slice(0, rows)) for column in batch.columns]


def _parse_faulty(data: bytes, form: Form) -> Parsed | None:
    """Take out the records that pyarrow cannot read, with the exact grammar, and parse the others."""
    found = spans(data, form.delimiter, blank_rows=form.blank_rows)
    if found is None:
        return None
    faults: dict[int, Fault] = {}
    for index, span in enumerate(found):
        fault = _fault(data[span.start : span.end], form)
        if fault:
            faults[index] = fault
    # With line ends of its own: a CR and the LF of an empty line, now side by side, would be one line end.
    good = (data[span.start : span.end] + b"\n" for index, span in enumerate(found) if index not in faults)
    texts = _texts(b"".join(good), form)
    return None if texts is None else Parsed(texts, len(found), faults)


def _fault(record: bytes, form: Form) -> Fault | None:
    """Return what is wrong with a record: its number of fields, or bytes of a kept column that are not text."""
    cells = fields(record, form.delimiter)
    if len(cells) != form.width:
        plural = "" if len(cells) == 1 else "s"
        return Fault("ragged", -1, f"{len(cells)} field{plural} where the header has {form.width}")
    return next(filter(None, (_undecodable(cells[position], position) for position in form.keep)), None)


def _undecodable(cell: bytes, position: int) -> Fault | None:
    """Return what is wrong with a field that is no UTF-8."""
    try:
        cell.decode()
    except UnicodeDecodeError as error:
        return Fault("undecodable", position, f"byte 0x{cell[error.start]:02x} is not text")
    return None
