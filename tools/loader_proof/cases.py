"""The truth: Singer messages made by hand, and the rows that must stand in the destination afterwards."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tools.loader_proof.values import (
    BREAKS,
    DATES,
    DECIMALS,
    DOUBLES,
    INTEGERS,
    LISTS,
    LOOKS_NULL,
    LOOKS_TYPED,
    NESTED,
    POOLS,
    SEPARATORS,
    UNICODE,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Row = dict[str, Any]
Message = dict[str, Any]

KINDS: dict[str, Message] = {
    "text": {"type": ["string", "null"]},
    "integer": {"type": ["integer", "null"]},
    "number": {"type": ["number", "null"]},
    "boolean": {"type": ["boolean", "null"]},
    "datetime": {"type": ["string", "null"], "format": "date-time"},
    "date": {"type": ["string", "null"], "format": "date"},
    "object": {"type": ["object", "null"], "properties": {"a": {"type": ["integer", "null"]}}},
    "open_object": {"type": ["object", "null"]},
    "array": {"type": ["array", "null"], "items": {"type": ["string", "null"]}},
}


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream's schema: `columns` maps names to a key of `KINDS`, `keys` are not nullable."""

    name: str
    columns: dict[str, str]
    keys: tuple[str, ...] = ("id",)

    def schema(self) -> Message:
        """Return the SCHEMA message."""
        properties = {name: self._property(name, kind) for name, kind in self.columns.items()}
        schema = {"type": "object", "properties": properties, "required": list(self.keys)}
        return {"type": "SCHEMA", "stream": self.name, "schema": schema, "key_properties": list(self.keys)}

    def _property(self, name: str, kind: str) -> Message:
        found = dict(KINDS[kind])
        if name in self.keys:
            found["type"] = [each for each in found["type"] if each != "null"]
        return found

    def record(self, row: Row, version: int | None = None) -> Message:
        """Return the RECORD message of `row`."""
        extra = {} if version is None else {"version": version}
        extracted = "2026-06-30T10:00:00.000000+00:00"
        return {"type": "RECORD", "stream": self.name, "record": row, "time_extracted": extracted, **extra}


@dataclass(frozen=True, slots=True)
class Case:
    """Messages of one or more successive runs, and the rows that must be there at the end.

    `expected` maps a stream to its rows. `exact_state` is the STATE value that each run must echo last.
    """

    name: str
    about: str
    runs: tuple[tuple[Message, ...], ...]
    expected: tuple[tuple[Stream, list[Row]], ...]
    states: tuple[Message, ...] = field(default=())


def state(**counts: int) -> Message:
    """Return a STATE message that names how many rows of each stream it covers."""
    return {"type": "STATE", "value": {"bookmarks": {name: {"rows": rows} for name, rows in counts.items()}}}


def _column(name: str, about: str, kind: str, values: list[Any], copies: int = 1) -> Case:
    stream = Stream(f"proof_{name}", {"id": "integer", "value": kind, "tail": "text"})
    rows = [{"id": n, "value": value, "tail": "x"} for n, value in enumerate(values * copies)]
    return _single(name, about, stream, rows)


def _single(name: str, about: str, stream: Stream, rows: list[Row]) -> Case:
    done = state(**{stream.name: len(rows)})
    run = (stream.schema(), *map(stream.record, rows), done)
    return Case(name, about, (run,), ((stream, rows),), (done["value"],))


def _header() -> Case:
    stream = Stream("proof_header", {"id": "text", "name": "text", "at": "datetime", "day": "date", "flag": "boolean"})
    first: Row = {"id": "id", "name": "name", "at": None, "day": None, "flag": None}
    when: Row = {"at": "2026-06-01T10:11:12Z", "day": "2026-06-01", "flag": True}
    rows: list[Row] = [first, *({"id": str(n), "name": f"word {n}", **when} for n in range(50))]
    return _single("header", "a first row that looks like a header line", stream, rows)


