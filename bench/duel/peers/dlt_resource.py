"""A dlt resource with the retrying client of its helpers, incremental loading and merge by key.

Docs: https://dlthub.com/docs/general-usage/http/requests, …/general-usage/incremental/cursor and
…/general-usage/merge-loading; `rest_api` has no asynchronous jobs.
Run as `python -m bench.duel.peers.dlt_resource CONFIG`.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from bench.duel.peers.quick import JOB_SECONDS, SECONDS, shorten
from bench.duel.peers.windows import windows

shorten()
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt  # noqa: E402 - after `shorten`
from dlt.sources.helpers import requests  # noqa: E402 - as dlt

Json = dict[str, Any]
RUNNING = {"running"}


def report(config: Json, start: str, until: str) -> Iterator[Json]:
    """Yield the rows of a window."""
    runs, headers = f"{config['api_url']}/v2/data/report_runs", {"Authorization": f"Bearer {config['key']}"}
    body = {"report": config["report"], "parameters": {"interval_start": start, "interval_end": until}}
    job = requests.post(runs, json=body, headers=headers).json()
    ends = time.monotonic() + JOB_SECONDS
    while job["status"] in RUNNING:
        if time.monotonic() > ends:
            msg = f"report run {job['id']} takes too long"
            raise TimeoutError(msg)
        time.sleep(SECONDS)
        job = requests.get(f"{runs}/{job['id']}", headers=headers).json()
    if job["status"] != "succeeded":
        msg = f"report run {job['id']} is {job['status']}"
        raise RuntimeError(msg)
    with tempfile.TemporaryFile("w+b") as spool:
        download(job["result"]["file"]["download_url"]["url"], spool)
        spool.seek(0)
        yield from csv.DictReader(read_text(spool))


def download(url: str, spool: IO[bytes]) -> None:
    """Write a file to a spool."""
    with requests.get(url, stream=True) as reply:
        for chunk in reply.iter_content(1 << 20):
            spool.write(chunk)


def read_text(spool: IO[bytes]) -> IO[str]:
    """Return a spool's text; line ends stay as they are, as the module csv asks for."""
    return open(spool.fileno(), encoding="utf-8", newline="", closefd=False)


@dlt.resource(name="rows", primary_key="row_id", write_disposition="merge")  # type: ignore[untyped-decorator] # no types
def rows(
    config: Json,
    moment: Any = dlt.sources.incremental("interval_end", initial_value="2026-01-01T00:00:00.000Z"),  # noqa: ANN401, B008 - as its docs have it
) -> Iterator[Json]:
    """Yield the rows that are new."""
    start, end = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (moment.last_value, config["end"]))
    for bounds in windows(start, end, config["days"]):
        for row in report(config, *bounds):
            yield {name: value or None for name, value in row.items()}
            print(row.get("row_id"), flush=True)


def main(path: Path) -> None:
    """Load what is new."""
    config, folder = json.loads(path.read_text(encoding="utf-8")), path.parent
    texts = {name: {"data_type": "text"} for name in ("row_id", "name", "amount", "interval_end")}
    pipeline = dlt.pipeline(
        "duel",
        destination=dlt.destinations.duckdb(str(folder / "landed.duckdb")),
        dataset_name="d",
        pipelines_dir=str(folder / "pipelines"),
    )
    pipeline.run(rows(config).apply_hints(columns=texts))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
