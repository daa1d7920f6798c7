"""Compares the tables of a DuckDB file with the books that its loader kept, and with the receipts in it.

The books (`_exports.loads`) hold what each load added and took away, by job: rows and a digest of their values. What
they add up to is in the table, unless something else changed it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tap_exports.engine.model import JOB_ID
from tap_exports.errors import ConfigError
from tap_exports.operator.report import Report, Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Key = tuple[str, str | None]
RECEIPTS, MARK = "export_jobs", "_sdc_deleted_at"
COMPLETED = "SELECT stream, job_id, rows FROM export_jobs WHERE status = 'completed' AND rows > 0 ORDER BY requested_at"
COLUMNS = (
    "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'main' ORDER BY table_name, column_index"
)
# As the loader writes them; `hash` may differ between versions of DuckDB.
BOOKS = """
SELECT stream, table_name, job, CASE WHEN bool_and(taken IS NOT NULL) THEN sum(taken) END, sum(rows),
CASE WHEN bool_and(hashes = hash('a', 1, 2.5, true)) THEN sum(digest) END
FROM _exports.loads WHERE schema_name = 'main' GROUP BY ALL ORDER BY ALL
"""
WRONG = frozenset({"changed", "fewer", "more"})


class Booked(NamedTuple):
    """What a loader took of a job, and what of it should be in the table; None: not known."""

    taken: int | None = None
    rows: int | None = None
    digest: int | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """The rows of a job, or those of no job, in a table.

    Attributes:
        stream: Its stream.
        job: Its id; None for rows of lists.
        receipt: Rows that the tap wrote, as the receipt says; None without one.
        taken: Rows that the loader took; None if nobody knows.
        loaded: Rows in the table.
        verdict: `equal`; `replaced` by later rows; what is wrong: `changed` (a value), `fewer`, `more`.
    """

    stream: str
    job: str | None
    receipt: int | None
    taken: int | None
    loaded: int
    verdict: str


def verified(file: Path) -> Report:
    """Return what the file holds of each job beside books and receipt, and rows whose job has no receipt.

    Raises:
        ConfigError: duckdb is not installed, or the file cannot be read.
    """
    with _opened(file) as database:
        found = sorted(_compared(database), key=lambda each: (each.stream, each.job or ""))
        known = {job for _, job in _receipts(database)}
    wrong = [each for each in found if each.verdict in WRONG]
    strangers: dict[str, int] = {}
    for each in found:
        if each.job and each.job not in known and each.loaded:
            strangers[each.stream] = strangers.get(each.stream, 0) + each.loaded
    rows = sum(each.loaded for each in found)
    notes = [f"{len(found)} jobs and lists, {rows} rows; {len(wrong)} are not as they were loaded"]
    notes += [f"{stream}: {count} rows of jobs without a receipt" for stream, count in strangers.items()]
    data = {
        "command": "load",
        "version": 1,
        "jobs": [{name: getattr(each, name) for name in Compared.__slots__} for each in found],
        "without_receipt": strangers,
    }
    names = ("stream", "job", "rows in receipt", "rows taken", "rows in file", "verdict")
    table = Table(names, [tuple(_cell(getattr(each, name)) for name in Compared.__slots__) for each in found])
    return Report(data, [table], notes, is_well=not wrong and not strangers)


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _opened(file: Path) -> DuckDBPyConnection:
    try:
        import duckdb  # noqa: PLC0415 - an extra, and needed here only
    except ImportError:
        raise ConfigError("duckdb is not installed; install tap-exports[duckdb]") from None
    try:
        database = duckdb.connect(str(file), read_only=True)
    except duckdb.Error as error:
        told = str(error).partition("\n")[0]
        raise ConfigError(f"{file} cannot be read: {told}") from None
    database.execute("SET threads = 1")  # as the loader: it bounds the memory
    return database


def _compared(database: DuckDBPyConnection) -> Iterator[Compared]:
    receipts = _receipts(database)
    books, streams = _books(database)
    found = {streams.get(table, table): jobs for table, jobs in _found(database, streams)}
    loaded = {(stream, job): seen for stream, jobs in found.items() for job, seen in jobs.items()}
    by_job = {stream for stream, job in {**books, **loaded} if job}
    unknown = {stream for (stream, _), booked in books.items() if booked.taken is None}
    last: dict[str, str | None] = dict(iter(receipts))
    for key in {**receipts, **books, **loaded}:
        stream, job = key
        if key not in receipts or stream in by_job:
            is_known = stream in streams.values() and stream not in unknown
            booked = books.get(key, Booked(0, 0, 0) if is_known else Booked())
            receipt, (rows, digest) = receipts.get(key), loaded.get(key, (0, 0))
            verdict = _verdict(receipt, booked, rows, digest, is_last=last.get(stream) == job)
            yield Compared(stream, job, receipt, booked.taken, rows, verdict)


def _verdict(receipt: int | None, booked: Booked, rows: int, digest: int, *, is_last: bool) -> str:
    if booked.rows is not None and rows != booked.rows:
        return "fewer" if rows < booked.rows else "more"
    if booked.digest is not None and digest != booked.digest:
        return "changed"
    due = booked.taken if receipt is None else receipt
    if due is None or due == rows:
        return "equal"
    if rows > due:
        return "more"
    is_whole = not is_last if booked.taken is None else booked.taken >= due
    return "replaced" if is_whole else "fewer"


def _receipts(database: DuckDBPyConnection) -> dict[Key, int]:
    found = database.execute(COMPLETED).fetchall() if _has(database, "main", RECEIPTS) else []
    rows_of: dict[Key, int] = {}
    for stream, job, rows in found:  # two accounts may have a job of the same id
        rows_of[stream, job] = rows_of.get((stream, job), 0) + rows
    return rows_of


def _books(database: DuckDBPyConnection) -> tuple[dict[Key, Booked], dict[str, str]]:
    """Return the books, and the stream of each table that has some."""
    found = database.execute(BOOKS).fetchall() if _has(database, "_exports", "loads") else []
    books = {(stream, job): Booked(*booked) for stream, _, job, *booked in found}
    return books, {table: stream for stream, table, *_ in found}


def _found(
    database: DuckDBPyConnection, booked: dict[str, str]
) -> Iterator[tuple[str, dict[str | None, tuple[int, int]]]]:
    """Yield each table that a loader filled, with the rows and the digest of each job."""
    tables: dict[str, list[str]] = {}
    for table, column in database.execute(COLUMNS).fetchall():
        tables.setdefault(table, []).append(column)
    for table, columns in tables.items():
        if table in booked or (JOB_ID in columns and table != RECEIPTS):
            yield table, _jobs(database, table, columns)


def _jobs(database: DuckDBPyConnection, table: str, columns: list[str]) -> dict[str | None, tuple[int, int]]:
    job = f"CAST({JOB_ID} AS VARCHAR)" if JOB_ID in columns else "NULL"
    listed = ", ".join(_quoted(name) for name in columns if name != MARK)
    digest = f"SELECT {job} AS job, count(*), sum(hash({listed})) FROM {_quoted(table)} GROUP BY job"  # noqa: S608 - quoted
    return {job: (rows, digest) for job, rows, digest in database.execute(digest).fetchall()}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _has(database: DuckDBPyConnection, schema: str, table: str) -> bool:
    found: Any = database.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?", [schema, table]
    ).fetchone()
    return bool(found[0])
