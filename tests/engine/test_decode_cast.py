"""Text to typed columns: no digit lost, and the fast ways agree with the patterns."""

from __future__ import annotations

from datetime import date, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_exports.engine.decode.cast import RAW, fits, typed
from tap_exports.engine.model import Kind


def column(*texts: str | None) -> pa.StringArray:
    return pa.array(texts, pa.string())


@pytest.mark.parametrize(
    ("kind", "texts", "type_", "metadata"),
    [
        (Kind.STRING, ("007", None, ""), pa.string(), None),
        (Kind.ANY, ("007", None, ""), pa.string(), None),
        (Kind.INTEGER, ("0", None, "-12", "9223372036854775807"), pa.string(), RAW),
        (Kind.INTEGER, ("1", None, "9223372036854775808"), pa.string(), RAW),
        (Kind.INTEGER, ("-0", "1"), pa.string(), RAW),
        (Kind.NUMBER, ("0.1", None, "-12.50", "3", "999999999999.990"), pa.string(), RAW),
        (Kind.NUMBER, ("0.1", "12345678901234567.5"), pa.string(), RAW),
        (Kind.NUMBER, ("0.1", "1e400"), pa.string(), RAW),
        (Kind.NUMBER, ("9007199254740993",), pa.string(), RAW),
        (Kind.NUMBER, ("1E+2",), pa.string(), RAW),
        (Kind.BOOLEAN, ("true", None, "FALSE", "tRuE"), pa.bool_(), None),
        (Kind.DATE, ("2024-02-29", None), pa.string(), {b"kind": b"date"}),
        (
            Kind.DATETIME,
            ("2026-01-01T00:00:00Z", None, "2026-01-01T10:00:00.5+02:00"),
            pa.string(),
            {b"kind": b"date-time"},
        ),
        (
            Kind.DATETIME,
            ("2026-01-01T00:00:00.123456789Z", "2026-01-01T00:00:00-03:30"),
            pa.string(),
            {b"kind": b"date-time"},
        ),
        (Kind.OBJECT, ('{"a": 1.10}', None), pa.string(), RAW),
        (Kind.ARRAY, ("[1e400]", None, "[]"), pa.string(), RAW),
        *((kind, (None, None), None, ...) for kind in Kind),
        *((kind, (), None, ...) for kind in Kind),
    ],
)
def test_a_column_that_fits(
    kind: Kind, texts: tuple[str | None, ...], type_: pa.DataType | None, metadata: object
) -> None:
    found = typed(column(*texts), kind)
    assert found is not None
    assert fits(column(*texts), kind).to_pylist() == [True] * len(texts)
    assert [value is None for value in found.values.to_pylist()] == [text is None for text in texts]
    if type_ is not None:
        assert (found.values.type, found.metadata) == (type_, metadata)
    if found.values.type == pa.string():
        assert found.values.to_pylist() == list(texts)


def test_booleans_are_booleans() -> None:
    found = typed(column("true", None, "FALSE"), Kind.BOOLEAN)
    assert found is not None
    assert found.values.to_pylist() == [True, None, False]


def test_json_stands_on_one_line() -> None:
    """A record is one line: breaks between tokens go, those within strings are escapes already."""
    found = typed(column('{\r\n "a": "x\\ny"\n}'), Kind.OBJECT)
    assert found is not None
    assert found.values.to_pylist() == ['{   "a": "x\\ny" }']


@pytest.mark.parametrize(
    ("kind", "texts", "type_"),
    [
        (Kind.INTEGER, ("0", None, "-12", "9223372036854775807"), pa.int64()),
        (Kind.INTEGER, ("1", None, "9223372036854775808"), pa.string()),
        (Kind.INTEGER, ("-0", "1"), pa.string()),
        (Kind.INTEGER, ("007",), None),
        (Kind.DATE, ("2024-02-29", None), pa.date32()),
        (Kind.DATE, ("0000-01-01",), None),
        (Kind.DATETIME, ("2026-01-01T00:00:00Z", None, "2026-01-01 10:00:00.5+02:00"), pa.timestamp("us", "UTC")),
        (Kind.DATETIME, ("2026-01-01T00:00", "2026-01-01 10:00:00.5"), pa.timestamp("us", "UTC")),
        (Kind.DATETIME, ("2026-01-01T00:00:00.123456789Z",), pa.string()),
        (Kind.DATETIME, ("2026-01-01T00:00:00", "2026-01-01T00:00:00Z"), pa.string()),
    ],
)
def test_values_that_are_cast(kind: Kind, texts: tuple[str | None, ...], type_: pa.DataType | None) -> None:
    """Integers, dates and date-times come as such where the reader wants that and nothing is lost."""
    found = typed(column(*texts), kind, cast=True)
    assert (found and found.values.type) == type_


digits = st.text("0123456789", min_size=1, max_size=20)
near_numbers = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "-", "+", " "]), digits, st.sampled_from(["", ".", ".5", ".10", "e5", "E-400", "x"])
    ),
)
days = st.dates().map(date.isoformat) | st.from_regex(r"\A[0-9]{4}-[0-3][0-9]-[0-3][0-9]\Z")
near_instants = st.datetimes().map(datetime.isoformat) | st.builds(
    "{}{}{}{}".format,
    days,
    st.sampled_from(["T", " ", "t", ""]),
    st.sampled_from(
        ["10:00", "10", "23:59:59", "24:00:00", "10:00:60", "10:00:00.1", "10:00:00.1234567", "10:00:00.", ""]
    ),
    st.sampled_from(["", "Z", "z", "+02:00", "+0200", "+02", "+24:00", "-23:59", "+2", " Z"]),
)


@settings(max_examples=300)
@given(
    kind=st.sampled_from([Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN, Kind.DATE, Kind.DATETIME]),
    texts=st.lists(
        near_numbers | days | near_instants | st.sampled_from(["true", "False", "1", "", "1\n2", "\n"]) | st.none(),
        max_size=3,
    ),
)
def test_the_fast_ways_agree_with_the_patterns(kind: Kind, texts: list[str | None]) -> None:
    """A column is typed exactly where every value matches the pattern of its type."""
    assert (typed(column(*texts), kind) is not None) == all(fits(column(*texts), kind).to_pylist())


@settings(max_examples=300)
@given(near_instants)
def test_what_fits_can_be_read(text: str) -> None:
    """Whatever passes as a date-time is one for Python too, once the fraction has six digits and the offset a colon."""
    if fits(column(text), Kind.DATETIME).to_pylist() == [True]:
        head, offset = (text[:-1], "+00:00") if text.endswith("Z") else (text, "")
        if head[-5] in "+-" and ":" not in head[-5:]:
            head, offset = head[:-5], f"{head[-5:-2]}:{head[-2:]}"
        elif head[-3] in "+-":
            head, offset = head[:-3], f"{head[-3:]}:00"
        elif head[-6] in "+-":
            head, offset = head[:-6], head[-6:]
        whole, dot, fraction = head.partition(".")
        datetime.fromisoformat(whole + (f".{fraction:0<6.6}" if dot else "") + offset)


@given(st.dates())
def test_every_day_is_a_date(day: date) -> None:
    assert fits(column(day.isoformat()), Kind.DATE).to_pylist() == [True]


@given(st.from_regex(r"\A[0-9]{4}-[01][0-9]-[0-3][0-9]\Z"))
def test_only_days_are_dates(text: str) -> None:
    try:
        valid = date.fromisoformat(text).isoformat() == text
    except ValueError:
        valid = False
    assert fits(column(text), Kind.DATE).to_pylist() == [valid]
