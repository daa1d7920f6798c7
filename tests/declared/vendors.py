"""A vendor that does not exist, in as many ways as the format has constructs, and the tap against its sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import requests

from tap_exports.providers.declared.declaration import Declaration, checked
from tap_exports.providers.declared.declaration.source import Source
from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.sandbox.declared import provider_of
from tap_exports.sandbox.declared.access import KEY
from tests.tap.harness import Json, Ran

NAME, STREAM = "vendor", "vendor_export_rows"
VENDOR: Json = {
    "name": NAME,
    "base_url": "https://api.vendor.example",
    "auth": {"headers": {"x-key": "{key}"}},
    "submit": {"post": "/exports", "json": {"type": "{type}", "from": "{start}", "to": "{end}"}},
    "job": {"id": "id", "status": "state", "created": "made", "progress": ["share"], "reason": "why"},
    "status": {"QUEUED": "pending", "BUSY": "running", "DONE": "completed", "BAD": "failed"},
    "poll": {"get": "/exports/{id}"},
    "files": {"url": "parts[].url", "format": "csv"},
    "list": {"get": "/exports", "params": {"page": "{page}"}, "items": "data"},
    "find": {"type": "{type}", "from": "{start}", "to": "{end}"},
    "window": {"key": "moment", "days": 31},
}
ROWS = 400


def vendor(**parts: Any) -> Json:  # noqa: ANN401 - blocks of a declaration
    """Return the declaration with other blocks; None leaves one out."""
    spec = {**deepcopy(VENDOR), **parts}
    return {key: value for key, value in spec.items() if value is not None}


def declaration(spec: Json) -> Declaration:
    return checked(Source("vendor.yaml", spec, {}))


def served(spec: Json, *, faults: Json | None = None, file: Path | None = None, **options: Any) -> Sandbox:  # noqa: ANN401 - of SandboxOptions
    """Return a sandbox of a declaration that passes the check."""
    declaration(spec)
    given = {"job_seconds": 0, **options}
    given["knobs"] = {NAME: {"rows": ROWS, "page_rows": 50, **options.get("knobs", {})}}
    return Sandbox(SandboxOptions(**given), faults=faults, providers=[provider_of(spec, file)])


def config(box: Sandbox, *, entry: Json | None = None, block: Json | None = None, **changes: Any) -> Json:  # noqa: ANN401 - settings
    """Return a configuration over the sandbox's 90 days of rows, with changes to entry, block and settings."""
    whole = box.config(NAME)
    written = {**whole["declared"][0], **(block or {})}
    written["exports"] = [{**written["exports"][0], **(entry or {})}]
    span = {"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-03-31", "poll_interval_seconds": 0.05}
    return {**whole, **span, "progress": "never", "settling_seconds": 0, "declared": [written], **changes}


def made_by_others(box: Sandbox, count: int, **asked: str) -> list[str]:
    """Have somebody else create jobs; return their ids."""
    body = {"type": "some type", "from": "2026-01-01T00:00:00.000Z", "to": "2026-01-31T23:59:59.999Z", **asked}
    made = [
        requests.post(box.api_url(NAME) + "/exports", json=body, headers={"x-key": KEY}, timeout=10).json()
        for _ in range(count)
    ]
    return [str(job["id"]) for job in made]


def landed(*runs: Ran, streams: Sequence[str] = (STREAM,)) -> list[str]:
    """Return the rows as an upserting target holds them after some runs."""
    rows = {r["row_id"]: r for ran in runs for stream in streams for r in ran.records[stream]}
    return [str((key, rows[key]["name"], str(rows[key]["amount"]))) for key in sorted(rows)]


def truth(box: Sandbox) -> list[str]:
    return [str((r["row_id"], r["name"], r["amount"])) for r in box.truth(f"{NAME}/rows")]


def receipts(ran: Ran) -> list[Json]:
    return ran.records["export_jobs"]


def paths(box: Sandbox, method: str = "GET") -> list[str]:
    return [entry["path"] for entry in box.requests() if entry["method"] == method]
