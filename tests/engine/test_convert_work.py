"""The work on one file: a function of its task, whole parts or none, what goes wrong as a value."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tap_exports.engine.convert.task import Host, Result, Task, layout_values, values_of
from tap_exports.engine.convert.work import do_work, work
from tap_exports.engine.decode import CsvDialect, Layout, read
from tap_exports.engine.http import HttpSettings
from tap_exports.engine.model import Column, Contract, Kind, LocalFile, RemoteFile, Rows
from tap_exports.engine.place import Places
from tap_exports.engine.publish.storage import Draft
from tap_exports.errors import StopError
from tests.engine.scripted import rows_of
from tests.engine.servers import Server, Store, cut, reply

Json = dict[str, Any]
HTTP = HttpSettings(allow_private_hosts=True, request_timeout_seconds=5, max_attempts=2, retry_wait_max_seconds=0)
COLUMNS = {c.name: c for c in (Column("a", Kind.STRING), Column("n", Kind.INTEGER))}
PLACE = {"stream": "s", "scope": "j", "first": 1, "rows": 10}
BODY = b"a,n\n" + b"".join(b"x%d,%d\n" % (n, n) for n in range(1, 26))
LONG = b"a,n\n" + b"".join(b"%s,%d\n" % (hashlib.sha256(b"%d" % n).hexdigest().encode(), n) for n in range(60_000))
ROWS = [{"a": f"x{n}", "n": n, "_sdc_row": n, "_sdc_job_id": "j"} for n in range(1, 26)]


@pytest.fixture
def server() -> Iterator[Server]:
    """Serve whatever `steps` say; a file of 25 rows at first."""
    with Server([reply(200, BODY)]) as running:
        yield running


def task(server: Server, folder: Path, form: str = "jsonl", **changes: object) -> Task:
    """Return a task for the server's file, ten rows a part."""
    columns = [*COLUMNS.values(), Column("_sdc_row", Kind.INTEGER), Column("_sdc_job_id", Kind.STRING)]
    made: Task = {
        "file": {"name": "export.csv", "url": f"{server.url}/export.csv?token=SECRET", "format": "csv"},
        "http": asdict(HTTP),
        "spool": {"folder": str(folder / "spool"), "max_mb": 1},
        "layout": layout_values(Layout(columns=COLUMNS)),
        "names": [column.name for column in columns],
        "columns": [values_of(column) for column in columns],
        "constants": {"_sdc_job_id": "j"},
        "storage": {"root": str(folder / "parts"), "prefix": "p-", "options": {}},
        "noted": None,
        "encoding": {"format": form, "compression": "gzip" if form == "jsonl" else "none"},
        "part": PLACE,
        "samples": False,
        "places": False,
        "rejects_max_count": 0,
    }
    return {**made, **changes}


def rows(result: Result) -> list[list[Json]]:
    return [_read(Path(part["url"].removeprefix("file://"))) for part in result["parts"]]


