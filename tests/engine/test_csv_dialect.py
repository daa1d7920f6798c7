"""The `csv` block: files as exporters write them give the same values, or a reject, never another value."""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tap_exports.engine.convert.task import layout_values
from tap_exports.engine.convert.work import _layout
from tap_exports.engine.decode import CsvDialect, Layout, advice, conform, read, sample, source, unknown
from tap_exports.engine.model import FILE, ROW, Column, Contract, Kind, LocalFile, NewColumns, Reject, Rows
from tap_exports.errors import BadContentError, ConfigError

properties = settings(max_examples=200)
KINDS = {
    "id": Kind.STRING,
    "name": Kind.STRING,
    "total": Kind.NUMBER,
    "date": Kind.DATE,
    "at": Kind.DATETIME,
    "ok": Kind.BOOLEAN,
    "n": Kind.INTEGER,
}


def layout(names: str, /, **block: Any) -> Layout:  # noqa: ANN401 - settings
    """Return the layout of some columns of `KINDS`, with a `csv` block."""
    return Layout({n: Column(n, KINDS[n]) for n in names.split()}, csv=CsvDialect.of(block))


def events_of(data: bytes, known: Layout, form: str = "csv") -> list[Any]:
    """Read bytes through a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "f")
        path.write_bytes(data)
        return list(read(LocalFile("f.csv", path, len(data), ""), form, known))


def rows(data: bytes, known: Layout) -> list[tuple[Any, ...]]:
    """Return the values of the rows, without ordinals."""
    batches = [event.data for event in events_of(data, known) if isinstance(event, Rows)]
    found = [row for batch in batches if isinstance(batch, pa.RecordBatch) for row in batch.to_pylist()]
    return [tuple(value for name, value in row.items() if name != ROW) for row in found]


def faults(data: bytes, known: Layout) -> list[tuple[int, str, str]]:
    """Return row, column and code of the rejects."""
    return [(e.row, e.column, e.code) for e in events_of(data, known) if isinstance(e, Reject)]


# What divides the text -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        *(f"id{mark}name{mark}total\n1{mark}a{mark}1.5\n" for mark in ",;\t|"),
        *(f"sep={mark}\r\nid{mark}name{mark}total\r\n1{mark}a{mark}1.5\r\n" for mark in ",;\t|:~"),
        '"sep=;"\nid;name;total\n1;a;1.5\n',
        "\n\nid|name|total\n\n1|a|1.5\n",
        '"id"|"name"|"total"\n1|a|1.5',
    ],
)
@pytest.mark.parametrize("chunk", [3, source.CHUNK])
def test_the_delimiter_is_found(text: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "CHUNK", chunk)
    assert rows(text.encode(), layout("id name total")) == [("1", "a", "1.5")]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("id|name, first|total\n1|Doe, John|5\n", ["id", "name, first", "total"]),
        ("a;b,c\n1;2,3\n", ["a;b", "c"]),
        ("id,tags;x;y\n1,a\n2,b\n", ["id", "tags;x;y"]),
        ("name\nDoe, John\n", ["name"]),
        ("name\nDoe, John, jr.\na;b\n", ["name"]),
    ],
)
def test_rows_tell_what_divides_a_header_that_may_be_read_in_two_ways(text: str, names: list[str]) -> None:
    (new,) = [event for event in events_of(text.encode(), Layout()) if isinstance(event, NewColumns)]
    assert [column.name for column in new.columns] == names


def test_known_columns_tell_the_delimiter() -> None:
    """Two commas stand in each row, but the semicolon is what shows the columns of the catalog."""
    known = Layout({"a": Column("a", Kind.STRING), "b,c,d": Column("b,c,d", Kind.STRING)})
    assert rows(b"a;b,c,d\n1;2,3,4\n", known) == [("1", "2,3,4")]


def test_an_explicit_delimiter_wins() -> None:
    assert rows(b"sep=,\nid;name,x\n1;a,b\n", Layout(csv=CsvDialect(";"))) == [("1", "a,b")]


# Quotes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row",
    ['"say \\"hi\\"",1', '"ab" cd,1', '"ab"c"d",1', '"" x,1', '"a""" b,1', '"a,"b",c', 'x,"a" ', '"a\n"b",1'],
)
@pytest.mark.parametrize("filler", [0, 3000])
def test_text_behind_a_closing_quote_is_a_reject(row: str, filler: int) -> None:
    """P6: never changed in silence, whether quotes are rare in the file or many."""
    quoted = '"p","q"\n' * filler
    found = faults(f"id,name\n{quoted}{row}\n{quoted}7,y\n".encode(), layout("id name"))
    assert [(number, code) for number, _, code in found] == [(filler + 1, "quote")]
    assert rows(f"id,name\n{quoted}{row}\n7,y\n".encode(), layout("id name"))[filler:] == [("7", "y")]


