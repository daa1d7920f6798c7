"""CSV files to typed batches: every rule of the reader, with the exact rows."""

from __future__ import annotations

import csv
import gzip
import io
import logging
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tap_exports.engine.decode import CsvDialect, Layout, chunks, read, read_csv, source
from tap_exports.engine.decode.header import read_header
from tap_exports.engine.decode.names import property_names
from tap_exports.engine.decode.parse import Form, parse
from tap_exports.engine.decode.records import Grammar, exact_cut, guessed_cut, spans
from tap_exports.engine.decode.records import cells as cells_of
from tap_exports.engine.model import Column, Contract, Kind, LocalFile, NewColumns, Reject, Rows
from tap_exports.errors import BadContentError, ConfigError, LimitError, StopError

Write = Callable[[bytes], LocalFile]

properties = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(data: bytes) -> LocalFile:
        path = tmp_path / "rows.csv"
        path.write_bytes(data)
        return LocalFile("rows.csv", path, len(data), "")

    return _write


@pytest.fixture
def tiny_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "CHUNK", 16)


def layout(**kinds: Kind) -> Layout:
    return Layout(columns={name: Column(name, kind) for name, kind in kinds.items()}, cast=True)


def records(events: list[Any]) -> list[dict[str, Any]]:
    return [row for event in events if isinstance(event, Rows) for row in _batch(event).to_pylist()]


def rejects(events: list[Any]) -> list[Reject]:
    return [event for event in events if isinstance(event, Reject)]


def cells(events: list[Any]) -> list[tuple[Any, ...]]:
    return [tuple(value for name, value in row.items() if name != "_sdc_row") for row in records(events)]


def _batch(event: Rows) -> pa.RecordBatch:
    assert isinstance(event.data, pa.RecordBatch)
    return event.data


# Values ----------------------------------------------------------------------------------------------------------


def test_rows_carry_their_ordinal(write: Write) -> None:
    events = list(read_csv(write(b"a,b\n1,x\n2,y\n"), layout(a=Kind.INTEGER, b=Kind.STRING)))
    assert records(events) == [{"a": 1, "b": "x", "_sdc_row": 1}, {"a": 2, "b": "y", "_sdc_row": 2}]


@pytest.mark.parametrize(
    "text",
    [
        "007",
        "NA",
        "null",
        "NaN",
        "1.10",
        " x ",
        '5" disk',
        "a\nb",
        "a\r\nb",
        "a\rb",
        'q"q',
        "x,y",
        "\u2028",
        "🎈",
        "a\x00b",
    ],
)
def test_text_arrives_as_written(write: Write, text: str) -> None:
    """P6: no text means anything else than itself."""
    quoted = text.replace('"', '""')
    events = list(read_csv(write(f'a,b\n"{quoted}",1\n'.encode()), layout(a=Kind.STRING, b=Kind.STRING)))
    assert cells(events) == [(text, "1")]


def test_an_unquoted_empty_field_is_null_and_a_quoted_one_is_empty_text(write: Write) -> None:
    events = list(read_csv(write(b'a,b\n,""\n"",\n'), layout(a=Kind.STRING, b=Kind.STRING)))
    assert cells(events) == [(None, ""), ("", None)]


@pytest.mark.parametrize("kind", [k for k in Kind if k not in {Kind.STRING, Kind.ANY}])
def test_a_quoted_empty_field_of_another_type_than_text_is_null(write: Write, kind: Kind) -> None:
    """A file that quotes all has no other way to write null; a value that does not fit beside it is a reject still."""
    events = list(read_csv(write(b'a,b\n"",""\n,y\n"x,","z"\n'), layout(a=kind, b=Kind.STRING)))
    assert cells(events) == [(None, ""), (None, "y")]
    assert [(each.row, each.column, each.code) for each in rejects(events)] == [(3, "a", "type")]


def test_a_quote_within_an_unquoted_field_is_text(write: Write, tiny_chunks: None) -> None:
    data = b'a,b\n5" disk,x\n3" disk,"y\nz"\n8" disk,w\n'
    events = list(read_csv(write(data), layout(a=Kind.STRING, b=Kind.STRING)))
    assert cells(events) == [('5" disk', "x"), ('3" disk', "y\nz"), ('8" disk', "w")]
    assert [row["_sdc_row"] for row in records(events)] == [1, 2, 3]


