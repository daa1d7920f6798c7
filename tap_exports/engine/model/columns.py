"""Columns: their types, the contract for unknown ones, and the names of lineage columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

JOB_ID, FILE, ROW, EXTRA = "_sdc_job_id", "_sdc_file", "_sdc_row", "_sdc_extra"
DIGEST, COPY = "_sdc_row_digest", "_sdc_row_copy"
ACCOUNT = "_sdc_account"
OPERATION_ID, WINDOW_START, WINDOW_END = "_sdc_operation_id", "_sdc_window_start", "_sdc_window_end"


class Kind(Enum):
    """The type of a column; the values are those of JSON Schema, `date` and `date-time` being string formats."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "date-time"
    OBJECT = "object"
    ARRAY = "array"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a stream: the name in the records and its type.

    Attributes:
        name: The property's name.
        kind: Its type.
        schema: The full JSON Schema where the type alone does not say it all (nested objects), else None.
    """

    name: str
    kind: Kind
    schema: Mapping[str, Any] | None = None


class Contract(Enum):
    """What happens with a column that the catalog does not know (`schema_contract`)."""

    EVOLVE = "evolve"
    DISCARD = "discard"
    FREEZE = "freeze"
