"""Polars' streaming conversion from CSV to Parquet, with its own number of threads.

Docs: https://docs.pola.rs/api/python/stable/reference/api/polars.LazyFrame.sink_parquet.html.
Run as `python -m bench.peers.polars_convert URL TARGET`; prints the rows.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

from bench.peers.fetched import fetched
from bench.table import FIELDS

TYPES = {
    "string": pl.String,
    "integer": pl.Int64,
    "number": pl.Float64,
    "boolean": pl.Boolean,
    "date-time": pl.String,  # turned into instants below: the CSV reader does not take a zone
}


def main(url: str, target: str) -> None:
    """Download, convert and count."""
    source = fetched(url, Path(target).parent)
    scanned = pl.scan_csv(source, schema={name: TYPES[kind] for name, kind in FIELDS.items()})
    times = [name for name, kind in FIELDS.items() if kind == "date-time"]
    parsed = [pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", time_zone="UTC") for name in times]
    scanned.with_columns(parsed).sink_parquet(target, compression="zstd")
    print(pl.scan_parquet(target).select(pl.len()).collect().item())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
