"""Declared columns as Parquet columns: one schema whatever form the rows have, and every value exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tap_exports.engine.decode.cast import RAW, typed
from tap_exports.engine.model import Column, Kind, Row, Rows
from tap_exports.engine.publish.columns import arrow_schema, to_batch
from tap_exports.errors import StopError

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


def column(kind: Kind, schema: Mapping[str, Any] | None = None) -> Column:
    return Column("c", kind, schema)


def from_file(kind: Kind, *texts: str | None, schema: Mapping[str, Any] | None = None) -> list[Any]:
    """Return what becomes of the texts of a CSV column, whether or not the decoder casts."""
    from_texts, from_cast = (from_decoder(kind, texts, schema, cast=cast) for cast in (False, True))
    assert from_texts == from_cast
    return from_texts


def from_decoder(kind: Kind, texts: Sequence[str | None], schema: Mapping[str, Any] | None, *, cast: bool) -> list[Any]:
    built = typed(pa.array(texts, pa.string()), kind, cast=cast)
    assert built is not None
    field = pa.field("c", built.values.type, metadata=built.metadata)
    data = pa.record_batch([built.values], schema=pa.schema([field]))
    return values(Rows(data), column(kind, schema))


def from_page(kind: Kind, *given: object, schema: Mapping[str, Any] | None = None) -> list[Any]:
    """Return what becomes of the values of JSON rows."""
    return values(Rows([{"c": value} for value in given]), column(kind, schema))


def values(rows: Rows, wanted: Column) -> list[Any]:
    batch = to_batch(rows, [wanted], "s")
    assert batch.schema == arrow_schema([wanted])
    return batch.column(0).to_pylist()


def test_types() -> None:
    """The types follow from the catalog alone: no batch can change them."""
    assert [str(arrow_schema([column(kind)]).field("c").type) for kind in Kind] == [
        "string",
        "int64",
        "string",
        "bool",
        "date32[day]",
        "timestamp[us, tz=UTC]",
        "string",
        "list<item: string>",
        "string",
    ]


@pytest.mark.parametrize(
    ("kind", "texts", "expected"),
    [
        (Kind.STRING, ("007", None, ""), ["007", None, ""]),
        (Kind.INTEGER, ("7", None, "-9223372036854775808"), [7, None, -(2**63)]),
        (Kind.INTEGER, ("-0", "9223372036854775807"), [0, 2**63 - 1]),
        (Kind.BOOLEAN, ("true", None, "FALSE"), [True, None, False]),
        (Kind.DATE, ("2024-02-29", None, "0001-01-01"), [date(2024, 2, 29), None, date(1, 1, 1)]),
        (Kind.DATETIME, ("2026-01-01T12:00:00Z", None, "2026-01-01T14:00:00+02:00"), [NOON, None, NOON]),
        (Kind.DATETIME, ("2026-01-01 12:00:00.0000000000", None), [NOON, None]),
        (Kind.DATETIME, ("2026-01-01T12:00", "2026-01-01T17:30:00.000+0530"), [NOON, NOON]),
        (Kind.DATETIME, ("2026-01-01T10:00:00.000000-02", "2026-01-01T12:00:00"), [NOON, NOON]),
        (Kind.OBJECT, ('{"a": 1.10}', None), ['{"a": 1.10}', None]),
        (Kind.ARRAY, ('[1.10,"a",null]', None, "[]"), [["1.10", '"a"', None], None, []]),
        (Kind.ANY, ("5", None), ['"5"', None]),
    ],
)
def test_values_of_files(kind: Kind, texts: tuple[str | None, ...], expected: list[Any]) -> None:
    assert from_file(kind, *texts) == expected


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        (Kind.STRING, ("007", None), ["007", None]),
        (Kind.INTEGER, (7, None), [7, None]),
        (Kind.BOOLEAN, (True, None), [True, None]),
        (Kind.DATE, ("2024-02-29", None), [date(2024, 2, 29), None]),
        (Kind.DATETIME, ("2026-01-01T14:00:00+02:00", "2026-01-01T12:00:00"), [NOON, NOON]),
        (Kind.OBJECT, ({"a": Decimal("1.10")}, None), ['{"a":1.10}', None]),
        (Kind.ARRAY, ([Decimal("1.10"), "a\n", None], None, []), [["1.10", '"a\\n"', None], None, []]),
        (Kind.ANY, ("5", 5, None, [1]), ['"5"', "5", None, "[1]"]),
    ],
)
def test_values_of_pages(kind: Kind, given: tuple[object, ...], expected: list[Any]) -> None:
    assert from_page(kind, *given) == expected


@pytest.mark.parametrize(
    "texts",
    [("0.1", "12.50", "123456789012345", "0.00000000001", "-3"), ("12345678901234567890.10", "1e400", "5", "-0.0")],
)
def test_numbers_are_exact(texts: tuple[str, ...]) -> None:
    """Numbers have one type whether a batch brings doubles or texts, and no digit is lost."""
    exact = [Decimal(text) for text in texts]
    assert [Decimal(text) for text in from_file(Kind.NUMBER, *texts)] == exact
    assert [Decimal(text) for text in from_page(Kind.NUMBER, *exact, 7, 0.25)] == [*exact, 7, Decimal("0.25")]


@pytest.mark.parametrize(("items", "given"), [("string", ["1"]), ("integer", [1]), ("boolean", [True])])
def test_declared_items(items: str, given: list[Any]) -> None:
    """Lists of simple items keep their items: a target iterates over them."""
    schema = {"type": ["array", "null"], "items": {"type": [items, "null"]}}
    assert from_page(Kind.ARRAY, given, None, schema=schema) == [given, None]


LONG, FINE = "9223372036854775808", "2026-01-01T12:00:00.0000001Z"


@pytest.mark.parametrize(
    ("convert", "remedy"),
    [
        (lambda: from_file(Kind.INTEGER, LONG), "type number or string"),
        (lambda: from_page(Kind.INTEGER, int(LONG)), "type number or string"),
        (lambda: from_file(Kind.DATETIME, FINE), "type string"),
        (lambda: from_page(Kind.DATETIME, FINE), "type string"),
    ],
)
def test_value_beyond_the_type(convert: Callable[[], object], remedy: str) -> None:
    """Nothing is rounded: the stream stops and says which column, and what to do."""
    with pytest.raises(StopError) as stopped:
        convert()
    assert 's: column "c"' in stopped.value.message
    assert remedy in stopped.value.message


def test_lacking_columns_and_constants() -> None:
    """A column that a batch lacks is its constant or null, and the order is that of the columns asked for."""
    wanted = [Column("k", Kind.INTEGER), Column("x", Kind.ARRAY), Column("a", Kind.STRING), Column("w", Kind.DATETIME)]
    constants: Row = {"k": 3, "w": "2026-01-01T12:00:00.000Z", "unselected": 1}
    expected = [{"k": 3, "x": None, "a": a, "w": NOON} for a in ("p", None)]
    table = pa.record_batch([pa.array(["p", None])], names=["a"])
    for rows in (Rows(table, constants), Rows([{"a": "p"}, {}], constants)):
        assert to_batch(rows, wanted, "s").to_pylist() == expected


def test_raw_text_of_files_is_kept() -> None:
    field: pa.Field[Any] = pa.field("c", pa.string(), metadata=RAW)
    data = pa.record_batch([pa.array(["1.0e2"])], schema=pa.schema([field]))
    assert values(Rows(data), column(Kind.NUMBER)) == ["1.0e2"]
    assert values(Rows(data), column(Kind.ANY)) == ["1.0e2"]
