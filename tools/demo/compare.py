"""Compare what landed with the truth, value by value.

Both sides are brought into one form by the type of the database's column: instants as instants, documents as documents.
Folded are only the losses that docs/decisions/0005-embedded-loader.md names: the case of column names, `''` as null
where a loader cannot tell them apart, and numbers as doubles.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from typing import Any

from tools.demo.landed import Table
from tools.demo.truth import Truth

Key = tuple[Any, ...]
Rows = dict[Key, dict[str, Any]]
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Loader:
    """What a loader is known to lose.

    Attributes:
        empty_is_null: `''` arrives as null.
        keeps_old: Rows of an earlier full read stay, since ACTIVATE_VERSION is ignored.
        keeps_digits: A column of numbers is text once a double does not hold one of them exactly.
    """

    empty_is_null: bool = False
    keeps_old: bool = False
    keeps_digits: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one stream compares.

    Attributes:
        stream: Its name.
        source: Rows at the source.
        loaded: Rows at the target, without those of earlier full reads that it keeps.
        new: Keys that were not there before the last run.
        differences: What differs, in words; the first few.
        count: How many rows differ.
    """

    stream: str
    source: int
    loaded: int
    new: int
    count: int = 0
    differences: tuple[str, ...] = ()


@dataclass(slots=True)
class Comparison:
    """The comparison of successive runs: what was right once stays right where a target keeps it."""

    loader: Loader
    expected: dict[str, Rows] = field(default_factory=dict)
    keys: dict[str, set[Key]] = field(default_factory=dict)

    def judge(self, truths: Sequence[Truth], tables: Mapping[str, Table]) -> list[Verdict]:
        """Compare all streams after a run; a table that no truth is known of is a difference too."""
        known = {truth.stream for truth in truths}
        strange = [
            Verdict(name, 0, len(table.rows), 0, len(table.rows) or 1, ("no truth is known of this table",))
            for name, table in tables.items()
            if name not in known
        ]
        return [self._stream(truth, tables.get(truth.stream, Table())) for truth in truths] + strange

    def _stream(self, truth: Truth, table: Table) -> Verdict:
        kinds = {name.casefold(): kind for name, kind in table.types.items()}
        if self.loader.keeps_digits:
            numbers = {name.casefold() for row in truth.rows for name, value in row.items() if _is_number(value)}
            kinds |= {name: "digits" for name in numbers if kinds.get(name) == "VARCHAR"}
        names = dict.fromkeys(name.casefold() for row in truth.rows for name in row)
        shape = Shape(kinds, tuple(names) or tuple(kinds), truth.keys, self.loader)
        now, landed = shape.rows(truth.rows, partial=truth.partial), shape.rows(table.rows)
        gone = {k: v for k, v in self.expected.get(truth.stream, {}).items() if k not in now}
        kept = gone if self.loader.keeps_old or not truth.full else {}
        new = len(landed.keys() - self.keys.get(truth.stream, set()))
        self.expected[truth.stream], self.keys[truth.stream] = {**kept, **now}, set(landed)
        unsettled = {(key,) for key in truth.unsettled}
        found = list(_differences({**kept, **now}, landed, unsettled))
        rows = [key for key in landed if key not in kept]
        return Verdict(truth.stream, len(now), len(rows), new, len(found), tuple(found[:SHOWN]))


def _differences(expected: Rows, landed: Rows, unsettled: set[Key]) -> Iterator[str]:
    for key in (*expected, *(key for key in landed if key not in expected)):
        want, got = expected.get(key), landed.get(key)
        if key in unsettled:
            continue
        if want is None or got is None:
            yield f"{key}: {'only at the target' if want is None else 'only at the source'}"
        elif wrong := next((name for name in want if not same(want[name], got[name])), None):
            yield f"{key}: {wrong} is {want[wrong]!r} at the source, {got[wrong]!r} at the target"


