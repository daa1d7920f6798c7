"""The types of the table as Arrow has them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pyarrow import csv

from bench.table import FIELDS

ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date-time": pa.timestamp("us", tz="UTC"),
}
TYPES: dict[str, Any] = {name: ARROW[kind] for name, kind in FIELDS.items()}
CONVERT = csv.ConvertOptions(column_types=TYPES, strings_can_be_null=True)