def _shapes(count: int) -> Case:
    chance = random.Random(13)  # noqa: S311 - a fixed seed for repeatable tables
    run: list[Message] = []
    expected = []
    for number in range(count):
        kinds = chance.choices(list(POOLS), k=chance.randint(1, 8))
        columns = {f"c{at}_{kind}": kind for at, kind in enumerate(kinds)}
        stream = Stream(f"proof_shape_{number}", {"id": "text", **columns})
        rows = [_random_row(chance, row, columns) for row in range(chance.choice([1, 1, 2, 3, 30]))]
        run += [stream.schema(), *map(stream.record, rows)]
        expected.append((stream, rows))
    done = state(all=count)
    return Case(
        "shapes", f"{count} tables of random columns, 1 to 30 rows", ((*run, done),), tuple(expected), (done["value"],)
    )


def _random_row(chance: random.Random, number: int, columns: dict[str, str]) -> Row:
    return {"id": f"key {number}", **{name: chance.choice(POOLS[kind]) for name, kind in columns.items()}}


def _quiet() -> Case:
    stream = Stream("proof_quiet", {"id": "integer", "value": "text"})
    first, last = state(proof_quiet=0), state(proof_quiet=1)
    return Case(
        "quiet", "a run without rows whose last STATE is new", ((stream.schema(), first, last),), (), (last["value"],)
    )


def _names() -> Case:
    columns = {
        "operationId": "integer", "createdAt": "datetime", "net amount": "number",
        "_sdc_job_id": "text", "_sdc_file": "text", "_sdc_row": "integer",
        "_sdc_extra": "open_object", "_sdc_window_start": "datetime",
        "order": "text", "select": "text", "über": "text", "a.b": "text", "a-b": "text", "100%": "text",
    }  # fmt: skip
    stream = Stream("proof_names", columns, ("_sdc_job_id", "_sdc_file", "_sdc_row"))
    when = "2026-06-01T10:11:12.123Z"
    rows: list[Row] = [
        {
            name: {"integer": row, "datetime": when, "number": 1.5, "open_object": {"k": 1}}.get(kind, "v")
            for name, kind in columns.items()
        }
        for row in range(1, 4)
    ]
    return _single("names", "column names with case, spaces, `_sdc_`, reserved words; a composite key", stream, rows)


def _evolve() -> Case:
    old = Stream("proof_evolve", {"id": "integer", "value": "text"})
    new = Stream("proof_evolve", {"id": "integer", "value": "text", "added": "text", "newNumber": "number"})
    first: list[Row] = [{"id": n, "value": f"v{n}"} for n in range(3)]
    second: list[Row] = [{"id": n, "value": f"v{n}", "added": f"a{n}", "newNumber": n / 2} for n in range(3, 6)]
    done = state(proof_evolve=6)
    run = (old.schema(), *map(old.record, first), new.schema(), *map(new.record, second), done)
    rows = [{"added": None, "newNumber": None, **row} for row in first + second]
    return Case("evolve", "a second SCHEMA in the middle adds columns", (run,), ((new, rows),), (done["value"],))


def _upsert() -> Case:
    again_from = 2
    stream = Stream("proof_upsert", {"job": "text", "row": "integer", "value": "text"}, ("job", "row"))
    first: list[Row] = [{"job": "j,1", "row": n, "value": f"old {n}"} for n in range(5)]
    again: list[Row] = [
        {"job": "j,1", "row": n, "value": None if n == again_from else f"new {n}"} for n in range(again_from, 8)
    ]
    repeat: Row = {"job": "j,1", "row": 7, "value": "last wins"}
    other: Row = {"job": "j", "row": 7, "value": "other key"}
    runs = tuple((stream.schema(), *map(stream.record, rows)) for rows in (first, [*again, repeat, other]))
    rows = [*first[:again_from], *again[:-1], repeat, other]
    return Case("upsert", "second run, same composite keys; the same key twice in one run", runs, ((stream, rows),))


