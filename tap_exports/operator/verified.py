"""Compares the rows of a DuckDB file with the receipts in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tap_exports.engine.model import JOB_ID
from tap_exports.errors import ConfigError
from tap_exports.operator.report import Report, Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RECEIPTS = "export_jobs"
COMPLETED = "SELECT stream, job_id, rows FROM export_jobs WHERE status = 'completed' AND rows > 0 ORDER BY requested_at"
TABLES = "SELECT table_name FROM duckdb_columns() WHERE schema_name = 'main' AND column_name = ?"


@dataclass(frozen=True, slots=True)
class Compared:
    """A job: how many rows its receipt has, and how many are in the table.

    Attributes:
        stream: Its stream.
        job: Its id.
        receipt: Rows that were written, as the receipt says.
        loaded: Rows of that job in the table.
        verdict: `equal`; `replaced` by rows of a later job; `fewer` or `more`, which is wrong.
    """

    stream: str
    job: str
    receipt: int
    loaded: int
    verdict: str


def verified(file: Path) -> Report:
    """Return what the file holds of each job beside its receipt, and rows whose job has none.

    Raises:
        ConfigError: duckdb is not installed, or the file cannot be read.
    """
    with _opened(file) as database:
        jobs = list(_jobs(database))
        strangers = dict(_strangers(database))
    wrong = [each for each in jobs if each.verdict in {"fewer", "more"}]
    cells = [(each.stream, each.job, str(each.receipt), str(each.loaded), each.verdict) for each in jobs]
    rows = sum(each.loaded for each in jobs)
    notes = [f"{len(jobs)} jobs, {rows} rows; {len(wrong)} jobs differ from their receipts"]
    notes += [f"{stream}: {count} rows of jobs without a receipt" for stream, count in strangers.items()]
    data = {
        "command": "load",
        "version": 1,
        "jobs": [{name: getattr(each, name) for name in Compared.__slots__} for each in jobs],
        "without_receipt": strangers,
    }
    table = Table(("stream", "job", "rows in receipt", "rows in file", "verdict"), cells)
    return Report(data, [table], notes, is_well=not wrong and not strangers)


def _opened(file: Path) -> DuckDBPyConnection:
    try:
        import duckdb  # noqa: PLC0415 - an extra, and needed here only
    except ImportError:
        raise ConfigError("duckdb is not installed; install tap-exports[duckdb]") from None
    try:
        return duckdb.connect(str(file), read_only=True)
    except duckdb.Error as error:
        told = str(error).partition("\n")[0]
        raise ConfigError(f"{file} cannot be read: {told}") from None


def _tables(database: DuckDBPyConnection) -> list[str]:
    found = {str(name) for (name,) in database.execute(TABLES, [JOB_ID]).fetchall()}
    return sorted(found - {RECEIPTS})


def _jobs(database: DuckDBPyConnection) -> Iterator[Compared]:
    counts = {(table, job): count for table in _tables(database) for job, count in _counted(database, table)}
    receipts = database.execute(COMPLETED).fetchall() if _has_receipts(database) else []
    tables = {table for table, _ in counts} | set(_tables(database))
    last = {stream: job for stream, job, _ in receipts}
    for stream, job, rows in receipts:
        if stream in tables:
            loaded = counts.get((stream, job), 0)
            yield Compared(stream, job, rows, loaded, _verdict(rows, loaded, is_last=last[stream] == job))


def _verdict(receipt: int, loaded: int, *, is_last: bool) -> str:
    if receipt == loaded:
        return "equal"
    if loaded > receipt:
        return "more"
    return "fewer" if is_last else "replaced"


def _strangers(database: DuckDBPyConnection) -> Iterator[tuple[str, int]]:
    known = {job for _, job, _ in database.execute(COMPLETED).fetchall()} if _has_receipts(database) else set[Any]()
    for table in _tables(database):
        if count := sum(count for job, count in _counted(database, table) if job and job not in known):
            yield table, count


def _counted(database: DuckDBPyConnection, table: str) -> list[tuple[str, int]]:
    name = table.replace('"', '""')
    return database.execute(f'SELECT {JOB_ID}, count(*) FROM "{name}" GROUP BY ALL').fetchall()  # noqa: S608 - quoted


def _has_receipts(database: DuckDBPyConnection) -> bool:
    found = database.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = ?", [RECEIPTS]).fetchone()
    return bool(found and found[0])
