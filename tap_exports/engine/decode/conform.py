"""Rows of JSON against the columns that the catalog declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, compress
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from tap_exports.engine.decode.cast import typed
from tap_exports.engine.decode.infer import infer_columns
from tap_exports.engine.decode.instants import mend_instants
from tap_exports.engine.decode.layout import RAW_LIMIT, Decoded, Layout, excerpt
from tap_exports.engine.decode.names import renamed
from tap_exports.engine.decode.shape import fit
from tap_exports.engine.model import COPY, DIGEST, EXTRA, ROW, Contract, Kind, NewColumns, Place, Reject, Row, Rows

_TYPES: Mapping[Kind, frozenset[type]] = {
    Kind.STRING: frozenset({str}),
    Kind.INTEGER: frozenset({int}),
    Kind.NUMBER: frozenset({int, float, Decimal}),
    Kind.BOOLEAN: frozenset({bool}),
    Kind.DATE: frozenset({str}),
    Kind.DATETIME: frozenset({str}),
    Kind.OBJECT: frozenset({dict}),
    Kind.ARRAY: frozenset({list}),
}
_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class Numbered:
    """Rows, their ordinals, and their places or None."""

    ordinals: Sequence[int]
    rows: list[Row]
    places: Sequence[Place] | None = None

    def only(self, wanted: Sequence[bool]) -> Numbered:
        """Return the rows for which the mask says so."""
        places = None if self.places is None else list(compress(self.places, wanted))
        return Numbered(list(compress(self.ordinals, wanted)), list(compress(self.rows, wanted)), places)


class _Misfit(NamedTuple):
    """Why a row is a reject."""

    column: str
    code: str
    message: str


def conform(
    rows: Sequence[Row], layout: Layout, first_row: int, file: str, places: Sequence[Place] | None = None
) -> Iterator[Decoded]:
    """Yield the new columns of a page of JSON rows, then its rejects, then its rows.

    `_sdc_row` comes in, deselected keys go, and keys get the names of `property_names`. Null and `ANY` always fit,
    an integer fits `NUMBER`; a row without a value for each of `Layout.keys` is a reject. Date-times come as RFC 3339.

    Args:
        rows: The page, which stays as it is.
        layout: The columns; the caller extends it by the new columns before the next page.
        first_row: The 1-based ordinal of the first row.
        file: The name that rejects carry.
        places: Those of the rows, or None: they carry none.

    Raises:
        StopError: An unknown key under the contract `freeze`.
    """
    ordinals = range(first_row, first_row + len(rows))
    if first_row > layout.skip_rows and fit(rows, layout) is not None:
        yield fitted(rows, layout, first_row, places)
    else:
        yield from conformed(Numbered(ordinals, [dict(row) for row in rows], places), layout, file)


def fitted(rows: Sequence[Row], layout: Layout, first_row: int, places: Sequence[Place] | None = None) -> Rows:
    """Return rows of which `fit` said that they fit; see `conform`."""
    if layout.deselected:
        rows = [{name: value for name, value in row.items() if name not in layout.deselected} for row in rows]
    if layout.numbered:
        rows = [row | {ROW: ordinal} for ordinal, row in enumerate(rows, first_row)]
    if places is not None:
        rows = [row | {DIGEST: place.digest, COPY: place.copy} for row, place in zip(rows, places, strict=True)]
    return Rows(list(rows))


def conformed(numbered: Numbered, layout: Layout, file: str) -> Iterator[Decoded]:
    """Do what `conform` does for rows with gaps between their ordinals, in place and value by value."""
    numbered = _pending(numbered, layout.skip_rows)
    names = _renamed(numbered.rows, layout)
    mend_instants(numbered.rows, layout.instants)
    unknown = [name for name in names if not layout.knows(name)]
    layout.refuse_unknown(unknown, file)
    if unknown and layout.contract is Contract.EVOLVE:
        new = infer_columns([{name: row.get(name) for name in unknown} for row in numbered.rows])
        yield NewColumns(list(new.values()))
        layout = layout.extended(new.values())
        unknown = []
    misfits = _misfits(numbered.rows, [name for name in names if name in layout.columns], layout)
    misfits |= _keyless(numbered.rows, layout)
    for index in sorted(misfits):
        yield _reject(numbered.ordinals[index], numbered.rows[index], misfits[index], file)
    fitting = _without(numbered, misfits)
    _finish(fitting, [name for name in names if name in layout.deselected], unknown, numbered=layout.numbered)
    if fitting.rows:
        yield Rows(fitting.rows)


def _pending(numbered: Numbered, skip_rows: int) -> Numbered:
    """Leave out what was delivered before."""
    if not numbered.ordinals or numbered.ordinals[0] > skip_rows:
        return numbered
    return numbered.only([ordinal > skip_rows for ordinal in numbered.ordinals])


def _without(numbered: Numbered, misfits: Mapping[int, Any]) -> Numbered:
    """Leave out the rows that do not fit."""
    if not misfits:
        return numbered
    return numbered.only([index not in misfits for index in range(len(numbered.rows))])


def _renamed(rows: list[Row], layout: Layout) -> Mapping[str, None]:
    """Give keys the names of their properties, and return these in the order of their first appearance."""
    names = list(dict.fromkeys(chain.from_iterable(rows)))
    others = renamed(names, layout)
    if others:
        for index, row in enumerate(rows):
            rows[index] = {others.get(name, name): value for name, value in row.items()}
    return dict.fromkeys(others.get(name, name) for name in names)


def _misfits(rows: list[Row], names: Sequence[str], layout: Layout) -> dict[int, _Misfit]:
    """Return the first column of each row that does not fit its type, by the index of the row."""
    found: dict[int, _Misfit] = {}
    for name in names:
        kind = layout.columns[name].kind
        if name in layout.deselected or _column_fits(rows, name, kind):
            continue
        for index, row in enumerate(rows):
            if not _column_fits([row], name, kind):
                shown = excerpt(_encode(row[name]).decode())
                found.setdefault(index, _Misfit(name, "type", f"{shown} is not of the type {kind.value}"))
    return found


def _column_fits(rows: list[Row], name: str, kind: Kind) -> bool:
    """Return whether all values of a column fit, the types of many values being few; write its date-times."""
    if kind is Kind.ANY:
        return True
    values = [row.get(name) for row in rows]
    if not set(map(type, values)) - {type(None)} <= _TYPES[kind]:
        return False
    if kind not in {Kind.DATE, Kind.DATETIME}:
        return True
    texts = pa.array(values, pa.string())
    times = typed(texts, kind)
    if times is not None and times.values is not texts:
        for row, text in zip(rows, times.values.to_pylist(), strict=True):
            if text is not None:
                row[name] = text
    return times is not None


def _keyless(rows: list[Row], layout: Layout) -> dict[int, _Misfit]:
    """Return the first key of each row that is null or missing, by the index of the row."""
    found: dict[int, _Misfit] = {}
    for key in layout.keys:
        if None not in [row.get(key) for row in rows]:
            continue
        for index, row in enumerate(rows):
            if row.get(key) is None:
                found.setdefault(
                    index, _Misfit(key, "key", f'the key "{key}" is {"null" if key in row else "missing"}')
                )
    return found


def _reject(ordinal: int, row: Row, misfit: _Misfit, file: str) -> Reject:
    """Say which value does not fit."""
    return Reject(file, ordinal, misfit.column, misfit.code, misfit.message, _encode(row).decode()[:RAW_LIMIT])


def _finish(of: Numbered, dropped: Sequence[str], extra: Sequence[str], *, numbered: bool) -> None:
    """Drop deselected keys, move unknown ones into `_sdc_extra`, number the rows, and write down their places."""
    for name in dropped:
        for row in of.rows:
            row.pop(name, None)
    if extra:
        for row in of.rows:
            row[EXTRA] = {name: row.pop(name) for name in extra if name in row} or None
    if numbered:
        for ordinal, row in zip(of.ordinals, of.rows, strict=True):
            row[ROW] = ordinal
    for row, place in zip(of.rows, of.places or (), strict=of.places is not None):
        row[DIGEST], row[COPY] = place
