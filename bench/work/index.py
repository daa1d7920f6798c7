"""All rows by name, in the order of the table."""

from __future__ import annotations

from collections.abc import Callable

from bench.lab import Lab
from bench.results import Row
from bench.work import batches, counted, edges, jobs, limits, loading, pages, profile, records, startup

ROWS: dict[str, Callable[[Lab], Row]] = {
    "server": limits.server,
    "records": records.sdk,
    "records-packed": records.gzip,
    "airbyte-untyped": records.airbyte_untyped,
    "airbyte-typed": records.airbyte_typed,
    "pages": pages.serial,
    "pages-many": pages.many,
    "page-cost": pages.cost,
    "jobs": jobs.makespan,
    "start": startup.first,
    "instructions": counted.instructions,
    "sizes": records.sizes,
    "parquet": batches.parquet,
    "jsonl": batches.jsonl,
    "memory-parquet": batches.memory,
    "postgres": loading.postgres,
    "duckdb": loading.duckdb,
    "exports": loading.exports,
    "operations": edges.operations,
    "streams": edges.streams,
    "shapes": edges.shapes,
    "archive": edges.archive,
    "profile": profile.profile,
}
