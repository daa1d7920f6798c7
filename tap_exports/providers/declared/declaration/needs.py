"""What a declaration asks of a configuration: the holes that neither the tap nor a reply fills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tap_exports.providers.declared.declaration.check import WINDOW_HOLES, Declaration
from tap_exports.providers.declared.declaration.templates import holes

CREDENTIALS, VARIABLES, PARAMS = "credentials", "variables", "params"
CALLS = ("submit", "then", "poll", "files", "list", "find", "delete")
OWN = WINDOW_HOLES | {"mark", "id", "page", "next", "token"}  # filled by the tap


@dataclass(frozen=True, slots=True)
class Need:
    """A value that a configuration gives.

    Attributes:
        name: The hole's name.
        part: `credentials`, `variables` of the block, or `params` of the export.
        example: What the declaration's example has, or None.
    """

    name: str
    part: str
    example: Any = None


def needs(declaration: Declaration) -> list[Need]:
    """Return what a configuration has to give, credentials first, each once."""
    spec = declaration.spec
    example: Mapping[str, Any] = spec.get("example", {}).get("params", {})
    auth, places = spec.get("auth", {}), [spec["base_url"], spec.get("auth", {}).get("oauth2", {}).get("token_url", "")]
    variables = _names(places)
    also = spec["job"].get("also", {}).keys()
    found = [Need(name, CREDENTIALS) for name in _names(auth) if name not in variables]
    found += [Need(name, VARIABLES) for name in variables]
    known = {need.name for need in found} | also
    calls = [spec.get(call, {}) for call in CALLS]
    each: Mapping[str, Any] = spec.get("each", {})  # a list of items, each of which fills a hole
    asked = [each["of"] if name == each.get("as") else name for name in _names(calls) if name not in known]
    return found + [Need(name, PARAMS, example.get(name)) for name in asked]


def _names(template: object) -> list[str]:
    return [name for name in dict.fromkeys(name for name, _ in holes(template)) if name not in OWN]
