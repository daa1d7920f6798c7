"""Values survive from the file to the RECORD line (P6): any table of text and any JSON value."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_exports.engine.decode import CsvDialect, Layout, conform, read
from tap_exports.engine.decode.cast import rfc3339
from tap_exports.engine.model import EXTRA, ROW, Column, Contract, Kind, LocalFile, Reject, Rows
from tap_exports.singer.messages.writer import MessageWriter

AT = datetime(2026, 1, 2, tzinfo=timezone.utc)
Event = Any
properties = settings(max_examples=120)

texts = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from(',;"\\\r\n\t \x00\x1f\x7f\u2028\u2029{}[]'), max_size=12
)
words = st.sampled_from(["NA", "NaN", "null", "None", "#N/A", "0", "1", "007", "1e5", "+1", "true", "-", " "])
names = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6).filter(
        lambda n: not n.startswith("_sdc_")
    ),
    min_size=1,
    max_size=4,
    unique=True,
)
numbers = st.decimals(allow_nan=False, allow_infinity=False) | st.integers() | st.integers(-(10**40), 10**40)
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)


@contextmanager
def on_disk(data: bytes) -> Iterator[LocalFile]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        yield LocalFile("rows", Path(file.name), len(data), "")


def columns(header: list[str], kind: Kind) -> dict[str, Column]:
    return {name: Column(name, kind) for name in header}


def lines_of(events: list[Event], header: list[str]) -> list[dict[str, Any]]:
    """Return the records of all RECORD lines that the writer makes, numbers with every digit."""
    out = io.BytesIO()
    selected = frozenset({*header, ROW, EXTRA})
    with redirect_stdout(io.TextIOWrapper(out, encoding="utf-8", write_through=True)) as shown:
        writer = MessageWriter()
        for event in events:
            if isinstance(event, Rows):
                writer.write_rows("s", event, selected, None, AT)
        written = out.getvalue()
        shown.detach()
    whole = written.split(b"\n")
    assert whole.pop() == b""
    return [json.loads(line, parse_float=Decimal)["record"] for line in whole]


def to_csv(header: list[str], rows: list[list[str | None]], end: str, bare: Callable[[], bool] = lambda: False) -> str:
    """Return a table; a cell that needs no quotes has none where `bare` says so."""
    lines = [",".join(quoted(name, lambda: False) for name in header)]
    lines += [",".join("" if cell is None else quoted(cell, bare) for cell in row) for row in rows]
    return "".join(line + end for line in lines)


def quoted(cell: str, bare: Callable[[], bool]) -> str:
    """Return a cell in quotes, or without where they may be missing."""
    return cell if cell and not set(cell) & set(',"\r\n') and bare() else '"' + cell.replace('"', '""') + '"'


@properties
@given(data=st.data(), header=names, end=st.sampled_from(["\n", "\r\n", "\r"]), contract=st.sampled_from(Contract))
def test_any_table_of_text(data: st.DataObject, header: list[str], end: str, contract: Contract) -> None:
    """CSV to RECORD exactly: text, empty text and null, whatever the names of the columns and the ends of lines."""
    width = len(header)
    rows = data.draw(st.lists(st.lists(st.none() | words | texts, min_size=width, max_size=width), max_size=8))
    unknown = header[1:] if contract is Contract.DISCARD else []
    known = columns([name for name in header if name not in unknown], Kind.STRING)
    with on_disk(to_csv(header, rows, end, lambda: data.draw(st.booleans())).encode()) as file:
        events = list(read(file, "csv", Layout(known, contract=contract, csv=CsvDialect(delimiter=","))))
    records = [{**{k: v for k, v in r.items() if k != EXTRA}, **r.get(EXTRA, {})} for r in lines_of(events, header)]
    due = [{**dict(zip(header, row, strict=True)), ROW: number} for number, row in enumerate(rows, 1)]
    assert records == due


def exact(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value with numbers by their worth: 1 and 1.0 are one number, true is none."""
    if isinstance(value, list):
        return [exact(item) for item in value]
    if isinstance(value, dict):
        return {name: exact(item) for name, item in value.items()}
    return ("number", Decimal(value)) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


