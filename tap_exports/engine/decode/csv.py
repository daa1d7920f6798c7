"""CSV files to batches of typed columns, in constant memory."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tap_exports.engine.decode import source
from tap_exports.engine.decode.cast import RAW, Typed, fits, typed, without_empties
from tap_exports.engine.decode.chunks import Piece, chunks
from tap_exports.engine.decode.header import Header, read_header
from tap_exports.engine.decode.identity import refuse_missing, refuse_stranger, refuse_text
from tap_exports.engine.decode.layout import RAW_LIMIT, Decoded, Ending, Layout, excerpt
from tap_exports.engine.decode.lines import prepared
from tap_exports.engine.decode.names import property_names
from tap_exports.engine.decode.notation import Notation
from tap_exports.engine.decode.parse import Fault, Form, Parsed, records
from tap_exports.engine.decode.propose import proposal
from tap_exports.engine.model import (
    COPY,
    DIGEST,
    EXTRA,
    ROW,
    Column,
    Contract,
    Kind,
    LocalFile,
    NewColumns,
    Reject,
    Rows,
)
from tap_exports.engine.place import ColumnDigests, Places
from tap_exports.errors import BadContentError, MisreadError

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
        notation: How values are written.
        layout: What is known of the file.
        placed: What gives the rows their places, or None.
    """

    file: LocalFile
    names: Sequence[str]
    columns: Sequence[Column]
    extra: Sequence[str]
    form: Form
    notation: Notation
    layout: Layout
    placed: _Placed | None = None


@dataclass(frozen=True, slots=True)
class _Placed:
    """What gives the rows of one file their places."""

    places: Places
    digests: ColumnDigests

    def columns(self, parsed: Parsed) -> dict[str, Typed]:
        """Return the places of the rows of a piece; call it for every piece, in their order."""
        digests = list(self.digests.of([*parsed.texts, *parsed.rest]))
        copies = self.places.copies(digests)
        texts = pa.array([digest.hex() for digest in digests], pa.string())
        return {DIGEST: Typed(texts), COPY: Typed(pa.array(copies, pa.int64()))}


def read_csv(file: LocalFile, layout: Layout, places: Places | None = None) -> Generator[Decoded, None, Ending]:
    """Yield the rows of a CSV file as record batches of about `source.CHUNK` bytes of text.

    A batch holds the selected columns in the file's order, then `_sdc_row` (int64: the 1-based ordinal among the
    records after the header), then `_sdc_row_digest` and `_sdc_row_copy` where `places` are given, then `_sdc_extra`
    (JSON text) where the contract is `discard` and there are unknown columns. Types are those of `cast.typed`. The
    rejects of a piece of text come before its rows. Empty lines are no records, except in a file of one column, where
    they are rows of null.

    Returns:
        The ordinal behind the last row, and the names of the header.

    Raises:
        BadContentError: The file is no CSV file, or it is cut.
        StopError: An unknown column under the contract `freeze`.
    """
    blocks = prepared(source.blocks(file, layout.csv.encoding), layout.csv)
    header = read_header(blocks, file, layout)
    shown = header.names[:-1] if layout.csv.trailing_delimiter and not header.names[-1] else header.names
    if layout.header not in {None, frozenset(shown)}:
        raise BadContentError(f"{file.name}: its columns are not those of the part before it: {', '.join(shown)}")
    names = property_names(shown, layout)
    _refuse_others(names, shown, header, layout, file)
    unknown = [name for name in names if not layout.knows(name)]
    layout.refuse_unknown(unknown, file.name)
    _warn_missing(names, layout, file)
    if unknown and layout.contract is Contract.EVOLVE:
        new = _new_columns(unknown, layout)
        yield NewColumns(new)
        layout = layout.extended(new)
    plan = _with_places(_planned(names, header, layout, file), shown, places)
    first = layout.first_row
    for piece in chunks(header.rest, blocks, plan.form, file):
        placed = plan.placed.columns(piece.parsed) if plan.placed else {}
        if first + piece.parsed.count - 1 > layout.skip_rows:
            yield from _decoded(piece, first, plan, placed)
        first += piece.parsed.count
    return Ending(first, frozenset(shown))


def _new_columns(names: Sequence[str], layout: Layout) -> list[Column]:
    notation = Notation.of(layout)
    return [Column(name, notation.kind(Column(name, Kind.STRING))) for name in names]


def _refuse_others(names: Sequence[str], shown: Sequence[str], header: Header, layout: Layout, file: LocalFile) -> None:
    """Stop where the header is not that of this export."""
    if layout.columns and not any(map(layout.knows, names)) and proposal(file, layout):
        raise MisreadError(f"{file.name}: its header shows none of the known columns")
    refuse_text(names, header.rest, layout, file.name)
    refuse_stranger(names, shown, layout, file.name)
    refuse_missing(names, layout, file.name)


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
    dialect = layout.csv
    form = Form(
        len(names), keep, header.grammar, dialect.null_values, dialect.trailing_delimiter, dialect.nul == "reject"
    )
    return _Plan(file, names, list(wanted.values()), extra, form, Notation.of(layout), layout)


def _with_places(plan: _Plan, shown: Sequence[str], places: Places | None) -> _Plan:
    """Return a plan that reads the bytes of all columns, for the digests of the rows, where these have places."""
    if places is None:
        return plan
    keep = plan.form.keep
    rest = tuple(position for position in range(len(shown)) if position not in keep)
    digests = ColumnDigests([shown[position] for position in (*keep, *rest)])
    return replace(plan, form=replace(plan.form, rest=rest), placed=_Placed(places, digests))