def test_a_quote_that_is_never_closed_ends_the_file_with_an_error() -> None:
    with pytest.raises(BadContentError, match=r"row 2: a quote is opened and never closed"):
        rows(b'id,name\n1,x\n2,"abc\n3,y\n', layout("id name"))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b'id,"na"me', "column 2 of the header: text stands behind a closing quote"),
        (b"id,na\xffme", "column 2 of the header: byte 0xff is not text"),
        (b'id,"name', "a quote in the header is opened and never closed"),
        (b'id,"na;me,total', "a quote in the header is opened and never closed"),
    ],
)
def test_a_header_is_read_as_strictly_as_rows(header: bytes, message: str) -> None:
    with pytest.raises(BadContentError) as caught:
        rows(header + b"\n1,a,b\n", Layout())
    assert message in caught.value.message


ESCAPED = layout("id name", escape="\\")


@pytest.mark.parametrize(
    ("row", "value"),
    [
        (r'1,"say \"hi\""', 'say "hi"'),
        (r'1,"a \\ b"', r"a \ b"),
        ('1,"say ""hi"""', 'say "hi"'),
        (r"1,a\,b", "a,b"),
        ("1,a\\\nb", "a\nb"),
        (r'1,"C:\\"', "C:\\"),
        ('1,""', ""),
        ("1,", None),
    ],
)
def test_an_escape_makes_the_next_character_text(row: str, value: str | None) -> None:
    assert rows(f"id,name\n{row}\n".encode(), ESCAPED) == [("1", value)]


@pytest.mark.parametrize("row", [r'1,"C:\new"', r"1,a\tb", r"1,\N", r'1,"a" b'])
def test_an_escape_before_a_letter_has_no_one_meaning(row: str) -> None:
    assert faults(f"id,name\n{row}\n".encode(), ESCAPED) == [(1, "name", "quote")]


def test_null_of_other_systems_with_their_escape() -> None:
    known = layout("id name", escape="\\", null_values=["\\N"])
    assert rows(b'id,name\n1,\\N\n2,"\\\\N"\n', known) == [("1", None), ("2", "\\N")]


def test_other_quotes_and_none() -> None:
    assert rows(b"id,name\n1,'a, b'\n'2','it''s \"x\"'\n", layout("id name", quote="'")) == [
        ("1", "a, b"),
        ("2", 'it\'s "x"'),
    ]
    assert rows(b'id,name\n1,"a\n2,b"\n', layout("id name", quote="")) == [("1", '"a'), ("2", 'b"')]


# Values ----------------------------------------------------------------------------------------------------------


def test_null_values_are_unquoted() -> None:
    known = layout("id total", null_values=["NULL", "NA"])
    assert rows(b'id,total\nNULL,NA\n"NULL",1.5\n', known) == [(None, None), ("NULL", "1.5")]
    assert faults(b'id,total\n1,"NA"\n', known) == [(1, "total", "type")]
    assert rows(b"id,name\nNULL,NA\n", layout("id name")) == [("NULL", "NA")]