def to_json(value: object) -> str:
    """Return JSON in which decimals stand with all their digits."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, list):
        return f"[{','.join(map(to_json, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{to_json(item)}" for name, item in value.items()) + "}"
    return json.dumps(value)


@properties
@given(found=st.lists(values, min_size=1, max_size=6), form=st.sampled_from(["array", "wrapper", "lines"]))
def test_any_json_value(found: list[Any], form: str) -> None:
    """JSON to RECORD exactly: numbers of any length digit by digit, any nesting, any text."""
    rows = [to_json({"a": value, "b": 1}) for value in found]
    text = {
        "array": f"[{', '.join(rows)}]",
        "wrapper": f'{{"total": {len(rows)}, "data": [{", ".join(rows)}]}}',
        "lines": "".join(f"{row}\n" for row in rows),
    }[form]
    with on_disk(text.encode()) as file:
        events = list(read(file, "json", Layout(columns(["a", "b"], Kind.ANY))))
    records = [exact(r["a"]) for r in lines_of(events, ["a"])]
    assert records == [exact(value) for value in found]


@properties
@given(found=st.lists(values, min_size=1, max_size=6))
def test_any_json_value_of_a_page(found: list[Any]) -> None:
    """The same for the rows of pages, which are decoded by the HTTP client."""
    page = [{"a": value} for value in found]
    events = list(conform(page, Layout(columns(["a"], Kind.ANY)), 1, "s"))
    assert [exact(r["a"]) for r in lines_of(events, ["a"])] == [exact(value) for value in found]


typed = {
    Kind.INTEGER: st.integers(-(10**25), 10**25).map(str),
    Kind.NUMBER: numbers.map(str).filter(lambda text: "E+" not in text),
    Kind.BOOLEAN: st.sampled_from(["true", "false", "True", "FALSE"]),
    Kind.DATE: st.dates().map(str),
    Kind.STRING: texts,
}


@pytest.mark.parametrize("kind", typed)
@properties
@given(data=st.data())
def test_any_typed_value(kind: Kind, data: st.DataObject) -> None:
    """What fits its type comes out with the same worth and digits; what does not is a reject, and neither is lost."""
    cells = data.draw(st.lists(typed[kind] | words | texts, min_size=1, max_size=6))
    with on_disk(to_csv(["a"], [[cell] for cell in cells], "\n").encode()) as file:
        events = list(read(file, "csv", Layout(columns(["a"], kind), csv=CsvDialect(delimiter=","))))
    rejected = {e.row for e in events if isinstance(e, Reject)}
    records = {r[ROW]: r["a"] for r in lines_of(events, ["a"])}
    assert sorted([*records, *rejected]) == list(range(1, len(cells) + 1))
    for row, value in records.items():
        assert stands_for(value, cells[row - 1]), (cells[row - 1], value)


def stands_for(value: object, cell: str) -> bool:
    """Return whether a value is the one of a cell: the same number or text, and a boolean however it is spelt.

    A quoted empty cell is no number, date or boolean: null. A date-time has the parts that RFC 3339 demands.
    """
    if value is None:
        return not cell
    if isinstance(value, bool):
        return cell.lower() == {True: "true", False: "false"}[value]
    number = isinstance(value, int | Decimal)  # JSON's own grammar knows neither `007` nor `+1`
    return json.loads(cell, parse_float=Decimal) == value if number else value in {cell, rfc3339(cell)}


def test_names_that_have_to_be_escaped() -> None:
    """A header may hold quotes, breaks, backslashes and control characters; its column keeps that name."""
    header = ['size "inch"', "amount\n(EUR)", "a\\b", "\x1f", "é\u2028"]
    row: list[str | None] = list("abcde")
    with on_disk(to_csv(header, [row], "\n").encode()) as file:
        events = list(read(file, "csv", Layout(csv=CsvDialect(delimiter=","))))
    assert lines_of(events, header) == [{**dict(zip(header, row, strict=True)), ROW: 1}]


@pytest.mark.parametrize(
    ("body", "records"),
    [
        (b"a,b\r\n1,2\r\n3,4", [("1", "2"), ("3", "4")]),
        (b"a,b\r1,2\r3,4\r", [("1", "2"), ("3", "4")]),
        (b'a,b\n"x\r\ny\rz\n",2\n', [("x\r\ny\rz\n", "2")]),
        (b'a,b\n"\x00",\x00\n', [("\x00", "\x00")]),
        (b"a,b\n1,\n", [("1", None)]),
        (b'a,b\n"",NA\n', [("", "NA")]),
        (b"\xef\xbb\xbfa,b\n007,1e5\n", [("007", "1e5")]),
        (b'a,b\n"' + b"5 MB " * (1 << 20) + b'",x\n', [("5 MB " * (1 << 20), "x")]),
    ],
)
def test_forms_of_a_file(body: bytes, records: list[tuple[str | None, ...]]) -> None:
    """Ends of rows, breaks and NUL within them, null and empty text, a mark, a cell of 5 MB: as written."""
    with on_disk(body) as file:
        events = list(read(file, "csv", Layout(columns(["a", "b"], Kind.STRING))))
    assert [(r["a"], r["b"]) for r in lines_of(events, ["a", "b"])] == records
