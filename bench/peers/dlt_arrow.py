"""A dlt pipeline of Arrow tables into Parquet files in a local folder.

Docs: https://dlthub.com/docs/dlt-ecosystem/verified-sources/arrow-pandas and …/destinations/filesystem.
Run as `python -m bench.peers.dlt_arrow URL FOLDER`; prints the rows that it loaded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import dlt
import pyarrow as pa
import requests
from pyarrow import csv

from bench.peers.arrow_types import CONVERT

BLOCK = 8 << 20


def tables(url: str) -> Iterator[pa.Table]:
    """Yield the rows of a CSV as Arrow tables with declared types."""
    with requests.get(url, stream=True, timeout=60) as reply:
        reply.raise_for_status()
        parse, read = csv.ParseOptions(newlines_in_values=True), csv.ReadOptions(block_size=BLOCK)
        source = cast("IO[bytes]", reply.raw)
        with csv.open_csv(source, read_options=read, parse_options=parse, convert_options=CONVERT) as batches:
            for batch in batches:
                yield pa.Table.from_batches([batch])


def main(url: str, folder: Path) -> None:
    """Load and count."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    destination = dlt.destinations.filesystem(bucket_url=(folder / "loaded").as_uri())
    pipeline = dlt.pipeline("bench", destination=destination, dataset_name="d", pipelines_dir=str(folder / "state"))
    rows = dlt.resource(tables(url), name="rows", write_disposition="append")
    pipeline.run(rows, loader_file_format="parquet")
    counts = pipeline.last_trace.last_normalize_info.row_counts if pipeline.last_trace else {}
    print(counts.get("rows", 0))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