@pytest.mark.parametrize(
    ("block", "text", "value"),
    [
        ({"decimal": ","}, "1,5", "1.5"),
        ({"decimal": ","}, "-1234,50", "-1234.50"),
        ({"decimal": ","}, "12", "12"),
        ({"decimal": ","}, "1.5", None),
        ({"decimal": ",", "thousands": "."}, "1.234.567,89", "1234567.89"),
        ({"decimal": ",", "thousands": "."}, "1.5", None),
        ({"decimal": ",", "thousands": "."}, "1234.567", None),
        ({"decimal": ",", "thousands": "."}, "0.123", None),
        ({"thousands": ","}, "1,234.5", "1234.5"),
        ({"thousands": ","}, "1,23", None),
        ({"thousands": ","}, "007", None),
        ({"thousands": "\u00a0", "decimal": ","}, "1\u00a0234,5", "1234.5"),
    ],
)
def test_numbers_in_another_notation(block: dict[str, Any], text: str, value: str | None) -> None:
    """What is not in the notation is a reject, also where it would be a number without it."""
    data = f'id,total\n1,"{text}"\n'.encode()
    assert rows(data, layout("id total", **block)) == ([("1", value)] if value else [])
    assert faults(data, layout("id total", **block)) == ([] if value else [(1, "total", "type")])


@pytest.mark.parametrize(
    ("form", "text", "value"),
    [
        ("%d.%m.%Y", "31.12.2026", "2026-12-31"),
        ("%m/%d/%Y", "12/31/2026", "2026-12-31"),
        ("%m/%d/%Y", "31/12/2026", None),
        ("%d.%m.%Y", "2026-12-31", None),
        ("%d.%m.%Y %H:%M", "31.12.2026 10:30", "2026-12-31T10:30:00Z"),
        ("%d.%m.%Y %H:%M %z", "31.12.2026 10:30 +0200", "2026-12-31T10:30:00+02:00"),
    ],
)
@pytest.mark.parametrize("kind", ["declared", "text", "new"])
def test_dates_in_another_notation(form: str, text: str, value: str | None, kind: str) -> None:
    """By column, whatever the catalog calls it; what does not match is a reject."""
    declared = Kind.DATETIME if "%H" in form else Kind.DATE
    known = {} if kind == "new" else {"d": Column("d", declared if kind == "declared" else Kind.STRING)}
    dated = Layout(known, csv=CsvDialect.of({"date_formats": {"d": form}}))
    data = f"d,e\n{text},1\n,2\n".encode()
    assert [row[0] for row in rows(data, dated)] == ([value] if value else []) + [None]
    assert faults(data, dated) == ([] if value else [(1, "d", "type")])
    new = [c for e in events_of(data, dated) if isinstance(e, NewColumns) for c in e.columns if c.name == "d"]
    assert [c.kind for c in new] == ([declared] if kind == "new" else [])


def test_words_of_booleans() -> None:
    known = layout("id ok", true_values=["Ja"], false_values=["Nein"])
    assert rows(b"id,ok\n1,ja\n2,NEIN\n3,\n", known) == [("1", True), ("2", False), ("3", None)]
    assert faults(b"id,ok\n1,true\n2,x\n", known) == [(1, "ok", "type"), (2, "ok", "type")]


def test_a_sample_reads_the_notation_too() -> None:
    block = {"decimal": ",", "true_values": ["ja"], "false_values": ["nein"], "date_formats": {"d": "%d.%m.%Y"}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "f")
        path.write_bytes(b"a;b;d;e\n1,5;ja;31.12.2026;1.5\n2;nein;;x\n")
        found = sample(LocalFile("f", path, 1, ""), "csv", Layout(csv=CsvDialect.of(block)))
    assert {name: column.kind for name, column in found.items()} == {
        "a": Kind.NUMBER,
        "b": Kind.BOOLEAN,
        "d": Kind.DATE,
        "e": Kind.STRING,
    }


