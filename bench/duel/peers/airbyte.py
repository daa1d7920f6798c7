"""A declarative connector of Airbyte's CDK: AsyncRetriever, CsvDecoder, DatetimeBasedCursor.

Docs: https://docs.airbyte.com/platform/connector-development/config-based/advanced-topics/async-job-streams and
https://docs.airbyte.com/platform/connector-development/config-based/understanding-the-yaml-file/incremental-syncs.
Run as `python -m bench.duel.peers.airbyte CONFIG [STATE]`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.duel.peers.quick import JOB_SECONDS, SECONDS, shorten

shorten()

from airbyte_cdk.entrypoint import launch  # noqa: E402 - after `shorten`
from airbyte_cdk.models import AirbyteStateMessageSerializer, ConfiguredAirbyteCatalogSerializer  # noqa: E402 - as above
from airbyte_cdk.sources.declarative.async_job.job_orchestrator import AsyncJobOrchestrator  # noqa: E402 - as above
from airbyte_cdk.sources.declarative.async_job.timer import Timer  # noqa: E402 - as above
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource  # noqa: E402 - as above

Json = dict[str, Any]
COLUMNS = ("row_id", "name", "amount", "interval_end")
SCHEMA: Json = {"type": "object", "properties": {name: {"type": ["null", "string"]} for name in COLUMNS}}
INSTANT = "%Y-%m-%dT%H:%M:%S.%_msZ"
# Windows of the cursor include their end, to a millisecond; intervals of the API do not.
UNTIL = "{{ (str_to_datetime(stream_interval.end_time) + duration('PT0.001S')).strftime('%Y-%m-%dT%H:%M:%S.%fZ') }}"


def requester(url: str, path: str, method: str = "GET", **options: object) -> Json:
    """Return a component that sends requests."""
    return {"type": "HttpRequester", "url_base": url, "path": path, "http_method": method, **options}


def extractor(*path: str) -> Json:
    """Return a component that reads a field of a reply."""
    return {"type": "DpathExtractor", "field_path": list(path)}


def retriever(url: str) -> Json:
    """Return the component that creates, polls and downloads a job for each window."""
    token = {"type": "BearerAuthenticator", "api_token": "{{ config['key'] }}"}
    interval = {"interval_start": "{{ stream_interval.start_time }}", "interval_end": UNTIL}
    body = {"type": "RequestBodyJsonObject", "value": {"report": "{{ config['report'] }}", "parameters": interval}}
    runs = "/v2/data/report_runs"
    return {
        "type": "AsyncRetriever",
        "record_selector": {"type": "RecordSelector", "extractor": extractor()},
        "status_mapping": {
            "type": "AsyncJobStatusMap",
            "running": ["running"],
            "completed": ["succeeded"],
            "failed": ["failed"],
            "timeout": [],
        },
        "status_extractor": extractor("status"),
        "download_target_extractor": extractor("result", "file", "download_url", "url"),
        "creation_requester": requester(url, runs, "POST", request_body=body, authenticator=token),
        "polling_requester": requester(url, runs + "/{{ creation_response['id'] }}", authenticator=token),
        "download_requester": requester("{{ download_target }}", ""),
        "download_decoder": {"type": "CsvDecoder", "set_values_to_none": [""]},
    }


def cursor(config: Json) -> Json:
    """Return the windows."""
    return {
        "type": "DatetimeBasedCursor",
        "cursor_field": "interval_end",
        "datetime_format": INSTANT,
        "start_datetime": {"type": "MinMaxDatetime", "datetime": config["start"], "datetime_format": INSTANT},
        "end_datetime": {"type": "MinMaxDatetime", "datetime": config["end"], "datetime_format": INSTANT},
        "step": f"P{config['days']}D",
        "cursor_granularity": "PT0.001S",
    }


def manifest(config: Json) -> Json:
    """Return the connector."""
    stream = {
        "type": "DeclarativeStream",
        "name": "rows",
        "primary_key": ["row_id"],
        "schema_loader": {"type": "InlineSchemaLoader", "schema": SCHEMA},
        "incremental_sync": cursor(config),
        "retriever": retriever(config["api_url"]),
    }
    return {
        "version": "7.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["rows"]},
        "streams": [stream],
        "spec": {
            "type": "Spec",
            "connection_specification": {
                "type": "object",
                "properties": {"key": {"type": "string", "airbyte_secret": True}},
                "additionalProperties": True,
            },
        },
    }


def catalog() -> Json:
    """Return the configured catalog: the one stream, incremental, deduplicated at the destination."""
    stream = {"name": "rows", "json_schema": SCHEMA, "supported_sync_modes": ["full_refresh", "incremental"]}
    chosen = {"sync_mode": "incremental", "destination_sync_mode": "append_dedup", "cursor_field": ["interval_end"]}
    return {"streams": [{"stream": stream, "primary_key": [["row_id"]], **chosen}]}


def hurry() -> None:
    """Shorten the waits that are no sleeps."""
    AsyncJobOrchestrator._WAIT_TIME_BETWEEN_STATUS_UPDATE_IN_SECONDS = SECONDS  # noqa: SLF001 - has no setting
    begin = Timer.__init__

    def quick(timer: Timer, timeout: timedelta) -> None:
        begin(timer, min(timeout, timedelta(seconds=JOB_SECONDS)))

    Timer.__init__ = quick


def main(path: Path, state: Path | None) -> None:
    """Read what is new, as messages on stdout."""
    hurry()
    config = json.loads(path.read_text(encoding="utf-8"))
    configured = ConfiguredAirbyteCatalogSerializer.load(catalog())
    before = json.loads(state.read_text(encoding="utf-8")) if state else []
    source = ConcurrentDeclarativeSource(
        catalog=configured,
        config=config,
        state=[AirbyteStateMessageSerializer.load(each) for each in before],
        source_config=manifest(config),
    )
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "catalog.json").write_text(json.dumps(catalog()), encoding="utf-8")
        words = ["read", "--config", str(path), "--catalog", str(folder / "catalog.json")]
        launch(source, [*words, *(["--state", str(state)] if state else [])])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)  # noqa: PLR2004 - the second word
