"""Where rows are read from by SQL: a relation, and for each column how its values become those of the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from target_exports.errors import LoadError
from target_exports.kinds import DOCUMENT, INSTANT, TEXT, Rung, holds_texts
from target_exports.names import quoted
from target_exports.rows import Shape

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Types of Parquet, and of tables that others made, whose values a type of ours holds exactly.
EXACT_IN = {
    "BIGINT": {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"},
    "HUGEINT": {"UBIGINT", "HUGEINT"},
    "DOUBLE": {"FLOAT", "DOUBLE"},
    "BOOLEAN": {"BOOLEAN"},
    INSTANT: {INSTANT, "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS"},
    "DATE": {"DATE"},
}
LOOKS_AT_ONCE = 32  # each column holds 1 MB while its query runs, and many in one take CPU by their square


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a source.

    Attributes:
        text: SQL expression of its values as they were sent.
        type: The narrowest type of the table that holds all of them exactly.
    """

    text: str
    type: str

    def cast(self, wanted: str) -> str:
        """Return the SQL expression of its values in the table's type."""
        return f"CAST({self.text} AS {wanted})"


@dataclass(frozen=True, slots=True)
class Source:
    """Rows to load.

    Attributes:
        relation: What stands behind FROM.
        fields: Its columns by the names of the SCHEMA message.
    """

    relation: str
    fields: dict[str, Field]


def source(database: DuckDBPyConnection, shape: Shape, relation: str, names: Mapping[str, str]) -> Source:
    """Return a relation as a source, each column with the type that its values need.

    Args:
        database: The connection.
        shape: What was declared.
        relation: What stands behind FROM.
        names: The relation's column of each declared one; others are null.

    Raises:
        LoadError: A value is not of its declared type.
    """
    types = {row[0]: str(row[1]) for row in database.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}
    fields = {name: _field(shape, name, types[column], quoted(column)) for name, column in names.items()}
    looks = [(name, rung) for name, field in fields.items() if not field.type for rung in shape.columns[name].rungs]
    for at in range(0, len(looks), LOOKS_AT_ONCE):
        some = [(name, rung, rung.misfits(fields[name].text)) for name, rung in looks[at : at + LOOKS_AT_ONCE]]
        counts = database.execute(f"SELECT {', '.join(f'count(*) FILTER ({t})' for _, _, t in some)} FROM {relation}")
        for (name, rung, test), count in zip(some, *counts.fetchall(), strict=True):
            text = fields[name].text
            try:
                if not fields[name].type and (not count or _is_rescued(database, relation, rung, text, test)):
                    fields[name] = Field(text, rung.type)
            except ValueError as error:
                raise LoadError(f'{shape.stream}: column "{name}": {error}') from None
    return Source(relation, {name: field if field.type else Field(field.text, TEXT) for name, field in fields.items()})


def _is_rescued(database: DuckDBPyConnection, relation: str, rung: Rung, text: str, test: str) -> bool:
    """Return whether all values that fail a test are held exactly nevertheless."""
    if rung.rescues is None:
        return False
    found = database.execute(f"SELECT DISTINCT {text} FROM {relation} WHERE {test}")
    while values := found.fetchmany(10_000):
        if not all(rung.rescues(value) for (value,) in values):
            return False
    return True


def _field(shape: Shape, name: str, stored: str, column: str) -> Field:
    """Return a field; its type is empty if it depends on the values."""
    kind = shape.columns[name]
    if stored == TEXT:
        return Field(column, "" if kind.rungs else TEXT)
    if known := next((rung.type for rung in kind.rungs if stored in EXACT_IN.get(rung.type, ())), None):
        return Field(column, known)
    if kind is not DOCUMENT:
        return Field(f"CAST({column} AS VARCHAR)", "" if kind.rungs else TEXT)
    if stored == f"{TEXT}[]" and holds_texts(shape.schema.get("properties", {}).get(name, {})):
        items = f"list_transform({column}, lambda item: coalesce(item, 'null'))"
        return Field(f"'[' || array_to_string({items}, ',') || ']'", "JSON")
    return Field(f"CAST(to_json({column}) AS VARCHAR)", "JSON")