def _read(path: Path) -> list[Json]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def left(folder: Path) -> list[str]:
    """Return what is neither a part nor a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if path.suffix == ".tmp" or not path.name.startswith("p-s-j-")]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_rows_come_in_parts(server: Server, tmp_path: Path, form: str) -> None:
    """All rows in their order, in parts of bounded size, with nothing left in spool or storage."""
    result = do_work(task(server, tmp_path, form))
    assert [part["rows"] for part in result["parts"]] == [10, 10, 5]
    assert [row for part in rows(result) for row in part] == ROWS
    assert (result["rows"], result["last_row"], result["bytes"], result["error"]) == (25, 25, len(BODY), None)
    names = [Path(part["url"]).name.rpartition("-")[0] for part in result["parts"]]
    assert names == [f"p-s-j-{number:05d}" for number in (1, 2, 3)]
    assert left(tmp_path) == []


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_task_and_result_are_json(server: Server, tmp_path: Path, form: str) -> None:
    """What went through JSON means the same, and a second call answers the same: an engine elsewhere may do either."""
    plain = task(server, tmp_path, form)
    first = do_work(plain)
    assert do_work(json.loads(json.dumps(plain))) == first == json.loads(json.dumps(first))


def test_work_does_not_change_its_task(server: Server, tmp_path: Path) -> None:
    given = task(server, tmp_path)
    before = json.dumps(given)
    do_work(given)
    assert json.dumps(given) == before


def test_work_at_the_same_time_is_the_same(server: Server, tmp_path: Path) -> None:
    """Equal tasks in several threads give equal names and whole parts, whoever is first."""
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(do_work, [task(server, tmp_path)] * 8))
    assert [result["parts"] for result in results] == [results[0]["parts"]] * 8
    assert [row for part in rows(results[0]) for row in part] == ROWS
    assert left(tmp_path) == []


def test_layout_survives_as_json(server: Server, tmp_path: Path) -> None:
    """Skipped rows, delimiter, encoding, aliases and deselected columns are those of the layout."""
    server.steps = [reply(200, "A;ü;n\nä;1;1\nb;2;2\nc;3;3\n".encode("latin-1"))]
    known = {**COLUMNS, "ü": Column("ü", Kind.STRING)}
    deselected = frozenset({"ü"})
    layout = Layout(known, deselected, {"A": "a"}, Contract.FREEZE, CsvDialect(";", encoding="latin-1"), skip_rows=1)
    result = do_work(json.loads(json.dumps(task(server, tmp_path, layout=layout_values(layout)))))
    assert rows(result) == [[{**ROWS[n - 1], "a": a} for n, a in ((2, "b"), (3, "c"))]]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_rows_that_state_covers_are_skipped(server: Server, tmp_path: Path, form: str) -> None:
    """Only of the very file that they were read from; of any other one every row comes."""
    noted = {"sha256": hashlib.sha256(BODY).hexdigest(), "rows": 10, "etag": None}
    result = do_work(task(server, tmp_path, form, noted=noted))
    assert [row for part in rows(result) for row in part] == ROWS[10:]
    assert (result["rows"], result["skipped"], result["last_row"]) == (15, 10, 25)
    result = do_work(task(server, tmp_path, form, noted={**noted, "sha256": "other"}))
    assert ([row for part in rows(result) for row in part], result["skipped"]) == (ROWS, 0)


def test_parts_are_shown_as_the_storage_shows_them(server: Server, tmp_path: Path) -> None:
    result = do_work(task(server, tmp_path))
    sizes = [Path(part["url"].removeprefix("file://")).stat().st_size for part in result["parts"]]
    assert [(part["size"], part["digest"]) for part in result["parts"]] == [(size, None) for size in sizes]


def test_expired_url_is_a_value(server: Server, tmp_path: Path) -> None:
    """It says so; the same task with a new URL goes through."""
    server.steps = [reply(403), reply(200, BODY)]
    result = do_work(task(server, tmp_path))
    assert (result["error"]["kind"], result["parts"], result["rows"]) == ("UrlExpiredError", [], 0)
    assert do_work(task(server, tmp_path))["error"] is None


def test_url_is_renewed_where_that_can_be_asked(server: Server, tmp_path: Path) -> None:
    """In the tap's own process a download goes on where it broke, with a new URL."""
    whole = Store(BODY)
    server.steps = [replace(whole, stop_at=100), reply(403), whole]
    renewed = RemoteFile("export.csv", f"{server.url}/renewed")
    result = work(task(server, tmp_path), Host(renew=lambda: renewed))
    assert [row for part in rows(result) for row in part] == ROWS
    assert [(seen.path, seen.headers["Range"]) for seen in server.seen[1:]] == [
        ("/export.csv?token=SECRET", "bytes=100-"),
        ("/renewed", "bytes=100-"),
    ]


def test_cut_file_is_a_value(server: Server, tmp_path: Path) -> None:
    """Rows before the cut are in parts, as RECORD messages would have brought them; the error tells of the rest."""
    packed = gzip.compress(LONG, mtime=0)
    server.steps = [reply(200, packed[: len(packed) - 9])]
    result = do_work(
        task(server, tmp_path, spool={"folder": str(tmp_path), "max_mb": 9}, part=PLACE | {"rows": 10_000})
    )
    assert result["error"]["kind"] == "BadContentError"
    found = [row["n"] for part in rows(result) for row in part]
    assert found == list(range(len(found))) != []
    assert result["parts"][-1]["rows"] < 10_000
    assert left(tmp_path) == []


def test_rejects_are_values(server: Server, tmp_path: Path) -> None:
    """Rows that do not fit come beside the parts, as many as may; one more is an error with file, row and column."""
    server.steps = [reply(200, b"a,n\nx,1\ny,no\nz,3\n")]
    result = do_work(task(server, tmp_path, rejects_max_count=1))
    assert [(r["row"], r["column"], r["code"]) for r in result["rejects"]] == [(2, "n", "type")]
    assert [row["a"] for part in rows(result) for row in part] == ["x", "z"]
    error = do_work(task(server, tmp_path))["error"]
    assert (error["kind"], error["file"], error["row"], error["column"]) == ("RejectLimitError", "export.csv", 2, "n")


