"""CSV files to batches of typed columns, in constant memory."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tap_exports.engine.decode import source
from tap_exports.engine.decode.cast import RAW, Typed, fits, typed
from tap_exports.engine.decode.chunks import Piece, chunks
from tap_exports.engine.decode.header import Header, read_header
from tap_exports.engine.decode.layout import RAW_LIMIT, Decoded, Layout, excerpt, property_names
from tap_exports.engine.decode.parse import Fault, Form, Parsed, records
from tap_exports.engine.model import EXTRA, ROW, Column, Contract, Kind, LocalFile, NewColumns, Reject, Rows

logger = logging.getLogger("tap-exports.decode")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What becomes of the columns of one file.

    Attributes:
        file: The file.
        names: The property of each column of the file.
        columns: The columns that are typed: the first of `form.keep`.
        extra: Unknown properties that go into `_sdc_extra`: the rest of `form.keep`.
        form: How the text is parsed.
        skip_rows: As in `Layout`.
        cast: As in `Layout`.
    """

    file: LocalFile
    names: Sequence[str]
    columns: Sequence[Column]
    extra: Sequence[str]
    form: Form
    skip_rows: int
    cast: bool


def read_csv(file: LocalFile, layout: Layout) -> Generator[Decoded, None, None]:
    """Yield the rows of a CSV file as record batches of about `source.CHUNK` bytes of text.

    A batch holds the selected columns in the file's order, then `_sdc_row` (int64: the 1-based ordinal among the
    records after the header), then `_sdc_extra` (JSON text) where the contract is `discard` and there are unknown
    columns. Types are those of `cast.typed`. The rejects of a piece of text come before its rows. Empty lines are no
    records, except in a file of one column, where they are rows of null.

    Raises:
        BadContentError: The file is no CSV file, or it is cut.
        StopError: An unknown column under the contract `freeze`.
    """
    blocks = source.blocks(file, layout.encoding)
    header = read_header(blocks, file, layout.delimiter)
    names = property_names(header.names, layout)
    unknown = [name for name in names if not layout.knows(name)]
    layout.refuse_unknown(unknown, file.name)
    _warn_missing(names, layout, file)
    if unknown and layout.contract is Contract.EVOLVE:
        new = [Column(name, Kind.STRING) for name in unknown]
        yield NewColumns(new)
        layout = layout.extended(new)
    plan = _planned(names, header, layout, file)
    first = 1
    for piece in chunks(header.rest, blocks, plan.form, file):
        if first + piece.parsed.count - 1 > plan.skip_rows:
            yield from _decoded(piece, first, plan)
        first += piece.parsed.count


def _warn_missing(names: Sequence[str], layout: Layout, file: LocalFile) -> None:
    """Say once which declared columns the rows of this file will not hold."""
    missing = [name for name in layout.columns if name not in {*names, *layout.deselected, *layout.optional}]
    if missing:
        logger.warning("%s: declared columns are not in the file: %s", file.name, ", ".join(missing))


def _planned(names: Sequence[str], header: Header, layout: Layout, file: LocalFile) -> _Plan:
    """Decide for each column whether it is typed, goes into `_sdc_extra`, or is not built at all."""
    wanted = {name: layout.columns[name] for name in names if name in layout.columns and name not in layout.deselected}
    extra = [name for name in names if not layout.knows(name)]
    positions = {name: position for position, name in enumerate(names)}
    keep = tuple(positions[name] for name in (*wanted, *extra)) or (0,)
    form = Form(len(names), keep, header.delimiter)
    return _Plan(file, names, list(wanted.values()), extra, form, layout.skip_rows, layout.cast)


def _decoded(piece: Piece, first: int, plan: _Plan) -> Iterator[Decoded]:
    """Yield the rejects of one piece, then its rows, without those that were delivered before."""
    batch, misfits = _batch(piece.parsed, first, plan)
    faults = {**piece.parsed.faults, **misfits}
    if faults:
        yield from _rejects(piece.data[: piece.end], faults, first, plan)
    ordinals = cast("list[int]", batch[ROW].to_pylist() if first <= plan.skip_rows else [])
    delivered = sum(ordinal <= plan.skip_rows for ordinal in ordinals)
    if batch.num_rows > delivered:
        yield Rows(batch.slice(delivered))


