"""Growth of STATE and of streams, archives, and tables of unusual shapes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from bench import services
from bench.lab import Lab
from bench.process import BrokenRunError, states
from bench.results import Row
from bench.seeds import KEY
from bench.tap import Settings, Tap
from bench.work.records import always, tap_of
from tap_exports.sandbox.closient.seed import LOAD

OPERATIONS, STREAMS, DOCUMENTS = 10_000, 1_000, 200_000
WIDE_ROWS, LONG_ROWS = 5_000, 40


def operations(lab: Lab) -> Row:
    """Measure runs by number: cost of each and bytes of STATE, for a tenth of them and for all."""
    sizes = {"one": 1, "tenth": lab.size(OPERATIONS) // 10, "all": lab.size(OPERATIONS)}
    row = lab.row(f"{sizes['all']:,} operations of one row each, and a tenth of them; one shows what a start costs")
    row.facts["count"] = sizes
    with lab.served() as (_, api):
        taps = {
            side: Tap(lab.place(f"runs-{side}"), cension(api, count), ["cension_export_runs"])
            for side, count in sizes.items()
        }
        lab.alternate(row, {side: always(tap.command) for side, tap in taps.items()}, times=7)
        row.facts["STATE"] = {side: of_states(states(tap.command)) for side, tap in taps.items()}
    return row


def cension(api: str, count: int) -> Settings:
    """Return settings with so many runs."""
    entry = {"export_id": 1, "name": "runs", "operation_ids": list(range(1, count + 1))}
    block = {"api_key": KEY, "api_url": api, "exports": [entry]}
    return {
        "allow_private_hosts": True,
        "progress": "never",
        "ledger": "none",
        "poll_interval_seconds": 0.1,
        "cension": block,
    }


def streams(lab: Lab) -> Row:
    """Measure many streams: cost of each and bytes of STATE, for a tenth of them and for all."""
    sizes = {"one": 1, "tenth": max(2, lab.size(STREAMS) // 10), "all": lab.size(STREAMS)}
    row = lab.row(f"{sizes['all']:,} streams of one row each, and a tenth of them; one shows what a start costs")
    row.facts["count"] = sizes
    with lab.served() as (_, api):
        file = lab.table(1)
        taps = {side: tap_of(lab, api, file, f"streams-{side}", count) for side, count in sizes.items()}
        lab.alternate(row, {side: always(command) for side, command in taps.items()})
        row.facts["STATE"] = {side: of_states(states(command)) for side, command in taps.items()}
    return row


def of_states(sizes: list[int]) -> dict[str, float]:
    """Return what is to be known of the bytes of STATE messages."""
    return {"messages": len(sizes), "median": median(sizes), "greatest": max(sizes), "all": sum(sizes)}


def shapes(lab: Lab) -> Row:
    """Measure wide, tiny, empty and very long tables."""
    names = {"wide": f"wide-{lab.size(WIDE_ROWS)}.csv", "tiny": "rows-1.csv", "empty": "empty.csv"}
    names["long"] = f"long-{lab.size(LONG_ROWS)}.csv"
    row = lab.row(f"2,000 columns × {lab.size(WIDE_ROWS):,} rows; 1 row; 0 rows; {lab.size(LONG_ROWS)} rows of 5 MB")
    for name in names.values():
        lab.prepared(name)
    with lab.served() as (_, api):
        return lab.alternate(row, {side: always(tap_of(lab, api, name, side)) for side, name in names.items()})


def archive(lab: Lab) -> Row:
    """Measure an archive of YAML documents, from the tap's own sandbox."""
    documents = lab.size(DOCUMENTS)
    row = lab.row(f"an archive of {documents:,} YAML documents to RECORD lines")
    with sandbox(lab, documents) as config:
        tap = Tap(lab.place("archive"), config, ["closient_export_records"])
        return lab.alternate(row, {"tap": always(tap.command)})


@contextmanager
def sandbox(lab: Lab, rows: int) -> Iterator[dict[str, Any]]:
    """Run the sandbox and yield settings for its archive of so many documents.

    Raises:
        BrokenRunError: It does not start.
    """
    path = lab.place("sandbox") / "config.json"
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "tap_exports.sandbox",
        "--rows",
        str(rows),
        "--write-config",
        path,
    ]
    with services.background(command, stdout=subprocess.PIPE) as process:
        if not (process.stdout and process.stdout.readline()):
            raise BrokenRunError("the sandbox does not start")
        config: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        shared = {name: value for name, value in config.items() if not isinstance(value, dict)}
        yield {
            **shared,
            "progress": "never",
            "ledger": "none",
            "closient": {**config["closient"], "organization_ids": [LOAD]},
        }
