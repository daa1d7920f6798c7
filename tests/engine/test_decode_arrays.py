"""Rows as arrays beside their column names, rows at a place in an object, and rows that a function makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from tap_exports.engine import decode
from tap_exports.engine.decode import Layout
from tap_exports.engine.model import Column, Kind, LocalFile, Reject, Row, Rows
from tap_exports.errors import BadContentError, StopError

LAYOUT = Layout(columns={name: Column(name, Kind.INTEGER) for name in "ab"})


def read(tmp_path: Path, text: str, layout: Layout = LAYOUT, **more: Any) -> tuple[list[Row], list[Reject]]:  # noqa: ANN401 - of LocalFile
    path = tmp_path / "file"
    path.write_text(text, encoding="utf-8")
    events = list(decode.read(LocalFile("f", path, len(text), "", **more), "json", layout))
    found = [cast("list[Row]", event.data) for event in events if isinstance(event, Rows)]
    rows = [row for batch in found for row in batch]
    return [{k: v for k, v in row.items() if k in "ab"} for row in rows], [e for e in events if isinstance(e, Reject)]


@pytest.mark.parametrize(
    "text",
    ["[[1, 2], [3, null]]", '[[1, 2], {"a": 3, "b": null}]', "  [\n[1,2],[3,null]]\n"],
)
def test_arrays_are_rows_by_the_names_of_columns(tmp_path: Path, text: str) -> None:
    """Objects among them keep their own names."""
    assert read(tmp_path, text, columns=("a", "b")) == ([{"a": 1, "b": 2}, {"a": 3, "b": None}], [])


def test_an_array_of_another_length_is_a_reject(tmp_path: Path) -> None:
    """No value slips into another column."""
    rows, rejects = read(tmp_path, "[[1, 2], [3], [4, 5, 6], [7, 8]]", columns=("a", "b"))
    assert rows == [{"a": 1, "b": 2}, {"a": 7, "b": 8}]
    assert [(r.row, r.message, r.raw) for r in rejects] == [
        (2, "an array of 1 values where there are 2 columns", "[3]"),
        (3, "an array of 3 values where there are 2 columns", "[4,5,6]"),
    ]


def test_two_columns_of_one_name_stop_the_file(tmp_path: Path) -> None:
    """One of them would be lost."""
    with pytest.raises(BadContentError, match="two columns have one name: a, a"):
        read(tmp_path, "[[1, 2]]", columns=("a", "a"))


def test_arrays_without_names_are_no_rows(tmp_path: Path) -> None:
    """Nobody knows what their values are."""
    assert [reject.code for reject in read(tmp_path, "[[1, 2]]")[1]] == ["type"]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ('{"other": [{"a": 9}], "x": {"y": [[1, 2]], "rows": [{"a": 9}]}, "next": "n"}', "x.y"),
        ('{"rows": [[1, 2]]}', "rows"),
        ('{"x": {"y": {"z": [{"a": 1, "b": 2}]}}}', "x.y.z"),
    ],
)
def test_rows_stand_where_they_are_said_to(tmp_path: Path, text: str, at: str) -> None:
    """Whatever other lists an object holds."""
    assert read(tmp_path, text, rows_at=at, columns=("a", "b")) == ([{"a": 1, "b": 2}], [])


def test_no_list_there_is_no_empty_export(tmp_path: Path) -> None:
    """Null and an empty list are; an error in their place is not."""
    for text in ('{"data": {"rows": []}}', '{"data": {"rows": null}}'):
        assert read(tmp_path, text, rows_at="data.rows") == ([], [])
    for text in ('{"error": "no"}', '{"data": [1]}', '{"data": {"rows": {"a": 1}}}', '{"data": {"rows": 5}}'):
        with pytest.raises(BadContentError, match=r'no list at "data\.rows" where rows are due'):
            read(tmp_path, text, rows_at="data.rows")


@pytest.mark.parametrize(
    "text", ['{"data": {"rows": [[1, 2]', '{"data": {"rows": [[1, 2]]}', '{"data": {"rows": []}} x']
)
def test_a_cut_object_is_no_proof(tmp_path: Path, text: str) -> None:
    """It is read to its end before the first row comes."""
    with pytest.raises(BadContentError):
        read(tmp_path, text, rows_at="data.rows", columns=("a", "b"))


def test_a_function_makes_rows(tmp_path: Path) -> None:
    """Of objects, arrays that were named included."""
    double: Callable[[Row], Row] = lambda row: {**row, "a": row["a"] * 2}  # noqa: E731 - as a value
    layout = Layout(columns=LAYOUT.columns, row=double)
    assert read(tmp_path, "[[1, 2]]", layout, columns=("a", "b")) == ([{"a": 2, "b": 2}], [])
    with pytest.raises(StopError, match="the function `row` failed: KeyError: 'a'"):
        read(tmp_path, '[{"b": 1}]', layout)
