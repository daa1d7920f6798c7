"""JSON files and pages to typed rows: every rule of the readers, with the exact rows."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tap_exports.engine.decode import Layout, conform, read, read_json, source
from tap_exports.engine.model import Column, Contract, Kind, LocalFile, NewColumns, Reject, Rows, exact_number
from tap_exports.errors import BadContentError, StopError

Write = Callable[[bytes], LocalFile]

properties = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])

A = Layout(columns={"a": Column("a", Kind.ANY)})


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(data: bytes) -> LocalFile:
        path = tmp_path / "rows.json"
        path.write_bytes(data)
        return LocalFile("rows.json", path, len(data), "")

    return _write


@pytest.fixture(params=[7, 64, 1 << 20], ids=["tiny", "small", "whole"])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(source, "CHUNK", request.param)
    return int(request.param)


def layout(**kinds: Kind) -> Layout:
    return Layout(columns={name: Column(name, kind) for name, kind in kinds.items()})


def rows(events: list[Any]) -> list[dict[str, Any]]:
    return [row for event in events if isinstance(event, Rows) and isinstance(event.data, list) for row in event.data]


def rejects(events: list[Any]) -> list[Reject]:
    return [event for event in events if isinstance(event, Reject)]


def values(events: list[Any]) -> list[Any]:
    return [row["a"] for row in rows(events)]


def failure(file: LocalFile) -> str:
    with pytest.raises(BadContentError) as caught:
        list(read(file, "json", A))
    return caught.value.message


# Forms of a file -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b'[{"a": 1}, {"a": 2}, {"a": 3}]',
        b' [ {"a":1},{"a":2},{"a":3} ]\n',
        b'[\n  {\n    "a": 1\n  },\n  {"a": 2}\n,\n{"a": 3}\n]\n',
        b'{"a": 1}\n{"a": 2}\n{"a": 3}\n',
        b'{"a": 1}\r\n\r\n{"a": 2}\n\n  {"a": 3}',
        b'{"items": [{"a": 1}, {"a": 2}, {"a": 3}]}',
        b'{"total": 3, "meta": {"b": [{}]}, "shipments": [{"a": 1}, {"a": 2}, {"a": 3}], "next": null}\n',
        b'{"other": [1, 2], "data": [{"a": 1}, {"a": 2}, {"a": 3}], "more": [{"a": 9}]}',
        b'{"rows": [{"a": 9}], "companies": [{"a": 1}, {"a": 2}, {"a": 3}]}',
        b'{\n"a \\": [" : "x, [{", "results": [{"a": 1}, {"a": 2}, {"a": 3}]\n}',
    ],
)
def test_all_forms_of_a_file(write: Write, chunk: int, data: bytes) -> None:
    assert rows(list(read_json(write(data), Layout()))) == [{"a": number, "_sdc_row": number} for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("data", "row"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'{\n "a": {"b": [1]}\n}\n', {"a": {"b": [1]}}),
        (b'{"a": ["x"]}\n', {"a": ["x"]}),
        (b'{"a": [{"b": 1}], "c": [{"d": 2}]}', {"a": [{"b": 1}], "c": [{"d": 2}]}),
    ],
)
def test_an_object_without_a_list_of_rows_is_a_row(write: Write, chunk: int, data: bytes, row: dict[str, Any]) -> None:
    """Where it shows the known columns; without any known, nothing tells it from an error."""
    known = Layout(columns={"a": Column("a", Kind.ANY)})
    assert rows(list(read_json(write(data), known))) == [{**row, "_sdc_row": 1}]
    with pytest.raises(BadContentError, match="an object without a list where rows are due"):
        list(read_json(write(data), Layout()))


def test_an_object_of_declared_columns_is_a_row(write: Write, chunk: int) -> None:
    """The only line of JSON Lines may hold a list of objects; the catalog tells it from a wrapper."""
    declared = Layout({name: Column(name, Kind.ANY) for name in ("id", "items")})
    row = {"id": 1, "items": [{"sku": "x"}]}
    data = b'{"id": 1, "items": [{"sku": "x"}]}\n'
    assert rows(list(read_json(write(data), declared))) == [{**row, "_sdc_row": 1}]
    assert rows(list(read_json(write(data), Layout()))) == [{"sku": "x", "_sdc_row": 1}]


@pytest.mark.parametrize("data", [b"[]", b" [ ]\n", b'{"items": []}', b'{"total": 0, "shipments": [ ]}'])
def test_no_rows(write: Write, chunk: int, data: bytes) -> None:
    assert list(read_json(write(data), A)) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(write: Write, encoding: str) -> None:
    assert values(list(read_json(write('[{"a": "Łódź 🎈"}]'.encode(encoding)), A))) == ["Łódź 🎈"]


def test_gzip_of_several_members(write: Write, chunk: int) -> None:
    data = gzip.compress(b'{"a": 1}\n{"a"') + gzip.compress(b": 2}\n") if chunk > 7 else b'{"a": 1}\n{"a": 2}\n'
    assert values(list(read_json(write(data), A))) == [1, 2]


# Values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("-9223372036854775809", -9223372036854775809),
        ("0.1", 0.1),
        ("1e5", 100000.0),
        ("123456789012.123", 123456789012.123),
        ("0.12345678901234567890123", Decimal("0.12345678901234567890123")),
        ("12345678901234567.5", Decimal("12345678901234567.5")),
        ("1e400", Decimal("1e400")),
        ("1e-400", Decimal("1e-400")),
        ('"a\u2028b\\r\\n\\u0000"', "a\u2028b\r\n\x00"),
        ('""', ""),
        ("null", None),
        ("true", True),
    ],
)
def test_values_are_exact(write: Write, chunk: int, text: str, value: object) -> None:
    """P6: a float only where it shows the same number."""
    for data in (f'[{{"a": {text}}}]', f'{{"a": {text}}}\n{{"a": {text}}}\n'):
        found = values(list(read_json(write(data.encode()), A)))
        assert [(type(item), item) for item in found] == [(type(value), value)] * len(found)
        assert found


def test_an_integer_of_any_size(write: Write) -> None:
    digits = "9" * 4_300
    assert values(list(read_json(write(f'[{{"a": {digits}}}]'.encode()), A))) == [10**4_300 - 1]


def test_an_integer_that_python_refuses_is_a_reject(write: Write, chunk: int) -> None:
    """Beyond 4,300 digits reading takes quadratic time: a number of that length is an attack or a mistake."""
    events = list(read_json(write(f'[{{"a": 1}}, {{"a": {"9" * 4_301}}}]'.encode()), A))
    assert [(reject.row, reject.code, reject.message[:26]) for reject in rejects(events)] == [
        (2, "undecodable", "Integer value out of range")
    ]
    assert values(events) == [1]


def test_of_equal_keys_the_last_wins(write: Write) -> None:
    assert values(list(read_json(write(b'[{"a": 1, "a": 2}]'), A))) == [2]


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_never_loses_a_digit(number: Decimal) -> None:
    text = str(number) if set(str(number)) & set(".E") else f"{number}.0"
    assert Decimal(str(exact_number(text))) == number


# Rows that are none ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b'[{"a": 1}, {"a": 2',
        b'[{"a": 1}, {"a": 2}',
        b'[{"a": 1},',
        b'[{"a": "x',
        b"[",
        b'{"items": [{"a": 1}, {"a": 2}]',
        b'{"items": [{"a": 1}, {"a"',
        b'{"items": [{"a": 1}], "total": ',
        b'{"items": [{"a": 1}], "tot',
        b'{"items"',
        b"{",
        b'{"a": 1}\n{"a": 2}\n{"a": ',
    ],
)
def test_a_cut_file_is_never_read_as_a_whole(write: Write, chunk: int, data: bytes) -> None:
    """P1: wherever the cut is."""
    assert failure(write(data)) == "rows.json: the JSON text ends in the middle; the file may be cut"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "rows.json: empty file where JSON is due"),
        (b" \n", "rows.json: empty file where JSON is due"),
        (b"a,b\n1,2\n", "rows.json: malformed JSON at the start: a,b\\n1,2\\n"),
        (b"<html>no", "rows.json: HTML or XML where rows are due: <html>no"),
        (b'[{"a": 1}] x', "rows.json: malformed JSON behind the end: x"),
        (b'[{"a": 1}]\n[]', "rows.json: malformed JSON behind the end: []"),
        (b'{"items": []} x', "rows.json: malformed JSON behind the end: x"),
        (b'[{"a": 1}, {"a" 2}]', 'rows.json: malformed JSON in row 2: {"a" 2}'),
        (b'[{"a": 1},]', "rows.json: malformed JSON in row 2: ]"),
        (b"[,]", "rows.json: malformed JSON in row 1: ,]"),
        (b'[{"a": 1}}', 'rows.json: malformed JSON behind the last element: {"a": 1}}'),
        (b'{"items": [] "b": 1}', 'rows.json: malformed JSON in the outer object: "b": 1}'),
        (b'{"b": x}', "rows.json: malformed JSON in the outer object: x}"),
        (b"{1: 2}", "rows.json: malformed JSON in the outer object: 1: 2}"),
    ],
)
def test_what_is_no_json(write: Write, data: bytes, message: str) -> None:
    assert failure(write(data)) == message


def test_an_object_has_a_longest_length(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LIMIT", 1 << 20)
    monkeypatch.setattr(source, "CHUNK", 1 << 18)
    assert failure(write(b'[{"a": "' + b"x" * (3 << 20))) == "rows.json: one JSON value is longer than 1 MiB"


@pytest.mark.parametrize(
    ("text", "message", "raw"),
    [
        (b'{"a": "\xff"}', "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte", '{"a": "\ufffd"}'),
        (b'{"a": "\\ud800"}', "Input data was truncated", '{"a": "\\ud800"}'),
        (b'{"a": NaN}', "JSON is malformed: invalid character (byte {})", '{"a": NaN}'),
    ],
)
def test_a_row_that_cannot_be_decoded_is_a_reject(
    write: Write, chunk: int, text: bytes, message: str, raw: str
) -> None:
    for data, byte in ((b'[{"a": 1},%b,{"a": 3}]', 7), (b'{"a": 1}\n%b\n{"a": 3}\n', 6)):
        events = list(read_json(write(data % text), A))
        assert rejects(events) == [Reject("rows.json", 2, "", "undecodable", message.format(byte), raw)]
        assert rows(events) == [{"a": 1, "_sdc_row": 1}, {"a": 3, "_sdc_row": 3}]


def test_a_malformed_line_is_a_reject(write: Write, chunk: int) -> None:
    """Lines do not depend on each other; a cut last line is a cut file all the same."""
    events = list(read_json(write(b'{"a": 1}\n{"a" 2}\n{"a": 3}\n'), A))
    message = "JSON is malformed: expected ':' (byte 5)"
    assert rejects(events) == [Reject("rows.json", 2, "", "undecodable", message, '{"a" 2}')]
    assert values(events) == [1, 3]


def test_a_row_nested_too_deeply_is_a_reject(write: Write) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    events = list(read_json(write(b'[{"a": 1}, {"a": %b}, {"a": 3}]' % deep), A))
    assert [(reject.row, reject.code, reject.message) for reject in rejects(events)] == [
        (2, "undecodable", "nested too deeply")
    ]
    assert values(events) == [1, 3]


def test_what_is_no_object_is_a_reject(write: Write, chunk: int) -> None:
    events = list(read_json(write(b'[{"a": 1}, 2, [{}], "x,]", {"a": 5}]'), A))
    assert rejects(events) == [
        Reject("rows.json", 2, "", "type", "2 is not an object", "2"),
        Reject("rows.json", 3, "", "type", "[{}] is not an object", "[{}]"),
        Reject("rows.json", 4, "", "type", '"x,]" is not an object', '"x,]"'),
    ]
    assert rows(events) == [{"a": 1, "_sdc_row": 1}, {"a": 5, "_sdc_row": 5}]


GOOD: dict[Kind, list[object]] = {
    Kind.STRING: ["", "x"],
    Kind.INTEGER: [0, -1, 2**70],
    Kind.NUMBER: [1, 1.5, Decimal("1e400")],
    Kind.BOOLEAN: [True, False],
    Kind.DATE: ["2024-02-29"],
    Kind.DATETIME: ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123+02:00"],
    Kind.OBJECT: [{}, {"b": 1}],
    Kind.ARRAY: [[], [1, "x"]],
    Kind.ANY: ["", 1, 1.5, True, {}, []],
}
BAD: dict[Kind, list[object]] = {
    Kind.STRING: [1, True, {}, []],
    Kind.INTEGER: ["1", 1.0, True, Decimal("1e400")],
    Kind.NUMBER: ["1", True, "NaN"],
    Kind.BOOLEAN: [0, 1, "true"],
    Kind.DATE: ["2023-02-29", "", "2024-02-29T00:00:00Z", 20240229],
    Kind.DATETIME: ["2026-01-01", "", 1767225600],
    Kind.OBJECT: [[], "{}"],
    Kind.ARRAY: [{}, "[]"],
}


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind in GOOD for value in [*GOOD[kind], None]])
def test_what_fits(kind: Kind, value: object) -> None:
    assert list(conform([{"a": value}], layout(a=kind), 1, "page")) == [Rows([{"a": value, "_sdc_row": 1}])]


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind in BAD for value in BAD[kind]])
def test_what_does_not_fit(kind: Kind, value: object) -> None:
    page: list[dict[str, Any]] = [{"a": None, "b": 1}, {"a": value, "b": 2}, {"b": 3}]
    events = list(conform(page, layout(a=kind, b=Kind.INTEGER), 7, "page"))
    shown = msgspec.json.Encoder(decimal_format="number").encode(value).decode()
    raw = f'{{"a":{shown},"b":2}}'
    assert events == [
        Reject("page", 8, "a", "type", f"{shown} is not of the type {kind.value}", raw),
        Rows([{"a": None, "b": 1, "_sdc_row": 7}, {"b": 3, "_sdc_row": 9}]),
    ]


# Columns ---------------------------------------------------------------------------------------------------------


def test_unknown_keys_evolve_when_they_appear(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "CHUNK", 20)
    events = list(
        read_json(write(b'[{"a": 1}, {"a": 2}, {"a": 3, "b": 1.5, "c": {"d": null}}, {"b": 2}, {"b": "x"}]'), A)
    )
    schema = {"type": ["object", "null"], "properties": {"d": {}}}
    assert [event for event in events if isinstance(event, NewColumns)] == [
        NewColumns([Column("b", Kind.NUMBER), Column("c", Kind.OBJECT, schema)])
    ]
    assert [row["_sdc_row"] for row in rows(events)] == [1, 2, 3, 4]
    assert [(reject.row, reject.column) for reject in rejects(events)] == [(5, "b")]


def test_unknown_keys_are_discarded_into_extra() -> None:
    discard = Layout(A.columns, contract=Contract.DISCARD)
    page: list[dict[str, Any]] = [{"a": 1, "x": None, "y": [2]}, {"a": 2}]
    assert list(conform(page, discard, 1, "page")) == [
        Rows(
            [{"a": 1, "_sdc_extra": {"x": None, "y": [2]}, "_sdc_row": 1}, {"a": 2, "_sdc_extra": None, "_sdc_row": 2}]
        )
    ]


def test_without_unknown_keys_there_is_no_extra() -> None:
    discard = Layout(A.columns, contract=Contract.DISCARD)
    assert list(conform([{"a": 1}], discard, 1, "page")) == [Rows([{"a": 1, "_sdc_row": 1}])]


def test_unknown_keys_freeze() -> None:
    with pytest.raises(StopError) as caught:
        list(conform([{"a": 1}, {"b": 1}], Layout(A.columns, contract=Contract.FREEZE), 1, "page"))
    assert caught.value.message == (
        'page: column "b" is not in the catalog and schema_contract is "freeze": '
        "discover again, or set schema_contract to evolve or discard"
    )


def test_deselected_keys_are_dropped() -> None:
    plain = Layout(layout(a=Kind.ANY, b=Kind.INTEGER).columns, frozenset({"b", "c"}), contract=Contract.FREEZE)
    assert list(conform([{"a": 1, "b": "x", "c": 2}, {"a": 2}], plain, 1, "page")) == [
        Rows([{"a": 1, "_sdc_row": 1}, {"a": 2, "_sdc_row": 2}])
    ]


def test_aliases_and_reserved_names() -> None:
    aliased = Layout(layout(total=Kind.NUMBER, _sdc_row_2=Kind.INTEGER).columns, aliases={"Total": "total"})
    assert list(conform([{"Total": 1.5, "_sdc_row": 9}], aliased, 1, "page")) == [
        Rows([{"total": 1.5, "_sdc_row_2": 9, "_sdc_row": 1}])
    ]


def test_a_missing_column_is_warned_of_once(write: Write, chunk: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    events = list(read_json(write(b'[{"a": 1}, {"c": 2}, {"a": 3}]'), layout(a=Kind.ANY, b=Kind.ANY, c=Kind.ANY)))
    assert caplog.messages == ["rows.json: declared columns are not in the file: b"]
    assert rows(events)[1] == {"c": 2, "_sdc_row": 2}


@pytest.mark.parametrize("skip", [0, 1, 2, 3, 4, 99])
def test_a_resume_yields_the_rest_with_the_same_ordinals(write: Write, chunk: int, skip: int) -> None:
    """P3: rows and rejects after the given ordinal, neither one more nor one less."""
    file = write(b'[{"a": 1}, {"a": "x"}, 3, {"a": 4}, {"a": 5}]')
    integers = layout(a=Kind.INTEGER).columns
    whole = list(read_json(file, Layout(integers)))
    rest = list(read_json(file, Layout(integers, skip_rows=skip)))
    assert rows(rest) == [row for row in rows(whole) if row["_sdc_row"] > skip]
    assert rejects(rest) == [reject for reject in rejects(whole) if reject.row > skip]
    assert [row["_sdc_row"] for row in rows(whole)] == [1, 4, 5]


# Properties ------------------------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('{}[],:"\\\n '), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)


@properties
@given(
    found=st.lists(json_values, min_size=2, max_size=8),
    chunk=st.integers(1, 60),
    indent=st.sampled_from([None, 1]),
    form=st.sampled_from(["array", "wrapper", "lines"]),
)
def test_any_json_value_survives(write: Write, found: list[Any], chunk: int, indent: int | None, form: str) -> None:
    """P6: JSON to rows exactly, wherever the pieces are cut."""
    objects = [{"a": value} for value in found]
    text = {
        "array": lambda: json.dumps(objects, ensure_ascii=False, indent=indent),
        "wrapper": lambda: json.dumps({"n": "x", "data": objects, "m": [1]}, indent=indent),
        "lines": lambda: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in objects),
    }[form]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "CHUNK", chunk)
        events = list(read_json(write(text.encode()), A))
    assert rows(events) == [{"a": value, "_sdc_row": row} for row, value in enumerate(found, 1)]


@properties
@given(
    data=st.lists(st.sampled_from([b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"1", b"\n"]), max_size=20).map(
        b"".join
    ),
    chunk=st.integers(1, 8),
)
def test_any_bytes_end_in_rows_or_in_a_clear_error(write: Write, data: bytes, chunk: int) -> None:
    """Never a crash, and never another outcome because of where a read ends."""
    file = write(data)

    def outcome() -> object:
        try:
            events = list(read_json(file, Layout(contract=Contract.DISCARD)))
        except BadContentError:
            return "refused"
        return [(row["_sdc_row"], row.get("_sdc_extra")) for row in rows(events)], rejects(events)

    whole = outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "CHUNK", chunk)
        assert outcome() == whole
