"""DuckDB's one statement from CSV to Parquet: `python -m bench.peers.duckdb_convert URL TARGET`, prints the rows.

Docs: https://duckdb.org/docs/guides/file_formats/csv_import and …/data/parquet/overview. Its own number of threads.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

from bench.peers.fetched import fetched
from bench.table import FIELDS

TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date-time": "TIMESTAMPTZ",
}


def main(url: str, target: str) -> None:
    """Download, convert and count."""
    source = fetched(url, Path(target).parent)
    columns = ", ".join(f"'{name}': '{TYPES[kind]}'" for name, kind in FIELDS.items())
    connection = duckdb.connect()
    # Paths of this benchmark's own folder; a COPY statement takes no parameters in these places.
    read = f"read_csv('{source}', header = true, columns = {{{columns}}}, quote = '\"', escape = '\"')"
    done = connection.execute(f"COPY (FROM {read}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)").fetchone()
    print(done[0] if done else 0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