def _batch(parsed: Parsed, first: int, plan: _Plan) -> tuple[pa.RecordBatch, Mapping[int, Fault]]:
    """Return the typed rows that fit, and what is wrong with the others, by the index of the record."""
    texts, indices = parsed.texts, _indices(parsed)
    columns = _typed(texts, plan)
    misfits: dict[int, Fault] = {}
    if columns is None:
        misfits, fitting = _misfits(texts, indices, plan)
        texts, indices = [column.filter(fitting) for column in texts], indices.filter(fitting)
        columns = _typed(texts, plan) or []
    built = dict(zip((column.name for column in plan.columns), columns, strict=True))
    built[ROW] = Typed(pc.add(indices, first))
    if plan.extra:
        built[EXTRA] = _extra(texts[len(plan.columns) :], plan.extra)
    arrays = [column.values for column in built.values()]
    fields = [pa.field(name, column.values.type, metadata=column.metadata) for name, column in built.items()]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields)), misfits


def _indices(parsed: Parsed) -> pa.Int64Array:
    """Return the 0-based index among all records of the piece for each record that has no fault."""
    if not parsed.faults:
        indices: pa.Int64Array = pa.arange(0, parsed.count)  # type: ignore[attr-defined] # its stub lacks it
        return indices
    return pa.array((index for index in range(parsed.count) if index not in parsed.faults), pa.int64())


def _typed(texts: Sequence[pa.StringArray], plan: _Plan) -> list[Typed] | None:
    """Return the declared columns with their types, or None where a value does not fit."""
    columns = []
    for column, wanted in zip(texts, plan.columns, strict=False):
        built = typed(column, wanted.kind, cast=plan.cast)
        if built is None:
            return None
        columns.append(built)
    return columns


def _misfits(
    texts: Sequence[pa.StringArray], indices: pa.Int64Array, plan: _Plan
) -> tuple[dict[int, Fault], pa.BooleanArray]:
    """Return the first misfit of each row that has one, and the mask of the rows that have none."""
    fitting = pa.array([True] * len(indices), pa.bool_())
    found: dict[int, Fault] = {}
    for column, wanted, position in zip(texts, plan.columns, plan.form.keep, strict=False):
        mask = fits(column, wanted.kind)
        wrong = pc.invert(mask)
        for index, value in zip(indices.filter(wrong).to_pylist(), column.filter(wrong).to_pylist(), strict=True):
            found.setdefault(cast("int", index), Fault("type", position, _misfit(str(value), wanted.kind)))
        fitting = pc.and_(fitting, mask)
    return found, fitting


def _misfit(value: str, kind: Kind) -> str:
    """Return the words for a value that does not fit its type."""
    return f'"{excerpt(value)}" is not of the type {kind.value}'


def _rejects(data: bytes, faults: Mapping[int, Fault], first: int, plan: _Plan) -> Iterator[Reject]:
    """Yield rejects in the order of the file."""
    spans = records(data, plan.form)
    for index in sorted(faults):
        row, fault, span = first + index, faults[index], spans[index]
        if row > plan.skip_rows:
            column = plan.names[fault.position] if fault.position >= 0 else ""
            raw = data[span.start : span.end].decode(errors="replace")[:RAW_LIMIT]
            yield Reject(plan.file.name, row, column, fault.code, fault.message, raw)


def _extra(texts: Sequence[pa.StringArray], names: Sequence[str]) -> Typed:
    """Return the unknown columns as one JSON object a row."""
    rows = zip(*(column.to_pylist() for column in texts), strict=True)
    values = [msgspec.json.encode(dict(zip(names, row, strict=True))).decode() for row in rows]
    return Typed(pa.array(values, pa.string()), RAW)
