"""Read back what a loader wrote, with the interpreter that the loader itself was installed with."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

READ = """
import json, sys
{connect}
schema = sys.argv[2]
cursor.execute(
    "select table_name, column_name, data_type from information_schema.columns "
    "where table_schema = '" + schema + "' order by table_name, ordinal_position"
)
types = {{}}
for table, column, kind in cursor.fetchall():
    types.setdefault(table, {{}})[column] = kind
for table, columns in types.items():
    cursor.execute("select * from " + schema + '."' + table + '"')
    names = [each[0] for each in cursor.description]
    rows = [dict(zip(names, row)) for row in cursor.fetchall()]
    print(json.dumps([table, columns, rows], default=str))
"""
DUCKDB = "import duckdb; cursor = duckdb.connect(sys.argv[1], read_only=True); cursor.execute(\"set timezone='UTC'\")"
POSTGRES = "import psycopg; cursor = psycopg.connect(sys.argv[1], options='-c timezone=UTC').cursor()"


@dataclass(frozen=True, slots=True)
class Table:
    """A table: the database's type of each column, and its rows."""

    types: dict[str, str] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)


def read(connect: str, python: Path, address: str, schema: str) -> dict[str, Table]:
    """Return all tables of a schema.

    Args:
        connect: `DUCKDB` or `POSTGRES`.
        python: Interpreter that has the driver.
        address: Path or URL of the database.
        schema: Its schema.

    Raises:
        CalledProcessError: It cannot be read.
    """
    command = [str(python), "-c", READ.format(connect=connect), address, schema]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    tables = (json.loads(line, parse_float=Decimal) for line in done.stdout.splitlines())
    return {name: Table(types, rows) for name, types, rows in tables}