def volume_messages(rows: int = 25_000, streams: int = 3, state_every: int = 1_000) -> Iterator[Message]:
    """Yield interleaved streams, two short and one of `rows` rows, with a STATE that counts what went before it."""
    made = volume_streams(streams)
    counts = dict.fromkeys((stream.name for stream in made), 0)
    yield from (stream.schema() for stream in made)
    for number in range(rows):
        for index, stream in enumerate(made):
            if number % (1 if index == 0 else 10) == 0:
                yield stream.record(volume_row(number))
                counts[stream.name] += 1
        if (number + 1) % state_every == 0:
            yield state(**counts)


def volume_streams(streams: int = 3) -> list[Stream]:
    """Return the streams of the volume case."""
    columns = {"id": "integer", "value": "text", "amount": "number", "at": "datetime", "record": "object"}
    return [Stream(f"proof_volume_{index}", columns) for index in range(streams)]


def volume_row(number: int) -> Row:
    """Return row `number` of every stream of the volume case."""
    at = f"2026-06-{number % 28 + 1:02}T{number % 24:02}:{number % 60:02}:00.{number % 1000:03}Z"
    text = f'row {number}\nsecond, "line"' if number % 7 else None
    return {"id": number, "value": text, "amount": number / 4, "at": at, "record": {"a": number}}


def _volume() -> Case:
    run = tuple(volume_messages())
    expected = tuple(
        (stream, [volume_row(n) for n in range(0, 25_000, 1 if index == 0 else 10)])
        for index, stream in enumerate(volume_streams())
    )
    return Case(
        "volume", "30,000 rows of three interleaved streams, 25 STATE messages", (run,), expected, (run[-1]["value"],)
    )


def _activate() -> Case:
    stream = Stream("proof_activate", {"id": "integer", "value": "text"})
    rows: list[Row] = [{"id": n, "value": f"v{n}"} for n in range(4)]
    runs = tuple(tuple(_full_table(stream, kept, version)) for version, kept in ((1_000, rows), (2_000, rows[:2])))
    return Case(
        "activate", "ACTIVATE_VERSION: rows that the second full read lacks are gone", runs, ((stream, rows[:2]),)
    )


def _full_table(stream: Stream, rows: Iterable[Row], version: int) -> Iterator[Message]:
    yield stream.schema()
    yield from (stream.record(row, version) for row in rows)
    yield {"type": "ACTIVATE_VERSION", "stream": stream.name, "version": version}
    yield state(**{stream.name: version})


def cases(shapes: int = 300) -> list[Case]:
    """Return all cases, in the order of the printed table; `shapes` is the number of random tables."""
    text = [each for each in (*LOOKS_TYPED, *LOOKS_NULL, *BREAKS, *UNICODE) if each != ""]
    return [
        _column("text", f"{len(text)} texts that look typed or null, breaks, quotes, Unicode", "text", text),
        _column("empty", "empty string beside null", "text", ["", None, "x"]),
        _column("nul", "a NUL character inside a text", "text", ["a\0b", "x"]),
        _column("quotes", "25,000 rows of quotes, breaks and commas", "text", BREAKS, copies=1_390),
        _header(),
        _column("dialect", "texts full of other separators and quotes", "text", SEPARATORS, copies=9),
        _column("long", "a text of 1 MB", "text", ["x" * 2**20, 'ü"\n,' * 2**18, "short"]),
        _column("huge", "a text of 5 MB", "text", ["short", 'ü"\n,' * 2**20]),
        _column("integer", "whole 64-bit range", "integer", INTEGERS),
        _column("bigint", "20-digit integer", "integer", [12345678901234567890, -12345678901234567890]),
        _column("double", "numbers that a double holds", "number", [*DOUBLES, None]),
        _column("decimal", "numbers that a double does not hold", "number", DECIMALS),
        _column("boolean", "booleans and null", "boolean", [True, False, None]),
        _column("datetime", "instants with Z, fractions, offsets", "datetime", DATES),
        _column("date", "dates", "date", ["2026-06-01", "1600-02-29", None]),
        _column("object", "nested objects with declared properties", "object", NESTED),
        _column("open", "objects without declared properties", "open_object", NESTED),
        _column("array", "arrays, empty and with nulls", "array", LISTS),
        _shapes(shapes), _names(), _evolve(), _upsert(), _volume(), _quiet(), _activate(),
    ]  # fmt: skip
