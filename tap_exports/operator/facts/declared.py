"""What a declaration infers from a vendor's documents, held against live replies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from tap_exports.operator.facts.asking import (
    NOT_SHOWN,
    Looks,
    Question,
    items_of,
    rate_limits,
    refusal,
    seen_fields,
)
from tap_exports.providers.declared.declaration import Declaration
from tap_exports.providers.declared.declaration.looks import Look, list_look, nobody_look
from tap_exports.providers.declared.declaration.paths import HEADER, pick
from tap_exports.providers.declared.streams import DeclaredRows


def glance(stream: DeclaredRows) -> Look | None:
    """Return a free request."""
    return list_look(stream.declaration, stream.values)


def questions(stream: DeclaredRows) -> Iterator[Question]:
    """Yield what the declaration says and only the API can confirm; nothing where it describes no free GET."""
    declaration = stream.declaration
    if look := list_look(declaration, stream.values):
        second = list_look(declaration, stream.values, 1) if declaration.pages_jobs else None
        yield from _of_list(_Jobs(look, declaration), second)
        yield rate_limits(look.path, look.params)
    if nobody := nobody_look(declaration, stream.values):
        yield refusal(nobody.path, "a job that is not there", nobody.params)


def _of_list(jobs: _Jobs, second: Look | None) -> Iterator[Question]:
    find = jobs.spec.get("find", {})
    yield Question("INFERRED", f"Are the jobs at `{jobs.items}` of the list?", jobs.count)
    yield Question("INFERRED", "Have jobs the fields that `job` names?", partial(jobs.have, paths=_paths(jobs.spec)))
    yield Question("INFERRED", "Which status words have jobs?", jobs.words)
    if find:
        yield Question("INFERRED", "Do jobs show what `find` compares?", partial(jobs.have, paths=list(find)))
    if second:
        yield Question("INFERRED", "Has the second page other jobs?", partial(jobs.beyond, second=second))


class _Jobs:
    """The first page of the list of jobs."""

    def __init__(self, look: Look, declaration: Declaration) -> None:
        self.look, self.spec, self.items = look, declaration.spec, str(declaration.spec["list"]["items"])
        self.known = {word.casefold() for word in declaration.statuses}

    def read(self, api: Looks, look: Look | None = None) -> list[dict[str, Any]]:
        asked = look or self.look
        return items_of(pick(api.look(asked.path, asked.params).json(), self.items))

    def count(self, api: Looks) -> str:
        if pick(api.look(self.look.path, self.look.params).json(), self.items) is None:
            return "no: nothing stands there"
        return f"{len(self.read(api))} are on the first page"

    def have(self, api: Looks, *, paths: Sequence[str]) -> str:
        shown = [{path: value for path in paths if (value := pick(job, path)) is not None} for job in self.read(api)]
        return seen_fields(shown, paths)

    def words(self, api: Looks) -> str:
        found = sorted({str(pick(job, self.spec["job"]["status"])) for job in self.read(api)})
        strange = ", ".join(word for word in found if word.casefold() not in self.known)
        return (", ".join(found) or NOT_SHOWN) + (f"; not declared: {strange}" if strange else "")

    def beyond(self, api: Looks, *, second: Look) -> str:
        first, further = self.ids(api, self.look), self.ids(api, second)
        return f"{len(further - first)} of {len(further)} are not on the first one"

    def ids(self, api: Looks, look: Look) -> set[str]:
        return {str(pick(job, self.spec["job"]["id"])) for job in self.read(api, look)}


def _paths(spec: Mapping[str, Any]) -> list[str]:
    """Return the paths into a job's record, those of headers left out."""
    job = spec["job"]
    named = [value for value in job.values() if isinstance(value, str)]
    named += [*job.get("progress", ()), *job.get("also", {}).values()]
    return [path for path in dict.fromkeys(named) if not path.startswith(HEADER)]