def test_a_long_cell_grows_the_piece(write: Write) -> None:
    cell = ('5 "MB"\n' * 900_000)[: 5 << 20]
    data = 'a,b\n1,"{}"\n2,y\n'.format(cell.replace('"', '""')).encode()
    events = list(read_csv(write(data), layout(a=Kind.INTEGER, b=Kind.STRING)))
    assert cells(events) == [(1, cell), (2, "y")]


def test_two_thousand_columns(write: Write) -> None:
    names = [f"c{number}" for number in range(2000)]
    line = ",".join(str(number) for number in range(2000))
    wide = layout(**dict.fromkeys(names, Kind.INTEGER))
    events = list(read_csv(write((",".join(names) + "\n" + line + "\n").encode()), wide))
    assert cells(events) == [tuple(range(2000))]


# Lines -----------------------------------------------------------------------------------------------------------


def test_a_wide_table_comes_in_larger_pieces(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each column costs the same again in each piece: in pieces of the usual size a wide table took twice the CPU."""
    monkeypatch.setattr(source, "CHUNK", 1 << 16)
    batches = []
    for columns in (12, 2000):
        names = [f"c{number}" for number in range(columns)]
        row = ",".join(["x" * 10] * columns) + "\n"
        text = ",".join(names) + "\n" + row * (12 * source.CHUNK // len(row))
        batches.append(len(list(read_csv(write(text.encode()), layout(**dict.fromkeys(names, Kind.STRING))))))
    assert batches[1] * 3 <= batches[0] * 2


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("final", [True, False])
def test_all_line_ends(write: Write, tiny_chunks: None, end: str, final: bool) -> None:  # noqa: FBT001 - a parameter
    lines = ["a,b", *(f'{number},"x{end}y"' for number in range(9))]
    data = (end.join(lines) + (end if final else "")).encode()
    events = list(read_csv(write(data), layout(a=Kind.INTEGER, b=Kind.STRING)))
    assert cells(events) == [(number, f"x{end}y") for number in range(9)]


def test_a_record_at_the_end_is_a_cheap_guess(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces end behind a record of several lines without a look at all that comes before it."""
    monkeypatch.setattr(source, "CHUNK", 64)
    monkeypatch.setattr(chunks, "guessed_cut", pytest.fail)
    rows = [(str(number), f'x\ny "{number}", z') for number in range(50)]
    lines = "".join('{},"{}"\n'.format(number, text.replace('"', '""')) for number, text in rows)
    assert cells(list(read_csv(write(b"a,b\n" + lines.encode()), layout(a=Kind.STRING, b=Kind.STRING)))) == rows


def test_blank_lines_are_no_rows(write: Write, tiny_chunks: None) -> None:
    events = list(read_csv(write(b"\n\na,b\n\n1,x\r\n\r\n\n2,y\n\n"), layout(a=Kind.INTEGER, b=Kind.STRING)))
    assert records(events) == [{"a": 1, "b": "x", "_sdc_row": 1}, {"a": 2, "b": "y", "_sdc_row": 2}]


def test_a_blank_line_is_null_where_there_is_one_column(write: Write, tiny_chunks: None) -> None:
    """RFC 4180: one empty field; writers give null in a one-column file no other way."""
    events = list(read_csv(write(b'a\nx\n\n""\ny\n'), layout(a=Kind.STRING)))
    assert cells(events) == [("x",), (None,), ("",), ("y",)]


def test_a_file_of_a_header_only_has_no_rows(write: Write) -> None:
    assert list(read_csv(write(b"a,b"), layout(a=Kind.STRING, b=Kind.STRING))) == []


@pytest.mark.parametrize("data", [b"", b"\n\r\n", b"\xef\xbb\xbf", b"  \n"])
def test_an_empty_file_is_no_file(write: Write, data: bytes) -> None:
    with pytest.raises(BadContentError) as caught:
        list(read_csv(write(data), Layout()))
    assert caught.value.message == "rows.csv: empty file where a header is due"


@pytest.mark.parametrize("data", [b'a,b\n1,x\n2,"y\n3,z\n', b'a,b\n1,x\n2,"y'])
@pytest.mark.parametrize("chunk", [16, 1 << 20])
def test_an_open_quote_is_a_cut_file(write: Write, monkeypatch: pytest.MonkeyPatch, data: bytes, chunk: int) -> None:
    monkeypatch.setattr(source, "CHUNK", chunk)
    with pytest.raises(BadContentError) as caught:
        list(read_csv(write(data), layout(a=Kind.INTEGER, b=Kind.STRING)))
    assert caught.value.message == "rows.csv, row 2: a quote is opened and never closed; the file may be cut"


def test_an_open_quote_in_the_header(write: Write) -> None:
    with pytest.raises(BadContentError) as caught:
        list(read_csv(write(b'a,"b\n1,x\n'), Layout()))
    assert caught.value.message == "rows.csv: a quote in the header is opened and never closed"


def test_a_row_has_a_longest_length(write: Write, monkeypatch: pytest.MonkeyPatch, tiny_chunks: None) -> None:
    monkeypatch.setattr(source, "LIMIT", 1 << 20)
    with pytest.raises(BadContentError) as caught:
        list(read_csv(write(b'a,b\n1,x\n2,"' + b"y\n" * (1 << 20)), layout(a=Kind.INTEGER, b=Kind.STRING)))
    assert caught.value.message == "rows.csv, row 2: longer than 1 MiB, or a quote is opened and never closed"


# Rows that are none ----------------------------------------------------------------------------------------------


def test_ragged_rows_are_rejected_with_their_ordinal(write: Write, tiny_chunks: None) -> None:
    data = b'a,b\n1,x\n2\n3,"y\ny",z\n\n4,w\n5,"v\n",u\n'
    events = list(read_csv(write(data), layout(a=Kind.INTEGER, b=Kind.STRING)))
    assert rejects(events) == [
        Reject("rows.csv", 2, "", "ragged", "1 field where the header has 2", "2"),
        Reject("rows.csv", 3, "", "ragged", "3 fields where the header has 2", '3,"y\ny",z'),
        Reject("rows.csv", 5, "", "ragged", "3 fields where the header has 2", '5,"v\n",u'),
    ]
    assert records(events) == [{"a": 1, "b": "x", "_sdc_row": 1}, {"a": 4, "b": "w", "_sdc_row": 4}]


def test_a_reject_between_two_kinds_of_line_ends(write: Write) -> None:
    """The rows around a reject stay two, also where their line ends are CR and LF."""
    events = list(read_csv(write(b"a\n1\r2,3\n\n4\n"), layout(a=Kind.STRING)))
    assert cells(events) == [("1",), (None,), ("4",)]
    assert [reject.row for reject in rejects(events)] == [2]


def test_undecodable_rows_are_rejected(write: Write) -> None:
    data = b"a,b\n1,x\n2,M\xfcller\n3\xff\n4,y\n"
    events = list(read_csv(write(data), layout(a=Kind.INTEGER, b=Kind.STRING)))
    assert rejects(events) == [
        Reject("rows.csv", 2, "b", "undecodable", "byte 0xfc is not text", "2,M\ufffdller"),
        Reject("rows.csv", 3, "", "ragged", "1 field where the header has 2", "3\ufffd"),
    ]
    assert records(events) == [{"a": 1, "b": "x", "_sdc_row": 1}, {"a": 4, "b": "y", "_sdc_row": 4}]


def test_bytes_of_a_deselected_column_harm_nothing(write: Write) -> None:
    """The same rows come whether or not another row in the piece is at fault."""
    without_b = replace(layout(a=Kind.INTEGER), deselected=frozenset({"b"}))
    events = list(read_csv(write(b"a,b\n1,\xff\n2\n"), without_b))
    assert records(events) == [{"a": 1, "_sdc_row": 1}]
    assert [reject.row for reject in rejects(events)] == [2]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((Kind.INTEGER, text) for text in ["007", "0x10", "NaN", "1.0", "1e5", "+1", " 1", "1 ", "--1", "१"]),
        *(
            (Kind.NUMBER, text)
            for text in ["007", "0x10", "NaN", "inf", "-Infinity", "+1", " 1", ".5", "5.", "1,5", "1e"]
        ),
        *((Kind.BOOLEAN, text) for text in ["1", "0", "yes", " true", "t"]),
        *(
            (Kind.DATE, text)
            for text in ["2026-02-30", "2023-02-29", "26-01-01", "2026-1-1", "2026-01-01T00:00:00", "0000-01-01"]
        ),
        *(
            (Kind.DATETIME, text)
            for text in ["2026-01-01", "2026-01-01T24:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T10"]
        ),
        *(
            (Kind.DATETIME, text)
            for text in [
                "2026-01-01T10:00:00+24:00",
                "2026-01-01T10:00:60Z",
                "2026-01-01T10Z",
                "yesterday",
                "2026-01-01T10+02:00",
                "2026-01-01T10:00:00.Z",
            ]
        ),
        *((Kind.OBJECT, text) for text in ["[]", "{", "1", "{} {}"]),
        *((Kind.ARRAY, text) for text in ["{}", "[1", "null", "[" * 100_000]),
    ],
)
def test_a_value_that_does_not_fit_is_a_reject(write: Write, kind: Kind, text: str) -> None:
    quoted = text.replace('"', '""')
    events = list(read_csv(write(f'a,b\n1,"{quoted}"\n2,\n'.encode()), layout(a=Kind.INTEGER, b=kind)))
    shown = text if len(text) <= 80 else text[:79] + "…"
    message = f'"{shown}" is not of the type {kind.value}'
    assert rejects(events) == [Reject("rows.csv", 1, "b", "type", message, f'1,"{quoted}"'[:10_000])]
    assert records(events) == [{"a": 2, "b": None, "_sdc_row": 2}]


