"""Types from samples: only where every value fits without loss."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_exports.engine.decode import Layout, infer_columns, infer_text_columns, sample
from tap_exports.engine.decode.cast import typed
from tap_exports.engine.model import Column, Kind, LocalFile
from tap_exports.errors import BadContentError


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (Kind.BOOLEAN, ["true", "False", None]),
        (Kind.INTEGER, ["0", "-5", None, "999999999999999999"]),
        (Kind.NUMBER, ["0.5", "3", "-12.25", None]),
        (Kind.NUMBER, ["0.00001"]),
        (Kind.DATE, ["2026-01-31", None]),
        (Kind.DATETIME, ["2026-01-31T00:00:00Z", "2026-01-31 00:00:00.5+02:00"]),
        *(
            (Kind.STRING, [text])
            for text in ("007", "1e5", "+1", "-0", "1.10", "12.50", "1.0", "12345678901234567890", "0.1234567890123456")
        ),
        *((Kind.STRING, [text]) for text in ("", " 1", "NaN", "0x10", "1,5", ".5", "-0.0", "{}", "[]", "null")),
        *((Kind.STRING, [text]) for text in ("2026-02-30", "2026-01-31T00:00:00", "01/31/2026")),
        (Kind.STRING, ["1", "x"]),
        (Kind.STRING, ["1", ""]),
        (Kind.STRING, ["true", "1"]),
        (Kind.STRING, ["2026-01-31", "2026-01-31T00:00:00Z"]),
        (Kind.STRING, [None]),
        (Kind.STRING, []),
    ],
)
def test_types_of_text(kind: Kind, texts: list[str | None]) -> None:
    assert infer_text_columns(pa.table({"a": pa.array(texts, pa.string())})) == {"a": Column("a", kind)}


numbers = st.integers().map(str) | st.decimals(allow_nan=False, allow_infinity=False).map(str) | st.floats().map(str)


@given(st.lists(numbers, min_size=1, max_size=3))
def test_a_number_shows_its_digits_again(texts: list[str]) -> None:
    """What is inferred as a number comes out with the digits that came in."""
    column = pa.array(texts, pa.string())
    kind = infer_text_columns(pa.table({"a": column}))["a"].kind
    found = typed(column, kind)
    assert found is not None
    if kind is not Kind.STRING:
        shown = [value if isinstance(value, str) else repr(value) for value in found.values.to_pylist()]
        assert [format(Decimal(text), "f").removesuffix(".0") for text in shown] == texts


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, None], Kind.BOOLEAN),
        ([1, None], Kind.INTEGER),
        ([2**63 - 1, -(2**63)], Kind.INTEGER),
        ([2**63], Kind.NUMBER),
        ([1, 1.5], Kind.NUMBER),
        ([1, Decimal("1e400")], Kind.NUMBER),
        ([1, True], Kind.ANY),
        ([1, "1"], Kind.ANY),
        ([{}, []], Kind.ANY),
        ([None], Kind.ANY),
        (["x", "2026-01-31T00:00:00Z"], Kind.STRING),
        (["2026-01-31T00:00:00"], Kind.STRING),
        (["2026-01-31"], Kind.STRING),
        (["12"], Kind.STRING),
        ([""], Kind.STRING),
        (["2026-01-31T00:00:00Z", None, "2026-01-31T00:00:00+02:00"], Kind.DATETIME),
    ],
)
def test_types_of_json_values(values: list[Any], kind: Kind) -> None:
    assert infer_columns([{"a": value} for value in values]) == {"a": Column("a", kind)}


def test_nested_values_carry_their_schema() -> None:
    rows: list[dict[str, Any]] = [
        {"b": {"x": 1, "y": {"z": None}}, "c": [{"k": "2026-01-31T00:00:00Z"}, None]},
        {"a": 1, "b": {"x": 1.5, "w": [1, "x"], "v": []}, "c": []},
    ]
    assert infer_columns(rows) == {
        "b": Column(
            "b",
            Kind.OBJECT,
            {
                "type": ["object", "null"],
                "properties": {
                    "x": {"type": ["number", "null"]},
                    "y": {"type": ["object", "null"], "properties": {"z": {}}},
                    "w": {"type": ["array", "null"], "items": {}},
                    "v": {"type": ["array", "null"], "items": {}},
                },
            },
        ),
        "c": Column(
            "c",
            Kind.ARRAY,
            {
                "type": ["array", "null"],
                "items": {"type": ["object", "null"], "properties": {"k": {"type": ["string", "null"]}}},
            },
        ),
        "a": Column("a", Kind.INTEGER),
    }


def written(path: Path, data: bytes) -> LocalFile:
    path.write_bytes(data)
    return LocalFile(path.name, path, len(data), "")


def test_a_csv_sample(tmp_path: Path) -> None:
    """Only the first rows count, a ragged one does not, a deselected column is left out."""
    file = written(tmp_path / "f.csv", b"Id,code,n,gone\n1,007,,x\nragged\n2,008,1.5,x\nthree,9,x,x\n")
    layout = Layout({"id": Column("id", Kind.STRING)}, frozenset({"gone"}), {"Id": "id"}, skip_rows=99)
    assert sample(file, "csv", layout, limit=2) == {
        "id": Column("id", Kind.INTEGER),
        "code": Column("code", Kind.STRING),
        "n": Column("n", Kind.NUMBER),
    }


def test_a_sample_of_a_header_only(tmp_path: Path) -> None:
    """Names without values are no sample: all would be text, and change their types with the next sample."""
    assert sample(written(tmp_path / "f.csv", b"a,b\n"), "csv") == {}


def test_a_json_sample(tmp_path: Path) -> None:
    file = written(tmp_path / "f.json", b'[{"a": 1, "b": "x"}, {"a": 1.5, "gone": 1}, {"a": "x"}]')
    assert sample(file, "json", Layout(deselected=frozenset({"gone"})), limit=2) == {
        "a": Column("a", Kind.NUMBER),
        "b": Column("b", Kind.STRING),
    }


def test_a_sample_of_another_format(tmp_path: Path) -> None:
    with pytest.raises(BadContentError) as caught:
        sample(written(tmp_path / "f.csv", b'{"error": 1}'), "csv")
    assert caught.value.message == 'f.csv: JSON where CSV is due: {"error": 1}'
