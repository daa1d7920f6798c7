"""`tap-exports load --verify`: what the file holds, beside the books of its loader and the receipts of the tap."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.loaders.target import Message, Target, record, schema
from tests.operator.calling import Caller


def given(folder: Path, *receipts: tuple[str, str, int], **rows: int) -> str:
    """Make a file of receipts and of one table whose rows are counted by job."""
    path = folder / "exports.duckdb"
    with duckdb.connect(str(path)) as database:
        database.execute(
            "CREATE TABLE export_jobs (stream VARCHAR, job_id VARCHAR, status VARCHAR, rows INT, requested_at INT)"
        )
        for at, (stream, job, count) in enumerate(receipts):
            database.execute("INSERT INTO export_jobs VALUES (?, ?, 'completed', ?, ?)", [stream, job, count, at])
        database.execute("CREATE TABLE t (v INT, _sdc_job_id VARCHAR)")
        for job, count in rows.items():
            database.execute("INSERT INTO t SELECT n, ? FROM range(?) AS r(n)", [job, count])
    return str(path)


@pytest.mark.parametrize(
    ("rows", "verdicts", "code"),
    [
        ({"a": 3, "b": 2}, ["equal", "equal"], 0),
        ({"a": 1, "b": 2}, ["replaced", "equal"], 0),
        ({"b": 2}, ["replaced", "equal"], 0),
        ({"a": 3, "b": 1}, ["equal", "fewer"], 3),
        ({"a": 3}, ["equal", "fewer"], 3),
        ({"a": 4, "b": 2}, ["more", "equal"], 3),
        ({"a": 3, "b": 2, "stranger": 1}, ["equal", "equal", "equal"], 3),
    ],
)
def test_rows_are_compared_with_receipts(
    rows: dict[str, int], verdicts: list[str], code: int, tmp_path: Path, call: Caller
) -> None:
    """A job may have fewer rows than its receipt where a later job replaced them, never otherwise."""
    file = given(tmp_path, ("t", "a", 3), ("t", "b", 2), **rows)
    done = call("load", file, "--verify", "--format", "json")
    assert ([job["verdict"] for job in done.data["jobs"]], done.code) == (verdicts, code)
    assert done.data["without_receipt"] == ({"t": 1} if "stranger" in rows else {})


KEYED = schema("t", ["id"], id="integer", v="string", n="number", _sdc_job_id="string")
JOBS = schema(
    "export_jobs",
    ["job_id"],
    stream="string",
    job_id="string",
    status="string",
    rows="integer",
    requested_at="string",
)
LIST = schema("list", ["id"], id="integer")


def receipt(job: str, rows: int) -> Message:
    """Return the receipt of a completed job of `t`."""
    return record("export_jobs", stream="t", job_id=job, status="completed", rows=rows, requested_at=job)


def rows(job: str, *numbers: int, **more: str) -> list[Message]:
    """Return rows of a job."""
    return [record("t", id=n, v=f"v{n}", n=0.5, _sdc_job_id=job, **more) for n in numbers]


def loaded(folder: Path) -> Target:
    """Load two jobs, the second of which replaces a row of the first, and a list; both have receipts."""
    target = Target(folder / "exports.duckdb")
    first = [KEYED, JOBS, LIST, *rows("a", 1, 2, 3), receipt("a", 3), record("list", id=1), record("list", id=1)]
    target.run(*first)
    target.run(KEYED, JOBS, *rows("b", 3, 4), receipt("b", 2))
    return target


def verdicts(call: Caller, target: Target) -> dict[str, str]:
    """Return the verdicts by job, of lists by their name; the exit code is 3 where one says that something is wrong."""
    done = call("load", str(target.path), "--verify", "--format", "json")
    found = {job["job"] or job["stream"]: job["verdict"] for job in done.data["jobs"]}
    assert done.code == (3 if set(found.values()) & {"changed", "fewer", "more"} else 0)
    return found


AS_LOADED = {"a": "replaced", "b": "equal", "export_jobs": "equal", "list": "replaced"}


@pytest.mark.parametrize(
    ("sql", "wrong"),
    [
        ("SELECT 1", {}),
        ("UPDATE t SET v = 'V1' WHERE id = 1", {"a": "changed"}),
        ("UPDATE t SET v = NULL WHERE id = 1", {"a": "changed"}),
        ("UPDATE t SET v = '' WHERE id = 4", {"b": "changed"}),
        ("UPDATE t SET n = 0.50000000000000011 WHERE id = 4", {"b": "changed"}),
        ("UPDATE t SET v = CASE id WHEN 1 THEN 'v2' ELSE 'v1' END WHERE id < 3", {"a": "changed"}),
        ("UPDATE t SET id = 10 WHERE id = 1", {"a": "changed"}),
        ("DELETE FROM t WHERE id = 1", {"a": "fewer"}),
        ("INSERT INTO t FROM t WHERE id = 4", {"b": "more"}),
        ("DELETE FROM t WHERE id = 1; INSERT INTO t FROM t WHERE id = 2", {"a": "changed"}),
        ("UPDATE t SET _sdc_job_id = 'a'", {"a": "more", "b": "fewer"}),
        ("DROP TABLE t", {"a": "fewer", "b": "fewer"}),
        ("UPDATE list SET id = 2", {"list": "changed"}),
        ("DELETE FROM list", {"list": "fewer"}),
        ("UPDATE export_jobs SET rows = 3 WHERE job_id = 'b'", {"export_jobs": "changed", "b": "fewer"}),
    ],
)
def test_what_changed_since_the_load_is_found(sql: str, wrong: dict[str, str], tmp_path: Path, call: Caller) -> None:
    """A value that is changed, and a row that is lost, doubled or moved; in lists too, which have no receipts."""
    target = loaded(tmp_path)
    with duckdb.connect(str(target.path)) as database:
        database.execute(sql)
    assert verdicts(call, target) == {**AS_LOADED, **wrong}
    if wrong and "export_jobs" not in wrong and "DROP" not in sql:  # the next load does not hide it
        more = schema("t", ["id"], id="integer", v="string", n="number", _sdc_job_id="string", more="string")
        target.run(more, JOBS, *rows("c", 5, more="x"), receipt("c", 1), LIST, record("list", id=7))
        assert {**verdicts(call, target), "list": ""} == {**AS_LOADED, **wrong, "c": "equal", "list": ""}


def test_loads_of_every_kind_are_booked(tmp_path: Path, call: Caller) -> None:
    """Columns that are added or widened, keys that come twice, rows of old versions that are deleted or marked."""
    target = loaded(tmp_path)
    wider = schema("t", ["id"], id="string", v="string", n="number", _sdc_job_id="string", more="object")
    rows = [record("t", 7, id=n, _sdc_job_id="c", n=12345678901234567, more={"a": 1}) for n in "5566"]
    for _ in range(2):
        target.run(wider, JOBS, *rows)
    target.run(JOBS, receipt("c", 4), wider, {"type": "ACTIVATE_VERSION", "stream": "t", "version": 7})
    assert target.types("t")["n"] == "VARCHAR"
    assert target.query("SELECT sum(taken), sum(rows) FROM _exports.loads WHERE job = 'c'") == [(8, 2)]
    assert verdicts(call, target) == {**AS_LOADED, "b": "replaced", "c": "replaced"}
    soft = Target(target.path, hard_delete=False)
    soft.run(wider, record("t", 8, id="9", _sdc_job_id="c"), {"type": "ACTIVATE_VERSION", "stream": "t", "version": 8})
    assert [bool(row["_sdc_deleted_at"]) for row in soft.rows("t")] == [True, True, False]
    assert verdicts(call, target)["c"] == "replaced"


@pytest.mark.parametrize("sql", ["DROP TABLE _exports.loads", "UPDATE _exports.loads SET hashes = 1"])
def test_file_without_books(sql: str, tmp_path: Path, call: Caller) -> None:
    """Of an older loader, or of another DuckDB whose `hash` differs: counts only; the next load begins the books."""
    target = loaded(tmp_path)
    with duckdb.connect(str(target.path)) as database:
        database.execute(sql)
        database.execute("UPDATE t SET v = 'V1' WHERE id = 1")
    assert verdicts(call, target).items() >= {"a": "replaced", "b": "equal"}.items()
    target.run(KEYED, *rows("c", 5), JOBS, receipt("c", 1))
    assert verdicts(call, target).items() >= {"a": "replaced", "b": "equal", "c": "equal"}.items()
    with duckdb.connect(str(target.path)) as database:
        database.execute("UPDATE t SET v = 'V5' WHERE id = 5")
    assert verdicts(call, target)["c"] == "changed"


def test_a_job_of_several_streams_has_one_receipt(tmp_path: Path, call: Caller) -> None:
    """An archive feeds several streams; its receipt names one of them, whose own table may be a list."""
    target = Target(tmp_path / "exports.duckdb")
    listed = [schema("archives", ["id"], id="string"), record("archives", id="a")]
    rows = [schema("t", ["id"], id="integer", _sdc_job_id="string"), record("t", id=1, _sdc_job_id="a")]
    told = {"stream": "archives", "job_id": "a", "status": "completed", "rows": 2, "requested_at": "1"}
    target.run(*listed, *rows, JOBS, record("export_jobs", **told))
    done = call("load", str(target.path), "--verify", "--format", "json")
    assert (done.data["without_receipt"], done.code) == ({}, 0)


OWN = schema("t", ["_sdc_account", "id"], _sdc_account="string", id="integer", _sdc_job_id="string")
OWN_JOBS = schema(
    "export_jobs",
    ["_sdc_account", "job_id"],
    _sdc_account="string",
    stream="string",
    job_id="string",
    status="string",
    rows="integer",
    requested_at="string",
)


@pytest.mark.parametrize(
    ("rows_of", "found", "code"),
    [
        ({"a": 2, "b": 1}, {("a", "7"): "equal", ("b", "7"): "equal"}, 0),
        ({"a": 1, "b": 2}, {("a", "7"): "replaced", ("b", "7"): "more"}, 3),
        ({"a": 2, "b": 1, "c": 1}, {("a", "7"): "equal", ("b", "7"): "equal", ("c", "7"): "replaced"}, 3),
    ],
)
def test_each_account_has_its_own_receipts(
    rows_of: dict[str, int], found: dict[tuple[str, str], str], code: int, tmp_path: Path, call: Caller
) -> None:
    """Two accounts may have a job of one id: a row that went to the other account is found, though the sum is right."""
    target = Target(tmp_path / "exports.duckdb")
    told = {"stream": "t", "job_id": "7", "status": "completed", "requested_at": "1"}
    receipts = [record("export_jobs", _sdc_account=whose, rows=count, **told) for whose, count in (("a", 2), ("b", 1))]
    moved = [(whose, n) for whose, count in rows_of.items() for n in range(count)]
    sent = [record("t", _sdc_account=whose, id=n, _sdc_job_id="7") for whose, n in moved]
    target.run(OWN, OWN_JOBS, *sent, *receipts)
    done = call("load", str(target.path), "--verify", "--format", "json")
    jobs = {(job["account"], job["job"]): job["verdict"] for job in done.data["jobs"] if job["stream"] == "t"}
    assert (jobs, done.code) == (found, code)
    assert done.data["without_receipt"] == ({"t": 1} if "c" in rows_of else {})
