"""What PackageX's documents leave open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from tap_exports.operator.facts.asking import (
    NOT_SHOWN,
    Looks,
    Question,
    items_of,
    rate_limits,
    refusal,
    seen_fields,
    yes,
)

PATH = "/v1/exports"
MANY = 1000
INFERRED = ("object", "organization_id", "reason", "created_by", "updated_by", "options", "csv_field_options", "name")


def glance(config: Mapping[str, Any]) -> str | None:
    """Return the path of a free request."""
    del config
    return PATH


def questions(config: Mapping[str, Any]) -> Iterator[Question]:
    """Yield the open questions; the configuration names nothing that they need."""
    del config
    yield Question("CONTRADICTION", "Does one export stand under `data` or bare?", _envelope)
    yield Question("UNKNOWN", f"Is a limit of {MANY} of a list cut?", _limit)
    yield Question("INFERRED", "Is the default order that of creation, oldest first?", _order)
    yield Question("INFERRED", f"Have exports the fields {', '.join(INFERRED)}?", _fields)
    yield Question("CONTRADICTION", "How are instants written?", _instants)
    yield Question("CONTRADICTION", "Which flag brings which URL?", _urls)
    yield Question("UNKNOWN", "Are exports still listed after 24 hours?", _old)
    yield refusal(f"{PATH}/exp_0000000000000000000000", "an export that is not there")
    yield rate_limits(PATH)


def _some(api: Looks, **params: object) -> list[dict[str, Any]]:
    return items_of(api.look(PATH, {"page": 1, "limit": 25, **params}).json())


def _envelope(api: Looks) -> str:
    if not (found := _some(api)):
        return NOT_SHOWN
    body = api.look(f"{PATH}/{found[0]['id']}").json()
    return "under `data`" if isinstance(body.get("data"), dict) else "bare"


def _limit(api: Looks) -> str:
    body = api.look(PATH, {"page": 1, "limit": MANY}).json()
    turns = body.get("pagination") or {}
    return (
        f"{len(items_of(body))} came, pagination says limit {turns.get('limit')!r}, total {turns.get('total_count')!r}"
    )


def _order(api: Looks) -> str:
    created = [item.get("created_at") for item in _some(api)]
    return yes(is_so=created == sorted(created, key=str)) if len(created) > 1 else NOT_SHOWN


def _fields(api: Looks) -> str:
    return seen_fields(_some(api), INFERRED)


def _instants(api: Looks) -> str:
    return ", ".join(sorted({type(item.get("created_at")).__name__ for item in _some(api)})) or NOT_SHOWN


def _urls(api: Looks) -> str:
    done = [item for item in _some(api) if item.get("status") == "completed"]
    if not done:
        return NOT_SHOWN
    told = []
    for flag in ("include_csv", "include_json"):
        body = api.look(f"{PATH}/{done[-1]['id']}", {flag: True}).json()
        record = body.get("data") or body
        shown = sorted(name for name, value in record.items() if name.startswith("_") and value)
        told.append(f"{flag}: {', '.join(shown) or 'none'}")
    return "; ".join(told)


def _old(api: Looks) -> str:
    oldest = _some(api, order_by="created_at", direction="asc", limit=1)
    if not oldest:
        return NOT_SHOWN
    created = oldest[0].get("created_at")
    day_ago = datetime.now(timezone.utc) - timedelta(hours=24)
    instant = datetime.fromtimestamp(created, timezone.utc) if isinstance(created, int) else None
    return NOT_SHOWN if instant is None else yes(is_so=instant < day_ago)
