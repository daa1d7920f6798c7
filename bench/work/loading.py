"""End to end through real targets: ours with Parquet batches against a plain tap with records."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from bench.lab import Command, Lab, environment, program, shown
from bench.process import BrokenRunError, Ran, pipe
from bench.results import Row
from bench.table import FIELDS
from bench.tap import Settings, Tap, exelensia, write
from bench.work.batches import batch_config
from bench.work.records import STREAM
from tools.loader_proof.postgres import server

ROWS = 200_000
TARGETS = environment("targets")
_COUNT = """
import psycopg, sys
print(psycopg.connect(sys.argv[1]).execute(f"select count(*) from ({sys.argv[2]}) as rows").fetchone()[0])
"""
_DATA = ", ".join(f'"{name}"' for name in FIELDS)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A tap and a target.

    Attributes:
        name: The side.
        tap: The tap's command.
        table: Where its rows land.
        batches: Folder of its batches, emptied before each run.
    """

    name: str
    tap: Command
    table: str
    batches: Path | None = None


def postgres(lab: Lab) -> Row:
    """Measure three ways into PostgreSQL: plain tap with records, ours with records, ours with Parquet batches."""
    rows = lab.size(ROWS)
    row = lab.row(f"CSV of {rows:,} rows into PostgreSQL by target-postgres with COPY")
    with lab.served() as (_, api), server() as url:
        pipelines = [plain(lab, api, lab.table(rows)), *ours(lab, api, lab.table(rows))]
        for turn in range(lab.times(5)):
            # Records take as long as the target does, whoever sends them: once is enough to show it.
            for pipeline in (each for each in pipelines if not turn or each.name != "tap-records"):
                schema = f"{pipeline.name.replace('-', '_')}_{turn}"
                settings = {"sqlalchemy_url": url.replace("postgresql:", "postgresql+psycopg:"), "use_copy": True}
                target = loader(lab, "target-postgres", {**settings, "default_target_schema": schema})
                take(lab, row, pipeline, target)
                landed = f'select {_DATA} from {schema}."{pipeline.table}"'
                counted(url, landed, rows)
                counted(url, f'select {_DATA} from plain_{turn}."{pipelines[0].table}" except {landed}', 0)
    return row


def duckdb(lab: Lab) -> Row:
    """Measure ours with records into the embedded loader."""
    rows = lab.size(ROWS)
    row = lab.row(f"CSV of {rows:,} rows into the embedded default, target-duckdb, records")
    with lab.served() as (_, api):
        pipeline = ours(lab, api, lab.table(rows))[0]
        for _turn in range(lab.times(5)):
            path = lab.place("duckdb-file") / "landed.duckdb"
            settings = {"path": str(path), "default_target_schema": "landed", "flush_all_streams": True}
            take(lab, row, pipeline, loader(lab, "target-duckdb", {**settings, "batch_size_rows": 100_000}))
    return row


def exports(lab: Lab) -> Row:
    """Measure ours with records and with Parquet batches into the loader that comes with the tap."""
    rows = lab.size(5 * ROWS)
    row = lab.row(f"CSV of {rows:,} rows into DuckDB by target-exports, all columns")
    with lab.served() as (_, api):
        folder, settings = lab.place("exports-batches"), exelensia(api, lab.table(rows))
        batched = {**settings, "batch_config": batch_config("parquet", folder, "none")}
        records = Pipeline("tap-records", Tap(lab.place("exports-records"), settings, [STREAM]).command, STREAM)
        batches = Pipeline("tap-batches", Tap(lab.place("exports"), batched, [STREAM]).command, STREAM, folder)
        for _turn in range(lab.times(5)):
            for pipeline in (records, batches):
                config = write(
                    lab.place("exports-file") / "config.json", {"path": str(lab.runs / "exports-file" / "x.duckdb")}
                )
                take(lab, row, pipeline, [environment("tap") / "target-exports", "--config", config])
    return row


def plain(lab: Lab, api: str, file: str) -> Pipeline:
    """Return the plain tap with records."""
    config = write(lab.place("plain") / "config.json", {"api_url": api, "file": file})
    return Pipeline("plain", program("sdk_tap", "--config", config), "rows")


def ours(lab: Lab, api: str, file: str) -> list[Pipeline]:
    """Return the tap with records and with Parquet batches."""
    folder = lab.place("ours-batches")
    settings = exelensia(api, file)
    batched = {**settings, "batch_config": batch_config("parquet", folder, "none")}
    # The same columns as the plain tap's, so that the target has the same to do.
    records = Tap(lab.place("ours-records"), settings, [STREAM], lineage=False).command
    batches = Tap(lab.place("ours"), batched, [STREAM], lineage=False).command
    return [Pipeline("tap-records", records, STREAM), Pipeline("tap-batches", batches, STREAM, folder)]


def loader(lab: Lab, name: str, settings: Settings) -> Command:
    """Return the command of a loader.

    Raises:
        BrokenRunError: It is not installed.
    """
    if not (TARGETS / name).exists():
        raise BrokenRunError(f"{name} is not in {TARGETS.parent.name}; `make bench` installs it")
    return [TARGETS / name, "--config", write(lab.place(name) / "config.json", settings)]


def take(lab: Lab, row: Row, pipeline: Pipeline, target: Command) -> None:
    """Run a pipeline once: its side is the whole, `…: tap` and `…: target` are its ends."""
    if pipeline.batches:
        shutil.rmtree(pipeline.batches)
        pipeline.batches.mkdir()
    row.commands[pipeline.name] = shown([*pipeline.tap, "|", *target], lab.folder)
    tap, loaded = pipe(pipeline.tap, target)
    whole = replace(loaded, cpu=tap.cpu + loaded.cpu)
    for side, ran in (("", whole), (": tap", tap), (": target", loaded)):
        row.add(f"{pipeline.name}{side}", ran)
    say(lab, pipeline.name, tap, loaded)


def say(lab: Lab, name: str, tap: Ran, target: Ran) -> None:
    """Tell what a run took."""
    lab.say(
        f"    {name}: {target.wall:.2f} s; tap {tap.wall:.2f} s, {tap.cpu:.2f} s CPU; target {target.cpu:.2f} s CPU"
    )


def counted(url: str, query: str, expected: int) -> None:
    """Count the rows of a query.

    Raises:
        BrokenRunError: There are more or fewer.
    """
    command: Command = [TARGETS / "python", "-c", _COUNT, url, query]
    found = int(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ).stdout)
    if found != expected:
        raise BrokenRunError(f"{found} rows instead of {expected}: {query}")
