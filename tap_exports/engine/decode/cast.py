"""Columns of text to typed columns, without losing a digit.

A column is proven as a whole by pyarrow's kernels, which is fast. Its values stay the text that the provider wrote, for
the writer to splice into the record as it is (`RAW`), unless the reader wants them cast.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tap_exports.engine.model import Kind

RAW = {b"json": b"raw"}  # the field holds JSON text: numbers, objects or arrays as the provider wrote them

_LONG, _SHORT = r"(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])", r"(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
_DAY = f"(?:{_LONG}|{_SHORT}|02-(?:0[1-9]|1[0-9]|2[0-8]))"
_YEAR = r"(?:[0-9]{3}[1-9]|[0-9]{2}[1-9][0-9]|[0-9][1-9][0-9]{2}|[1-9][0-9]{3})"
_LEAP = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?"
_OFFSET = r"(?:Z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)"
INTEGER = r"-?(?:0|[1-9][0-9]*)"
NUMBER = INTEGER + r"(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
BOOLEAN = r"(?:[tT][rR][uU][eE]|[fF][aA][lL][sS][eE])"
DATE = f"(?:{_YEAR}-{_DAY}|{_LEAP}-02-29)"
INSTANT = f"{DATE}[T ]{_TIME}{_OFFSET}"
DATETIME = f"{INSTANT}?"

PATTERNS = {
    Kind.INTEGER: INTEGER,
    Kind.NUMBER: NUMBER,
    Kind.BOOLEAN: BOOLEAN,
    Kind.DATE: DATE,
    Kind.DATETIME: DATETIME,
}
_FIRST_DAY, _FIRST_MICROSECOND = -719_162, -62_135_596_800_000_000  # 0001-01-01, before which Python has no dates
_UTC = pa.timestamp("us", "UTC")
_JSON_TYPES = {Kind.OBJECT: dict, Kind.ARRAY: list}
_decode = msgspec.json.Decoder(float_hook=str).decode


@dataclass(frozen=True, slots=True)
class Typed:
    """A typed column: the values and the metadata of its field."""

    values: pa.Array[Any]
    metadata: dict[bytes, bytes] | None = None


def typed(texts: pa.StringArray, kind: Kind, *, cast: bool = False) -> Typed | None:
    """Return a column of text as its type, or None where at least one value does not fit.

    Args:
        texts: The column; null stays null for every type.
        kind: The declared type; `ANY` stays text.
        cast: Whether integers, dates and date-times may come as such.

    Returns:
        Text with `RAW` for integers, numbers, objects and arrays; `bool_` for booleans; text with `kind: date` or
        `kind: date-time`; text otherwise. With `cast`, `int64`, `date32` and `timestamp[us, UTC]` where one cast of the
        column loses nothing.
    """
    if kind in {Kind.STRING, Kind.ANY}:
        return Typed(texts)
    if kind in _JSON_TYPES:
        return Typed(_one_line(texts), RAW) if all_fit(texts, kind) else None
    if kind in {Kind.DATE, Kind.DATETIME}:
        return _time(texts, kind, cast=cast)
    if kind is Kind.INTEGER:
        return _integers(texts, cast=cast)
    return _numbers(texts) if kind is Kind.NUMBER else _booleans(texts)


def fits(texts: pa.StringArray, kind: Kind) -> pa.BooleanArray:
    """Return for each value whether it fits a type; null always does."""
    if kind in _JSON_TYPES:
        mask = [text is None or _is_json(text, kind) for text in texts.to_pylist()]
        return pa.array(mask, pa.bool_())
    if kind not in PATTERNS:
        return pa.array([True] * len(texts), pa.bool_())
    return pc.or_kleene(_matches(texts, PATTERNS[kind]), pc.is_null(texts))


def all_fit(texts: pa.StringArray, kind: Kind) -> bool:
    """Return whether every value fits a type."""
    return bool(pc.all(fits(texts, kind), min_count=0).as_py())


def _matches(texts: pa.StringArray, pattern: str) -> pa.BooleanArray:
    """Match whole values; `$` would let a final line break pass in some engines."""
    return pc.match_substring_regex(texts, rf"\A(?:{pattern})\z")


def _all_match(texts: pa.StringArray, pattern: str) -> bool:
    """Return whether all values that are not null match; as lines of one text, which takes half the time.

    No pattern lets a line break pass, so that a value with one, which would look like two, matches none.
    """
    values = texts.drop_null()
    if not len(values):
        return True
    whole: Any = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values), "\n")
    if whole[0].as_buffer().to_pybytes().count(b"\n") >= len(values):
        return False
    return bool(_matches(whole, f"(?:(?:{pattern})\n)*(?:{pattern})")[0].as_py())


def _cast(texts: pa.StringArray, target: pa.DataType) -> pa.Array[Any] | None:
    """Return the cast column, or None where pyarrow refuses a value."""
    try:
        return pc.cast(texts, target)
    except pa.ArrowInvalid:
        return None


def _integers(texts: pa.StringArray, *, cast: bool) -> Typed | None:
    """Let pyarrow check where the text would come back the same: it alone would take `007`, `0x10` and `-0`."""
    numbers = _cast(texts, pa.int64())
    if numbers is not None and (_begin_with_a_digit(texts) or _come_back(numbers, texts)):
        return Typed(numbers) if cast else Typed(texts, RAW)
    return Typed(texts, RAW) if _all_match(texts, INTEGER) else None


def _begin_with_a_digit(texts: pa.StringArray) -> bool:
    """Return whether all integers begin with 1 to 9, which leaves one way to write them."""
    return not any(pc.any(pc.starts_with(texts, start), min_count=0).as_py() for start in ("0", "-"))


def _come_back(numbers: pa.Array[Any], texts: pa.StringArray) -> bool:
    """Return whether integers are written as they were read."""
    return bool(pc.all(pc.equal(pc.cast(numbers, pa.string()), texts), min_count=0).as_py())


def _numbers(texts: pa.StringArray) -> Typed | None:
    """Keep every digit, and a whole number whole: no float stands in between."""
    return Typed(texts, RAW) if _all_match(texts, NUMBER) else None


def _booleans(texts: pa.StringArray) -> Typed | None:
    """Cast unless one value is a digit: pyarrow alone would take `1` and `0`."""
    values = _cast(texts, pa.bool_())
    return None if values is None or _shortest(texts) == 1 else Typed(values)


def _shortest(texts: pa.StringArray) -> int:
    """Return the bytes of the shortest value, 0 where there is none."""
    return int(pc.min(pc.binary_length(texts)).as_py() or 0)


def _time(texts: pa.StringArray, kind: Kind, *, cast: bool) -> Typed | None:
    """Let pyarrow check days and instants, and the pattern where it refuses."""
    times = _days(texts) if kind is Kind.DATE else _instants(texts)
    if times is None and not _all_match(texts, PATTERNS[kind]):
        return None
    return Typed(times) if cast and times is not None else Typed(texts, {b"kind": kind.value.encode()})


def _days(texts: pa.StringArray) -> pa.Array[Any] | None:
    """Return days where one cast proves all values."""
    days = _cast(texts, pa.date32())
    fast = days is not None and (pc.min(pc.cast(days, pa.int32())).as_py() or 0) >= _FIRST_DAY
    return days if fast else None


def _instants(texts: pa.StringArray) -> pa.Array[Any] | None:
    """Return instants where one cast proves all values: all with an offset and seconds, or all without an offset.

    pyarrow also takes times without minutes, all of which are shorter.
    """
    shortest = _shortest(texts)
    for length, target in ((20, _UTC), (16, pa.timestamp("us"))):
        instants = _cast(texts, target) if shortest >= length else None
        if instants is not None:
            fast = pc.min(pc.cast(instants, pa.int64())).as_py() >= _FIRST_MICROSECOND
            return pc.cast(instants, _UTC) if fast else None
    return None


def _is_json(text: str, kind: Kind) -> bool:
    """Return whether a text is a JSON object or array."""
    try:
        return isinstance(_decode(text), _JSON_TYPES[kind])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


def _one_line(texts: pa.StringArray) -> pa.StringArray:
    """Take line breaks out of JSON texts: within strings there are none, between tokens they mean nothing."""
    values = [text and re.sub(r"[\r\n]", " ", text) for text in texts.to_pylist()]
    return pa.array(values, pa.string())
