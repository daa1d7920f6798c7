"""The table of a stream: its columns, and rows added or replaced in the open transaction."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from target_exports.books import JOB, Books, digest_of
from target_exports.kinds import TEXT
from target_exports.names import free, original, quoted
from target_exports.rows import VERSION
from target_exports.sources import EXACT_IN, Field, Source

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LOGGER = logging.getLogger("target-exports")
DELETED_AT = "_sdc_deleted_at"
_INTEGERS = ("BIGINT", "HUGEINT")
_EXACT = 2**53


class Table:
    """A table; names that DuckDB cannot tell apart, or cannot have, are replaced and stand in a comment.

    Args:
        database: The connection.
        schema: The database's schema.
        stream: The stream's name.
    """

    def __init__(self, database: DuckDBPyConnection, schema: str, stream: str) -> None:
        """Find the table; it is created with its first columns."""
        self._database, self._schema, self._stream = database, schema, stream
        tables = database.execute("SELECT table_name, comment FROM duckdb_tables() WHERE schema_name = ?", [schema])
        self._others = {original(name, comment): name for name, comment in tables.fetchall()}
        self._own = self._others.get(stream, "")
        self._columns: dict[str, tuple[str, str]] = {}
        self._defaults: dict[str, str] = {}  # of tables that others made
        if self._own:
            self._read_columns()
            self._books.begin(self.place, *self._booked)

    @property
    def _books(self) -> Books:
        return Books(self._database, self._schema, self._own, self._stream)

    @property
    def _booked(self) -> tuple[str, list[str]]:
        """Return the job and the columns of a row for the books; marks of deleted rows come and go unbooked."""
        names = {name: quoted(own) for name, (own, _) in self._columns.items()}
        return names.get(JOB, "NULL"), [own for name, own in names.items() if name != DELETED_AT]

    def _book(self, sign: int, where: str = "true") -> None:
        job, columns = self._booked
        self._books.write(f"(FROM {self.place} WHERE {where})", job, digest_of(columns), sign=sign)

    @property
    def place(self) -> str:
        """Return the table's name for SQL."""
        return f"{quoted(self._schema)}.{quoted(self._own)}"

    def _read_columns(self) -> None:
        found = self._database.execute(
            "SELECT column_name, data_type, comment, coalesce(column_default, 'NULL') FROM duckdb_columns() "
            "WHERE schema_name = ? AND table_name = ? ORDER BY column_index",
            [self._schema, self._own],
        )
        for own, kind, note, default in found.fetchall():
            self._columns[original(own, note)] = (own, kind)
            self._defaults[original(own, note)] = default

    def have(self, columns: Mapping[str, str]) -> None:
        """Create the table, or add the columns that it lacks, by name and type."""
        missing = {name: kind for name, kind in columns.items() if name not in self._columns}
        if not missing:
            return
        taken = [own for own, _ in self._columns.values()]
        names = dict[str, str]()
        for name in missing:
            names[name] = free(name, [*taken, *names.values()])
        if is_old := bool(self._own):
            self._book(-1)
            for name, kind in missing.items():
                self._database.execute(f"ALTER TABLE {self.place} ADD COLUMN {quoted(names[name])} {kind}")
        else:
            self._own = free(self._stream, self._others.values())
            listed = ", ".join(f"{quoted(names[name])} {kind}" for name, kind in missing.items())
            self._database.execute(f"CREATE TABLE {self.place} ({listed})")
            self._note("TABLE", self.place, self._stream, self._own)
        for name, kind in missing.items():
            self._note("COLUMN", f"{self.place}.{quoted(names[name])}", name, names[name])
            self._columns[name] = (names[name], kind)
        if is_old:
            self._book(1)

    def _note(self, what: str, place: str, name: str, own: str) -> None:
        if own != name:
            note = json.dumps(name).replace("'", "''")
            self._database.execute(f"COMMENT ON {what} {place} IS '{note}'")
            LOGGER.warning("%s: %s is named %s in the database", self._stream, json.dumps(name), json.dumps(own))

    def load(self, source: Source, keys: Iterable[str]) -> None:
        """Add rows; with keys, they replace those of the same keys, and of equal ones the last counts."""
        self.have({name: field.type for name, field in source.fields.items()})
        for name, field in source.fields.items():
            self._widen(name, field, source.relation)
        absent = {name: Field(self._defaults.get(name, "NULL"), TEXT) for name in self._columns}
        fields = [source.fields.get(name, absent[name]).cast(kind) for name, (_, kind) in self._columns.items()]
        listed = [f"{field} AS c{at}" for at, field in enumerate(fields)]
        rows = f"(SELECT {', '.join(listed)} FROM {source.relation})"
        places = {name: f"c{at}" for at, name in enumerate(self._columns)}
        job, digest = places.get(JOB, "NULL"), digest_of([at for name, at in places.items() if name != DELETED_AT])
        taken = "count(*)"
        if wanted := {places[name]: self._columns[name][0] for name in self._columns if name in set(keys)}:
            only = f"(SELECT {', '.join(listed[int(at[1:])] for at in wanted)} FROM {source.relation})"
            if self._replace(only, wanted):
                self._books.write(rows, job, digest, taken=taken, sign=0)
                rows, taken = self._last(rows, wanted), "0"
        self._books.write(rows, job, digest, taken=taken)
        self._database.execute(f"INSERT INTO {self.place} SELECT {', '.join(places.values())} FROM {rows}")

    def _replace(self, keys: str, names: Mapping[str, str]) -> bool:
        """Delete the rows that are replaced and return whether a key is there twice among the new ones.

        DELETE and INSERT take half the CPU, and half the place in the file, of MERGE (docs/decisions/0011).
        """
        same = " AND ".join(f"old.{quoted(name)} IS NOT DISTINCT FROM new.{at}" for at, name in names.items())
        job, columns = self._booked
        delete = f"DELETE FROM {self.place} AS old USING {keys} AS new WHERE {same}"
        self._books.strike(self._database.execute(f"{delete} RETURNING {job}, {digest_of(columns)}"))
        twice = f"SELECT count(*) > count(DISTINCT ({', '.join(names)}, 0)) FROM {keys}"
        return self._database.execute(twice).fetchall() == [(True,)]

    @staticmethod
    def _last(rows: str, places: Iterable[str]) -> str:
        """Return the last row of each key."""
        numbered = f"(SELECT *, row_number() OVER () AS ordinal FROM {rows})"
        last = f"row_number() OVER (PARTITION BY {', '.join(places)} ORDER BY ordinal DESC) = 1"
        return f"(SELECT * FROM {numbered} QUALIFY {last})"

    def _widen(self, name: str, field: Field, relation: str) -> None:
        """Give a column the type that holds its values and new ones exactly; a type that is VARCHAR stays."""
        own, has = self._columns[name]
        wanted = self._joined(own, has, field, relation)
        if wanted != has:
            LOGGER.warning("%s: column %s is %s from now on, was %s", self._stream, own, wanted, has)
            self._book(-1)
            self._database.execute(f"ALTER TABLE {self.place} ALTER COLUMN {quoted(own)} TYPE {wanted}")
            self._columns[name] = (own, wanted)
            self._book(1)

    def _joined(self, own: str, has: str, field: Field, relation: str) -> str:
        if field.type in {has, TEXT} or has == TEXT:
            return field.type if field.type == TEXT else has
        if has in EXACT_IN.get(field.type, ()):
            return field.type
        if has in _INTEGERS and field.type in _INTEGERS:
            return "HUGEINT"
        if has in _INTEGERS and field.type == "DOUBLE":
            return "DOUBLE" if self._are_small(quoted(own), self.place) else TEXT
        if has == "DOUBLE" and field.type in _INTEGERS:
            return has if self._are_small(field.text, relation) else TEXT
        return TEXT

    def _are_small(self, text: str, relation: str) -> bool:
        """Return whether a double holds all of these integers."""
        found = self._database.execute(f"SELECT count(*) FROM {relation} WHERE abs(CAST({text} AS HUGEINT)) > {_EXACT}")
        return found.fetchall() == [(0,)]

    def activate(self, version: int, *, hard: bool) -> None:
        """Delete the rows of other versions, or mark them with the time in `_sdc_deleted_at`."""
        self.have({VERSION: "BIGINT"} if hard else {VERSION: "BIGINT", DELETED_AT: "TIMESTAMP WITH TIME ZONE"})
        old = f"{quoted(self._columns[VERSION][0])} IS DISTINCT FROM {version}"
        if hard:
            self._book(-1, old)
            self._database.execute(f"DELETE FROM {self.place} WHERE {old}")
        else:
            mark = quoted(self._columns[DELETED_AT][0])
            self._database.execute(f"UPDATE {self.place} SET {mark} = now() WHERE {old} AND {mark} IS NULL")
