"""The way into a file by its format, and what a sample of it shows."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace

import pyarrow as pa

from tap_exports.engine.decode.csv import read_csv
from tap_exports.engine.decode.infer import infer_columns, infer_text_columns
from tap_exports.engine.decode.jsonrows import read_json
from tap_exports.engine.decode.layout import Decoded, Layout
from tap_exports.engine.model import ROW, Column, Contract, LocalFile, NewColumns, Rows

_READERS = {"csv": read_csv, "json": read_json}


def read(file: LocalFile, format: str, layout: Layout) -> Generator[Decoded, None, None]:  # noqa: A002 - the word of RemoteFile
    """Return the rows of a file.

    Args:
        file: A complete file; a gzip layer is recognised by its first bytes.
        format: `csv` or `json`.
        layout: What the catalog knows.

    Raises:
        BadContentError: The content is not of the format, or it is cut.
    """
    return _READERS[format](file, layout)


def sample(file: LocalFile, format: str, layout: Layout | None = None, limit: int = 1000) -> dict[str, Column]:  # noqa: A002 - the word of RemoteFile
    """Return the columns that the first rows of a file show; rows that would be rejected do not count.

    Args:
        file: A complete file.
        format: `csv` or `json`.
        layout: Aliases, encoding, delimiter and deselected names; its columns are not looked at.
        limit: How many rows are looked at.

    Returns:
        All columns of the file that are not deselected, by property name, in the file's order.

    Raises:
        BadContentError: The content is not of the format, or it is cut.
    """
    plain = replace(layout or Layout(), columns={}, contract=Contract.EVOLVE, skip_rows=0)
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
    return columns | _inferred(gathered, limit)


def unknown(file: LocalFile, format: str, layout: Layout) -> list[Column]:  # noqa: A002 - the word of RemoteFile
    """Return the columns of a sample that the catalog does not know; none unless it may evolve.

    Raises:
        BadContentError: The content is not of the format, or it is cut.
    """
    if layout.contract is not Contract.EVOLVE:
        return []
    known = layout.deselected.union(layout.columns)
    return list(sample(file, format, replace(layout, deselected=known)).values())


def _inferred(gathered: list[Rows], limit: int) -> dict[str, Column]:
    """Infer from text or from JSON values."""
    tables = [batch.data for batch in gathered if isinstance(batch.data, pa.RecordBatch)]
    if tables:
        return infer_text_columns(pa.Table.from_batches(tables).slice(0, limit).drop_columns([ROW]))
    rows = [row for batch in gathered if isinstance(batch.data, list) for row in batch.data]
    return infer_columns({name: value for name, value in row.items() if name != ROW} for row in rows[:limit])
