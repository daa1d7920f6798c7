"""Counts what stands in files: `python -m bench.count PATH` prints rows, sums and the rows of the greatest part.

PATH is a Parquet or jsonl.gz file, or a folder that holds such files anywhere.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import compute, parquet

SUMMED = ("id", "quantity")


def parts(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the counts of each file."""
    for file in sorted(path.rglob("*.parquet")) if path.is_dir() else [path]:
        yield of_parquet(file)
    for file in sorted(path.rglob("*.gz")) if path.is_dir() else []:
        # dlt keeps its own notes beside the rows, gzipped as well.
        if not any(part.startswith("_dlt") for part in file.parts):
            yield of_lines(file)


def of_parquet(path: Path) -> dict[str, Any]:
    """Return the counts of a Parquet file; of one without the columns of the table, zeros."""
    file = parquet.ParquetFile(path)
    if not set(SUMMED) <= set(file.schema_arrow.names):
        return {"rows": 0, **dict.fromkeys(SUMMED, 0)}
    table = file.read(columns=list(SUMMED))
    sums = {name: compute.sum(table[name].cast(pa.int64())).as_py() for name in SUMMED}
    return {"rows": table.num_rows, **sums}


def of_lines(path: Path) -> dict[str, Any]:
    """Return the counts of a file of JSON lines."""
    counts: dict[str, Any] = {"rows": 0, **dict.fromkeys(SUMMED, 0)}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            counts["rows"] += 1
            for name in SUMMED:
                counts[name] += row[name]
    return counts


def main(path: Path) -> None:
    """Print the sums over all files."""
    found = list(parts(path))
    total = {name: sum(each[name] for each in found) for name in ("rows", *SUMMED)}
    print(json.dumps({**total, "greatest": max((each["rows"] for each in found), default=0)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
