"""`target-exports` takes messages in their order: keys, versions, batches, STATE only with its rows."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from target_exports import database, loader
from target_exports.errors import LoadError
from tests.loaders.target import ENCODER, Message, Target, lines, record, schema, state

KEYED = schema("t", ["a", "b"], a="string", b="integer", v="string")
COMMAND = [sys.executable, "-m", "target_exports"]


@pytest.fixture
def target(tmp_path: Path) -> Target:
    """Return a target over a new file."""
    return Target(tmp_path / "exports.duckdb")


def values(target: Target, table: str = "t") -> list[Any]:
    """Return the values of the column `v`, sorted."""
    return sorted(row["v"] for row in target.rows(table))


def test_rows_without_keys_are_appended(target: Target) -> None:
    for _ in range(2):
        target.run(schema("t", v="string"), record("t", v="x"), record("t", v="x"))
    assert values(target) == ["x"] * 4


def test_last_row_of_a_key_counts(target: Target) -> None:
    """Within one load, between loads and between runs; null is a key like any other, and so is `''`."""
    keys: list[Any] = [("x", 1), ("x", None), (None, 1), (None, None), ("", 1)]
    for run in range(2):
        rows = [record("t", a=a, b=b, v=f"{run} {turn} {at}") for turn in range(2) for at, (a, b) in enumerate(keys)]
        target.run(KEYED, *rows)
    assert values(target) == [f"1 1 {at}" for at in range(len(keys))]


def test_replaced_row_is_replaced_whole(target: Target) -> None:
    target.run(KEYED, record("t", a="x", b=1, v="old"))
    target.run(KEYED, record("t", a="x", b=1))
    assert target.rows("t") == [{"a": "x", "b": 1, "v": None}]


def test_key_whose_type_changes(target: Target) -> None:
    """`1` as a number and later as text is one key."""
    target.run(schema("t", ["a"], a="integer", v="string"), record("t", a=1, v="old"))
    target.run(schema("t", ["a"], a="string", v="string"), record("t", a="1", v="new"))
    assert target.rows("t") == [{"a": "1", "v": "new"}]


def full(version: int, *rows: str) -> Iterator[Message]:
    """Yield a full read."""
    yield schema("t", ["v"], v="string")
    yield from (record("t", version, v=row) for row in rows)
    yield {"type": "ACTIVATE_VERSION", "stream": "t", "version": version}


def test_old_rows_are_deleted(target: Target) -> None:
    target.run(*full(1, "a", "b"))
    target.run(*full(2, "b", "c"))
    assert values(target) == ["b", "c"]
    target.run(*full(3))
    assert values(target) == []


def test_old_rows_are_marked(tmp_path: Path) -> None:
    """With `hard_delete: false` a row keeps the time when it was first gone, until it is there again."""
    target = Target(tmp_path / "soft.duckdb", hard_delete=False)
    marks = []
    for version, rows in enumerate(("ab", "b", "b", "ab"), start=1):
        target.run(*full(version, *rows))
        marks.append({row["v"]: row["_sdc_deleted_at"] for row in target.rows("t")})
    assert [sorted(name for name, mark in each.items() if mark) for each in marks] == [[], ["a"], ["a"], []]
    assert marks[1]["a"] == marks[2]["a"]


def test_rows_from_before_versions_are_old(target: Target) -> None:
    target.run(schema("t", ["v"], v="string"), record("t", v="a"))
    target.run(*full(1, "b"))
    assert values(target) == ["b"]


def test_state_is_kept_with_the_rows_that_it_covers(tmp_path: Path) -> None:
    """A STATE is given out once its rows are committed, by rows and at the end, each time the last one."""
    target = Target(tmp_path / "some.duckdb", batch_rows=3)
    rows = [m for n in range(8) for m in (record("t", v=str(n)), state(n))]
    target.run(schema("t", v="string"), *rows)
    assert (target.states, target.kept) == ([2, 5, 7], 7)


def test_state_is_committed_by_bytes_too(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows of many columns are as much to hold as many rows; and rows that no STATE follows wait for none."""
    monkeypatch.setattr("target_exports.target.BLOCK", 500)
    monkeypatch.setattr(loader, "COMMIT_BYTES", 1_500)
    rows = [m for n in range(8) for m in (record("t", v="x" * 400), state(n))]
    target.run(schema("t", v="string"), *rows)
    assert (len(target.states), target.states[-1], target.kept) == (2, 7, 7)