def test_nul_in_text() -> None:
    data = b"id,name\n1,a\x00b\n2,c\n"
    assert rows(data, layout("id name")) == [("1", "a\x00b"), ("2", "c")]
    assert rows(data, layout("id name", nul="strip")) == [("1", "ab"), ("2", "c")]
    assert rows(data, layout("id name", nul="reject")) == [("2", "c")]
    assert faults(data, layout("id name", nul="reject")) == [(1, "name", "nul")]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-01-01T10:30Z", "2026-01-01T10:30:00Z"),
        ("2026-01-01 10:30:00Z", "2026-01-01T10:30:00Z"),
        ("2026-01-01T10:30:00", "2026-01-01T10:30:00Z"),
        ("2026-01-01T10:30+0200", "2026-01-01T10:30:00+02:00"),
        ("2026-01-01T10:30:00.1+02", "2026-01-01T10:30:00.1+02:00"),
        ("2026-01-01T10:30:00.123456789Z", "2026-01-01T10:30:00.123456789Z"),
        ("0001-01-01T00:00:00+02:00", None),
        ("9999-12-31T23:59:59-00:01", None),
        ("9999-12-31T23:59:59.123456Z", "9999-12-31T23:59:59.123456Z"),
    ],
)
@pytest.mark.parametrize("form", ["csv", "json", "page"])
def test_a_date_time_is_rfc_3339_within_the_years_of_dates(text: str, written: str | None, form: str) -> None:
    """In files and pages alike, whatever else stands in the column."""
    known = layout("at")
    if form == "csv":
        events = events_of(f"at\n{text}\n2026-01-01T00:00:00Z\n".encode(), known)
    elif form == "json":
        events = events_of(json.dumps([{"at": text}, {"at": "2026-01-01T00:00:00Z"}]).encode(), known, "json")
    else:
        events = list(conform([{"at": text}, {"at": "2026-01-01T00:00:00Z"}], known, 1, "f.csv"))
    batches = [e.data for e in events if isinstance(e, Rows)]
    found = [row for batch in batches for row in (batch if isinstance(batch, list) else batch.to_pylist())]
    assert [row["at"] for row in found] == ([written] if written else []) + ["2026-01-01T00:00:00Z"]
    assert [e.code for e in events if isinstance(e, Reject)] == ([] if written else ["type"])


def test_seconds_since_1970_in_csv() -> None:
    """As in JSON; a column of ISO 8601 stays as it is."""
    known = replace(layout("id at"), instants=frozenset({"at"}))
    data = b'id,at\n1,1782907200\n2,"1782907200.5"\n3,2026-07-01T12:00:00+02:00\n4,\n'
    assert [row[1] for row in rows(data, known)] == [
        "2026-07-01T12:00:00.000Z",
        "2026-07-01T12:00:00.500Z",
        "2026-07-01T12:00:00+02:00",
        None,
    ]
    assert faults(b"id,at\n1,soon\n", known) == [(1, "at", "type")]
    assert faults(b"id,at\n1,1782907200\n", layout("id at")) == [(1, "at", "type")]


# Lines -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("chunk", [1, 7, source.CHUNK])
def test_titles_comments_and_footers(end: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "CHUNK", chunk)
    lines = [
        'Report "x',
        "of today, all",
        "# made by y",
        "id,name",
        '1,"a',
        '#b"',
        "# don't \"",
        "2,c",
        "Total,2,3",
        "",
    ]
    known = layout("id name", skip_rows=2, comment="#", footer_rows=1)
    assert rows(end.join(lines).encode(), known) == [("1", f"a{end}#b"), ("2", "c")]


def test_a_footer_that_takes_the_header_leaves_an_empty_file() -> None:
    with pytest.raises(BadContentError, match="empty file"):
        rows(b"id,name\n", layout("id name", footer_rows=2))


