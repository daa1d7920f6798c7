"""The candidates: what is installed, how each is configured, and how its destination is read back."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.loader_proof.cases import Row

Config = dict[str, Any]
Landed = dict[str, list[dict[str, Any]]]
BATCH_ROWS = 5_000
POSTGRES_PINS = ("meltanolabs-target-postgres==0.8.1", "pyarrow==26.*")
OWN = ()  # installed already, with the tap that this runs in
DUCKDB_VERSIONS = ("1.0.0", "1.1.3", "1.2.2", "1.3.2", "2.0.0")

READ_SQL = """
import json, sys
{connect}
for number, table in enumerate(json.load(sys.stdin)):
    cursor.execute(f"select * from {{table}}")
    names = [each[0] for each in cursor.description]
    for row in cursor.fetchall():
        print(json.dumps([number, dict(zip(names, row))], default=str))
"""
DUCKDB = "import duckdb; cursor = duckdb.connect(sys.argv[1], read_only=True); cursor.execute(\"set timezone='UTC'\")"
SQLITE = "import sqlite3; cursor = sqlite3.connect(sys.argv[1]).cursor()"
POSTGRES = "import psycopg; cursor = psycopg.connect(sys.argv[1], options='-c timezone=UTC').cursor()"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one case loads to: an empty directory of its own, a short name, and the PostgreSQL server's address."""

    directory: Path
    name: str
    postgres_url: str


@dataclass(frozen=True, slots=True)
class Loader:
    """A candidate.

    `pins` are requirements as they would stand in `pip_url`. `config` and `read` take the place; `read`
    returns the rows of the named streams.
    """

    name: str
    executable: str
    pins: tuple[str, ...]
    config: Callable[[Place], Config]
    read: Callable[[Path, Place, list[str]], Landed]

    def install(self, root: Path) -> Path:
        """Create this loader's environment under `root` unless it is there; return its `bin` directory.

        Raises:
            subprocess.CalledProcessError: pip cannot install the pins.
        """
        if self.pins == OWN:
            return Path(sys.executable).parent
        home = root / self.name
        if not (home / "ready").exists():
            shutil.rmtree(home, ignore_errors=True)
            venv.create(home, with_pip=True)
            command = [str(home / "bin" / "pip"), "install", "--quiet", *self.pins]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            (home / "ready").touch()
        return home / "bin"


def _query(connect: str, python: Path, target: str, schema: str, streams: list[str]) -> Landed:
    command = [str(python), "-c", READ_SQL.format(connect=connect), target]
    tables = json.dumps([f'{schema}."{stream}"' for stream in streams])
    done = subprocess.run(command, check=False, input=tables, capture_output=True, text=True)
    sys.stderr.write(done.stderr[-300:])
    landed: Landed = {stream: [] for stream in streams}
    for number, row in map(json.loads, done.stdout.splitlines()):
        landed[streams[number]].append(row)
    return landed


def _duckdb_config(place: Place) -> Config:
    return {
        "path": str(place.directory / "proof.duckdb"),
        "default_target_schema": "main",
        "batch_size_rows": BATCH_ROWS,
        "flush_all_streams": True,
    }


def _duckdb_read(home: Path, place: Place, streams: list[str]) -> Landed:
    return _query(DUCKDB, home / "python", str(place.directory / "proof.duckdb"), "main", streams)


def _exports_config(place: Place) -> Config:
    return {"path": str(place.directory / "proof.duckdb")}


def _sqlite_config(place: Place) -> Config:
    return {"database": str(place.directory / "proof.db"), "batch_size": BATCH_ROWS}


def _sqlite_read(home: Path, place: Place, streams: list[str]) -> Landed:
    return _query(SQLITE, home / "python", str(place.directory / "proof.db"), "main", streams)


def _postgres_config(place: Place) -> Config:
    return {
        "sqlalchemy_url": place.postgres_url.replace("postgresql://", "postgresql+psycopg://"),
        "default_target_schema": place.name,
        "batch_size_rows": BATCH_ROWS,
        "use_copy": True,
        "hard_delete": True,
    }


def _postgres_read(home: Path, place: Place, streams: list[str]) -> Landed:
    return _query(POSTGRES, home / "python", place.postgres_url, place.name, streams)


def _jsonl_config(place: Place) -> Config:
    return {"destination_path": str(place.directory), "do_timestamp_file": False}


def _jsonl_read(_: Path, place: Place, streams: list[str]) -> Landed:
    files = {stream: place.directory / f"{stream}.jsonl" for stream in streams}
    return {stream: _lines(file.read_text("utf-8")) if file.exists() else [] for stream, file in files.items()}


def _lines(text: str) -> list[Row]:
    return [json.loads(line, parse_float=Decimal) for line in text.split("\n") if line]


def _singer_config(place: Place) -> Config:
    return {"destination": "local", "local": {"folder": str(place.directory)}, "add_record_metadata": False}


def _singer_read(_: Path, place: Place, streams: list[str]) -> Landed:
    return {stream: _singer_rows(place.directory / stream) for stream in streams}


def _singer_rows(directory: Path) -> list[Row]:
    messages = [
        each for file in sorted(directory.glob("*.gz")) for each in _lines(gzip.decompress(file.read_bytes()).decode())
    ]
    return [message["record"] for message in messages if message["type"] == "RECORD"]


def _duckdb(version: str) -> Loader:
    pins = ("target-duckdb==0.8.0", f"duckdb=={version}")
    return Loader(f"duckdb-{version}", "target-duckdb", pins, _duckdb_config, _duckdb_read)


LOADERS = (
    Loader("exports", "target-exports", OWN, _exports_config, _duckdb_read),
    *map(_duckdb, DUCKDB_VERSIONS),
    Loader("sqlite", "target-sqlite", ("target-sqlite==0.2.0",), _sqlite_config, _sqlite_read),
    Loader("parquet", "target-parquet", ("target-parquet==0.0.1",), lambda _: {}, lambda *_: {}),
    Loader("jsonl", "target-jsonl", ("target-jsonl==0.1.4",), _jsonl_config, _jsonl_read),
    Loader("singer-jsonl", "target-singer-jsonl", ("target-singer-jsonl==0.1.0",), _singer_config, _singer_read),
    Loader("postgres", "target-postgres", POSTGRES_PINS, _postgres_config, _postgres_read),
)  # fmt: skip
