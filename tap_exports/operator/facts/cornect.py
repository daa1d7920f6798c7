"""What Cornect's documents leave open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tap_exports.operator.facts.asking import (
    NOBODY,
    NOT_SHOWN,
    Looks,
    Question,
    rate_limits,
    refusal,
    seen_fields,
)

CREDITS, EXPORTS = "/api/v1/credits", "/api/v1/exports"


def glance(config: Mapping[str, Any]) -> str | None:
    """Return the path of a free request."""
    del config
    return CREDITS


def questions(config: Mapping[str, Any]) -> Iterator[Question]:
    """Yield the open questions; the configuration names nothing that they need."""
    del config
    yield Question("UNKNOWN", "How many transactions are shown?", lambda api: str(len(_transactions(api))))
    yield Question("UNKNOWN", "Which reasons have transactions?", _reasons)
    yield Question("INFERRED", "Does a charge refer to its export as export:<id>:create?", _references)
    yield Question("UNKNOWN", "Do exports tell cost, transaction or expiry?", _export_fields)
    yield refusal(f"{EXPORTS}/{NOBODY}", "an export that is not there")
    yield rate_limits(CREDITS)


def _transactions(api: Looks) -> list[dict[str, Any]]:
    return list(api.look(CREDITS).json()["recent_transactions"] or [])


def _reasons(api: Looks) -> str:
    return ", ".join(sorted({str(each.get("reason")) for each in _transactions(api)})) or NOT_SHOWN


def _charged(api: Looks) -> list[str]:
    references = [str(each.get("reference")).split(":") for each in _transactions(api)]
    return [parts[1] for parts in references if len(parts) == 3 and (parts[0], parts[2]) == ("export", "create")]  # noqa: PLR2004 - its three parts


def _references(api: Looks) -> str:
    charges = [each for each in _transactions(api) if each.get("reason") == "export_charge"]
    return f"{len(_charged(api))} of {len(charges)} charges do" if charges else NOT_SHOWN


def _export_fields(api: Looks) -> str:
    if not (ids := _charged(api)):
        return NOT_SHOWN
    body = api.look(f"{EXPORTS}/{ids[0]}").json()
    names = ("cost", "credits_charged", "transaction_id", "expires_at", "file_size", "error")
    return seen_fields([body.get("export_job") or body.get("data") or body], names)