def test_a_trailing_delimiter() -> None:
    known = layout("id name", trailing_delimiter=True)
    assert rows(b"id,name,\n1,a,\n2,,\n", known) == [("1", "a"), ("2", None)]
    assert rows(b"id,name\n1,a,\n", known) == [("1", "a")]
    assert faults(b"id,name,\n1,a\n2,b,c\n3,d,\n", known) == [(1, "", "ragged"), (2, "", "ragged")]


# Names -----------------------------------------------------------------------------------------------------------


def new_names(header: str, known: Layout) -> list[str]:
    """Return the properties of a header, in its order."""
    values = ",".join(str(number) for number in range(header.count(",") + 1))
    (batch,) = [e.data for e in events_of(f"{header}\n{values}\n".encode(), known) if isinstance(e, Rows)]
    assert isinstance(batch, pa.RecordBatch)
    order = sorted((v, n) for n, v in batch.to_pylist()[0].items() if n != ROW)
    return [name for _, name in order]


def test_names_that_differ_in_case_only_get_numbers() -> None:
    assert new_names("Name,name,NAME,name_2", Layout()) == ["Name", "name_3", "NAME_4", "name_2"]


def test_a_name_that_the_catalog_knows_keeps_it() -> None:
    """Another order of columns, or a file without one of them, changes no column."""
    known = Layout({name: Column(name, Kind.STRING) for name in ("Name", "name_2")})
    assert new_names("name,Name", known) == ["name_2", "Name"]
    both = Layout({name: Column(name, Kind.STRING) for name in ("Name", "name")})
    assert new_names("name,Name", both) == ["name", "Name"]
    assert new_names("x,NAME", replace(known, contract=Contract.EVOLVE)) == ["x", "NAME_3"]


@pytest.mark.parametrize("name", ["_sdc_extracted_at", "_SDC_ROW", "_sdc_table_version", "_sdc_x"])
def test_all_names_like_lineage_are_reserved(name: str) -> None:
    assert new_names(f"a,{name}", Layout()) == ["a", f"{name}_2"]


def test_long_names_are_cut_and_stay_different() -> None:
    names = ["x" * 70 + end for end in "abb"] + ["é" * 40]
    found = new_names(",".join(names), Layout(longest_name=63))
    assert all(len(name.encode()) <= 63 for name in found)
    assert len(set(found)) == 4
    assert found[0].startswith("x" * 54 + "_")
    assert found[:1] == new_names(names[0] + ",b", Layout(longest_name=63))[:1]


def test_keys_of_json_rows_get_the_same_names() -> None:
    page = [{"Name": 1, "name": 2, "_sdc_batched_at": 3, "y" * 80: 4}]
    (new, batch) = conform(page, Layout(longest_name=63), 1, "page")
    assert isinstance(new, NewColumns)
    assert isinstance(batch, Rows)
    names = [column.name for column in new.columns]
    assert names[:3] == ["Name", "name_2", "_sdc_batched_at_2"]
    assert batch.data == [{**dict(zip(names, [1, 2, 3, 4], strict=True)), ROW: 1}]


# Keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.STRING, Kind.INTEGER, Kind.ANY, Kind.DATETIME])
def test_a_null_or_missing_key_is_a_reject(kind: Kind) -> None:
    good: Any = {Kind.INTEGER: 7, Kind.DATETIME: "2026-01-01T00:00:00Z"}.get(kind, "x")
    known = Layout({"k": Column("k", kind), "v": Column("v", Kind.STRING)}, keys=("k",))
    assert faults(f"k,v\n{good},a\n,b\n".encode(), known) == [(2, "k", "key")]
    assert faults(b"v,w\na,1\n", replace(known, contract=Contract.DISCARD)) == [(1, "", "key")]
    page: list[dict[str, Any]] = [{"k": good, "v": "a"}, {"k": None, "v": "b"}, {"v": "c"}]
    for events in (list(conform(page, known, 1, "f")), events_of(json.dumps(page).encode(), known, "json")):
        assert [(e.row, e.column, e.code) for e in events if isinstance(e, Reject)] == [
            (2, "k", "key"),
            (3, "k", "key"),
        ]
        assert [e.data for e in events if isinstance(e, Rows)] == [[{**page[0], ROW: 1}]]