def test_a_row_is_rejected_once_for_its_first_misfit(write: Write, tiny_chunks: None) -> None:
    data = b"a,b\n1,2\nx,y\n3,z\n4,5\n"
    events = list(read_csv(write(data), layout(a=Kind.INTEGER, b=Kind.INTEGER)))
    assert [(reject.row, reject.column) for reject in rejects(events)] == [(2, "a"), (3, "b")]
    assert [row["_sdc_row"] for row in records(events)] == [1, 4]


# Columns ---------------------------------------------------------------------------------------------------------


def test_double_and_empty_names_become_different(write: Write) -> None:
    events = list(read_csv(write(b"a,a,,a_2,_sdc_row,a\n1,2,3,4,5,6\n"), Layout()))
    names = ["a", "a_3", "column_3", "a_2", "_sdc_row_2", "a_4"]
    assert events[0] == NewColumns([Column(name, Kind.STRING) for name in names])
    assert records(events) == [{**dict(zip(names, "123456", strict=True)), "_sdc_row": 1}]


@pytest.mark.timeout(20)
def test_a_long_header_of_one_name_takes_no_long_time(write: Write) -> None:
    """Names that are numbered, and names that look numbered: twice as many take twice the time."""
    header = ["a"] * 10_000 + [f"a_{number}" for number in range(2, 10_002)]
    names = property_names(header, Layout())
    assert (len(set(names)), names[0], names[1], names[-1]) == (20_000, "a", "a_10002", "a_10001")


