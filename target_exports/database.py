"""The database file: one process at a time, one transaction at a time, and the STATE of the last one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from target_exports.books import TABLE as BOOKS
from target_exports.errors import LoadError
from target_exports.names import quoted

try:
    import duckdb
except ImportError:  # the extra is not installed; `Database` says so
    duckdb = None  # type: ignore[assignment] # looked at before use

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

OWN = "_exports"
USUAL_COLUMNS = 100


class Database:
    """A file.

    Args:
        path: The file; it is created.
        schema: Schema of the tables; it is created.
        state_id: Under which STATE is kept.
        memory_mb: What DuckDB may hold in memory.
        threads: Threads of DuckDB.

    Raises:
        LoadError: It cannot be opened, or another process has it open.
    """

    def __init__(self, path: str, schema: str, state_id: str, memory_mb: int = 128, threads: int = 1) -> None:
        """Open the file."""
        self.schema, self._state_id = schema, state_id
        self.connection = _connected(path, memory_mb, threads)
        for name in (OWN, schema):
            self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(name)}")
        self.connection.execute(
            f"CREATE TABLE IF NOT EXISTS {OWN}.state "
            "(id VARCHAR PRIMARY KEY, state VARCHAR, committed_at TIMESTAMP WITH TIME ZONE)"
        )
        self.connection.execute(f"CREATE TABLE IF NOT EXISTS {BOOKS}")
        self._is_open, self._memory_mb, self._columns = False, memory_mb, USUAL_COLUMNS

    def expect(self, columns: int) -> None:
        """Allow more memory for each column beyond the usual ones: DuckDB holds blocks for every column."""
        if columns > self._columns:
            self._columns = columns
            self.connection.execute(f"SET memory_limit = '{self._memory_mb + (columns - USUAL_COLUMNS) // 10}MB'")

    @property
    def state(self) -> str:
        """Return the STATE of the last transaction, `{}` without one."""
        found = self.connection.execute(f"SELECT state FROM {OWN}.state WHERE id = ?", [self._state_id]).fetchone()
        return str(found[0]) if found else "{}"

    def begin(self) -> None:
        """Begin a transaction unless one is open."""
        if not self._is_open:
            self.connection.execute("BEGIN TRANSACTION")
            self._is_open = True

    def commit(self, state: bytes | None) -> None:
        """Write STATE into the open transaction and commit it; it is on the disk when this returns."""
        if state is not None:
            self.begin()
            self.connection.execute(
                f"INSERT OR REPLACE INTO {OWN}.state VALUES (?, ?, now())", [self._state_id, state.decode()]
            )
        if self._is_open:
            self.connection.execute("COMMIT")
            self._is_open = False

    def close(self) -> None:
        """Close the file; an open transaction is rolled back."""
        self.connection.close()


def _connected(path: str, memory_mb: int, threads: int) -> DuckDBPyConnection:
    if duckdb is None:
        raise LoadError("duckdb is not installed; install tap-exports[duckdb]")
    try:
        found = duckdb.connect(str(Path(path).expanduser()))
    except duckdb.Error as error:
        told = str(error).partition("\n")[0]
        if "Conflicting lock" in told:
            raise LoadError(f"{path} is open in another process, and DuckDB allows one writer: {told}") from None
        raise LoadError(f"{path} cannot be opened: {told}") from None
    found.execute("SET python_scan_all_frames = true")  # rows are found by the name of their variable
    found.execute("SET TimeZone = 'UTC'")
    found.execute(f"SET threads = {threads}")
    found.execute(f"SET memory_limit = '{memory_mb}MB'")
    return found
