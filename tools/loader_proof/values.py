"""Values that loaders get wrong: texts that look like something else, breaks, quotes, Unicode, edges of types."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

LOOKS_TYPED = [
    "007",
    "1e5",
    "+1",
    "1.0",
    "0x1F",
    "1_000",
    " 12 ",
    "00012345678901234567890",
    "true",
    "2026-06-01",
    "inf",
    "nan",
]
LOOKS_NULL = [None, "", "null", "NULL", "None", "NA", "N/A", "\\N", "\\\\N", " ", '""', "''"]
BREAKS = [
    "a\nb",
    "a\r\nb",
    "a\rb",
    "\n",
    "\r\n",
    "end\n",
    "\ttab\t",
    "a,b",
    "a;b|c",
    'say "hi"',
    '"',
    '""quoted""',
    "it's",
    "back\\slash",
    "\\n",
    "a\\",
    "#x",
    "%s {0}",
]
SEPARATORS = ["a;b|c;d|e", "f\tg\th;i", "'j','k'", "|;|;", "1;2"]
UNICODE = [
    "Zürich",
    "naïve café",
    "日本語",
    "🚀👩‍👩‍👧",
    "e\u0301",
    "\u200b",
    "\ufeffbom",
    "\u2028line",
    "\x1f",
    "مرحبا",
    "<b>&amp;</b>",
]
POOLS: dict[str, list[Any]] = {
    "text": [*LOOKS_TYPED, *(each for each in LOOKS_NULL if each != ""), *BREAKS, *UNICODE, "word", "id", "other word"],
    "integer": [0, 1, -5, 2**53, None],
    "number": [0, 1.5, -2.25, None],
    "boolean": [True, False, None],
    "datetime": ["2026-06-01T10:11:12Z", "2026-06-30T23:59:59.999Z", "2026-06-01T10:11:12.123456+00:00", None],
    "date": ["2026-06-01", "1999-12-31", None],
    "open_object": [{"k": 'v, "w"'}, {}, None],
    "array": [["a"], [], None],
}

INTEGERS = [0, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), None]
DOUBLES = [Decimal(x) for x in ("0", "0.1", "-2.5", "1e-7", "1e300", "3.141592653589793", "100")]
DECIMALS = [
    Decimal(x)
    for x in (
        "9007199254740993",
        "12345678901234567.123456789",
        "0.1234567890123456789",
        "123456789012345678901234567890",
    )
]
DATES = [
    "2026-06-01T10:11:12Z",
    "2026-06-01T10:11:12.123Z",
    "2026-06-01T10:11:12.123456+00:00",
    "2026-06-01T10:11:12+02:00",
    "1970-01-01T00:00:00Z",
    "1600-02-29T23:59:59Z",
    None,
]
NESTED = [{"a": 1}, {"a": None}, {}, {"a": 1, "B b": [1, {"c": 'ü\n"🚀'}], "n": 1.5, "t": True, "e": ""}, None]
LISTS = [["a", "b"], [], ["", None], ["007", 'ü,\n"'], None]
