"""An ordinary tap of the Singer SDK for the same export: requests into a file, csv.DictReader, types by the schema.

Docs: https://sdk.meltano.com/en/latest/dev_guide.html and …/batch.html. Run with `--config`; settings below.
"""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import requests
from singer_sdk import Stream, Tap
from singer_sdk import typing as th

from bench.table import FIELDS

if TYPE_CHECKING:
    from singer_sdk.helpers.types import Context

TIMEOUT = 60
TYPES: dict[str, Any] = {
    "string": th.StringType,
    "integer": th.IntegerType,
    "number": th.NumberType,
    "boolean": th.BooleanType,
    "date-time": th.DateTimeType,
}
CONVERT: dict[str, Callable[[str], Any]] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": "true".__eq__,
    "date-time": str,
}


class Rows(Stream):
    """The rows of one export."""

    name = "rows"
    primary_keys = ("id",)
    schema = th.PropertiesList(*(th.Property(name, TYPES[kind]) for name, kind in FIELDS.items())).to_dict()

    def get_records(self, context: Context | None) -> Iterable[dict[str, Any]]:
        """Yield the rows with their types."""
        del context
        converters = [(name, CONVERT[kind]) for name, kind in FIELDS.items()]
        with tempfile.NamedTemporaryFile("w+b") as spool, requests.Session() as session:
            self._download(session, self._finished_url(session), spool)
            with Path(spool.name).open(encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file):
                    yield {name: convert(row[name]) if row[name] else None for name, convert in converters}

    def _finished_url(self, session: requests.Session) -> str:
        exports = f"{self.config['api_url']}/v1/exports"
        now = datetime.now(timezone.utc).isoformat()
        asked = {"schema_id": self.config["file"], "start_date": now, "end_date": now}
        job = session.post(exports, json=asked, timeout=TIMEOUT).json()
        while job["status"] != "COMPLETED":
            time.sleep(0.1)
            job = session.get(f"{exports}/{job['id']}", timeout=TIMEOUT).json()
        return str(session.get(f"{exports}/{job['id']}/download", timeout=TIMEOUT).json()["url"])

    def _download(self, session: requests.Session, url: str, spool: IO[bytes]) -> None:
        with session.get(url, stream=True, timeout=TIMEOUT) as reply:
            reply.raise_for_status()
            for chunk in reply.iter_content(1 << 20):
                spool.write(chunk)
        spool.flush()


class PlainTap(Tap):
    """The tap."""

    name = "tap-plain"
    config_jsonschema = th.PropertiesList(
        th.Property("api_url", th.StringType, required=True),
        th.Property("file", th.StringType, required=True),
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        """Return the one stream."""
        return [Rows(self)]


if __name__ == "__main__":
    PlainTap.cli()