def test_unknown_columns_evolve(write: Write, tiny_chunks: None) -> None:
    events = list(read_csv(write(b"a,new\n1,x\n2,y\n3,z\n"), layout(a=Kind.INTEGER)))
    assert [event for event in events if isinstance(event, NewColumns)] == [NewColumns([Column("new", Kind.STRING)])]
    assert isinstance(events[0], NewColumns)
    assert cells(events) == [(1, "x"), (2, "y"), (3, "z")]


def test_unknown_columns_are_discarded_into_extra(write: Write) -> None:
    discard = replace(layout(a=Kind.INTEGER), contract=Contract.DISCARD)
    events = list(read_csv(write(b'x,a,y\n"""q""",1,\n,x,\n"",2,n\n'), discard))
    (batch,) = [_batch(event) for event in events if isinstance(event, Rows)]
    assert batch.to_pylist() == [
        {"a": 1, "_sdc_row": 1, "_sdc_extra": '{"x":"\\"q\\"","y":null}'},
        {"a": 2, "_sdc_row": 3, "_sdc_extra": '{"x":"","y":"n"}'},
    ]
    assert batch.schema.field("_sdc_extra").metadata == {b"json": b"raw"}


def test_unknown_columns_freeze(write: Write) -> None:
    frozen = replace(layout(a=Kind.INTEGER), contract=Contract.FREEZE)
    with pytest.raises(StopError) as caught:
        list(read_csv(write(b"a,new\n1,x\n"), frozen))
    assert caught.value.message == (
        'rows.csv: column "new" is not in the catalog and schema_contract is "freeze": '
        "discover again, or set schema_contract to evolve or discard"
    )