def test_error_leaves_the_last_commit(tmp_path: Path) -> None:
    """Rows, columns and STATE of the open transaction are gone, those before it stay."""
    target = Target(tmp_path / "some.duckdb", batch_rows=2)
    good = [
        record("t", v="a"),
        record("t", v="b"),
        state(1),
        record("t", v="c"),
        state(2),
        schema("t", v="integer", w="string"),
    ]
    with pytest.raises(LoadError, match="rows before any SCHEMA"):
        target.run(schema("t", v="string"), *good, record("other", v="x"))
    assert (values(target), target.types("t"), target.states, target.kept) == (["a", "b"], {"v": "VARCHAR"}, [1], 1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"no message\n", "no Singer message"),
        (b'{"type": "RECORD"}\n', "rows before any SCHEMA"),
        (b'{"type": "OTHER"}\n', "unknown type of message: OTHER"),
        (b'{"type": "STATE", "value": 2}\n{"type": "RECORD", "str', "ends within a message"),
    ],
)
def test_bad_input_stops_the_load(line: bytes, message: str, target: Target) -> None:
    with pytest.raises(LoadError, match=message):
        target.read(lines([KEYED, state(1)]) + line)


def test_what_came_before_a_cut_message_is_loaded(target: Target) -> None:
    whole = lines([KEYED, record("t", a="x", b=1, v="a"), state(1)])
    with pytest.raises(LoadError, match="what came before it is loaded"):
        target.read(whole + lines([record("t", a="x", b=2, v="b")])[:-9])
    assert (values(target), target.states, target.kept) == (["a"], [1], 1)
    target.read(whole[:-1])
    assert target.states == [1, 1]


