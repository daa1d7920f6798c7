"""Compares the tables of a DuckDB file with the books that its loader kept, and with the receipts in it.

The books (`_exports.loads`) hold what each load added and took away, by job: rows and a digest of their values. What
they add up to is in the table, unless something else changed it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tap_exports.engine.model import ACCOUNT, JOB_ID
from tap_exports.errors import ConfigError
from tap_exports.operator.report import Report, Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Key = tuple[str, str | None]
Owned = tuple[str, str | None, str | None]  # stream, job, account
RECEIPTS, MARK = "export_jobs", "_sdc_deleted_at"
COMPLETED = (
    "SELECT stream, job_id, {account}, sum(rows) FROM export_jobs WHERE status = 'completed' AND rows > 0 "
    "GROUP BY ALL ORDER BY max(requested_at)"
)
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


class Held(NamedTuple):
    """What a table holds of a job and account: its rows, and the sum of their digests."""

    rows: int = 0
    digest: int = 0


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
        account: Whose job it is; None where the provider's block has no accounts.
        job: Its id; None for rows of lists.
        receipt: Rows that the tap wrote, as the receipt says; None without one.
        taken: Rows that the loader took, for all accounts with a job of that id; None if nobody knows.
        loaded: Rows in the table.
        verdict: `equal`; `replaced` by later rows; what is wrong: `changed` (a value), `fewer`, `more`.
    """

    stream: str
    account: str | None
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
        found = sorted(_compared(database), key=lambda each: (each.stream, each.account or "", each.job or ""))
        known = {(job, account) for _, job, whose in _receipts(database) for account in (whose, None)}
    wrong = [each for each in found if each.verdict in WRONG]
    strangers = Counter[str]()
    for each in found:
        if each.job and each.loaded and (each.job, each.account) not in known:
            strangers[each.stream] += each.loaded
    rows = sum(each.loaded for each in found)
    notes = [f"{len(found)} jobs and lists, {rows} rows; {len(wrong)} are not as they were loaded"]
    notes += [f"{stream}: {count} rows of jobs without a receipt" for stream, count in strangers.items()]
    data = {
        "command": "load",
        "version": 1,
        "jobs": [{name: getattr(each, name) for name in Compared.__slots__} for each in found],
        "without_receipt": dict(strangers),
    }
    names = ("stream", "account", "job", "rows in receipt", "rows taken", "rows in file", "verdict")
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
    books, streams = _books(database)
    tables = dict(_found(database, streams))
    loaded = {(streams.get(table, table), *of): held for table, jobs in tables.items() for of, held in jobs.items()}
    receipts = _receipts(database, {stream for stream, _, account in loaded if account is not None})
    whole, due = _summed(loaded), Counter[Key]()
    for (stream, job, _), rows in receipts.items():
        due[stream, job] += rows
    by_job = {stream for stream, job in (*books, *whole) if job}
    unknown = {stream for (stream, _), booked in books.items() if booked.taken is None}
    last = {(stream, account): job for stream, job, account in receipts}
    nobodys = [(*key, None) for key in books if key not in due and key not in whole]
    for of in dict.fromkeys((*receipts, *nobodys, *loaded)):
        stream, job, account = of
        if of not in receipts or stream in by_job:
            is_known = stream in streams.values() and stream not in unknown
            booked = books.get((stream, job), Booked(0, 0, 0) if is_known else Booked())
            rows, is_last = loaded.get(of, Held()).rows, last.get((stream, account)) == job
            is_whole = not is_last if booked.taken is None else booked.taken >= due[stream, job]
            verdict = _of_books(booked, whole.get((stream, job), Held()))
            verdict = verdict or _of_receipt(receipts.get(of, booked.taken), rows, is_whole=is_whole)
            yield Compared(stream, account, job, receipts.get(of), booked.taken, rows, verdict)


def _summed(loaded: Mapping[Owned, Held]) -> dict[Key, Held]:
    """Return what tables hold of each job, for all accounts with a job of that id: so the loader keeps its books."""
    found: dict[Key, Held] = {}
    for (stream, job, _), held in loaded.items():
        before = found.get((stream, job), Held())
        found[stream, job] = Held(before.rows + held.rows, before.digest + held.digest)
    return found


def _of_books(booked: Booked, held: Held) -> str | None:
    if booked.rows is not None and held.rows != booked.rows:
        return "fewer" if held.rows < booked.rows else "more"
    return "changed" if booked.digest is not None and held.digest != booked.digest else None


def _of_receipt(due: int | None, rows: int, *, is_whole: bool) -> str:
    if due is None or due == rows:
        return "equal"
    if rows > due:
        return "more"
    return "replaced" if is_whole else "fewer"


def _receipts(database: DuckDBPyConnection, owned: set[str] | None = None) -> dict[Owned, int]:
    """Return the rows of receipts; those of all accounts together where a stream is not among those with accounts.

    The receipt of a job that several streams read names one of them.
    """
    if not _has(database, "main", RECEIPTS):
        return {}
    columns = [name for table, name in database.execute(COLUMNS).fetchall() if table == RECEIPTS]
    account = f"nullif({ACCOUNT}, '')" if ACCOUNT in columns else "NULL"
    rows_of: dict[Owned, int] = {}
    for stream, job, whose, rows in database.execute(COMPLETED.format(account=account)).fetchall():
        key = stream, job, whose if owned is None or stream in owned else None
        rows_of[key] = rows_of.get(key, 0) + rows
    return rows_of


def _books(database: DuckDBPyConnection) -> tuple[dict[Key, Booked], dict[str, str]]:
    """Return the books, and the stream of each table that has some."""
    found = database.execute(BOOKS).fetchall() if _has(database, "_exports", "loads") else []
    books = {(stream, job): Booked(*booked) for stream, _, job, *booked in found}
    return books, {table: stream for stream, table, *_ in found}


def _found(
    database: DuckDBPyConnection, booked: dict[str, str]
) -> Iterator[tuple[str, dict[tuple[str | None, str | None], Held]]]:
    """Yield each table that a loader filled, with what it holds of each job and account."""
    tables: dict[str, list[str]] = {}
    for table, column in database.execute(COLUMNS).fetchall():
        tables.setdefault(table, []).append(column)
    for table, columns in tables.items():
        if table in booked or (JOB_ID in columns and table != RECEIPTS):
            yield table, _jobs(database, table, columns)


def _jobs(database: DuckDBPyConnection, table: str, columns: list[str]) -> dict[tuple[str | None, str | None], Held]:
    job = f"CAST({JOB_ID} AS VARCHAR)" if JOB_ID in columns else "NULL"
    account = f"CASE WHEN {job} IS NOT NULL THEN nullif({ACCOUNT}, '') END" if ACCOUNT in columns else "NULL"
    listed = ", ".join(_quoted(name) for name in columns if name != MARK)
    held = f"count(*), sum(hash({listed})) FROM {_quoted(table)} GROUP BY job, account"
    found = database.execute(f"SELECT {job} AS job, {account} AS account, {held}").fetchall()
    return {(job, account): Held(rows, digest) for job, account, rows, digest in found}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _has(database: DuckDBPyConnection, schema: str, table: str) -> bool:
    found: Any = database.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?", [schema, table]
    ).fetchone()
    return bool(found[0])