def test_a_quoted_empty_key_is_text_or_null() -> None:
    known = replace(layout("name n"), keys=("name",))
    assert rows(b'name,n\n"","1"\n', known) == [("", "1")]
    assert faults(b'name,n\n"x",""\n', replace(known, keys=("n",))) == [(1, "n", "key")]


# Zips ------------------------------------------------------------------------------------------------------------


def zipped(files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()


LITTER = {"__MACOSX/._a.csv": "x", "__MACOSX/d/": "", ".DS_Store": "y", "d/Thumbs.db": "z", "empty/": ""}


def test_litter_beside_the_file_is_passed_over() -> None:
    data = zipped({**LITTER, "d/a.csv": "id,name\n1,a\n"})
    (batch,) = [e for e in events_of(data, layout("id name")) if isinstance(e, Rows)]
    assert (len(batch), batch.constants) == (1, {})


@pytest.mark.parametrize("form", ["csv", "json"])
@pytest.mark.parametrize("skip", [0, 1, 2, 3])
def test_parts_are_read_in_the_order_of_their_names(form: str, skip: int) -> None:
    """`_sdc_file` says which part, ordinals count through: a crashed run goes on behind the rows that it wrote."""
    bodies = {
        "csv": "id,name\n{0},a\n{0}0,b\n",
        "json": '[{{"id": "{0}", "name": "a"}}, {{"id": "{0}0", "name": "b"}}]',
    }
    parts = {f"p/part-{number}.x": bodies[form].format(number) for number in (10, 2)}
    known = replace(layout("id name"), skip_rows=skip)
    events = [e for e in events_of(zipped({**parts, **LITTER}), known, form) if isinstance(e, Rows)]
    found = [
        (e.constants[FILE], row["id"], row[ROW])
        for e in events
        for row in (e.data if isinstance(e.data, list) else e.data.to_pylist())
    ]
    assert (
        found
        == [
            ("f.csv/p/part-2.x", "2", 1),
            ("f.csv/p/part-2.x", "20", 2),
            ("f.csv/p/part-10.x", "10", 3),
            ("f.csv/p/part-10.x", "100", 4),
        ][skip:]
    )


def test_parts_have_one_header() -> None:
    """A table of something else beside the rows is not read as rows."""
    with pytest.raises(BadContentError, match=r"b\.csv: its columns are not those of the part before it"):
        events_of(zipped({"a.csv": "id,name\n1,a\n", "b.csv": "sheet,rows\nx,1\n"}), layout("id name"))
    assert len(rows(zipped({"a.csv": "id,name\n1,a\n", "b.csv": "name,id\nb,2\n"}), layout("id name"))) == 2


# Proposals -------------------------------------------------------------------------------------------------------

PROPOSALS: list[tuple[str, bytes, str, dict[str, Any]]] = [
    ("escape", b'id,name\n1,"say \\"hi\\""\n', "id name", {"escape": "\\"}),
    ("delimiter", b"id^name\n1^a\n", "id name", {"delimiter": "^"}),
    ("cp1252", "id,name\n1,José\n".encode("cp1252"), "id name", {"encoding": "cp1252"}),
    ("utf-16", "id,name\n1,José\n".encode("utf-16-le"), "id name", {"encoding": "utf-16-le"}),
    ("titles", b"Report\nof today\nid,name\n1,a\n", "id name", {"skip_rows": 2}),
    ("footer", b"id,name\n1,a\nTotal: 1\n", "id name", {"footer_rows": 1}),
    ("comment", b"# x\nid,name\n1,a\n# y\n", "id name", {"comment": "#"}),
    ("trailing", b"id,name\n1,a,\n2,b,\n", "id name", {"trailing_delimiter": True}),
    ("quote", b"id,name\n1,'a, b'\n", "id name", {"quote": "'"}),
    ("null", b"id,total\n1,NULL\n2,3\n", "id total", {"null_values": ["NULL"]}),
    ("null of MySQL", b"id,total\n\\N,\\N\n2,3\n", "id total", {"null_values": ["\\N"]}),
    ("decimal", b"id;total\n1;1.234,5\n2;7\n", "id total", {"delimiter": ";", "decimal": ",", "thousands": "."}),
    ("thousands", b'id,n\n1,"1,234"\n', "id n", {"thousands": ","}),
    ("day first", b"id,date\n1,31.12.2026\n", "id date", {"date_formats": {"date": "%d.%m.%Y"}}),
    ("month first", b"id,date\n1,12/31/2026\n", "id date", {"date_formats": {"date": "%m/%d/%Y"}}),
    ("time", b"id,at\n1,31.12.2026 10:30\n", "id at", {"date_formats": {"at": "%d.%m.%Y %H:%M"}}),
    ("words", b"id,ok\n1,Yes\n2,no\n", "id ok", {"true_values": ["yes"], "false_values": ["no"]}),
]


@pytest.mark.parametrize(("data", "names", "block"), [p[1:] for p in PROPOSALS], ids=[p[0] for p in PROPOSALS])
def test_what_does_not_fit_comes_with_the_block_that_reads_it(data: bytes, names: str, block: dict[str, Any]) -> None:
    """Pasted into the settings, the proposal reads all rows."""
    known = layout(names)
    try:
        assert faults(data, known)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "f")
            path.write_bytes(data)
            message = advice(LocalFile("f", path, 1, ""), "csv", known)
    except BadContentError as error:
        message = error.message
    found = re.search(r"csv: (\{.*\})\Z", message)
    assert found, message
    assert json.loads(found[1]) == block
    assert faults(data, layout(names, **block)) == []
    assert rows(data, layout(names, **block))