def test_input_of_many_blocks(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are the same, however the input is cut to blocks, decoded and loaded."""
    monkeypatch.setattr("target_exports.target.BLOCK", 1_000)
    monkeypatch.setattr(loader, "DECODED_BYTES", 3_000)
    monkeypatch.setattr(loader, "LOADED_BYTES", 5_000)
    names = ("t", "u")
    rows = [record(name, a=str(n), b=n % 50, v=f"{n} {'x' * (n % 7 * 100)}") for n in range(300) for name in names]
    first = [{**KEYED, "stream": name} for name in names]
    in_turn, in_runs = [*first, *rows], [*first, *rows[::2], *(rows[1::2])]
    for run in (in_turn, in_runs):
        target.run(*run, state(1))
        for name in names:
            assert values(target, name) == sorted(each["record"]["v"] for each in rows[::2])


PART = schema(
    "t",
    ["id"],
    id="integer",
    price="number",
    at={"type": ["string", "null"], "format": "date-time"},
    words={"type": ["array", "null"], "items": {"type": ["string", "null"]}},
    things={"type": ["array", "null"]},
    thing="object",
)
ROWS: list[dict[str, Any]] = [
    {
        "id": 1,
        "price": "12345678901234567.1234567890",
        "at": "2026-06-01T10:00:00.5Z",
        "words": ['a"b', None, ""],
        "things": ['{"a":1}', None],
        "thing": '{"n":0.12345678901234567890}',
    },
    {"id": 2, "price": "0.10", "at": None, "words": [], "things": [], "thing": None},
    {"id": 3, "price": None, "at": "1970-01-01T00:00:00Z", "words": None, "things": None, "thing": "{}"},
]
LANDED: list[dict[str, Any]] = [
    {
        "id": 1,
        "price": "12345678901234567.1234567890",
        "at": "2026-06-01 10:00:00.500000+00:00",
        "words": '["a\\"b",null,""]',
        "things": '[{"a":1},null]',
        "thing": '{"n":0.12345678901234567890}',
    },
    {"id": 2, "price": "0.10", "at": None, "words": "[]", "things": "[]", "thing": None},
    {"id": 3, "price": None, "at": "1970-01-01 00:00:00+00:00", "words": None, "things": None, "thing": "{}"},
]


def batch(path: Path, form: str, compression: str | None = None) -> Message:
    """Return a BATCH message of one part."""
    return {
        "type": "BATCH",
        "stream": "t",
        "encoding": {"format": form, "compression": compression},
        "manifest": [path.as_uri()],
    }


def parquet(path: Path, *, versions: int | None = None) -> None:
    """Write the rows as the tap writes parts: numbers and documents as text, instants as such."""
    instants = pa.array([row["at"] for row in ROWS]).cast(pa.timestamp("us", "UTC"))
    columns: dict[str, Any] = {name: pa.array([row[name] for row in ROWS]) for name in ROWS[0]} | {"at": instants}
    columns |= {"words": pa.array([row["words"] for row in ROWS], pa.list_(pa.string()))}
    if versions is not None:
        columns["_sdc_table_version"] = pa.array([versions] * len(ROWS))
    pq.write_table(pa.table(columns), path)


def test_part_in_parquet(target: Target, tmp_path: Path) -> None:
    """All digits and all documents are as they were written, a second time too, in a folder of any name."""
    folder = tmp_path / 'it\'s 100% "odd" *?[a]'
    folder.mkdir()
    parquet(folder / "a b.parquet")
    for _ in range(2):
        target.run(PART, batch(folder / "a b.parquet", "parquet"), state(1))
        assert sorted(target.rows("t"), key=lambda row: row["id"]) == LANDED
    assert target.states == [1, 1]


@pytest.mark.parametrize("compression", ["gzip", "none", None])
def test_part_in_json_lines(compression: str | None, target: Target, tmp_path: Path) -> None:
    raw = {**ROWS[0], "price": 0}
    text = json.dumps({**raw, "things": [{"a": 1}, None], "thing": 0}).replace(
        '"price": 0', '"price": 12345678901234567.1234567890'
    )
    text = text.replace('"thing": 0', '"thing": {"n":0.12345678901234567890}') + "\n"
    (tmp_path / "part").write_bytes(gzip.compress(text.encode()) if compression == "gzip" else text.encode())
    target.run(PART, batch(tmp_path / "part", "jsonl", compression))
    assert target.rows("t") == [{**LANDED[0], "things": '[{"a": 1}, null]', "words": '["a\\"b", null, ""]'}]


def test_versions_in_parts(target: Target, tmp_path: Path) -> None:
    parquet(tmp_path / "part", versions=1)
    activate = {"type": "ACTIVATE_VERSION", "stream": "t", "version": 1}
    target.run(PART, record("t", id=9), batch(tmp_path / "part", "parquet"), activate)
    assert {row["id"]: row["_sdc_table_version"] for row in target.rows("t")} == {1: 1, 2: 1, 3: 1}


def test_versions_beside_records_and_in_parts(target: Target, tmp_path: Path) -> None:
    """A row has the version of its part or of its message, whichever came first."""
    activate = {"type": "ACTIVATE_VERSION", "stream": "t", "version": 1}
    (tmp_path / "part").write_text('{"id": 1, "_sdc_table_version": 1}\n')
    target.run(PART, record("t", id=9), batch(tmp_path / "part", "jsonl"), record("t", 1, id=2), activate)
    assert {row["id"]: row["_sdc_table_version"] for row in target.rows("t")} == {1: 1, 2: 1}


def test_part_of_nested_columns_and_names_that_differ_in_case(target: Target, tmp_path: Path) -> None:
    """What is below a column is none, and DuckDB's own names for the second of two are not those of the part."""
    thing = {"x": 1, "y": {"z": [2]}}
    columns = {"a": ["x"], "A": ["y"], "thing": [thing], "b": ["z"], "": ["none"], "deep": [[[1], []]], "c": ["last"]}
    pq.write_table(pa.table(columns), tmp_path / "part")
    target.run(schema("t", a="string", A="string"), batch(tmp_path / "part", "parquet"))
    (row,) = target.rows("t")
    landed = [row[name] for name in ("a", "A_2", "b", "_", "c")]
    assert landed == ["x", "y", "z", "none", "last"]
    assert (json.loads(row["thing"]), json.loads(row["deep"])) == (thing, [[1], []])


def test_part_without_a_key_has_null_in_it(target: Target, tmp_path: Path) -> None:
    """Rows of other keys stay."""
    pq.write_table(pa.table({"a": ["x"], "v": ["new"]}), tmp_path / "part")
    for _ in range(2):
        target.run(KEYED, record("t", a="x", b=1, v="old"), batch(tmp_path / "part", "parquet"))
    assert values(target) == ["new", "old"]


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv"])
def test_part_that_cannot_be_read_stops_the_load(form: str, target: Target, tmp_path: Path) -> None:
    """Nothing of the run is kept: neither a missing part, a torn one nor an unknown format counts as no rows."""
    (tmp_path / "torn").write_bytes(b"PAR1 no")
    for name in ("missing", "torn"):
        with pytest.raises(LoadError, match=r"t|part"):
            target.run(
                PART, record("t", id=9), batch(tmp_path / name, form, "gzip" if form == "jsonl" else None), state(1)
            )
    assert target.states == []


@pytest.mark.process
def test_second_process_is_told(target: Target, tmp_path: Path) -> None:
    """One writer at a time: the message says so, and names the file."""
    holder = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, target.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as held:
        assert held.stdout
        held.stdout.readline()
        with pytest.raises(LoadError, match=r"exports.duckdb is open in another process"):
            target.run(KEYED)
        held.communicate(b"")
    target.run(KEYED)


def test_missing_extra_is_told(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "duckdb", None)
    with pytest.raises(LoadError, match=r"install tap-exports\[duckdb\]"):
        target.run(KEYED)


def test_no_database(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database, but long enough to be looked at" * 100)
    for place in ("file", "no/such/folder"):
        with pytest.raises(LoadError, match="cannot be opened"):
            database.Database(str(tmp_path / place), "main", "default")


def test_kept_state_is_of_one_schema_only(target: Target) -> None:
    """The tables of users are in the schema that is set; STATE stands in one of its own."""
    target.run(KEYED, state(1))
    with duckdb.connect(str(target.path), read_only=True) as connection:
        found = connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
    assert sorted(found) == [("_exports", "loads"), ("_exports", "state"), ("main", "t")]


@pytest.mark.process
def test_command(tmp_path: Path) -> None:
    """Settings come from a file; the kept STATE is given out if asked; errors end with a message."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"path": str(tmp_path / "x.duckdb"), "resume": True}))
    command = [*COMMAND, "--config", str(config)]
    good = lines([KEYED, record("t", a="x", b=1, v="a"), state({"n": 1})])
    outputs = [subprocess.run(command, input=good, check=True, capture_output=True).stdout for _ in range(2)]
    assert outputs == [b'{}\n{"n":1}\n', b'{"n":1}\n{"n":1}\n']
    bad = subprocess.run(command, input=b"x\n", check=False, capture_output=True)
    assert (bad.returncode, b"no Singer message" in bad.stderr, b"Traceback" in bad.stderr) == (1, True, False)


PEAK = """
import re, sys
from target_exports.__main__ import main
code = main()
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
sys.exit(code)
"""


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_wide_tables_take_little_memory(tmp_path: Path) -> None:
    """A look at the values of 2,000 columns at once would hold a regular expression for each: 1.3 GB."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"path": str(tmp_path / "x.duckdb")}))
    kinds: list[tuple[Any, Any]] = [
        ("string", "x"),
        ("number", 0.5),
        ({"type": "string", "format": "date-time"}, "2026-06-01T00:00:00Z"),
    ]
    columns: dict[str, tuple[Any, Any]] = {f"c{n}": kinds[n % 3] for n in range(2_000)}
    row = record("t", **{name: value for name, (_, value) in columns.items()})
    messages = lines([schema("t", **{name: kind for name, (kind, _) in columns.items()}), *[row] * 50])
    command = [sys.executable, "-c", PEAK, "--config", str(config)]
    done = subprocess.run(command, input=messages, check=True, capture_output=True)
    most = 280 if sys.version_info >= (3, 11) else 400  # Python 3.10 has no duckdb 2: 1.5 takes 364
    assert int(done.stdout) < most * 1024


@pytest.mark.process
def test_signal_commits_what_came(tmp_path: Path) -> None:
    """After SIGTERM it reads for some seconds what its tap still writes, commits it and ends with 128 + 15."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"path": str(tmp_path / "x.duckdb"), "batch_size_rows": 1}))
    with subprocess.Popen(
        [*COMMAND, "--config", str(config)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(ENCODER.encode_lines([KEYED, record("t", a="x", b=1, v="a"), state(1)]))
        process.stdin.flush()
        assert process.stdout.readline() == b"1\n"
        os.kill(process.pid, signal.SIGTERM)
        process.stdin.write(ENCODER.encode_lines([record("t", a="x", b=2, v="b"), state(2)]))
        process.stdin.close()
        assert (process.stdout.read(), process.wait()) == (b"2\n", 128 + 15)
