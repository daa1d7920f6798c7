"""`target-exports` keeps every value: the cases of `tools/loader_proof`, and what no other loader was asked."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from target_exports.errors import LoadError
from tests.loaders.target import Target, record, schema, state
from tools.loader_proof.cases import Case, cases
from tools.loader_proof.compare import differences, renamed

DATETIME = {"type": ["string", "null"], "format": "date-time"}
DATE = {"type": ["string", "null"], "format": "date"}


@pytest.fixture
def target(tmp_path: Path) -> Target:
    """Return a target over a new file."""
    return Target(tmp_path / "exports.duckdb")


@pytest.mark.parametrize("case", cases(shapes=30), ids=lambda case: case.name)
def test_proof(case: Case, target: Target) -> None:
    """Every value equals the truth, columns have their names, and the last STATE is given out and kept."""
    for run in case.runs:
        target.run(*run)
    for stream, expected in case.expected:
        rows = target.rows(stream.name)
        assert differences(stream, expected, rows) == {}
        assert renamed(stream, rows) == []
    if case.states:
        assert (target.states[-1], target.kept) == (case.states[-1], case.states[-1])


def test_types_are_those_of_the_schema(target: Target) -> None:
    target.run(
        schema(
            "t",
            text="string",
            count="integer",
            price="number",
            flag="boolean",
            at=DATETIME,
            day=DATE,
            nested="object",
            items="array",
            mixed={"type": ["string", "integer"]},
            free={},
            either={"anyOf": [DATETIME, {"type": "null"}]},
        )
    )
    instant = "TIMESTAMP WITH TIME ZONE"
    expected = {
        "text": "VARCHAR",
        "count": "BIGINT",
        "price": "DOUBLE",
        "flag": "BOOLEAN",
        "at": instant,
        "day": "DATE",
    }
    assert target.types("t") == {
        **expected,
        **dict.fromkeys(("nested", "items", "mixed", "free"), "JSON"),
        "either": instant,
    }


WIDENED = [
    ("integer", 5, 2**63, "HUGEINT", [5, 2**63]),
    ("integer", 5, 10**40, "VARCHAR", ["5", str(10**40)]),
    ("number", Decimal("1.5"), Decimal("0.12345678901234567890"), "VARCHAR", ["1.5", "0.12345678901234567890"]),
    ("number", Decimal("1.5"), Decimal("1e999"), "VARCHAR", ["1.5", "1E+999"]),
    (DATETIME, "2026-06-01T10:00:00Z", "2026-06-01T10:00:00.1234567Z", "VARCHAR", None),
    (DATETIME, "2026-06-01T10:00:00Z", "infinity", "VARCHAR", None),
    (DATETIME, "2026-06-01T10:00:00Z", "", "VARCHAR", None),
    (DATE, "2026-06-01", "2026-13-01", "VARCHAR", ["2026-06-01", "2026-13-01"]),
    (DATE, "2026-06-01", "2026-06-01T10:00:00Z", "VARCHAR", ["2026-06-01", "2026-06-01T10:00:00Z"]),
]


@pytest.mark.parametrize("case", WIDENED, ids=str)
@pytest.mark.parametrize("runs", [1, 2])
def test_column_widens_for_a_value_that_its_type_does_not_hold(
    case: tuple[Any, Any, Any, str, list[Any] | None], runs: int, target: Target
) -> None:
    """No value is rounded, cut or null: the type of the column changes, within a run and between runs."""
    kind, first, odd, wider, values = case
    messages = [record("t", id=1, v=first), record("t", id=2, v=odd), record("t", id=3, v=None)]
    parts = [messages] if runs == 1 else [messages[:1], messages[1:]]
    for part in parts:
        target.run(schema("t", ["id"], id="integer", v=kind), *part)
    assert target.types("t")["v"] == wider
    found = {row["id"]: row["v"] for row in target.rows("t")}
    assert (found[2], found[3]) == (values[1] if values else odd, None)
    assert values is None or [found[1], found[2]] == values or runs == 1


CHANGES = [
    ("integer", 7, "string", "x", "VARCHAR", ["7", "x"]),
    ("string", "x", "integer", 7, "VARCHAR", ["x", "7"]),
    ("integer", 2**53, "number", 0.5, "DOUBLE", [float(2**53), 0.5]),
    ("integer", 2**53 + 1, "number", 0.5, "VARCHAR", [str(2**53 + 1), "0.5"]),
    ("number", 0.5, "integer", 7, "DOUBLE", [0.5, 7.0]),
    ("number", 0.5, "integer", 2**53 + 1, "VARCHAR", ["0.5", str(2**53 + 1)]),
    ("object", {"a": 1}, "string", "x", "VARCHAR", ['{"a":1}', "x"]),
    ("boolean", True, "integer", 1, "VARCHAR", ["true", "1"]),
    ("integer", 2**64, "integer", 1, "HUGEINT", [2**64, 1]),
]


@pytest.mark.parametrize("case", CHANGES, ids=str)
def test_changed_type_in_a_later_schema(case: tuple[str, Any, str, Any, str, list[Any]], target: Target) -> None:
    """Old and new values are exact in the column that holds both."""
    old, first, new, second, type_, values = case
    target.run(schema("t", v=old), record("t", v=first))
    target.run(schema("t", v=new), record("t", v=second))
    assert (target.types("t")["v"], [row["v"] for row in target.rows("t")]) == (type_, values)


@pytest.mark.parametrize("value", [5.0, Decimal("5.00"), Decimal("5e0")], ids=str)
def test_whole_number_in_another_notation_is_an_integer(value: Any, target: Target) -> None:
    target.run(schema("t", v="integer"), record("t", v=value), record("t", v=6), record("t", v=None))
    assert [row["v"] for row in target.rows("t")] == [5, 6, None]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", "x"),
        ("integer", 5.5),
        ("string", 5),
        ("boolean", "true"),
        ("number", "x"),
        ("number", True),
        (DATETIME, 5),
    ],
    ids=str,
)
def test_value_of_another_type_stops_the_load(kind: Any, value: Any, target: Target) -> None:
    """Nothing of the run is in the file and no STATE covers it: the error names the stream."""
    target.run(schema("t", v=kind), record("t", v=None), state(1))
    with pytest.raises(LoadError, match=r"^t: "):
        target.run(schema("t", v=kind), record("t", v=None), record("t", v=value), state(2))
    assert (len(target.rows("t")), target.states, target.kept) == (1, [1], 1)


def test_property_that_the_schema_lacks_is_a_json_column(target: Target) -> None:
    target.run(
        schema("t", ["id"], id="integer"),
        record("t", id=1),
        record("t", id=2, more={"a": Decimal("0.10")}),
        record("t", id=3),
    )
    assert target.rows("t") == [{"id": 1, "more": None}, {"id": 2, "more": '{"a":0.10}'}, {"id": 3, "more": None}]


NAMES = [
    "id",
    "ID",
    "Id",
    "",
    " ",
    'say "x"',
    "rowid",
    "c0",
    "ordinal",
    "a\0b",
    "a_b",
    "über",
    "ÜBER",
    "a\nb",
    "'",
    "select",
    "x" * 300,
]


def test_any_column_name(target: Target) -> None:
    """Names that DuckDB cannot have or tell apart get others, the same in each run; comments hold them."""
    columns = dict.fromkeys(NAMES, "string")
    for run in range(2):
        rows = [{name: f"{run} {row} {at}" for at, name in enumerate(NAMES)} for row in range(2)]
        target.run(
            schema("t", ["id"], **columns), *(record("t", **{**row, "id": f"k{n}"}) for n, row in enumerate(rows))
        )
    assert len(target.rows("t")) == 2
    places = dict(
        target.query(
            "SELECT coalesce(comment::JSON ->> '$', column_name), column_name FROM duckdb_columns() "
            "WHERE table_name = 't'"
        )
    )
    assert set(places) == set(NAMES)
    assert [target.rows("t")[0][places[name]] for name in NAMES[1:]] == [f"1 0 {at}" for at in range(1, len(NAMES))]


def test_streams_whose_names_differ_by_case(target: Target) -> None:
    for run in ("a", "b"):
        target.run(schema("T", v="string"), schema("t", v="string"), record("T", v=f"T{run}"), record("t", v=f"t{run}"))
    assert [[row["v"] for row in target.rows(name)] for name in ("T", "t_2")] == [["Ta", "Tb"], ["ta", "tb"]]


def test_two_thousand_columns(target: Target) -> None:
    names = [f"c{n}" for n in range(2_000)]
    target.run(schema("t", ["c0"], **dict.fromkeys(names, "string")), record("t", **{name: name for name in names}))
    assert target.rows("t") == [{name: name for name in names}]


def test_table_that_another_loader_made(target: Target) -> None:
    """Narrower types are widened to ours, a primary key and defaults stay, rows are replaced by key."""
    with duckdb.connect(str(target.path)) as database:
        database.execute(
            "CREATE TABLE t (id BIGINT PRIMARY KEY, at_ TIMESTAMP, price FLOAT, size INTEGER, "
            "seq BIGINT NOT NULL DEFAULT 7, loaded TIMESTAMP DEFAULT '2026-01-01')"
        )
        database.execute("INSERT INTO t VALUES (1, '2026-01-01', 0.5, 5, 6, NULL), (2, '2026-01-02', 1.5, 6, 6, NULL)")
    columns: dict[str, Any] = {"id": "integer", "at_": DATETIME, "price": "number", "size": "integer"}
    for _ in range(2):
        target.run(schema("t", ["id"], **columns), record("t", id=2, at_="2026-06-01T00:00:00Z", price=0.1, size=2**40))
    types = {"at_": "TIMESTAMP WITH TIME ZONE", "price": "DOUBLE", "size": "BIGINT"}
    assert target.types("t").items() >= types.items()
    first, second = (
        {"id": 1, "at_": "2026-01-01 00:00:00+00:00", "price": 0.5, "size": 5, "seq": 6, "loaded": None},
        {"id": 2, "at_": "2026-06-01 00:00:00+00:00", "price": 0.1, "size": 2**40, "seq": 7},
    )
    assert target.rows("t") == [first, {**second, "loaded": "2026-01-01 00:00:00"}]
