"""What Exelensia's documents leave open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tap_exports.operator.facts.asking import (
    NOBODY,
    NOT_SHOWN,
    Looks,
    Question,
    items_of,
    rate_limits,
    refusal,
    seen_fields,
)

EXPORTS, SCHEMAS = "/v1/exports", "/v1/schemas"
FAR = "2199-01-01T00:00:00.000Z"
ONE = {"limit": 1, "sort_by": "createdAt", "sort_order": "asc"}


def glance(config: Mapping[str, Any]) -> str | None:
    """Return the path of a free request."""
    del config
    return SCHEMAS


def questions(config: Mapping[str, Any]) -> Iterator[Question]:
    """Yield the open questions; the configuration names nothing that they need."""
    del config
    yield Question("UNKNOWN", "Does created_after include its instant?", _inclusive)
    yield Question("UNKNOWN", "Is totalPages 0 or 1 for an empty list?", _empty_list)
    yield Question("UNKNOWN", "Which types have the fields of schemas?", _types)
    yield Question("UNKNOWN", "Which words do the statuses of results use?", _statuses)
    yield Question("UNKNOWN", "Do exports tell row count, size or error?", _export_fields)
    yield refusal(f"{EXPORTS}/{NOBODY}/download", "an export that is not there")
    yield rate_limits(SCHEMAS)


def _inclusive(api: Looks) -> str:
    first = items_of(api.look(EXPORTS, ONE).json())
    if not first:
        return NOT_SHOWN
    after = items_of(api.look(EXPORTS, {**ONE, "created_after": first[0]["createdAt"]}).json())
    return "it does" if any(item["id"] == first[0]["id"] for item in after) else "it does not"


def _empty_list(api: Looks) -> str:
    body = api.look(EXPORTS, {**ONE, "created_after": FAR}).json()
    return f"totalPages {body['meta'].get('totalPages')!r}, total {body['meta'].get('total')!r}"


def _types(api: Looks) -> str:
    listed = [(item.get("schema") or {}).get("fields") or [] for item in items_of(api.look(SCHEMAS).json())]
    return ", ".join(sorted({str(field.get("type")) for fields in listed for field in fields})) or NOT_SHOWN


def _statuses(api: Looks) -> str:
    found = items_of(api.look("/v1/results", {"limit": 100}).json())
    return ", ".join(sorted({str(item.get("status")) for item in found})) or NOT_SHOWN


def _export_fields(api: Looks) -> str:
    found = items_of(api.look(EXPORTS, {"limit": 100}).json())
    return seen_fields(found, ("rows", "row_count", "bytes", "size", "error", "reason", "expires_at"))
