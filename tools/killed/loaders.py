"""The loaders, and how each runs: at the end of a pipe, or by Meltano."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.demo import landed
from tools.demo.environments import Environments
from tools.demo.source import START_DATE, Row, Source

Config = dict[str, object]
Tables = dict[str, list[Row]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where one story loads to, and the files of its runs.

    Attributes:
        folder: An empty folder of its own.
        schema: Name of its schema in PostgreSQL.
        postgres: URL of the server.
    """

    folder: Path
    schema: str
    postgres: str

    @property
    def database(self) -> Path:
        """Return the file of DuckDB."""
        return self.folder / "exports.duckdb"

    @property
    def rows(self) -> Path:
        """Return the folder of JSON Lines."""
        made = self.folder / "rows"
        made.mkdir(exist_ok=True)
        return made


@dataclass(frozen=True, slots=True)
class Loader:
    """A loader.

    Attributes:
        name: As in `PINS` of the demonstration.
        config: Its settings.
        variables: The same as variables of the environment, for Meltano.
        read: Returns the rows by stream, by way of the loader's own interpreter.
    """

    name: str
    config: Callable[[Place], Config]
    variables: Callable[[Place], dict[str, str]]
    read: Callable[[Place, Path], Tables]


def _duckdb(place: Place, python: Path) -> Tables:
    if not place.database.exists():
        return {}
    return {name: t.rows for name, t in landed.read(landed.DUCKDB, python, str(place.database), "main").items()}


def _postgres(place: Place, python: Path) -> Tables:
    tables = landed.read(landed.POSTGRES, python, place.postgres, place.schema)
    return {name: table.rows for name, table in tables.items()}


def _jsonl(place: Place, _python: Path) -> Tables:
    files = place.rows.glob("*.jsonl")
    return {path.stem: [json.loads(line) for line in path.read_text("utf-8").splitlines()] for path in files}


def _address(place: Place) -> str:
    return place.postgres.replace("postgresql://", "postgresql+psycopg://")


LOADERS = (
    Loader(
        "target-jsonl",
        lambda place: {"destination_path": str(place.rows), "do_timestamp_file": False},
        lambda place: {"TARGET_JSONL_DESTINATION_PATH": str(place.rows)},
        _jsonl,
    ),
    Loader(
        "target-exports",
        lambda place: {"path": str(place.database)},
        lambda place: {"TARGET_EXPORTS_PATH": str(place.database)},
        _duckdb,
    ),
    Loader(
        "target-postgres",
        lambda place: {"sqlalchemy_url": _address(place), "default_target_schema": place.schema, "use_copy": True},
        lambda place: {
            "EXPORTS_POSTGRES_URL": _address(place),
            "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": place.schema,
        },
        _postgres,
    ),
)


def pipe(programs: Path, tap: Path, loader: Loader, place: Place, source: Source) -> tuple[str, ...]:
    """Return the command of a pipe that goes on from the last STATE which the loader gave out."""
    block = {name: source.config[name] for name in source.providers}
    shared = {
        "start_date": START_DATE,
        "allow_private_hosts": True,
        "settling_seconds": 0,
        "poll_interval_seconds": 0.1,
    }
    files = {"config": {**shared, **block}, "loader": loader.config(place)}
    for name, content in files.items():
        (place.folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    paths = {"tap": tap / "tap-exports", "loader": programs / loader.name}
    at = {name: shlex.quote(str(path)) for name, path in paths.items()}
    script = (
        "touch states; tail -n 1 states | grep . > state.json || echo '{}' > state.json; "
        f"{at['tap']} --config config.json --state state.json | {at['loader']} --config loader.json >> states"
    )
    return ("bash", "-c", f"cd {shlex.quote(str(place.folder))}; set -o pipefail; {script}")


def by_meltano(environments: Environments, loader: Loader, source: Source) -> tuple[str, ...]:
    """Return the command that has Meltano run the tap into the loader."""
    tasks = [word for name in source.providers for word in (f"tap-exports-{name}", loader.name)]
    return (
        str(environments.programs("meltano") / "meltano"),
        "run",
        "--force",
        *tasks,
    )  # it takes a killed run for one that runs