def test_deselected_columns_are_not_built(write: Write) -> None:
    known = layout(a=Kind.INTEGER, b=Kind.INTEGER)
    plain = replace(known, deselected=frozenset({"b", "c"}), contract=Contract.FREEZE)
    events = list(read_csv(write(b"a,b,c\n1,no number,x\n"), plain))
    assert records(events) == [{"a": 1, "_sdc_row": 1}]


def test_without_any_selected_column_rows_still_count(write: Write) -> None:
    events = list(read_csv(write(b"a,b\n1,x\n2,y\n"), Layout(deselected=frozenset({"a", "b"}))))
    assert records(events) == [{"_sdc_row": 1}, {"_sdc_row": 2}]


def test_aliases_apply_where_the_property_is_not_in_the_header(write: Write) -> None:
    aliased = replace(layout(total=Kind.NUMBER, id=Kind.STRING), aliases={"Total": "total", "Id": "id"})
    assert cells(list(read_csv(write(b"Id,Total\nx,1.5\n"), aliased))) == [("x", "1.5")]
    events = list(read_csv(write(b"id,Id,Total\nx,y,1.5\n"), aliased))
    assert records(events) == [{"id": "x", "Id_2": "y", "total": "1.5", "_sdc_row": 1}]


def test_a_missing_column_is_warned_of_once(write: Write, tiny_chunks: None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    events = list(read_csv(write(b"a\n1\n2\n3\n4\n5\n6\n7\n8\n9\n"), layout(a=Kind.INTEGER, b=Kind.STRING)))
    assert caplog.messages == ["rows.csv: declared columns are not in the file: b"]
    assert set(records(events)[0]) == {"a", "_sdc_row"}


@pytest.mark.parametrize("skip", [0, 1, 2, 5, 6, 7, 8, 99])
def test_a_resume_yields_the_rest_with_the_same_ordinals(write: Write, tiny_chunks: None, skip: int) -> None:
    """P3: rows and rejects after the given ordinal, neither one more nor one less."""
    file = write(b"a,b\n1,x\n2\n3,z\nbad,y\n5,v\n6,u\n7\n8,s\n")
    whole = list(read_csv(file, layout(a=Kind.INTEGER, b=Kind.STRING)))
    rest = list(read_csv(file, replace(layout(a=Kind.INTEGER, b=Kind.STRING), skip_rows=skip)))
    assert records(rest) == [row for row in records(whole) if row["_sdc_row"] > skip]
    assert rejects(rest) == [reject for reject in rejects(whole) if reject.row > skip]
    assert [row["_sdc_row"] for row in records(whole)] == [1, 3, 5, 6, 8]


# Bytes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_decides(write: Write, tiny_chunks: None, encoding: str) -> None:
    text = 'näme,b\nMüller 🎈,"x\ny"\n' + "Łódź,z\n" * 9
    mark = "\ufeff" if encoding.endswith("e") else ""
    events = list(read_csv(write((mark + text).encode(encoding)), layout(näme=Kind.STRING, b=Kind.STRING)))
    assert cells(events) == [("Müller 🎈", "x\ny"), *[("Łódź", "z")] * 9]


def test_latin_1_where_it_is_configured(write: Write, tiny_chunks: None) -> None:
    latin = replace(layout(a=Kind.STRING), csv=CsvDialect(encoding="latin-1"))
    assert cells(list(read_csv(write("a\nMüller\nÄrger\n".encode("latin-1")), latin))) == [("Müller",), ("Ärger",)]


def test_bytes_that_an_encoding_does_not_have_are_rejects(write: Write) -> None:
    latin = replace(layout(a=Kind.STRING, b=Kind.STRING), csv=CsvDialect(encoding="cp1252"))
    events = list(read_csv(write(b"a,b\n\xfc,x\n\x81,y\n"), latin))
    assert cells(events) == [("ü", "x")]
    assert [(reject.row, reject.column, reject.code) for reject in rejects(events)] == [(2, "a", "undecodable")]


def test_half_a_surrogate_pair_is_a_reject(write: Write) -> None:
    data = b"\xff\xfe" + "a,b\nx,y\n".encode("utf-16-le") + b"\x00\xd8" + ",z\n".encode("utf-16-le")
    events = list(read_csv(write(data), layout(a=Kind.STRING, b=Kind.STRING)))
    assert cells(events) == [("x", "y")]
    assert [(reject.row, reject.code) for reject in rejects(events)] == [(2, "undecodable")]


def test_utf_16_cut_within_a_character(write: Write) -> None:
    with pytest.raises(BadContentError) as caught:
        list(read_csv(write("a,b\nx,y\n".encode("utf-16")[:-1]), Layout()))
    assert caught.value.message == "rows.csv: the text is not utf-16-le: truncated data"


def test_an_unknown_encoding_is_an_error_of_the_configuration(write: Write) -> None:
    with pytest.raises(ConfigError) as caught:
        list(read_csv(write(b"a\n"), Layout(csv=CsvDialect(encoding="klingon"))))
    assert caught.value.message == '"klingon" is not a known text encoding'


@pytest.mark.parametrize("packed", ["gzip", "zip"])
@pytest.mark.parametrize(
    ("limits", "setting"),
    [({"max_ratio": 100}, "archive_max_ratio"), ({"max_mb": 2, "max_ratio": 10_000}, "archive_max_mb")],
)
def test_a_file_that_unpacks_to_too_much_is_refused(write: Write, packed: str, limits: Any, setting: str) -> None:  # noqa: ANN401 - of `LocalFile`
    """Plain files in a gzip or a zip have the limits of an archive (P8); the message names file and setting."""
    text = b"a,b\n" + b"1,x\n" * (5 * 2**18)
    file = replace(write(gzip.compress(text) if packed == "gzip" else zipped(csv=text)), **limits)
    with pytest.raises(LimitError, match=rf"^{file.name}: it unpacks to more than .* \({setting}\)$"):
        list(read(file, "csv", Layout()))


def test_gzip_of_several_members(write: Write, tiny_chunks: None) -> None:
    data = gzip.compress(b"a,b\n1,x\n2,") + gzip.compress(b"y\n3,z\n")
    events = list(read(write(data), "csv", layout(a=Kind.INTEGER, b=Kind.STRING)))
    assert cells(events) == [(1, "x"), (2, "y"), (3, "z")]


@pytest.mark.parametrize("cut", [3, 20, -9, -1])
def test_a_cut_gzip_file_is_never_read_as_a_whole(write: Write, cut: int) -> None:
    """P1: also where the bytes that are there decompress."""
    data = gzip.compress(b"a,b\n" + b"".join(b"%d,x\n" % number for number in range(1000)))
    with pytest.raises(BadContentError, match=r"^rows\.csv: the gzip data is cut or damaged: "):
        list(read(write(data[:cut]), "csv", layout(a=Kind.INTEGER, b=Kind.STRING)))


def test_a_damaged_gzip_file(write: Write) -> None:
    data = bytearray(gzip.compress(b"a,b\n1,x\n"))
    data[-6] ^= 1
    with pytest.raises(BadContentError, match=r"^rows\.csv: the gzip data is cut or damaged: CRC check failed"):
        list(read(write(bytes(data)), "csv", Layout()))


def zipped(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows/", b"")
        for name, data in files.items():
            archive.writestr(f"rows/{name}.csv", data)
    return packed.getvalue()


ROWS_OF_A_ZIP = b"a,b\n" + b"".join(b"%d,%d\n" % (number, number % 7) for number in range(500_000))


def test_a_zip_of_one_file_is_read_like_the_file(write: Write) -> None:
    """Some products zip what they export; nobody wants to unpack it by hand."""
    packed = cells(list(read(write(zipped(any=ROWS_OF_A_ZIP)), "csv", Layout())))
    assert len(packed) == 500_000
    assert packed == cells(list(read(write(ROWS_OF_A_ZIP), "csv", Layout())))


@pytest.mark.parametrize(
    "data",
    [zipped(), b"PK\x05\x06" + bytes(18)],
    ids=["folder only", "empty"],
)
def test_a_zip_without_a_file_is_refused(write: Write, data: bytes) -> None:
    with pytest.raises(BadContentError, match=r"^rows\.csv: a zip archive of no file"):
        list(read(write(data), "csv", Layout()))


@pytest.mark.parametrize("cut", [5, 50, 1000, -30, -1])
def test_a_cut_zip_is_never_read_as_a_whole(write: Write, cut: int) -> None:
    with pytest.raises(BadContentError, match=r"^rows\.csv: .*zip"):
        list(read(write(zipped(any=ROWS_OF_A_ZIP)[:cut]), "csv", Layout()))


def test_a_damaged_zip(write: Write) -> None:
    data = bytearray(zipped(any=ROWS_OF_A_ZIP))
    data[len(data) // 2] ^= 1
    with pytest.raises(BadContentError, match=r"^rows\.csv: member 'rows/any\.csv' is damaged"):
        list(read(write(bytes(data)), "csv", Layout()))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\n <!DOCTYPE html><p>x", "rows.csv: HTML or XML where rows are due: <!DOCTYPE html><p>x"),
        (
            b"<?xml version='1.0'?>\n<Error>",
            "rows.csv: HTML or XML where rows are due: <?xml version='1.0'?>\\n<Error>",
        ),
        (b"<Error><Code>AccessDenied", "rows.csv: HTML or XML where rows are due: <Error><Code>AccessDenied"),
        (b"<html>" + b"x" * 99, "rows.csv: HTML or XML where rows are due: <html>" + "x" * 73 + "…"),
        (b"PK\x03\x04rest", "rows.csv: the zip is cut: it has no end record"),
        (gzip.compress(b"PK\x03\x04rest", mtime=0), "rows.csv: a zip archive where rows are due"),
        (b'{"error": "no"}', 'rows.csv: JSON where CSV is due: {"error": "no"}'),
        (b'[{"a": 1},\n{"a": 2}]\n', 'rows.csv: JSON where CSV is due: [{"a": 1},\\n{"a": 2}]\\n'),
        (b'{"a": 1}\n{"a": 2}\n', 'rows.csv: JSON where CSV is due: {"a": 1}\\n{"a": 2}\\n'),
    ],
)
def test_other_content_is_no_csv(write: Write, data: bytes, message: str) -> None:
    with pytest.raises(BadContentError) as caught:
        list(read(write(data), "csv", Layout()))
    assert caught.value.message == message


def test_the_beginning_of_a_large_json_file_is_no_csv(write: Write, tiny_chunks: None) -> None:
    with pytest.raises(BadContentError, match=r"^rows\.csv: JSON where CSV is due: "):
        list(read(write(b'{\n"items": [\n{"a": 1},\n{"a": 2}]}\n'), "csv", Layout()))


@pytest.mark.parametrize("header", [b"[id],b", b"<id>,b", b"{id},b"])
def test_a_header_may_begin_with_a_bracket(write: Write, header: bytes) -> None:
    assert cells(list(read(write(header + b"\n1,2\n"), "csv", Layout()))) == [("1", "2")]


@pytest.mark.parametrize(
    ("header", "names"),
    [(b"a;b", ["a", "b"]), (b"a\tb", ["a", "b"]), (b"a;b,c", ["a;b", "c"]), (b'"a,b";c', ["a,b", "c"]), (b"a", ["a"])],
)
def test_the_header_shows_the_delimiter(write: Write, header: bytes, names: list[str]) -> None:
    file = write(header + b"\n")
    assert read_header(source.blocks(file), file, Layout()).names == names


def test_a_configured_delimiter(write: Write) -> None:
    events = list(read_csv(write(b"a;b,c\n1,5;x\n"), replace(Layout(), csv=CsvDialect(delimiter=";"))))
    assert cells(events) == [("1,5", "x")]


# Properties ------------------------------------------------------------------------------------------------------

any_text = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(',"\r\n\t \x00'), max_size=12)


