"""Columns of text to typed columns, without losing a digit.

A column is proven as a whole by pyarrow's kernels, which is fast. Its values stay the text that the provider wrote, for
the writer to splice into the record as it is (`RAW`), unless the reader wants them cast.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, cast

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
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
RFC3339 = rf"{DATE}T{_CLOCK}:[0-5][0-9](?:\.[0-9]+)?(?:Z|[+-]{_CLOCK})"

PATTERNS = {
    Kind.INTEGER: INTEGER,
    Kind.NUMBER: NUMBER,
    Kind.BOOLEAN: BOOLEAN,
    Kind.DATE: DATE,
    Kind.DATETIME: DATETIME,
}
_FIRST_DAY, _FIRST_MICROSECOND = -719_162, -62_135_596_800_000_000  # 0001-01-01, before which Python has no dates
_LAST_MICROSECOND = 253_402_300_799_999_999  # 9999-12-31
_EDGES = ("0001-01-01", "9999-12-31")  # days on which an offset decides whether the year in UTC is one
_INSTANT_LENGTH = len("2026-01-01T00:00:00Z")
_PARTS = re.compile(rf"({DATE})[T ]({_CLOCK})((?::[0-5][0-9](?:\.[0-9]+)?)?)(Z|([+-][0-9]{{2}})(?::?([0-9]{{2}}))?|)")
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
    matching = pc.or_kleene(_matches(texts, PATTERNS[kind]), pc.is_null(texts))
    return pc.and_(matching, _within_years(texts)) if kind is Kind.DATETIME else matching


def _within_years(texts: pa.StringArray) -> pa.BooleanArray:
    """Return for each value whether it is not beyond the years in UTC; only those at an edge are looked at."""
    edge: Any = pc.or_(pc.starts_with(texts, _EDGES[0]), pc.starts_with(texts, _EDGES[1]))
    if not pc.any(edge, min_count=0).as_py():
        return pa.array([True] * len(texts), pa.bool_())
    return pa.array([text is None or rfc3339(text) is not None for text in texts.to_pylist()], pa.bool_())


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


def without_empties(texts: pa.StringArray, kind: Kind) -> pa.StringArray | None:
    """Return a column with null for empty texts, or None where a type has such values or there are none.

    A quoted empty field of a number, a date or a boolean has no other reading.
    """
    if kind in {Kind.STRING, Kind.ANY} or _shortest(texts):
        return None
    empty: Any = pc.equal(texts, pa.scalar(""))
    if not pc.any(empty, min_count=0).as_py():
        return None
    return cast("pa.StringArray", pc.if_else(empty, pa.scalar(None, pa.string()), texts))


def rfc3339(text: str) -> str | None:
    """Return a date-time as RFC 3339 has it, or None where it is none or its year in UTC is not one of 1 to 9999.

    Text that is RFC 3339 stays as it is. Else the letter T, seconds, the colon of the offset, and where there is no
    offset `Z` are put in.
    """
    match = _PARTS.fullmatch(text)
    if match is None:
        return None
    day, time, seconds, _, hours, minutes = match.groups()
    offset = f"{hours}:{minutes or '00'}" if hours else "Z"
    whole = f"{day}T{time}{seconds or ':00'}{offset}"
    if hours and (day in _EDGES) and not _is_in_range(f"{day}T{time}{offset}"):
        return None
    return whole if not hours or re.fullmatch(RFC3339, whole) else None


def _is_in_range(text: str) -> bool:
    """Return whether the year in UTC is one that dates have."""
    try:
        datetime.fromisoformat(text).astimezone(timezone.utc)
    except (OverflowError, ValueError):
        return False
    return True


def _time(texts: pa.StringArray, kind: Kind, *, cast: bool) -> Typed | None:
    """Let pyarrow check days and instants, and the pattern where it refuses."""
    times = _days(texts) if kind is Kind.DATE else _instants(texts)
    if times is None and not _all_match(texts, PATTERNS[kind]):
        return None
    if cast and times is not None:
        return Typed(times)
    written: pa.StringArray | None = texts
    if kind is Kind.DATETIME and not (times is not None and _end_with_z(texts)):
        written = _written(texts)
    return None if written is None else Typed(written, {b"kind": kind.value.encode()})


def _end_with_z(texts: pa.StringArray) -> bool:
    """Return whether instants that pyarrow took are RFC 3339: with seconds, T, and Z."""
    if _shortest(texts) < _INSTANT_LENGTH:
        return not len(texts.drop_null())
    return bool(pc.all(pc.ends_with(texts, "Z"), min_count=0).as_py()) and b" " not in _bytes(texts)


def _written(texts: pa.StringArray) -> pa.StringArray | None:
    """Return date-times as RFC 3339 has them, or None where one is beyond the years in UTC."""
    at_an_edge = any(pc.any(pc.starts_with(texts, day), min_count=0).as_py() for day in _EDGES)
    if not at_an_edge and _all_match(texts, RFC3339):
        return texts
    values = [text and rfc3339(text) for text in texts.to_pylist()]
    written = pa.array(values, pa.string())
    return written if written.null_count == texts.null_count else None


def _bytes(texts: pa.StringArray) -> bytes:
    """Return the bytes of all texts, one behind the other."""
    _, ends, data = texts.buffers()
    if data is None or ends is None:
        return b""
    offsets = memoryview(ends).cast("i")
    return memoryview(data)[offsets[texts.offset] : offsets[texts.offset + len(texts)]].tobytes()


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
            found: Any = pc.min_max(pc.cast(instants, pa.int64())).as_py()
            fast = found["min"] >= _FIRST_MICROSECOND and found["max"] <= _LAST_MICROSECOND
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
