"""Rows of one window have the same places from whatever job they are read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tap_exports.engine.changes import Changes
from tap_exports.engine.decode import Layout, source
from tap_exports.engine.jobs import Outcome
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import (
    OPERATION_ID,
    WINDOW_START,
    Column,
    Contract,
    Kind,
    LocalFile,
    Page,
    RemoteFile,
    Request,
    Row,
    Rows,
)
from tap_exports.engine.place import Places
from tap_exports.engine.read import files as files_module
from tap_exports.engine.read.files import FileReader
from tap_exports.engine.read.pages import PageReader
from tap_exports.engine.read.tally import Limits, Tally
from tests.engine.fakes import FakeClock
from tests.engine.scripted import NOW, Files, ScriptedApi, job, rows_of, sha256, window

KEY = (WINDOW_START, "_sdc_row_digest", "_sdc_row_copy")
COLUMNS = {"a": Column("a", Kind.STRING), "n": Column("n", Kind.INTEGER)}
HEAD = b"a,n,more\n"
ROWS = [b"x,1,\n", b"y,2,q\n", b"x,1,\n", b"z,3,\n", b'"",4,\n', b",4,\n", b"x,1,\n"]
CSV = HEAD + b"".join(ROWS)
JULY = window("2026-07-01", "2026-07-02")
Target = dict[tuple[Any, ...], Row]


def of_window(
    layout: Callable[[int], Layout], folder: Path, contents: Mapping[str, bytes]
) -> tuple[FileReader, Outcome]:
    """Return a reader of a job whose files have these contents, all of it with places."""
    remotes = [RemoteFile(name, name, "json" if name.endswith("json") else "csv") for name in contents]
    api = ScriptedApi(opens={"j1": [remotes]})
    store = Files(folder, contents)
    places = Places(lambda: folder / "digests")
    reader = FileReader(
        api,
        store.download,
        lambda skip_rows=0: layout(skip_rows),
        Limits("fail", 10),
        FakeClock(),
        places=lambda: places,
    )
    return reader, Outcome(Request("exelensia", "s", {}, JULY), job(), NOW, 0.0, 1)


def plain(skip_rows: int = 0) -> Layout:
    return Layout(columns=COLUMNS, contract=Contract.DISCARD, skip_rows=skip_rows)


def read(
    folder: Path,
    contents: Mapping[str, bytes] | bytes = CSV,
    layout: Callable[[int], Layout] = plain,
    state: StreamState | None = None,
) -> list[Row]:
    reader, outcome = of_window(layout, folder, {"first": contents} if isinstance(contents, bytes) else contents)
    events = reader.read(outcome, state or StreamState("s", {}, Changes()), Tally())
    return [row for event in events if isinstance(event, Rows) for row in rows_of(event)]


def keys(rows: list[Row]) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in KEY) for row in rows]


def test_every_row_has_a_key_of_its_own(tmp_path: Path) -> None:
    """An empty text is not null; three equal rows are the copies 1 to 3."""
    rows = read(tmp_path)
    assert len(set(keys(rows))) == len(rows) == len(ROWS)
    assert [row["_sdc_row_copy"] for row in rows] == [1, 1, 2, 1, 1, 1, 3]
    assert {row[WINDOW_START] for row in rows} == {"2026-07-01T00:00:00.000Z"}


@pytest.mark.parametrize(
    "contents",
    [
        {"first": HEAD + b"".join(reversed(ROWS))},
        {"first": HEAD + b"".join(ROWS[:2]), "second": HEAD + b"".join(ROWS[2:])},
        {"first": b"more,n,a\n,1,x\nq,2,y\n,1,x\n,3,z\n" + b',4,""\n,4,\n,1,x\n'},
        {"first": b"a,n,more,later\n" + b"".join(row[:-1] + b",\n" for row in ROWS)},
        {"first": gzip.compress(CSV)},
        {"first": CSV.replace(b"\n", b"\r\n")},
        {"first": CSV.replace(b"x,1", b'"x","1"')},
    ],
    ids=["other order", "two files", "columns moved", "a column of nulls", "packed", "CRLF", "quoted"],
)
def test_another_job_of_the_window_has_the_same_keys(tmp_path: Path, contents: dict[str, bytes]) -> None:
    (tmp_path / "other").mkdir()
    assert set(keys(read(tmp_path / "other", contents))) == set(keys(read(tmp_path)))


@pytest.mark.parametrize(
    "other",
    [
        Layout(columns={}, contract=Contract.DISCARD),
        Layout(columns=COLUMNS, contract=Contract.EVOLVE),
        Layout(columns={**COLUMNS, "n": Column("n", Kind.STRING)}, contract=Contract.DISCARD),
        Layout(columns={**COLUMNS, "n": Column("n", Kind.INTEGER)}, contract=Contract.DISCARD, cast=True),
        Layout(columns=COLUMNS, contract=Contract.DISCARD, deselected=frozenset({"a"})),
        Layout(columns={"b": Column("b", Kind.STRING)}, aliases={"a": "b"}, contract=Contract.DISCARD),
    ],
    ids=["no columns", "evolve", "another type", "cast", "deselected", "alias"],
)
def test_what_the_catalog_knows_does_not_matter(tmp_path: Path, other: Layout) -> None:
    (tmp_path / "other").mkdir()
    found = read(tmp_path / "other", layout=lambda skip: replace(other, skip_rows=skip))
    assert keys(found) == keys(read(tmp_path))


@pytest.mark.parametrize("times", [1, 20_000])
def test_a_resumed_file_counts_the_rows_that_state_covers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """The third of three equal rows is the copy 3, also where the first two stood in a piece that was skipped whole."""
    monkeypatch.setattr(source, "CHUNK", 1 << 17)
    monkeypatch.setattr(files_module, "ROWS_PER_CHECKPOINT", 4 * times)
    body, state = HEAD + b"".join(ROWS * times), StreamState("s", {}, Changes())
    request = Request("exelensia", "s", {}, JULY)
    state.intend(request, NOW)
    state.opened(request, job(), NOW)
    state.note_rows("j1", LocalFile("first", tmp_path, len(body), sha256(body)), 4 * times)
    (tmp_path / "again").mkdir()
    again = keys(read(tmp_path / "again", body, state=state))
    assert again == keys(read(tmp_path, body))[4 * times :]
    assert len(again) == 3 * times


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_job_resumed_in_its_second_file_counts_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Equal rows are counted over all files of the job, also over those that STATE covers whole."""
    monkeypatch.setattr(files_module, "ROWS_PER_CHECKPOINT", 2)
    one = HEAD + ROWS[0] * 4 if form == "csv" else b'[{"a": "x", "n": 1}' + b', {"a": "x", "n": 1}' * 3 + b"]"
    contents = {f"first.{form}": one, f"second.{form}": one}
    state, request = StreamState("s", {}, Changes()), Request("exelensia", "s", {}, JULY)
    state.intend(request, NOW)
    state.opened(request, job(), NOW)
    for name, rows in zip(contents, (4, 2), strict=True):
        state.note_rows("j1", LocalFile(name, tmp_path, len(one), sha256(one)), rows)
    assert [row["_sdc_row_copy"] for row in read(tmp_path, contents, state=state)] == [7, 8]


