"""Whether the calls of a declaration bound their rows by the window: one that does not reads everything for each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tap_exports.providers.declared.declaration.source import Place
from tap_exports.providers.declared.declaration.templates import holes

START, LAST = ("start",), ("end", "until")
CALLS = ("submit", "then", "poll", "files")
LIKENESS = 0.75


def unbounded(spec: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yield what a window cuts that no call sends, and the hole that looks like it.

    Windows of a number of days have both ends, but for a single day, which one hole names. Python beside the
    declaration may send what it wants.
    """
    if "window" not in spec or "python" in spec:
        return
    window, names = spec["window"], [name for name, _ in holes([spec.get(call, {}) for call in CALLS])]
    is_day = window.get("by") == "day" and window.get("days") == 1
    begins, ends = bool(set(START) & set(names)), bool(set(LAST) & set(names))
    if not (begins or ends):
        yield ("window",), f"no call sends {_any_of((*START, *LAST))}{_hint(names, (*START, *LAST))}"
    elif "days" in window and not is_day and not (begins and ends):
        missing = START if ends else LAST
        yield ("window", "days"), f"cuts nothing: no call sends {_any_of(missing)}{_hint(names, missing)}"


def _any_of(names: Sequence[str]) -> str:
    return " or ".join(f"{{{name}}}" for name in names)


def _hint(names: Sequence[str], missing: Sequence[str]) -> str:
    return next((f"; {words}" for words in alike(names, missing)), "")


def alike(names: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    """Yield words for each hole that looks like a known one, and may be it, misspelt."""
    found = ((name, difflib.get_close_matches(name, sorted(known), 1, LIKENESS)) for name in dict.fromkeys(names))
    yield from (f"{{{name}}} looks like {{{near[0]}}}" for name, near in found if near)