@dataclass(frozen=True, slots=True)
class Shape:
    """The one form of both sides.

    Attributes:
        kinds: Database type by column, in lower case.
        names: Columns to compare.
        keys: Columns that tell rows apart; without any, equal rows are numbered.
        loader: What it loses.
    """

    kinds: Mapping[str, str]
    names: tuple[str, ...]
    keys: tuple[str, ...]
    loader: Loader

    def rows(self, raw: Sequence[Mapping[str, Any]], *, partial: bool = False) -> Rows:
        """Return rows by key; of equal keys the last one wins, as it does at the target.

        Args:
            raw: Rows of either side; a column that one of them lacks is null in it.
            partial: Such a column is left out instead.
        """
        made: Rows = {}
        seen: Counter[str] = Counter()
        for each in raw:
            folded = {name.casefold(): value for name, value in each.items()}
            names = folded if partial else self.names
            row = {name: self._value(folded.get(name), self.kinds.get(name, "missing")) for name in names}
            text = repr(_shown(row))
            seen[text] += 1
            key = tuple(row.get(name.casefold()) for name in self.keys) or (text, seen[text])
            made[key] = row
        return made

    def _value(self, value: Any, kind: str) -> Any:
        if value is None or (value == "" and self.loader.empty_is_null):
            return None
        try:
            return FORMS[_family(kind)](value)
        except (ValueError, TypeError, KeyError, InvalidOperation):
            return f"{type(value).__name__} {value!r}, not {kind}"


def _family(kind: str) -> str:
    lowered = kind.lower()
    return next((family for word, family in FAMILIES if lowered.startswith(word)), "missing")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        msg = "not a text"
        raise TypeError(msg)
    return value


def _integer(value: Any) -> int:
    exact = Decimal(str(value))
    if exact != int(exact):
        msg = "not whole"
        raise ValueError(msg)
    return int(exact)


def _boolean(value: Any) -> bool:
    return value if isinstance(value, bool) else {"true": True, "false": False}[str(value)]


def _instant(value: Any) -> datetime:
    if isinstance(value, int):
        return datetime.fromtimestamp(value, timezone.utc)
    read = datetime.fromisoformat(_padded(str(value).replace("Z", "+00:00")))
    return read.astimezone(timezone.utc) if read.tzinfo else read.replace(tzinfo=timezone.utc)


def _padded(text: str) -> str:
    """Return an instant with six digits of a second's fraction, which Python 3.10 wants."""
    head, dot, tail = text.partition(".")
    digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
    return f"{head}.{digits:0<6.6}{tail[len(digits) :]}" if dot else text


def _document(value: Any) -> Any:
    return json.loads(value, parse_float=Decimal) if isinstance(value, str) else value


def _shown(value: Any) -> Any:
    """Return a value whose text is the same for equal values, as far as keys of rows without keys need it."""
    if isinstance(value, dict):
        return {name: _shown(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return list(map(_shown, value))
    return float(value) if isinstance(value, Decimal) else value


def same(want: Any, got: Any) -> bool:
    """Tell whether two values of one form are equal; within documents broken numbers are doubles."""
    if isinstance(want, dict) and isinstance(got, dict):
        return want.keys() == got.keys() and all(same(want[name], got[name]) for name in want)
    if isinstance(want, list) and isinstance(got, list):
        return len(want) == len(got) and all(map(same, want, got))
    numbers = isinstance(want, int | float | Decimal) and isinstance(got, int | float | Decimal)
    if numbers and (isinstance(want, Decimal) or isinstance(got, Decimal)):
        return float(want) == float(got)
    return isinstance(want, bool) is isinstance(got, bool) and bool(want == got)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _digits(value: Any) -> str:
    """Return a number as its digits, without zeros at the end of its fraction."""
    text = f"{Decimal(str(value)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _missing(value: Any) -> str:
    return f"{value!r}, but there is no such column"


FORMS = {
    "text": _text,
    "integer": _integer,
    "number": lambda value: float(Decimal(str(value))),
    "boolean": _boolean,
    "instant": _instant,
    "date": lambda value: str(value)[:10],
    "document": _document,
    "digits": _digits,
    "missing": _missing,
}
FAMILIES = (
    ("varchar", "text"),
    ("text", "text"),
    ("character", "text"),
    ("bigint", "integer"),
    ("integer", "integer"),
    ("hugeint", "integer"),
    ("double", "number"),
    ("float", "number"),
    ("real", "number"),
    ("numeric", "number"),
    ("decimal", "number"),
    ("boolean", "boolean"),
    ("timestamp", "instant"),
    ("date", "date"),
    ("json", "document"),
    ("digits", "digits"),
)