@properties
@given(data=st.data(), width=st.integers(1, 4), chunk=st.integers(1, 40))
def test_any_table_of_text_survives(write: Write, data: st.DataObject, width: int, chunk: int) -> None:
    """P6: CSV to rows exactly, wherever the pieces are cut."""
    table = data.draw(st.lists(st.lists(st.none() | any_text, min_size=width, max_size=width), max_size=12))
    names = [f"c{number}" for number in range(width)]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=data.draw(st.sampled_from(["\n", "\r\n", "\r"])))
    writer.writerow(names)
    for row in table:
        line = ",".join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in row)
        text.write(line + writer.dialect.lineterminator)
    file = write(text.getvalue().encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "CHUNK", chunk)
        events = list(read_csv(file, layout(**dict.fromkeys(names, Kind.STRING))))
    assert cells(events) == [tuple(row) for row in table]


csv_bytes = st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b"a", b"b"]), max_size=30).map(b"".join)


@properties
@given(data=csv_bytes)
def test_the_grammar_of_records_is_that_of_pyarrow(data: bytes) -> None:
    """The exact splitter and pyarrow agree on ends, counts and fields of whatever bytes."""
    whole = data if data.endswith((b"\n", b"\r")) else data + b"\n"
    found = spans(whole, Grammar(), blank_rows=False)
    for width in (1, 2, 3):
        parsed = parse(whole, Form(width, tuple(range(width))))
        assert (parsed is None) == (spans(whole, Grammar(), blank_rows=width == 1) is None)
        if parsed and found is not None and width > 1:
            split = [cells_of(whole[span.start : span.end], Grammar()) for span in found]
            good = [
                tuple(cell.text.decode() for cell in row)
                for row in split
                if len(row) == width and not any(cell.fault for cell in row)
            ]
            assert list(zip(*([cell or "" for cell in text.to_pylist()] for text in parsed.texts), strict=True)) == good
            assert parsed.count == len(found)


