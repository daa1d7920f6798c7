"""CSV to files: Parquet against dlt, DuckDB and Polars, jsonl.gz against the SDK's own batcher."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.lab import Check, Command, Lab, Make, program
from bench.process import BrokenRunError, Ran
from bench.results import Row
from bench.tap import Tap, exelensia, write
from bench.work.records import ROWS, STREAM


def batch_config(form: str, folder: Path, compression: str) -> dict[str, Any]:
    """Return the SDK's setting for batches in a local folder."""
    encoding = {"format": form, "compression": compression}
    return {"encoding": encoding, "storage": {"root": folder.resolve().as_uri(), "prefix": ""}}


def into(lab: Lab, name: str, command: Command) -> Make:
    """Return a command that finds its folder `out` empty at every run."""

    def make() -> Command:
        (lab.place(f"{name}-out") / "out").mkdir()
        return command

    return make


def out(lab: Lab, name: str) -> Path:
    """Return the folder that a side writes to."""
    return lab.runs / f"{name}-out" / "out"


def tap_into(lab: Lab, origin: str, file: str, name: str, form: str) -> Make:
    """Return the tap with batches in its folder."""
    config = batch_config(form, out(lab, name), "gzip" if form == "jsonl" else "none")
    settings = exelensia(origin, file, batch_config=config)
    return into(lab, name, Tap(lab.place(name), settings, [STREAM]).command)


def counted(path: Path) -> dict[str, int]:
    """Return rows and sums of what was written, counted by a process of its own."""
    done = subprocess.run([sys.executable, "-m", "bench.count", path], check=True, stdout=subprocess.PIPE)
    return dict(json.loads(done.stdout))


def same_files(row: Row, places: Mapping[str, Path]) -> Check:
    """Return a check that all sides wrote the same rows."""

    def check(runs: Mapping[str, Ran]) -> None:
        found = {side: counted(path) for side, path in places.items() if side in runs}
        row.facts["rows of the greatest part"] = {side: counts.pop("greatest") for side, counts in found.items()}
        if len({tuple(counts.items()) for counts in found.values()}) > 1:
            raise BrokenRunError(f"not the same rows: {found}")

    return check


def parquet(lab: Lab) -> Row:
    """Measure Parquet; all sides download the file."""
    rows = lab.size(ROWS)
    file = lab.table(rows)
    row = lab.row(f"CSV of {rows:,} rows to Parquet, zstd; all sides download it")
    with lab.served() as (files, api):
        url = f"{files}/{file}"
        places = {"tap": out(lab, "parquet"), "dlt": out(lab, "dlt") / "loaded"}
        places |= {side: out(lab, side) / "rows.parquet" for side in ("duckdb", "polars")}
        sides = {
            "tap": tap_into(lab, api, file, "parquet", "parquet"),
            "dlt": into(lab, "dlt", program("dlt_arrow", url, out(lab, "dlt"))),
            "duckdb": into(lab, "duckdb", program("duckdb_convert", url, places["duckdb"])),
            "polars": into(lab, "polars", program("polars_convert", url, places["polars"])),
        }
        return lab.alternate(row, sides, same_files(row, places))


def jsonl(lab: Lab) -> Row:
    """Measure jsonl.gz against the SDK's own batcher."""
    rows = lab.size(ROWS)
    file = lab.table(rows)
    row = lab.row(f"CSV of {rows:,} rows to jsonl.gz")
    with lab.served() as (_, api):
        settings = {"api_url": api, "file": file, "batch_config": batch_config("jsonl", out(lab, "batcher"), "gzip")}
        config = write(lab.place("batcher") / "config.json", settings)
        sides = {
            "tap": tap_into(lab, api, file, "jsonl", "jsonl"),
            "sdk": into(lab, "batcher", program("sdk_tap", "--config", config)),
        }
        return lab.alternate(
            row, sides, same_files(row, {"tap": out(lab, "jsonl"), "sdk": out(lab, "batcher")}), times=7
        )


def memory(lab: Lab) -> Row:
    """Measure the peak over 1 and 10 million rows."""
    sizes = {"1M": lab.size(ROWS), "10M": lab.size(10 * ROWS)}
    row = lab.row(f"peak of the tap over {sizes['1M']:,} and {sizes['10M']:,} rows, Parquet")
    names = {side: lab.table(rows) for side, rows in sizes.items()}
    with lab.served() as (_, api):
        sides = {side: tap_into(lab, api, name, f"parquet-{side}", "parquet") for side, name in names.items()}
        return lab.alternate(row, sides)
