"""The books of a table: what each load added and took away, by job, written in the transaction of its rows.

Their sums are what the table holds, unless a row or a value was changed, lost or doubled since: `tap-exports load
--verify` compares the two. A digest is the sum of DuckDB's `hash` of each row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BOOKS = "_exports.loads"
JOB = "_sdc_job_id"
# `hash` may differ in a later DuckDB: then the books begin anew with what the table holds.
HASHES = "hash('a', 1, 2.5, true)"
TABLE = (
    f"{BOOKS} (loaded_at TIMESTAMP WITH TIME ZONE, schema_name VARCHAR, table_name VARCHAR, stream VARCHAR, "
    "job VARCHAR, taken HUGEINT, rows HUGEINT, digest HUGEINT, hashes UBIGINT)"
)


class Books:
    """The books of one table.

    Args:
        database: The connection.
        table: Names of schema, table and stream.
    """

    def __init__(self, database: DuckDBPyConnection, *table: str) -> None:
        """Write nothing yet."""
        self._database, self._table = database, table

    def begin(self, relation: str, job: str, columns: Sequence[str]) -> None:
        """Book what a table holds already that has no books: its rows taken are not known."""
        own = "schema_name = ? AND table_name = ?"
        known = f"SELECT count(*) FROM {BOOKS} WHERE {own} AND hashes = {HASHES}"
        if self._database.execute(known, self._table[:2]).fetchall() == [(0,)]:
            self._database.execute(f"DELETE FROM {BOOKS} WHERE {own}", self._table[:2])
            self.write(relation, job, digest_of(columns), taken="NULL")

    def write(self, relation: str, job: str, digest: str, *, taken: str = "0", sign: int = 1) -> None:
        """Book rows.

        Args:
            relation: What stands behind FROM.
            job: SQL expression of a row's job.
            digest: The same of its digest.
            taken: How many rows the tap has sent, those included that a later one replaces.
            sign: 1: added; -1: gone; 0: only taken.
        """
        self._insert(
            f"{job} AS job, {taken}, {sign} * count(*), {sign} * sum({digest}), {HASHES} FROM {relation} GROUP BY job"
        )

    def strike(self, found: DuckDBPyConnection) -> None:
        """Book rows as gone whose jobs and digests are the result of a statement."""
        rows, digests = Counter[str | None](), Counter[str | None]()
        while some := found.fetchmany(10_000):
            for job, digest in some:
                rows[job] -= 1
                digests[job] -= digest
        for job in rows:
            self._insert(f"?, 0, ?, ?, {HASHES}", job, rows[job], digests[job])

    def _insert(self, selected: str, *values: Any) -> None:
        self._database.execute(f"INSERT INTO {BOOKS} SELECT now(), ?, ?, ?, {selected}", [*self._table, *values])


def digest_of(columns: Sequence[str]) -> str:
    """Return the SQL expression of a row's digest."""
    return f"hash({', '.join(columns)})"
