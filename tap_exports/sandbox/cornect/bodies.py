"""The bodies of Cornect's requests: their checks, and the cursor of the search."""

from __future__ import annotations

import base64
import json
from typing import Any

from tap_exports.sandbox.cornect.directory import Row
from tap_exports.sandbox.cornect.filters import Filters, check_kind, invalid
from tap_exports.sandbox.web import Refusal, Request

_BODY = {
    "name": "string",
    "source_type": "string",
    "search_filters": "object",
    "sort_by": "string",
    "sort_order": "string",
    "list_id": "string",
    "export_format": "string",
}
_CHOICES = {"source_type": ("search", "list"), "export_format": ("csv", "json"), "sort_order": ("asc", "desc")}


def body_of(request: Request) -> Row:
    """Return the body, an object.

    Raises:
        Refusal: 422.
    """
    try:
        return request.json_object()
    except Refusal as refusal:
        raise invalid(("body",), refusal.message) from None


def checked(body: Row, *, strict: bool) -> Row:
    """Return the body of an export's creation with its defaults; null is as good as absent.

    Raises:
        Refusal: 422.
    """
    unknown = sorted(set(body) - set(_BODY))
    if unknown and strict:
        raise invalid(("body", unknown[0]), "Extra inputs are not permitted")
    given = {name: body[name] for name in _BODY if body.get(name) is not None}
    known = {"source_type": "search", "export_format": "csv", **given}
    for name in ("name", *known):
        check_kind(known.get(name), _BODY[name], ("body", name))
    for name, values in _CHOICES.items():
        if known.get(name, values[0]) not in values:
            raise invalid(("body", name), f"Input should be one of {', '.join(values)}")
    return known


def cursor_at(offset: int, filters: Filters) -> str:
    """Return the cursor of a page that starts at `offset`."""
    return base64.urlsafe_b64encode(json.dumps({"offset": offset, "for": filters.digest}).encode()).decode()


def offset_of(cursor: Any, filters: Filters) -> int:
    """Return where the page of a cursor starts.

    Raises:
        Refusal: 400, the cursor is malformed or belongs to other filters.
    """
    try:
        content = json.loads(base64.urlsafe_b64decode(cursor))
        if content["for"] == filters.digest:
            return int(content["offset"])
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    raise Refusal(400, "The cursor is not one of a search with these filters")