def test_a_proposal_says_where_it_is_a_guess() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "f")
        path.write_bytes(b"id,date\n1,01/02/2026\n")
        message = advice(LocalFile("f", path, 1, ""), "csv", layout("id date"))
    assert message.endswith(' (or {"date_formats": {"date": "%m/%d/%Y"}}: the first rows fit both)')


def test_there_is_no_proposal_where_nothing_would_help() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "f")
        path.write_bytes(b"id,total\n1,x\n2,3,4\n")
        assert advice(LocalFile("f", path, 1, ""), "csv", layout("id total")) == ""


# Settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"delimiter": "||"}, "delimiter must be one ASCII character"),
        ({"delimiter": ""}, "delimiter must be one ASCII character"),
        ({"delimiter": '"'}, "must differ"),
        ({"escape": ","}, None),
        ({"decimal": ",", "thousands": ","}, "another than thousands"),
        ({"encoding": "klingon"}, "not a known text encoding"),
        ({"date_formats": {"d": "%d.%m"}}, "does not tell day, month and year"),
        ({"date_formats": {"d": "%d.%m.%Q"}}, "not a format of strptime"),
        ({"true_values": ["x"], "false_values": ["X"]}, "is in true_values and in false_values"),
        ({"nul": "drop"}, "nul must be one of"),
    ],
)
def test_a_block_of_no_use_is_an_error_of_the_configuration(block: dict[str, Any], message: str | None) -> None:
    if message is None:
        assert CsvDialect.of(block).escape == ","
        return
    with pytest.raises(ConfigError) as caught:
        CsvDialect.of(block)
    assert caught.value.message.startswith("config: csv: ")
    assert message in caught.value.message


def test_a_layout_travels_to_executors_as_json() -> None:
    """Batch mode obeys the same block."""
    block = {"delimiter": ";", "null_values": ["NA"], "date_formats": {"d": "%d.%m.%Y"}, "nul": "strip"}
    known = replace(layout("id name", **block), keys=("id",), longest_name=63)
    assert _layout(json.loads(json.dumps(layout_values(known)))) == known


