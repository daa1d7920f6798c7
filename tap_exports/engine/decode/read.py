"""The way into a file by its format, and what a sample of it shows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import replace

import pyarrow as pa

from tap_exports.engine.decode import source
from tap_exports.engine.decode.csv import read_csv
from tap_exports.engine.decode.infer import infer_columns, infer_text_columns
from tap_exports.engine.decode.jsonrows import read_json
from tap_exports.engine.decode.layout import Decoded, Ending, Layout
from tap_exports.engine.decode.notation import Notation
from tap_exports.engine.decode.propose import proposal
from tap_exports.engine.model import FILE, ROW, Column, Contract, LocalFile, NewColumns, Rows
from tap_exports.engine.place import Places
from tap_exports.errors import MisreadError

_READERS: Mapping[str, Callable[[LocalFile, Layout, Places | None], Generator[Decoded, None, Ending]]] = {
    "csv": read_csv,
    "json": read_json,
    "jsonl": read_json,
}


def read(
    file: LocalFile,
    format: str,  # noqa: A002 - the word of RemoteFile
    layout: Layout,
    places: Places | None = None,
) -> Generator[Decoded, None, None]:
    """Yield the rows of a file; those of a zip of several parts carry the name of their part, and count through.

    Args:
        file: A complete file; a gzip layer or a zip is recognised by its first bytes.
        format: `csv`, `json` or `jsonl`.
        layout: What the catalog knows.
        places: Gives each row its place, those that `layout.skip_rows` leaves out counted, or None: rows have none.

    Raises:
        BadContentError: The content is not of the format, or it is cut; the message proposes a `csv` block that would
            read it, where there is one.
        EmptyFileError: There is no text.
    """
    parts = source.parts(file)
    for part in parts:
        lineage = {FILE: part.name} if len(parts) > 1 else {}
        try:
            layout = yield from _read_part(_READERS[format](part, layout, places), layout, lineage)
        except MisreadError as error:
            raise MisreadError(error.message + advice(part, format, layout)) from error


def advice(file: LocalFile, format: str, layout: Layout) -> str:  # noqa: A002 - the word of RemoteFile
    """Return the words of an error that propose a `csv` block for a file, or nothing where none would help.

    Args:
        file: A complete file.
        format: `csv`, `json` or `jsonl`.
        layout: How it was read.
    """
    return proposal(file, layout) if format == "csv" else ""


def _read_part(
    events: Generator[Decoded, None, Ending], known: Layout, lineage: Mapping[str, str]
) -> Generator[Decoded, None, Layout]:
    """Yield the rows of one part; return how the next one is to be read."""
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            ending: Ending = end.value
            return replace(known, first_row=ending.next_row, header=ending.header)
        if isinstance(event, NewColumns):
            known = known.extended(event.columns)
        yield Rows(event.data, lineage) if lineage and isinstance(event, Rows) else event


def sample(file: LocalFile, format: str, layout: Layout | None = None, limit: int = 1000) -> dict[str, Column]:  # noqa: A002 - the word of RemoteFile
    """Return the columns that the first rows of a file show; rows that would be rejected do not count.

    Args:
        file: A complete file.
        format: `csv`, `json` or `jsonl`.
        layout: Aliases, `csv` and deselected names; its columns are not looked at.
        limit: How many rows are looked at.

    Returns:
        All columns of the file that are not deselected, by property name, in the file's order.

    Raises:
        BadContentError: The content is not of the format, or it is cut.
    """
    seen = layout or Layout()
    plain = replace(
        seen,
        recognised=seen.own,
        columns={},
        contract=Contract.EVOLVE,
        skip_rows=0,
        keys=(),
    )
    columns: dict[str, Column] = {}
    gathered: list[Rows] = []
    with closing(read(file, format, plain)) as events:
        for event in events:
            if isinstance(event, NewColumns):
                columns |= {column.name: column for column in event.columns}
            elif isinstance(event, Rows):
                gathered.append(event)
            if sum(map(len, gathered)) >= limit:
                break
    if not any(map(len, gathered)):
        return {}  # names without values would all be text, and change with the next sample
    inferred = _inferred(gathered, limit, Notation.of(plain))
    return columns | {name: found for name, found in inferred.items() if name not in plain.csv.date_formats}


def unknown(file: LocalFile, format: str, layout: Layout) -> list[Column]:  # noqa: A002 - the word of RemoteFile
    """Return the columns of a sample that the catalog does not know; none unless it may evolve.

    Raises:
        BadContentError: The content is not of the format, or it is cut.
    """
    if layout.contract is not Contract.EVOLVE:
        return []
    known = layout.deselected.union(layout.columns)
    return list(sample(file, format, replace(layout, deselected=known)).values())


def _inferred(gathered: list[Rows], limit: int, notation: Notation) -> dict[str, Column]:
    """Infer from text or from JSON values."""
    tables = [batch.data for batch in gathered if isinstance(batch.data, pa.RecordBatch)]
    if tables:
        return infer_text_columns(pa.Table.from_batches(tables).slice(0, limit).drop_columns([ROW]), notation)
    rows = [row for batch in gathered if isinstance(batch.data, list) for row in batch.data]
    return infer_columns({name: value for name, value in row.items() if name != ROW} for row in rows[:limit])
