"""P1: a file is this export's only if it shows the columns that are known for it."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tap_exports.engine import decode
from tap_exports.engine.decode import Layout
from tap_exports.engine.model import Column, Kind, LocalFile, Reject, Rows
from tap_exports.errors import BadContentError, ColumnsError

NAMES = ("id", "name", "total", "date")
KNOWN = Layout(columns={name: Column(name, Kind.ANY if name == "total" else Kind.STRING) for name in NAMES})
TEXTS = [
    b"Service temporarily unavailable. Please retry later.",
    b"Too many requests",
    b"Forbidden\n",
    b"Error\nThe export could not be generated\n",
    b"error,message\nE17,try again\n",
    b"code;message;request_id\n500;internal;x\n",
    b"upstream connect error or disconnect/reset before headers. reset reason: overflow",
    b"id,error\n",
    "Серверная ошибка".encode(),
]
OBJECTS: list[Any] = [
    {"error": {"code": "AccessDenied", "message": "Request has expired"}},
    {"message": "Rate limit exceeded", "documentation_url": "x"},
    {"id": "req_1", "error": "timeout"},
    {"id": "req_1", "name": "error", "error": "timeout", "date": "x"},
    {"errors": [{"title": "Bad gateway", "status": 502}]},
    {"status": "failed", "details": [{"reason": "quota"}]},
    [{"error": "timeout"}],
    {},
    {"data": {"error": "x"}},
    {"data": None, "error": {"code": 1}},
    "Too many requests",
]


def local(folder: Path, content: bytes) -> LocalFile:
    path = folder / "export"
    path.write_bytes(content)
    return LocalFile("export", path, len(content), "0")


def rows_of(folder: Path, content: bytes, form: str, layout: Layout = KNOWN) -> list[Any]:
    found: list[Any] = []
    for item in decode.read(local(folder, content), form, layout):
        if isinstance(item, Rows):
            data = item.data if isinstance(item.data, list) else item.data.to_pylist()
            found += [{k: v for k, v in row.items() if not k.startswith("_sdc_")} for row in data]
        elif isinstance(item, Reject):
            found.append((item.code, item.message))
    return found


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({name: ["1"] for name in NAMES}), sink)
    return sink.getvalue()


@pytest.mark.parametrize("layout", [KNOWN, Layout()], ids=["known", "nothing known"])
@pytest.mark.parametrize("text", TEXTS[:3] + TEXTS[6:7] + TEXTS[8:], ids=repr)
def test_one_line_of_text_is_no_empty_export(tmp_path: Path, text: bytes, layout: Layout) -> None:
    """Whether columns are known or not: a window must not close over it, nor a table be emptied."""
    with pytest.raises(BadContentError):
        rows_of(tmp_path, text, "csv", layout)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("text", TEXTS, ids=repr)
def test_a_text_without_the_known_columns_is_refused(tmp_path: Path, text: bytes, packed: bool) -> None:  # noqa: FBT001 - a parameter of the table above
    with pytest.raises(BadContentError):
        rows_of(tmp_path, gzip.compress(text) if packed else text, "csv")


@pytest.mark.parametrize("value", OBJECTS, ids=json.dumps)
@pytest.mark.parametrize("layout", [KNOWN, Layout()], ids=["known", "nothing known"])
def test_an_error_in_json_is_no_row(tmp_path: Path, value: object, layout: Layout) -> None:
    if layout is not KNOWN and isinstance(value, (list, dict)) and "details" in value:
        pytest.skip("a list of objects under any name may be the rows where nothing is known")
    if layout is not KNOWN and isinstance(value, list):
        pytest.skip("a list of objects may be the rows where nothing is known")
    with pytest.raises(BadContentError):
        rows_of(tmp_path, json.dumps(value).encode(), "json", layout)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (zlib.compress(b"id,name,total,date\n"), "zlib data"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "zstd data"),
        (parquet(), "a Parquet file"),
        (b"%PDF-1.7 \n", "a PDF document"),
        (b"\xfd7zXZ\x00\x00", "xz data"),
    ],
)
@pytest.mark.parametrize("form", ["csv", "json"])
def test_packed_and_binary_files_are_named(tmp_path: Path, content: bytes, what: str, form: str) -> None:
    with pytest.raises(BadContentError, match=what):
        rows_of(tmp_path, content, form)


@pytest.mark.parametrize(
    "header",
    [
        "id,name,total,date",
        "date,total,name,id,more,and,more2",  # the provider added columns
        "id,name",  # half of the known ones
        "\ufeffid,name,total,date",
    ],
)
def test_a_header_with_the_known_columns_is_an_empty_export(tmp_path: Path, header: str) -> None:
    """Columns come and go: a third of the known ones, with as many strangers beside them, would be almost none."""
    assert rows_of(tmp_path, f"{header}\n".encode(), "csv") == []


def test_where_nothing_is_known_a_table_is_believed(tmp_path: Path) -> None:
    assert rows_of(tmp_path, b"a,b\n", "csv", Layout()) == []
    assert rows_of(tmp_path, b"email\na@b.example\n", "csv", Layout()) == [{"email": "a@b.example"}]


@pytest.mark.parametrize(
    "empty", [b"[]", b'{"data": []}', b'{"data": null, "meta": {"total": 0}}', b'{"result": {"items": []}}']
)
def test_an_empty_list_is_an_empty_export(tmp_path: Path, empty: bytes) -> None:
    assert rows_of(tmp_path, empty, "json") == []


@pytest.mark.parametrize(
    "wrap",
    [
        {"data": {"items": 0}},
        {"result": {"data": 0}},
        {"response": {"payload": {"rows": 0}}},
        {"status": "ok", "results": {"companies": 0, "total": 1}},
        {"meta": {"tags": []}, "export": {"records": 0}},
    ],
    ids=json.dumps,
)
def test_lists_are_found_where_apis_put_them(tmp_path: Path, wrap: object) -> None:
    row = {"id": "1", "name": "a", "total": 2, "date": "x"}
    text = json.dumps(wrap).replace(": 0", ": " + json.dumps([row]))
    assert rows_of(tmp_path, text.encode(), "json") == [row]


def test_an_empty_object_among_rows_is_a_reject(tmp_path: Path) -> None:
    found = rows_of(tmp_path, b'[{"id": "1", "name": "a"}, {}]', "json")
    assert ("type", "{} is empty") in found
    assert {"id": "1", "name": "a"} in found


@pytest.mark.parametrize("rows", ["", "1,a,2,x\n"])
def test_expected_columns_hold_without_rows_too(tmp_path: Path, rows: str) -> None:
    expecting = Layout(columns=KNOWN.columns, expected=frozenset({"id", "isin"}))
    with pytest.raises(ColumnsError, match="expect_columns: isin missing") as caught:
        rows_of(tmp_path, f"id,name,total,date\n{rows}".encode(), "csv", expecting)
    assert caught.value.missing == ("isin",)


def test_deselected_columns_are_known_too(tmp_path: Path) -> None:
    """A user who selects two of forty columns still gets a file that shows them all, or an error."""
    few = Layout(columns={"id": KNOWN.columns["id"]}, deselected=frozenset({"name", "total", "date"}))
    assert rows_of(tmp_path, b"id,name,total,date\n1,a,2,x\n", "csv", few) == [{"id": "1"}]
    with pytest.raises(BadContentError):
        rows_of(tmp_path, b"id,error,message\n1,a,b\n", "csv", few)


def test_an_expected_column_may_come_late_in_json(tmp_path: Path) -> None:
    """Rows of JSON leave out what is null: the guard looks at all of them, the reader not at the first ones only."""
    expecting = Layout(columns=KNOWN.columns, expected=frozenset({"total"}))
    rows = [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}]
    assert rows_of(tmp_path, json.dumps(rows).encode(), "json", expecting) == rows
