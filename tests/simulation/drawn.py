"""Settings and streams of a story, drawn for each provider."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.simulation.world import Json

Streams = tuple[str, ...]
FILTERS = {"countries": ["Norway"]}
ORGANIZATIONS = ("nE3vJ7mKQ2sWx9TzB4pRuY", "hA6cD8fGL3kMq5PrV7wXyZ")


def settings(chance: random.Random, provider: str, count: int) -> tuple[Json, Streams]:
    """Return the settings of a story with so many records, and its streams."""
    block, streams = BLOCKS[provider](chance, count)
    return {**_shared(chance), provider: block}, streams


def _shared(chance: random.Random) -> Json:
    return {
        "start_date": "2026-05-29T00:00:00Z",
        "settling_seconds": 60,
        "job_stall_timeout_seconds": chance.choice((120, 600)),
        "job_wait": chance.choice(("wait", "wait", "detach")),
        "max_concurrent_jobs": chance.choice((1, 2, 4)),
        "max_concurrent_requests": chance.choice((1, 4)),
        "poll_interval_seconds": chance.choice((0.2, 2, 10)),
        "max_attempts": chance.choice((3, 6)),
        "progress": "never",
    }


def _some(chance: random.Random, *names: str) -> Streams:
    """Return some of the streams, at least one."""
    return tuple(name for name in names if chance.random() < 0.5) or (chance.choice(names),)


def _keys(chance: random.Random, name: str) -> Json:
    """Return the key of an export; without one the tap makes its own."""
    return {"primary_keys": [name]} if chance.random() < 0.7 else {}


def _size(chance: random.Random) -> Json:
    """Return who says how long windows are, and how much is read again."""
    size = {"window_size": "auto"} if chance.random() < 0.4 else {}
    late = {"lookback": chance.choice((0.02, 1, 3))} if chance.random() < 0.3 else {}
    known = {"lookback_rows": chance.choice((3, 1000))} if late and chance.random() < 0.5 else {}
    return {**size, **late, **known}


def _exelensia(chance: random.Random, count: int) -> tuple[Json, Streams]:
    entry = {
        "schema_id": "s1",
        "name": "rows",
        "mode": chance.choice(("create", "create", "collect")),
        "max_window_days": chance.choice((1, 2, 31)),
        "delete_after_load": chance.choice((False, False, True)),
        **_keys(chance, "number"),
    }
    streams = ("exelensia_export_rows", *_some(chance, "exelensia_exports", "exelensia_results"))
    streams = streams if chance.random() < 0.7 else streams[:1]
    entry |= _size(chance)
    return {"api_key": "key-of-a-test", "exports": [entry]}, streams


def _cornect(chance: random.Random, count: int) -> tuple[Json, Streams]:
    block = {
        "api_token": "token-of-a-test",
        "max_credits": chance.choice((count // 2, count, count * 3 // 2)),
        "exports": [{"name": "rows", "search_filters": FILTERS, **_keys(chance, "id")}],
        "searches": [{"name": "north", "search_filters": FILTERS}],
    }
    names = ("cornect_export_rows", "cornect_companies", "cornect_credit_transactions", "cornect_exports")
    return block, _some(chance, *names)


def _packagex(chance: random.Random, count: int) -> tuple[Json, Streams]:
    entry = {
        "resource": "shipment",
        "name": "rows",
        "mode": chance.choice(("create", "create", "create", "collect")),
        "format": chance.choice(("json", "csv")),
    }
    streams = ("packagex_export_rows", *_some(chance, "packagex_export_rows_errors", "packagex_export_rows_sanitized"))
    streams += ("packagex_exports",) if chance.random() < 0.4 else ()
    entry |= _size(chance)
    return {"api_key": "key-of-a-test", "exports": [entry]}, streams


def _cension(chance: random.Random, count: int) -> tuple[Json, Streams]:
    entry: Json = {"export_id": 7, "name": "rows", **_keys(chance, "id")}
    entry["on_failed_run"] = chance.choice(("stop", "skip", "pull"))
    if chance.random() < 0.3:
        entry["start"] = {"endpoint": "horizontal/create", "body": {"columns": ["customer"]}}
    query: Json = {"query_id": 12, "name": "recent", "primary_keys": ["id"]}
    if chance.random() < 0.5:
        query["replication_key"] = "created_at"
    block: Json = {"api_key": "key-of-a-test", "exports": [entry], "queries": [query]}
    if chance.random() < 0.8:
        block["operation_ids"] = list(range(1, chance.randint(2, 4)))
    names = (
        "cension_export_rows",
        "cension_query_recent",
        *(["cension_operations"] if "operation_ids" in block else []),
    )
    return block, _some(chance, *names)


def _closient(chance: random.Random, count: int) -> tuple[Json, Streams]:
    block = {
        "api_key": "key-of-a-test",
        "organization_ids": list(ORGANIZATIONS[: chance.randint(1, 2)]),
        "archive_format": chance.choice(("zip", "tar.gz")),
    }
    kinds = ("exports", "export_sections", "export_records", "export_files")
    return block, _some(chance, *(f"closient_{kind}" for kind in kinds))


BLOCKS: dict[str, Callable[[random.Random, int], tuple[Json, Streams]]] = {
    "cension": _cension,
    "closient": _closient,
    "cornect": _cornect,
    "exelensia": _exelensia,
    "packagex": _packagex,
}
