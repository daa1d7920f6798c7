"""Free calls of a declaration, which create nothing: they show whether the key is taken, and what the list shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tap_exports.providers.declared.declaration.check import Declaration, verb_of
from tap_exports.providers.declared.declaration.templates import Values, fill, fill_path, holes

NOBODY = "00000000-0000-0000-0000-000000000000"
GET = "get"


@dataclass(frozen=True, slots=True)
class Look:
    """A GET with its holes filled."""

    path: str
    params: Mapping[str, Any]


def list_look(declaration: Declaration, variables: Values, page: int = 0) -> Look | None:
    """Return the GET of a page of the list of jobs, 0 being the first one; None where there is none.

    Values that only an export gives leave their parameter out.
    """
    verb = declaration.spec.get("list", {})
    return _look(verb, {**variables, "page": verb.get("first_page", 1) + page})


def nobody_look(declaration: Declaration, variables: Values) -> Look | None:
    """Return the GET of a job that is not there; None where jobs are looked at otherwise, or per export."""
    return _look(declaration.spec["poll"], {**variables, "id": NOBODY})


def _look(verb: Mapping[str, Any], values: Values) -> Look | None:
    method, path = verb_of(verb)
    if method != GET or {name for name, _ in holes(path)} - values.keys():
        return None
    return Look(fill_path(path, values), fill(verb.get("params", {}), values))
