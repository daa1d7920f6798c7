"""Columns as JSON Schema properties and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tap_exports.engine.model import (
    ACCOUNT,
    COPY,
    DIGEST,
    EXTRA,
    FILE,
    JOB_ID,
    OPERATION_ID,
    ROW,
    WINDOW_END,
    WINDOW_START,
    Column,
    Kind,
)

Schema = dict[str, Any]

FORMATS = {"date": Kind.DATE, "date-time": Kind.DATETIME}
ANY_TYPES = ["object", "array", "string", "number", "integer", "boolean", "null"]

LINEAGE: dict[str, Schema] = {
    ACCOUNT: {"type": ["string", "null"], "description": "Account that the row came from; its name in `accounts`"},
    JOB_ID: {"type": ["string", "null"], "description": "Id of the export job that the row came from"},
    FILE: {"type": ["string", "null"], "description": "File within the job"},
    ROW: {"type": ["integer", "null"], "description": "Ordinal of the row in the file or run, from 1"},
    DIGEST: {"type": ["string", "null"], "description": "Digest of the row's values as the provider wrote them"},
    COPY: {"type": ["integer", "null"], "description": "Ordinal among the equal rows of the window or run, from 1"},
    OPERATION_ID: {"type": ["integer", "null"], "description": "Run that processed the row"},
    WINDOW_START: {
        "type": ["string", "null"],
        "format": "date-time",
        "description": "First instant of the window, inclusive; 1970-01-01 where it has no beginning",
    },
    WINDOW_END: {
        "type": ["string", "null"],
        "format": "date-time",
        "description": "Last instant of the window, inclusive",
    },
    EXTRA: {
        "type": ["object", "null"],
        "additionalProperties": True,
        "description": "Columns that the catalog does not know (schema_contract: discard)",
    },
}
VERSION = "_sdc_table_version"  # column of parts; RECORD messages carry the version outside the record
PLACE = (DIGEST, COPY)  # in rows only where they are part of the key
FORMER_KEYS = ({JOB_ID, FILE, ROW}, {OPERATION_ID, ROW}, {ROW})  # the default keys up to version 0.1
FILE_LINEAGE = (JOB_ID, FILE, ROW, *PLACE, EXTRA)
WINDOW_LINEAGE = (*FILE_LINEAGE, WINDOW_START, WINDOW_END)
PAGE_LINEAGE = (OPERATION_ID, ROW, *PLACE, EXTRA)
FULL_PAGE_LINEAGE = (ROW, *PLACE, EXTRA)


def to_property(column: Column) -> Schema:
    """Return the nullable JSON Schema property of a column."""
    if column.schema is not None:
        return dict(column.schema)
    if column.kind in {Kind.DATE, Kind.DATETIME}:
        return {"type": ["string", "null"], "format": column.kind.value}
    if column.kind is Kind.ANY:
        return {"type": list(ANY_TYPES)}
    if column.kind is Kind.OBJECT:
        return {"type": ["object", "null"], "additionalProperties": True}
    return {"type": [column.kind.value, "null"]}


def to_column(name: str, prop: Mapping[str, Any]) -> Column:
    """Return the column that a JSON Schema property describes; nullability is ignored."""
    raw = prop.get("type", [])
    types = {t for t in ([raw] if isinstance(raw, str) else raw) if t != "null"}
    if len(types) != 1:
        return Column(name, Kind.NUMBER if types == {"integer", "number"} else Kind.ANY, dict(prop))
    kind = Kind(types.pop())
    if kind is Kind.STRING:
        kind = FORMATS.get(prop.get("format", ""), Kind.STRING)
    return Column(name, kind, dict(prop))


def to_columns(schema: Mapping[str, Any]) -> dict[str, Column]:
    """Return the data columns of a stream's schema, lineage left out."""
    return {n: to_column(n, p) for n, p in schema.get("properties", {}).items() if n not in LINEAGE}


def to_schema(columns: Iterable[Column], lineage: Iterable[str], keys: Iterable[str]) -> Schema:
    """Return the schema of a stream: data columns in their order, then lineage; keys are not nullable."""
    properties = {c.name: to_property(c) for c in columns} | {name: dict(LINEAGE[name]) for name in lineage}
    for key in keys:
        if key in properties:
            properties[key] = _required(properties[key])
    return {"type": "object", "properties": properties}


def _required(prop: Schema) -> Schema:
    types = prop.get("type", [])
    kept = [t for t in ([types] if isinstance(types, str) else types) if t != "null"]
    return {**prop, "type": kept}


VERSION_COLUMN = to_column(VERSION, {"type": ["integer", "null"]})
