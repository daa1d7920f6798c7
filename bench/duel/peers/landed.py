"""Prints the rows that a dlt pipeline landed: `python -m bench.duel.peers.landed FILE`."""

from __future__ import annotations

import json
import sys

import duckdb


def main(file: str) -> None:
    """Print the rows as one JSON list; an empty one where there is no table yet."""
    with duckdb.connect(file, read_only=True) as base:
        there = base.execute("select count(*) from duckdb_tables() where schema_name = 'd' and table_name = 'rows'")
        if not there.fetchall()[0][0]:
            print("[]")
            return
        found = base.execute("select * from d.rows")
        names = [column[0] for column in found.description]
        print(json.dumps([dict(zip(names, map(_plain, row), strict=True)) for row in found.fetchall()]))


def _plain(value: object) -> object:
    return value if value is None else str(value)


if __name__ == "__main__":
    main(sys.argv[1])
