"""What a declaration says by itself, and what a configuration has to fill in."""

from __future__ import annotations

from collections.abc import Iterator

from tap_exports.operator.declarations.statement import Statement, Verdict
from tap_exports.providers.declared.declaration import WINDOW_HOLES, Declaration
from tap_exports.providers.declared.declaration.source import Place
from tap_exports.providers.declared.declaration.templates import holes

CALLS = ("submit", "then", "poll", "files", "list", "find", "delete")
FILLED = WINDOW_HOLES | {"id", "mark", "page", "next", "token"}
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
    yield _said(declaration, ("lost_reply",) if "lost_reply" in spec else (), LOST[way])
    counted = "rows" in spec.get("proof", {}) or "rows" in spec["job"]
    proof = "proof A: the provider's count" if counted else "proof B at most: the proper end of a file, no count"
    yield _said(declaration, ("proof",) if "proof" in spec else ("job",), proof)


def _to_fill(declaration: Declaration) -> Iterator[Statement]:
    spec = declaration.spec
    variables = {name for name, _ in holes(spec["base_url"])} - FILLED
    credentials = {name for name, _ in holes(spec.get("auth", {}))} - FILLED - variables
    own = {*FILLED, *spec["job"].get("also", {}), *variables}
    params = {name for name, _ in holes([spec[key] for key in CALLS if key in spec])} - own
    for place, setting, names in (
        (("auth",), "credentials", credentials),
        (("base_url",), "variables", variables),
        (("submit",), "params of an export, or variables", params - credentials),
    ):
        if names:
            yield _said(declaration, place, f"to be set as {setting}: {', '.join(sorted(names))}")


def _said(declaration: Declaration, place: Place, words: str) -> Statement:
    return Statement(declaration.source.where(place), words, Verdict.SAID)
