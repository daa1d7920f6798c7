"""What Cension's documents leave open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from tap_exports.operator.facts.asking import NOT_SHOWN, Looks, Question, rate_limits, refusal, seen_fields

OPERATIONS, EXPORTS = "/api/operations", "/api/export"
MANY = 1000
NO_RUN = 999_999_999


def glance(config: Mapping[str, Any]) -> str | None:
    """Return the path of a free request, None where the configuration names no run."""
    return next((f"{OPERATIONS}/{number}" for number in config["cension"].get("operation_ids", ())), None)


def questions(config: Mapping[str, Any]) -> Iterator[Question]:
    """Yield the open questions; they need runs and exports in the configuration."""
    block = config["cension"]
    for number in block.get("operation_ids", ())[:1]:
        path = f"{OPERATIONS}/{number}"
        yield Question("CONTRADICTION", "Under which name does a run stand in its reply?", partial(_envelope, path))
        yield Question("INFERRED", "Which fields has a run?", partial(_run, path))
        yield rate_limits(path)
    for export in [each for each in block.get("exports", ()) if not each.get("api_key")][:1]:
        path = f"{EXPORTS}/{export['export_id']}"
        yield Question("UNKNOWN", f"Is a limit of {MANY} of an export cut?", partial(_limit, path))
        yield Question("UNKNOWN", "Which types have values, and may they be null?", partial(_types, path))
        yield Question("UNKNOWN", "Has a row an id of its own?", partial(_ids, path))
    yield refusal(f"{OPERATIONS}/{NO_RUN}", "a run that is not there")


def _envelope(path: str, api: Looks) -> str:
    body = api.look(path).json()
    return ", ".join(sorted(name for name, value in body.items() if isinstance(value, dict))) or "bare"


def _run(path: str, api: Looks) -> str:
    body = api.look(path).json()
    record = body.get("operation") or body.get("data") or body
    return seen_fields([record], ("status", "processedItems", "totalItems", "startedAt", "completedAt", "errorMessage"))


def _rows(path: str, api: Looks, limit: int = 100) -> tuple[list[dict[str, Any]], object]:
    data = api.look(path, {"page": 1, "limit": limit}).json()["data"]
    return (data, None) if isinstance(data, list) else (data.get("items") or [], data.get("total_count"))


def _limit(path: str, api: Looks) -> str:
    rows, total = _rows(path, api, MANY)
    return f"{len(rows)} rows came, total_count is {total!r}"


def _types(path: str, api: Looks) -> str:
    values = [value for row in _rows(path, api)[0] for value in row.values()]
    return ", ".join(sorted({type(value).__name__ for value in values})) or NOT_SHOWN


def _ids(path: str, api: Looks) -> str:
    return seen_fields(_rows(path, api)[0], ("id", "og_id", "createdAt", "updatedAt", "operationId"))
