"""What a declaration infers from a vendor's documents, held against the list of jobs as `tap-exports check` does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from tap_exports.engine.http import fields
from tap_exports.operator.declarations.asked import Exchange, Seen, records_of
from tap_exports.operator.declarations.borne_out import Bearing
from tap_exports.operator.declarations.statement import Statement, Verdict
from tap_exports.operator.facts.asking import NOT_SHOWN, Looks, Question, rate_limits, refusal
from tap_exports.providers.declared.declaration import Declaration
from tap_exports.providers.declared.declaration.looks import Look, list_look, nobody_look
from tap_exports.providers.declared.declaration.paths import pick
from tap_exports.providers.declared.streams import DeclaredRows

Part = Callable[[Bearing], Iterable[Statement]]


def glance(stream: DeclaredRows) -> Look | None:
    """Return a free request."""
    return list_look(stream.declaration, stream.values)


def questions(stream: DeclaredRows) -> Iterator[Question]:
    """Yield what the declaration says and only the API can confirm; nothing where it describes no free GET."""
    declaration = stream.declaration
    if look := list_look(declaration, stream.values):
        yield from _of_list(stream, look)
        yield rate_limits(look.path, look.params)
    if nobody := nobody_look(declaration, stream.values):
        yield refusal(nobody.path, "a job that is not there", nobody.params)


def _of_list(stream: DeclaredRows, look: Look) -> Iterator[Question]:
    declaration = stream.declaration
    asked: list[tuple[str, Part]] = [
        (f"Are the jobs at `{declaration.spec['list']['items']}` of the list?", Bearing.items),
        ("Have jobs the fields that `job` names?", Bearing.fields),
        ("Which status words have jobs?", Bearing.words),
    ]
    if "find" in declaration.spec:
        asked.append(("Do jobs show what `find` compares?", Bearing.echoes))
    yield from (Question("INFERRED", text, partial(_told, declaration, look, part)) for text, part in asked)
    if declaration.pages_jobs and (second := list_look(declaration, stream.values, 1)):
        yield Question("INFERRED", "Has the second page other jobs?", partial(_beyond, declaration, look, second))


def _seen(look: Look, api: Looks) -> Seen:
    return Seen([Exchange("list", look.path, look.params, api.look(look.path, look.params))])


def _told(declaration: Declaration, look: Look, part: Part, api: Looks) -> str:
    """Return what the first page of the list shows of some statements, by verdict."""
    bearing = Bearing(declaration, _seen(look, api), [], None)
    found: dict[Verdict, list[str]] = {}
    for each in part(bearing):
        detail = f" ({each.detail})" if each.verdict is not Verdict.SEEN and each.detail else ""
        found.setdefault(each.verdict, []).append(each.words + detail)
    return "; ".join(f"{verdict.value}: {', '.join(words)}" for verdict, words in found.items()) or NOT_SHOWN


def _beyond(declaration: Declaration, look: Look, second: Look, api: Looks) -> str:
    first, further = (_ids(declaration, each, api) for each in (look, second))
    return f"{len(further - first)} of {len(further)} are not on the first one"


def _ids(declaration: Declaration, look: Look, api: Looks) -> set[str | None]:
    records = records_of(declaration, _seen(look, api))
    return {fields.text(pick(record, declaration.spec["job"]["id"])) for record in records}
