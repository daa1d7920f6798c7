"""A declarative connector of Airbyte's CDK for the same exports: AsyncRetriever and CsvDecoder.

Docs: https://docs.airbyte.com/platform/connector-development/config-based/advanced-topics/async-job-streams.
Run as `python -m bench.peers.airbyte CONFIG`, a file of `{"api_url", "files", "typed", "jobs"}`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from airbyte_cdk.entrypoint import launch
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

from bench.table import FIELDS

Json = dict[str, Any]
JSON_TYPES = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean", "date-time": "string"}


def schema() -> Json:
    """Return the schema of the rows."""
    properties = {name: {"type": ["null", JSON_TYPES[kind]]} for name, kind in FIELDS.items()}
    return {"type": "object", "properties": properties}


def requester(url: str, path: str, method: str = "GET", **options: object) -> Json:
    """Return a component that sends requests."""
    return {"type": "HttpRequester", "url_base": url, "path": path, "http_method": method, **options}


def extractor(field: str) -> Json:
    """Return a component that reads one field of a reply."""
    return {"type": "DpathExtractor", "field_path": [field]}


def retriever(url: str, files: list[str], *, typed: bool) -> Json:
    """Return the component that creates, polls and downloads, once per file."""
    selector: Json = {"type": "RecordSelector", "extractor": {"type": "DpathExtractor", "field_path": []}}
    if typed:
        selector["schema_normalization"] = "Default"
    asked = dict.fromkeys(("start_date", "end_date"), "2026-01-01T00:00:00Z")
    body = {"type": "RequestBodyJsonObject", "value": {"schema_id": "{{ stream_partition['file'] }}", **asked}}
    return {
        "type": "AsyncRetriever",
        "record_selector": selector,
        "status_mapping": {
            "type": "AsyncJobStatusMap",
            "running": ["PENDING", "PROCESSING"],
            "completed": ["COMPLETED"],
            "failed": ["FAILED"],
            "timeout": ["TIMEOUT"],
        },
        "status_extractor": extractor("status"),
        "download_target_extractor": extractor("url"),
        "creation_requester": requester(url, "/v1/exports", "POST", request_body=body),
        "polling_requester": requester(url, "/v1/exports/{{ creation_response['id'] }}"),
        "download_requester": requester("{{ download_target }}", ""),
        "download_decoder": {"type": "CsvDecoder"},
        "partition_router": {"type": "ListPartitionRouter", "values": files, "cursor_field": "file"},
    }


def manifest(config: Json) -> Json:
    """Return the connector."""
    loader = {"type": "InlineSchemaLoader", "schema": schema()}
    stream = {"type": "DeclarativeStream", "name": "rows", "primary_key": [], "schema_loader": loader}
    stream["retriever"] = retriever(config["api_url"], config["files"], typed=config["typed"])
    return {
        "version": "7.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["rows"]},
        "streams": [stream],
        "max_concurrent_async_job_count": config["jobs"],
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "additionalProperties": True}},
    }


def catalog() -> Json:
    """Return the configured catalog: the one stream, in full."""
    stream = {"name": "rows", "json_schema": schema(), "supported_sync_modes": ["full_refresh"]}
    return {"streams": [{"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append"}]}


def main(path: Path) -> None:
    """Read everything, as RECORD lines on stdout."""
    config = json.loads(path.read_text(encoding="utf-8"))
    configured = ConfiguredAirbyteCatalogSerializer.load(catalog())
    source = ConcurrentDeclarativeSource(catalog=configured, config=config, state=[], source_config=manifest(config))
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "catalog.json").write_text(json.dumps(catalog()), encoding="utf-8")
        launch(source, ["read", "--config", str(path), "--catalog", str(folder / "catalog.json")])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
