"""Which statements of a declaration the replies bear out."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from tap_exports.engine.http import fields
from tap_exports.errors import AuthError, GatewayError, UnreachableError
from tap_exports.operator.declarations.asked import Seen, records_of
from tap_exports.operator.declarations.statement import Statement, Verdict
from tap_exports.providers.declared.declaration import Declaration
from tap_exports.providers.declared.declaration.paths import HEADER, pick
from tap_exports.providers.declared.declaration.source import Place
from tap_exports.providers.declared.exchange.replies import instant

SEEN, NOT_SEEN, AGAINST, NOT_ASKED = Verdict.SEEN, Verdict.NOT_SEEN, Verdict.CONTRADICTED, Verdict.NOT_ASKED
DELIMITERS = {"csv": ",", "tsv": "\t"}
SHOWN_COLUMNS = 12


class Bearing:
    """Holds a declaration against what was seen.

    Args:
        declaration: The declaration.
        seen: What the API answered.
        columns: Columns that the configuration names as keys or expects.
        address: The API that was asked where it is not that of the declaration.
    """

    def __init__(self, declaration: Declaration, seen: Seen, columns: Sequence[str], address: str | None) -> None:
        """Gather the jobs that were seen."""
        self._address = address
        self._spec, self._source, self._declaration = declaration.spec, declaration.source, declaration
        self._seen, self._columns = seen, columns
        listed = records_of(declaration, seen) if seen.replies("list") else []
        polled = [pick(reply.json(), self._spec["poll"].get("at"), reply.headers) for reply in seen.replies("poll")]
        in_list = bool(self._spec["poll"].get("list"))
        self._polled = [] if in_list else [record for record in polled if isinstance(record, Mapping)]
        self._listed: Sequence[Mapping[str, Any]] = listed
        self._jobs: Sequence[Mapping[str, Any]] = [*listed, *self._polled]

    def statements(self) -> Iterator[Statement]:
        """Yield the statements, in the order of a run."""
        yield from self._access()
        for key in ("list", "poll"):
            yield from self._call(key)
        yield from self.fields()
        yield from self.words()
        yield from self.echoes()
        yield from self._files()
        yield self._said(
            ("submit",), self._verb("submit"), NOT_ASKED, "it creates a job, which this command never does"
        )

    def _said(self, place: Place, words: str, verdict: Verdict, detail: str = "") -> Statement:
        return Statement(self._source.where(place), words, verdict, detail)

    def _verb(self, key: str) -> str:
        call = self._spec.get(key, {})
        return next(
            (f"{name.upper()} {call[name]}" for name in ("get", "post", "put", "patch", "delete") if name in call), key
        )

    def _access(self) -> Iterator[Statement]:
        refusals = self._seen.refusals.values()
        lost = next((error for error in refusals if isinstance(error, (UnreachableError, GatewayError))), None)
        refused = next((error for error in refusals if isinstance(error, AuthError)), None)
        answered = bool(self._seen.exchanges) or bool(refused)
        verdict, detail = SEEN if answered else NOT_SEEN, ""
        if lost:
            verdict, detail = AGAINST, lost.message
        elif self._address:
            verdict, detail = NOT_ASKED, "`api_url` of the configuration was asked instead"
        yield self._said(("base_url",), str(self._spec["base_url"]), verdict, detail)
        if "auth" in self._spec:
            verdict = AGAINST if refused else SEEN if self._seen.exchanges else NOT_SEEN
            yield self._said(("auth",), "credentials are accepted", verdict, refused.message if refused else "")

    def _call(self, key: str) -> Iterator[Statement]:
        if key not in self._spec or (key == "poll" and self._spec[key].get("list")):
            return
        yield self._made(key)
        if key == "list":
            yield from self.items()

    def items(self) -> Iterator[Statement]:
        """Yield where the jobs stand in the list."""
        for reply in self._seen.replies("list")[:1]:
            path = self._spec["list"]["items"]
            found = pick(reply.json(), path, reply.headers)
            listed = isinstance(found, list)
            shown = f"{len(found)} jobs" if listed else f"{fields.shown(found)} in {_keys(reply.json())}"
            yield self._said(("list", "items"), path, SEEN if listed else AGAINST, shown)

    def _made(self, key: str) -> Statement:
        """Return what became of a call."""
        words = self._verb(key)
        if error := self._seen.refusals.get(key):
            is_about_access = isinstance(error, (AuthError, UnreachableError, GatewayError))
            return self._said((key,), words, NOT_SEEN if is_about_access else AGAINST, error.message)
        if reason := self._seen.skipped.get(key):
            return self._said((key,), words, NOT_ASKED, reason)
        return self._said((key,), words, SEEN if self._seen.replies(key) else NOT_SEEN)

    def fields(self) -> Iterator[Statement]:
        """Yield the fields of a job."""
        job = self._spec["job"]
        paths: dict[Place, str] = {("job", name): path for name, path in job.items() if isinstance(path, str)}
        paths |= {("job", "progress", n): path for n, path in enumerate(job.get("progress", ()))}
        paths |= {("job", "also", name): path for name, path in job.get("also", {}).items()}
        paths |= {("proof", name): path for name, path in self._spec.get("proof", {}).items() if isinstance(path, str)}
        for place, path in paths.items():
            yield self._field(place, path)

    def _field(self, place: Place, path: str) -> Statement:
        if path.startswith(HEADER) or not self._jobs:
            return self._said(place, path, NOT_SEEN, "" if self._jobs else "no job was seen")
        values = [value for value in (pick(record, path) for record in self._jobs) if value is not None]
        if not values:
            needed = place[-1] in {"id", "status"}
            above = path.rpartition(".")[0]
            known = f"{above or 'it'} has {_keys(pick(self._jobs[-1], above))}"
            return self._said(place, path, AGAINST if needed else NOT_SEEN, f"no job has it; {known}")
        strange = _strange(str(place[-1]), values)
        if strange is not None:
            return self._said(place, path, AGAINST, f"{fields.shown(strange)} is no {_KINDS[str(place[-1])]}")
        return self._said(place, path, SEEN, f"in {len(values)} of {len(self._jobs)} jobs")

    def words(self) -> Iterator[Statement]:
        """Yield the status words, and those that jobs have beyond them."""
        told = {str(word) for record in self._jobs if (word := pick(record, self._spec["job"]["status"])) is not None}
        seen = {word.casefold() for word in told}
        for word, meaning in self._spec["status"].items():
            yield self._said(("status", word), f"{word} means {meaning}", SEEN if word.casefold() in seen else NOT_SEEN)
        known = {word.casefold() for word in self._spec["status"]}
        for word in sorted(word for word in told if word.casefold() not in known):
            yield self._said(
                ("status",), "every word is in the map", AGAINST, f'"{word}" is not: add it with its meaning'
            )

    def echoes(self) -> Iterator[Statement]:
        """Yield what jobs show of their requests."""
        for path in self._spec.get("find", {}):
            place = ("find", path)
            if not self._listed:
                yield self._said(place, path, NOT_SEEN, "no job was listed")
                continue
            count = sum(pick(record, path) is not None for record in self._listed)
            detail = f"in {count} of {len(self._listed)} jobs" if count else f"jobs have {_keys(self._listed[0])}"
            yield self._said(place, path, SEEN if count else AGAINST, detail)

    def _files(self) -> Iterator[Statement]:
        key = "path" if "path" in self._spec["files"] else "url"
        place, words = ("files", key), str(self._spec["files"][key])
        made = self._made("files")
        if not self._seen.files:
            verdict = made.verdict if made.verdict in {AGAINST, NOT_ASKED} else NOT_SEEN
            yield self._said(place, words, verdict, made.detail or "no file")
            return
        yield self._said(place, words, SEEN, f"at {urlsplit(self._seen.files[0].url).hostname}")
        if error := self._seen.refusals.get("file"):
            yield self._said(("files",), "the file can be read", AGAINST, error.message)
        elif self._seen.head is not None:
            yield from self._contents(self._seen.head)

    def _contents(self, head: bytes) -> Iterator[Statement]:
        form = self._spec["files"].get("format", "csv")
        place: Place = ("files", "format") if "format" in self._spec["files"] else ("files",)
        if not head.strip():
            yield self._said(place, form, NOT_SEEN, "the file is empty, or not unpacked")
            return
        names = columns_of(head, form, self._spec["files"].get("csv", {}))
        if names is None:
            yield self._said(
                place, form, AGAINST, f"it begins with {fields.shown(head[:40].decode('utf-8', 'replace'))}"
            )
            return
        shown = ", ".join(names[:SHOWN_COLUMNS]) + (", …" if len(names) > SHOWN_COLUMNS else "")
        yield self._said(place, form, SEEN, f"columns {shown}")
        for column in self._columns:
            yield Statement("config", f"column {column}", SEEN if column in names else AGAINST)


_KINDS = {"created": "instant", "rows": "number", "poll_after": "number"}


def _strange(name: str, values: Sequence[object]) -> object | None:
    """Return a value that is not of the kind that a field of a job has, or None."""
    reads = {"created": instant, "rows": fields.number, "poll_after": fields.number}.get(name)
    return next((value for value in values if reads and reads(value) is None), None)


def columns_of(head: bytes, form: str, dialect: Mapping[str, Any]) -> list[str] | None:
    """Return the columns of the first row of a file's beginning; None where it is of another form."""
    text = head.decode("utf-8-sig", "replace").lstrip()
    if text[:1] == "<":
        return None
    if form in DELIMITERS:
        if text[:1] in "{[":
            return None
        delimiter = str(dialect.get("delimiter") or DELIMITERS[form])
        return next(csv.reader(text.splitlines(), delimiter=delimiter), None)
    start = text.find("{")
    if start < 0:
        return None
    try:
        row, _ = json.JSONDecoder().raw_decode(text, start)
    except ValueError:
        return None
    return list(row) if text[:1] in {"{", "["} else None


def _keys(value: object) -> str:
    """Return the keys of an object, for messages."""
    if isinstance(value, Mapping):
        return ", ".join(map(str, list(value)[:SHOWN_COLUMNS])) or "no field"
    return fields.shown(value)