@properties
@given(data=csv_bytes)
def test_a_cut_is_the_end_of_a_record(data: bytes) -> None:
    cut = exact_cut(data, Grammar())
    assert spans(data[:cut], Grammar(), blank_rows=True) is not None
    assert guessed_cut(data) == 0 or data[guessed_cut(data) - 1 : guessed_cut(data)] in {b"\n", b"\r"}


@properties
@given(data=csv_bytes, chunk=st.integers(1, 12))
def test_any_bytes_give_the_same_events_whatever_the_pieces(write: Write, data: bytes, chunk: int) -> None:
    """Rows, ordinals and rejects do not depend on where the reads end."""
    file = write(b"c0,c1\n" + data)
    plain = layout(c0=Kind.STRING, c1=Kind.STRING)

    def outcome() -> tuple[object, ...]:
        try:
            events = list(read_csv(file, plain))
        except BadContentError as error:
            return (error.message,)
        return records(events), rejects(events)

    whole = outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "CHUNK", chunk)
        assert outcome() == whole


def test_a_long_row_is_looked_at_once_it_may_end(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at it takes time and memory by its length."""
    monkeypatch.setattr(source, "CHUNK", 1000)
    looks: list[int] = []

    def noted(data: bytes, grammar: Grammar) -> int:
        looks.append(len(data))
        return exact_cut(data, grammar)

    monkeypatch.setattr(chunks, "exact_cut", noted)
    long, text = "x" * 50_500, f"a,b\n1,{'x' * 50_500}\n2,y\n"
    assert cells(list(read(write(text.encode()), "csv", Layout()))) == [("1", long), ("2", "y")]
    assert len(looks) <= 2
