"""A plain tap of the Singer SDK: a RESTStream with its retries, a replication key and a start date.

Docs: https://sdk.meltano.com/en/latest/dev_guide.html and …/incremental_replication.html. Run with `--config`.
"""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bench.duel.peers.quick import JOB_SECONDS, SECONDS, shorten
from bench.duel.peers.windows import windows

shorten()

import requests  # noqa: E402 - after `shorten`
from singer_sdk import RESTStream, Tap  # noqa: E402 - as requests
from singer_sdk import typing as th  # noqa: E402 - as requests
from singer_sdk.authenticators import BearerTokenAuthenticator  # noqa: E402 - as requests
from singer_sdk.exceptions import FatalAPIError  # noqa: E402 - as requests

if TYPE_CHECKING:
    from singer_sdk.helpers.types import Context

RUNNING = {"running"}


class Rows(RESTStream[int]):
    """The rows of a report, window by window."""

    name = "rows"
    path = "/v2/data/report_runs"
    primary_keys = ("row_id",)
    replication_key = "interval_end"
    schema = th.PropertiesList(
        th.Property("row_id", th.StringType),
        th.Property("name", th.StringType),
        th.Property("amount", th.StringType),
        th.Property("interval_end", th.DateTimeType),
    ).to_dict()

    @property
    def url_base(self) -> str:
        """Return the API's address."""
        return str(self.config["api_url"])

    @property
    def authenticator(self) -> BearerTokenAuthenticator:
        """Return what adds the key."""
        return BearerTokenAuthenticator(token=self.config["key"])

    def get_records(self, context: Context | None) -> Iterable[dict[str, Any]]:
        """Yield the rows of all windows that are due."""
        start, end = self.get_starting_timestamp(context), datetime.fromisoformat(self.config["end"])
        if start is None:
            msg = "no start_date"
            raise ValueError(msg)
        for bounds in windows(start, end, self.config["days"]):
            yield from self._report(context, *bounds)

    def _report(self, context: Context | None, start: str, until: str) -> Iterable[dict[str, Any]]:
        body = {"report": self.config["report"], "parameters": {"interval_start": start, "interval_end": until}}
        job = self._ask(context, "POST", self.url_base + self.path, json=body).json()
        ends = time.monotonic() + JOB_SECONDS
        while job["status"] in RUNNING:
            if time.monotonic() > ends:
                msg = f"report run {job['id']} takes too long"
                raise FatalAPIError(msg)
            time.sleep(SECONDS)
            job = self._ask(context, "GET", f"{self.url_base}{self.path}/{job['id']}").json()
        if job["status"] != "succeeded":
            msg = f"report run {job['id']} is {job['status']}"
            raise FatalAPIError(msg)
        with tempfile.NamedTemporaryFile("w+b") as spool:
            self._download(job["result"]["file"]["download_url"]["url"], spool)
            with Path(spool.name).open(encoding="utf-8", newline="") as file:
                yield from ({name: value or None for name, value in row.items()} for row in csv.DictReader(file))

    def _ask(self, context: Context | None, method: str, url: str, **body: object) -> requests.Response:
        """Send a request with the SDK's retries."""
        prepared = self.build_prepared_request(method, url, headers=self.http_headers, **body)
        return self.request_decorator(self._request)(prepared, context)

    def _download(self, url: str, spool: IO[bytes]) -> None:
        """Write a file to a spool; a signed URL takes no key."""

        def fetch() -> None:
            spool.seek(0)
            spool.truncate()
            with requests.get(url, stream=True, timeout=self.timeout) as reply:
                self.validate_response(reply)
                for chunk in reply.iter_content(1 << 20):
                    spool.write(chunk)
            spool.flush()

        self.request_decorator(fetch)()  # type: ignore[arg-type,call-arg] # any function that may raise


class PlainTap(Tap):
    """The tap."""

    name = "tap-plain"
    config_jsonschema = th.PropertiesList(
        th.Property("api_url", th.StringType, required=True),
        th.Property("key", th.StringType, required=True, secret=True),
        th.Property("report", th.StringType, required=True),
        th.Property("start_date", th.DateTimeType, required=True),
        th.Property("end", th.StringType, required=True),
        th.Property("days", th.IntegerType, required=True),
    ).to_dict()

    def discover_streams(self) -> list[Rows]:
        """Return the one stream."""
        return [Rows(self)]


if __name__ == "__main__":
    PlainTap.cli()
