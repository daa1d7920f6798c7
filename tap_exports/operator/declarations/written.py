"""What a declaration says by itself, and what a configuration has to fill in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tap_exports.operator.declarations.statement import Statement, Verdict
from tap_exports.providers.declared.declaration import Declaration
from tap_exports.providers.declared.declaration.bounds import alike
from tap_exports.providers.declared.declaration.needs import CREDENTIALS, OWN, PARAMS, VARIABLES, needs
from tap_exports.providers.declared.declaration.source import Place
from tap_exports.providers.declared.exchange.echoed import left_out

LOST = {
    "find": "a job whose creation got no reply is found in the list",
    "repeat": "a job whose creation got no reply is created again",
    "stop": "a creation without a reply stops the stream",
}


def failed(message: str) -> Iterator[Statement]:
    """Yield the errors of a file, told one a line as `file:line: key: words`."""
    for line in message.splitlines():
        where, _, words = line.partition(": ")
        yield Statement(where, words, Verdict.FAILED)


def summary(declaration: Declaration) -> Iterator[Statement]:
    """Yield what the tap will do by a declaration without errors."""
    spec = declaration.spec
    yield _said(declaration, (), "no errors")
    yield from _to_fill(declaration)
    window = spec.get("window")
    days = f" of at most {window['days']} days" if window and "days" in window else ""
    words = f"windows by {window['key']}{days}" if window else "full exports, since there is no `window`"
    yield _said(declaration, ("window",) if window else (), words)
    way = spec.get("lost_reply") or ("find" if "find" in spec else "stop")
    yield _said(declaration, ("lost_reply",) if "lost_reply" in spec else (), LOST[way], _not_compared(spec))
    proof = "proof A: the provider's count" if counts(spec) else "proof B at most: the proper end of a file, no count"
    proof = "proof A: the provider's checksum, where the job shows it" if "sha256" in spec.get("proof", {}) else proof
    yield _said(declaration, ("proof",) if "proof" in spec else ("job",), proof)
    if kept := spec.get("limits", {}).get("keep"):
        yield _said(declaration, ("limits", "keep"), f"`mode: collect` warns of a bookmark older than {kept}")


def _not_compared(spec: Mapping[str, Any]) -> str:
    """Return what `find` leaves out of a request, so that an equal job may be that of another one."""
    missing = left_out(spec) if "find" in spec else []
    return f"not compared by `find`: {', '.join(missing)}; without STATE no job that exists is read" if missing else ""


def counts(spec: Mapping[str, Any]) -> bool:
    """Return whether the provider counts rows."""
    return "rows" in spec.get("proof", {}) or "rows" in spec["job"]


def _to_fill(declaration: Declaration) -> Iterator[Statement]:
    found = needs(declaration)
    for place, part, setting in (
        (("auth",), CREDENTIALS, "credentials"),
        (("base_url",), VARIABLES, "variables"),
        (("submit",), PARAMS, "params of an export, or variables"),
    ):
        if names := sorted(need.name for need in found if need.part == part):
            doubtful = [need.name for need in found if need.part == part and need.example is None]
            words = f"to be set as {setting}: {', '.join(names)}"
            yield _said(declaration, place, words, "; ".join(alike(doubtful, OWN)))


def _said(declaration: Declaration, place: Place, words: str, detail: str = "") -> Statement:
    return Statement(declaration.source.where(place), words, Verdict.SAID, detail)