def test_rows_behind_a_reject_keep_their_keys(tmp_path: Path) -> None:
    """A reject has no place; where the row comes mended later, the others stay as they are."""
    torn = HEAD + b"".join([*ROWS[:2], b"y,two,\n", b"a,b\n", *ROWS[2:]])
    (tmp_path / "torn").mkdir()
    assert keys(read(tmp_path / "torn", torn)) == keys(read(tmp_path))


@pytest.mark.parametrize("form", ["array", "lines"])
def test_json_in_another_order(tmp_path: Path, form: str) -> None:
    records: list[Row] = [
        {"a": "x", "n": 1},
        {"n": 1, "a": "x", "more": None},
        {"a": "y", "n": 2, "more": {"k": [1], "b": 2}},
    ]

    def text(rows: list[Row]) -> bytes:
        return json.dumps(rows).encode() if form == "array" else b"\n".join(json.dumps(r).encode() for r in rows)

    (tmp_path / "other").mkdir()
    there = read(tmp_path, {"first.json": text(records)})
    other = read(tmp_path / "other", {"first.json": text(records[::-1])})
    assert [row["_sdc_row_copy"] for row in there] == [1, 2, 1]
    assert set(keys(there)) == set(keys(other))


def test_pages_of_a_run(tmp_path: Path) -> None:
    """Rows of a run come in another order, on other pages, one of them twice: the same places."""
    rows: list[Row] = [{"a": "x", "n": 1}, {"a": "y", "n": 2}, {"a": "x", "n": 1}, {"a": "z", "n": None}]

    def places(pages: list[list[Row]]) -> set[tuple[Any, ...]]:
        def turn(_: object) -> Iterator[Page]:
            return (Page([dict(row) for row in page], None, None, page is pages[-1]) for page in pages)

        made = Places(lambda: tmp_path / "digests")
        reader = PageReader(turn, plain, Limits(), FakeClock(), (), lambda: made)
        outcome = Outcome(Request("cension", "s", {}), job("4836"), NOW, 0.0, 1)
        read = reader.read(outcome, StreamState("s", {}, Changes()), Tally())
        found = [row for event in read if isinstance(event, Rows) for row in rows_of(event)]
        return {(row[OPERATION_ID], row["_sdc_row_digest"], row["_sdc_row_copy"]) for row in found}

    first, second = places([rows]), places([rows[2:], rows[:2]])
    assert (len(first), first) == (4, second)


def test_rows_with_keys_of_their_own_pay_nothing(tmp_path: Path) -> None:
    """Without places nothing is digested."""
    reader, outcome = of_window(plain, tmp_path, {"first": CSV})
    events = replace(reader, places=None).read(outcome, StreamState("s", {}, Changes()), Tally())
    names = {name for event in events if isinstance(event, Rows) for row in rows_of(event) for name in row}
    assert names == {"a", "n", "_sdc_extra", "_sdc_row", "_sdc_job_id", "_sdc_file", WINDOW_START, "_sdc_window_end"}