def test_storage_that_refuses_is_a_value(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    result = do_work(
        task(server, tmp_path, storage={"root": str(tmp_path / "file" / "below"), "prefix": "", "options": {}})
    )
    assert (result["error"]["kind"], result["parts"]) == ("StopError", [])
    assert "batch_config.storage: cannot write" in result["error"]["message"]


def _failing_at(number: int) -> Any:  # noqa: ANN401 - stands for a method
    publish, calls = Draft.publish, count(1)

    def fail(draft: Draft) -> str:
        if next(calls) == number:
            raise StopError("No space left on device")
        return publish(draft)

    return fail


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_write_that_fails_makes_no_part(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """A part that the storage refused gets no name, nor does the one that began while it ended; those before have."""
    whole = do_work(task(server, tmp_path, form))["parts"]

    monkeypatch.setattr("tap_exports.engine.publish.storage.Draft.publish", _failing_at(2))
    result = do_work(task(server, tmp_path / "again", form))
    assert [part["rows"] for part in result["parts"]] == [whole[0]["rows"]]
    assert result["error"]["kind"] == "StopError"
    assert left(tmp_path) == []


def test_page_and_unsafe_url_are_values(server: Server, tmp_path: Path) -> None:
    server.steps = [reply(200, b"<html></html>", **{"Content-Type": "text/html"})]
    assert do_work(task(server, tmp_path))["error"]["kind"] == "UrlExpiredError"
    guarded = asdict(replace(HTTP, allow_private_hosts=False))
    assert do_work(task(server, tmp_path, http=guarded))["error"]["kind"] == "UnsafeUrlError"


def test_no_url_in_an_error(server: Server, tmp_path: Path) -> None:
    """Whatever goes wrong, the signed URL's query stays out of the words."""
    for step in (reply(403), reply(418), cut(BODY[:50], len(BODY))):
        server.steps = [step]
        assert "SECRET" not in json.dumps(do_work(task(server, tmp_path)))


def test_new_columns_stop_the_work(server: Server, tmp_path: Path) -> None:
    """Before the first row that holds one; what came before is in parts, and the task with them goes on behind it."""
    lines = b'{"a":"x","n":1}\n' + b'{"a":"y","n":2,"late":true}\n'
    server.steps = [reply(200, lines)]
    remote = {**task(server, tmp_path)["file"], "format": "json"}
    result = do_work(task(server, tmp_path, file=remote))
    assert [(c["name"], c["kind"]) for c in result["new_columns"]] == [("late", "boolean")]
    assert (result["parts"], result["last_row"]) == ([], 0)
    known = layout_values(Layout(columns=COLUMNS).extended([Column("late", Kind.BOOLEAN)]))
    names = [*task(server, tmp_path)["names"], "late"]
    again = do_work(task(server, tmp_path, file=remote, layout=known, names=names))
    assert [row.get("late") for part in rows(again) for row in part] == [None, True]


def test_sample_types_new_columns(server: Server, tmp_path: Path) -> None:
    """Where a stream's columns come from samples, a new one has the type that the file shows."""
    server.steps = [reply(200, b"a,n,more\nx,1,7\n")]
    kinds = [
        [column["kind"] for column in do_work(task(server, tmp_path, samples=samples))["new_columns"]]
        for samples in (False, True)
    ]
    assert kinds == [["string"], ["integer"]]


def test_run_that_ends_leaves_nothing(server: Server, tmp_path: Path) -> None:
    """A worker that is told so stops at its next batch and removes what is not whole."""
    server.steps = [reply(200, LONG)]
    ended = iter([False, True]).__next__
    given = task(server, tmp_path, spool={"folder": str(tmp_path), "max_mb": 9}, part=PLACE | {"rows": 200_000})
    result = work(given, Host(ended=ended))
    assert (result["error"]["kind"], result["parts"]) == ("RunEndingError", [])
    assert result["rows"] > 0
    assert list(tmp_path.rglob("*.*")) == []


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("skipped", [0, 2])
def test_rows_have_the_places_of_the_reader_of_rows(server: Server, tmp_path: Path, form: str, skipped: int) -> None:
    """An executor counts equal rows too, those that an earlier task has converted among them."""
    body = b"a,n\nx,1\ny,2\nx,1\nx,1\n"
    server.steps[:] = [reply(200, body)]
    (file := tmp_path / "file").write_bytes(body)
    local = LocalFile("export.csv", file, len(body), "")
    (told,) = read(local, "csv", Layout(columns=COLUMNS), Places(lambda: tmp_path / "digests"))
    assert isinstance(told, Rows)
    expected = [(row["_sdc_row_digest"], row["_sdc_row_copy"]) for row in rows_of(told)]
    columns = [Column("_sdc_row_digest", Kind.STRING), Column("_sdc_row_copy", Kind.INTEGER)]
    layout = layout_values(Layout(columns=COLUMNS, skip_rows=skipped))
    given = {"names": [c.name for c in columns], "columns": [values_of(c) for c in columns], "layout": layout}
    found = rows(do_work(task(server, tmp_path, form, places=True, **given)))
    assert [tuple(row.values()) for part in found for row in part] == expected[skipped:]
    assert [copy for _, copy in expected] == [1, 1, 2, 3]
