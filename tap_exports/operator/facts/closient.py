"""What Closient's documents leave open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from tap_exports.operator.facts.asking import Looks, Question, rate_limits, refusal, seen_fields

WHOAMI, EXPORT = "/account/api/v1/whoami", "/dashboard/api/v1/data-export"
NOBODY = "2" * 22


def glance(config: Mapping[str, Any]) -> str | None:
    """Return the path of a free request."""
    del config
    return WHOAMI


def questions(config: Mapping[str, Any]) -> Iterator[Question]:
    """Yield the open questions; those about jobs need `job_ids` in the configuration."""
    block = config["closient"]
    organization = block["organization_ids"][0]
    yield Question("UNKNOWN", "Which role has the key, and is it enough?", _role)
    yield Question("INFERRED", "Does whoami list organizations by id and name?", _organizations)
    for job in block.get("job_ids", ())[:1]:
        path = f"{EXPORT}/{organization}/{job}"
        yield Question("UNKNOWN", "Which fields has a job?", partial(_job, path))
        yield Question("UNKNOWN", "Which words do sections use as status?", partial(_words, path))
    yield refusal(f"{EXPORT}/{organization}/{NOBODY}", "a job that is not there")
    yield rate_limits(WHOAMI)


def _caller(api: Looks) -> dict[str, Any]:
    body = api.look(WHOAMI).json()
    return dict(body.get("data") or body)


def _role(api: Looks) -> str:
    return f"role {(_caller(api).get('api_key') or {}).get('role')!r}; whether it may export, only an export shows"


def _organizations(api: Looks) -> str:
    return seen_fields(_caller(api)["organizations"], ("id", "name"))


def _record(path: str, api: Looks) -> dict[str, Any]:
    body = api.look(path).json()
    return dict(body.get("data") or body)


def _job(path: str, api: Looks) -> str:
    names = ("status", "archive_format", "file_size_bytes", "expires_at", "created_at", "sections", "error")
    return seen_fields([_record(path, api)], names)


def _words(path: str, api: Looks) -> str:
    sections = _record(path, api).get("sections") or []
    return ", ".join(sorted({str(section.get("status")) for section in sections})) or "it lists no section"