# Properties ------------------------------------------------------------------------------------------------------

marks = st.sampled_from(",;\t|")
texts = st.text(st.sampled_from("ab \"'\\,;\t|\r\n#.\x00é1-") | st.characters(exclude_categories=["Cs"]), max_size=8)
dialects = st.fixed_dictionaries(
    {
        "delimiter": marks,
        "quotechar": st.sampled_from("\"'"),
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
        "lineterminator": st.sampled_from(["\n", "\r\n", "\r"]),
        "doublequote": st.booleans(),
    }
)


@properties
@given(
    how=dialects,
    table=st.lists(st.lists(texts, min_size=2, max_size=3), max_size=6),
    titles=st.lists(st.text("ab\"', ", max_size=5), max_size=2),
    chunk=st.integers(1, 40),
)
def test_any_table_in_any_dialect(how: dict[str, Any], table: list[list[str]], titles: list[str], chunk: int) -> None:
    """What Python's writer writes comes out the same, row by row, or as a reject, never as another value."""
    written = io.StringIO(newline="")
    if how["quoting"] == csv.QUOTE_MINIMAL:  # Python's writer quotes only those breaks that end its lines
        how = {**how, "lineterminator": "\r\n"}
    escape = None if how["doublequote"] else "\\"
    writer = csv.writer(written, escapechar=escape, **how)
    end = how["lineterminator"]
    written.write("".join(title + end for title in titles))
    writer.writerow(["c0", "c1"])
    try:
        writer.writerows(table)
    except csv.Error:  # Python 3.10 cannot write NUL
        reject()
    block: dict[str, Any] = {"quote": how["quotechar"], "skip_rows": len(titles), "delimiter": how["delimiter"]}
    block["escape"] = escape
    known = Layout({n: Column(n, Kind.STRING) for n in ("c0", "c1")}, csv=CsvDialect.of(block))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "CHUNK", chunk)
        events = events_of(written.getvalue().encode(), known)
    batches = [event.data for event in events if isinstance(event, Rows)]
    found = {r[ROW]: [r["c0"], r["c1"]] for b in batches if isinstance(b, pa.RecordBatch) for r in b.to_pylist()}
    rejected = {event.row for event in events if isinstance(event, Reject)}
    assert sorted([*found, *rejected]) == list(range(1, len(table) + 1))
    for number, row in found.items():
        assert [cell or "" for cell in row] == table[number - 1]
    strict = how["doublequote"]
    assert rejected == {n for n, row in enumerate(table, 1) if len(row) != 2} or not strict


numbers = st.decimals(-(10**9), 10**9, places=2)


@properties
@given(
    values=st.lists(numbers, min_size=1, max_size=5),
    decimal=st.sampled_from(",."),
    group=st.sampled_from([None, " ", "'", ".", ","]),
)
def test_any_number_in_any_notation(values: Sequence[Decimal], decimal: str, group: str | None) -> None:
    """Written in one notation, a number comes out with the same worth or as a reject in every other one."""
    shown = [f"{value:,.2f}" if group else f"{value:.2f}" for value in values]
    swap = str.maketrans({",": group or "", ".": decimal})
    data = "total;x\n" + "".join(f"{each.translate(swap)};1\n" for each in shown)
    if group == decimal:
        return
    exact = layout("total", decimal=decimal, thousands=group, delimiter=";")
    assert [Decimal(str(row[0])) for row in rows(data.encode(), exact)] == list(values)


def test_unknown_looks_at_the_names_of_the_catalog() -> None:
    """A sample of a file gives the names that the read gives."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "f")
        path.write_bytes(b"NAME,x\na,1\n")
        found = unknown(LocalFile("f", path, 1, ""), "csv", layout("name"))
    assert [column.name for column in found] == ["NAME_2", "x"]