def _decoded(piece: Piece, first: int, plan: _Plan, placed: dict[str, Typed]) -> Iterator[Decoded]:
    """Yield the rejects of one piece, then its rows, without those that were delivered before."""
    batch, misfits = _batch(piece.parsed, first, plan, placed)
    faults = {**piece.parsed.faults, **misfits}
    if faults:
        yield from _rejects(piece.data[: piece.end], faults, first, plan)
    ordinals = cast("list[int]", batch[ROW].to_pylist() if first <= plan.layout.skip_rows else [])
    delivered = sum(ordinal <= plan.layout.skip_rows for ordinal in ordinals)
    if batch.num_rows > delivered:
        yield Rows(batch.slice(delivered))


def _batch(
    parsed: Parsed, first: int, plan: _Plan, placed: Mapping[str, Typed]
) -> tuple[pa.RecordBatch, Mapping[int, Fault]]:
    """Return the typed rows that fit, and what is wrong with the others, by the index of the record."""
    texts, indices = parsed.texts, _indices(parsed)
    columns = _typed(texts, plan)
    misfits: dict[int, Fault] = {}
    if columns is None:
        misfits, fitting = _misfits(texts, indices, plan)
        texts, indices = [column.filter(fitting) for column in texts], indices.filter(fitting)
        placed = {name: Typed(of.values.filter(fitting)) for name, of in placed.items()}
        columns = _typed(texts, plan) or []
    built = dict(zip((column.name for column in plan.columns), columns, strict=True))
    built |= {ROW: Typed(pc.add(indices, first)), **placed}
    if plan.extra:
        built[EXTRA] = _extra(texts[len(plan.columns) :], plan.extra)
    schema = pa.schema([pa.field(name, of.values.type, metadata=of.metadata) for name, of in built.items()])
    return pa.RecordBatch.from_arrays([of.values for of in built.values()], schema=schema), misfits


def _indices(parsed: Parsed) -> pa.Int64Array:
    """Return the 0-based index among all records of the piece for each record that has no fault."""
    if not parsed.faults:
        indices: pa.Int64Array = pa.arange(0, parsed.count)  # type: ignore[attr-defined] # its stub lacks it
        return indices
    return pa.array((index for index in range(parsed.count) if index not in parsed.faults), pa.int64())


def _typed(texts: Sequence[pa.StringArray], plan: _Plan) -> list[Typed] | None:
    """Return the declared columns with their types, or None where a value does not fit or a key is null."""
    columns = []
    if not set(plan.layout.keys).issubset(plan.names) and len(texts[0]):
        return None
    for column, wanted in zip(texts, plan.columns, strict=False):
        kind = plan.notation.kind(wanted)
        cast = plan.layout.cast and kind is wanted.kind
        canonical = plan.notation.canonical(column, wanted.name, kind)
        built = typed(canonical, kind, cast=cast)
        if built is None and (filled := without_empties(canonical, kind)) is not None:
            built = typed(filled, kind, cast=cast)
        if built is None or (wanted.name in plan.layout.keys and built.values.null_count):
            return None
        columns.append(built)
    return columns


def _misfits(
    texts: Sequence[pa.StringArray], indices: pa.Int64Array, plan: _Plan
) -> tuple[dict[int, Fault], pa.BooleanArray]:
    """Return the first misfit of each row that has one, and the mask of the rows that have none."""
    fitting = pa.array([True] * len(indices), pa.bool_())
    found: dict[int, Fault] = {}
    for key in plan.layout.keys:
        if key not in plan.names:
            lacking = Fault("key", -1, f'the key "{key}" is not in the file')
            return dict.fromkeys(cast("list[int]", indices.to_pylist()), lacking), pc.invert(fitting)
    for column, wanted, position in zip(texts, plan.columns, plan.form.keep, strict=False):
        kind = plan.notation.kind(wanted)
        canonical = plan.notation.canonical(column, wanted.name, kind)
        filled = without_empties(canonical, kind)
        canonical = canonical if filled is None else filled
        mask = fits(canonical, kind)
        wrong = pc.invert(mask)
        for index, value in zip(indices.filter(wrong).to_pylist(), column.filter(wrong).to_pylist(), strict=True):
            found.setdefault(cast("int", index), Fault("type", position, _misfit(str(value), kind)))
        if wanted.name in plan.layout.keys:
            for index in indices.filter(pc.is_null(canonical)).to_pylist():
                found.setdefault(cast("int", index), Fault("key", position, f'the key "{wanted.name}" is null'))
            mask = pc.and_(mask, pc.is_valid(canonical))
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
        if row > plan.layout.skip_rows:
            column = plan.names[fault.position] if fault.position >= 0 else ""
            raw = data[span.start : span.end].decode(errors="replace")[:RAW_LIMIT]
            yield Reject(plan.file.name, row, column, fault.code, fault.message, raw)


def _extra(texts: Sequence[pa.StringArray], names: Sequence[str]) -> Typed:
    """Return the unknown columns as one JSON object a row."""
    rows = zip(*(column.to_pylist() for column in texts), strict=True)
    values = [msgspec.json.encode(dict(zip(names, row, strict=True))).decode() for row in rows]
    return Typed(pa.array(values, pa.string()), RAW)
