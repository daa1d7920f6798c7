"""The verbs of a declared API. Format: docs/declare.md."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any, Literal
from urllib.parse import urlencode

from tap_exports.engine.clock import MILLISECOND, from_text
from tap_exports.engine.http import Client, Reply, fields, plain_error
from tap_exports.engine.http.transport import Answer
from tap_exports.engine.jobs.echo import different, means_same
from tap_exports.engine.model import Job, RemoteFile, Request, Row, Status, Window
from tap_exports.engine.windows import EPOCH
from tap_exports.errors import (
    BadContentError,
    BusyError,
    CountError,
    JobLostError,
    NotFoundError,
    NotReadyError,
    QuotaError,
    RefusedError,
)
from tap_exports.providers.declared.declaration import WINDOW_HOLES, Declaration, verb_of
from tap_exports.providers.declared.declaration.paths import HEADER, pick
from tap_exports.providers.declared.declaration.templates import Values, fill, fill_path, holes

SAMPLES = 3
MOST_PAGES = 10_000
BUSY_SECONDS = 30
FIRST_MILLISECONDS = 100_000_000_000  # what is greater counts milliseconds since 1970, not seconds
MATCHED_CHARACTERS = 240  # of a refusal's text; see `MOST_REPEATS` of declarations
NONE = "none-"  # ids of exports for which the provider made no job, since there is nothing to export
UNITS = {"second": timedelta(seconds=1), "day": timedelta(days=1)}
_RECORD, _EMPTY = "", "empty job"  # keys of `Job.data` that no hole can name


class DeclaredApi:
    """The verbs that a declaration describes; those that it lacks are no attributes of the object.

    Args:
        client: Sends requests with the credentials.
        declaration: The declaration.
        base: Origin and prefix of the API.
        variables: What the configuration says for holes of paths.
        query: Parameters that authorize every query.
    """

    def __init__(
        self, client: Client, declaration: Declaration, base: str, variables: Values, query: Mapping[str, Any]
    ) -> None:
        """Keep the parts."""
        self._client, self._spec, self.declaration = client, declaration.spec, declaration
        self._base, self._variables, self._query = base.rstrip("/"), variables, query
        self._chains: dict[str, Chain] = {}
        self.time = client.time
        if "find" in self._spec:
            self.find = self._find
            self.contradiction = self._contradiction
            self.completed = self._completed
        elif self._spec.get("lost_reply") == "repeat":
            self.free_to_repeat: Literal[True] = True
        if "delete" in self._spec:
            self.delete = self._delete

    # Calls

    def _call(
        self,
        call: Mapping[str, Any],
        values: Values,
        *,
        idempotent: bool = True,
        stands: Callable[[Reply], bool] = lambda _reply: False,
    ) -> Reply:
        """Send a call; see `Client.send`.

        Raises:
            RefusedError: Also for errors within a reply of status 200.
        """
        method, path = verb_of(call)
        body = fill(call["json"], values) if "json" in call else None
        headers = {name: str(value) for name, value in fill(call.get("headers", {}), values).items()}
        if "form" in call:
            body = urlencode(fill(call["form"], values), doseq=True).encode()
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        params = {**self._query, **fill(call.get("params", {}), values)}
        path = self._path(path, values)
        reply = self._client.send(
            method.upper(), path, params=params, body=body, headers=headers, idempotent=idempotent, stands=stands
        )
        if said := self._errors(reply):
            raise RefusedError(f"{reply.source}: {reply.status}: {said}", reply.status)
        return reply

    def _path(self, template: str, values: Values) -> str:
        try:
            return fill_path(template, values)
        except KeyError as missing:
            raise RefusedError(
                f"{self._name}: {template}: {missing} is not known; set it in `params` or `variables`"
            ) from None

    def _errors(self, reply: Reply) -> str:
        """Return the errors that a reply of status 200 holds, or an empty text."""
        if not (places := self._spec.get("errors_at")) or reply.is_empty:
            return ""
        found = [pick(reply.json(), place, reply.headers) for place in places]
        texts = [text for each in found for text in (each if isinstance(each, list) else [each]) if text]
        return "; ".join(map(str, texts))

    @property
    def _name(self) -> str:
        return self.declaration.name

    def _values(self, request: Request) -> dict[str, Any]:
        """Return what the templates of a request may name."""
        bounds = self._bounds(request.window) if request.window else {}
        return {**self._variables, **request.params, **bounds, "mark": request.fingerprint}

    def _bounds(self, window: Window) -> dict[str, datetime | None]:
        """Return the bounds; a window that follows another begins with the unit after the end of that one."""
        start, unit = window.start, UNITS.get(self._spec["window"].get("by", "ms"))
        if start is not None and unit and is_aligned(start + MILLISECOND, unit):
            start += MILLISECOND
        return {"start": start, "end": window.end, "until": window.end + MILLISECOND}

    # Verbs

    def submit(self, request: Request) -> Job:
        """Create the job of a request.

        Raises:
            BusyError: Too many jobs run there; the provider creates none now.
            QuotaError: A quota is used up.
        """
        verb, values = self._spec["submit"], self._values(request)
        try:
            reply = self._call(verb, values, idempotent=False, stands=self._is_refusal)
        except RefusedError as error:
            return self._refused(request, error, values)
        job = self._parse(pick(reply.json(), verb.get("at")), reply.headers, values)
        for step in self._spec.get("then", ()):
            self._call(step, {**values, **self._also(job), "id": job.id})
        return job

    def _is_refusal(self, reply: Reply) -> bool:
        """Return whether a declared refusal fits; others of its status are asked again."""
        text = " ".join((str(reply.status), *plain_error(reply)))[:MATCHED_CHARACTERS]
        cases = self._spec["submit"].get("refusals", ())
        return not reply.is_success and any(re.search(case["matches"], text) for case in cases)

    def _refused(self, request: Request, error: RefusedError, values: Values) -> Job:
        text = f"{error.status} {error.code} {error.message}"[:MATCHED_CHARACTERS:]
        for case in self._spec["submit"].get("refusals", ()):
            if not (found := re.search(case["matches"], text)):
                continue
            if case["means"] == "same":
                return self.poll(Job(found["id"], Status.PENDING, data=values))
            if case["means"] == "empty":
                return Job(
                    NONE + request.fingerprint, Status.COMPLETED, "no data", rows=0, data={**values, _EMPTY: True}
                )
            if case["means"] == "busy":
                raise BusyError(error.message, case.get("wait", BUSY_SECONDS)) from error
            raise QuotaError(f"{error.message}; nothing was created, a later run goes on") from error
        raise error

    def poll(self, job: Job) -> Job:
        """Return the job as it stands.

        Raises:
            JobLostError: The provider no longer knows it.
        """
        if job.id.startswith(NONE):
            return replace(job, status=Status.COMPLETED, rows=0, data={**job.data, _EMPTY: True})
        verb, values = self._spec["poll"], {**self._variables, **job.data, "id": job.id}
        if verb.get("list"):
            found = next((other for other in self._listed(values) if other.id == job.id), None)
            if found is None:
                raise JobLostError(f"{self._name}: job {job.id} is not in the list any more")
            return found
        try:
            reply = self._call(verb, values)
        except NotFoundError as error:
            raise JobLostError(error.message) from error
        record = fields.mapping(pick(reply.json(), verb.get("at")))
        return self._parse(record, reply.headers, values, known=job.id)

    def open(self, job: Job) -> Sequence[RemoteFile]:
        """Return the files of a completed job, with fresh URLs.

        Raises:
            NotReadyError: The provider says that it is not completed.
            BadContentError: It is completed and shows no file.
        """
        if job.data.get(_EMPTY):
            return []
        spec, values = self._spec["files"], {**self._variables, **job.data, "id": job.id}
        try:
            if "path" in spec:
                return self._keyed(spec, job, values)
            urls = pick(self._call(spec, values).json(), spec["url"]) if verb_of(spec)[0] else self._urls(job)
        except NotFoundError as error:
            raise JobLostError(error.message) from error
        except RefusedError as error:
            if error.status in spec.get("not_ready", ()):
                raise NotReadyError(error.message) from error
            raise
        return self._named(job, [url for url in (urls if isinstance(urls, list) else [urls]) if url])

    def _urls(self, job: Job) -> Any:  # noqa: ANN401 - JSON
        return pick(self.poll(job).data.get(_RECORD), self._spec["files"]["url"])

    def _named(self, job: Job, urls: Sequence[object]) -> list[RemoteFile]:
        spec = self._spec["files"]
        if not urls and not (spec.get("null_is_empty") or job.rows == 0):
            raise BadContentError(f'{self._name}: job {job.id} is completed, but shows no URL at "{spec["url"]}"')
        form = spec.get("format", "csv")
        names = [f"export.{form}"] if len(urls) == 1 else [f"part-{n:05d}.{form}" for n in range(1, len(urls) + 1)]
        return [RemoteFile(name, str(url), self.format) for name, url in zip(names, urls, strict=True)]

    def _keyed(self, spec: Mapping[str, Any], job: Job, values: Values) -> Sequence[RemoteFile]:
        url = self._base + self._path(spec["path"], values)
        if "pages" in spec:
            return self._chains.setdefault(job.id, Chain(url, spec["pages"], spec.get("format", "csv"), self.format))
        query = urlencode({**self._query, **fill(spec.get("params", {}), values)}, doseq=True)
        return [RemoteFile(f"export.{spec.get('format', 'csv')}", f"{url}?{query}" if query else url, self.format)]

    def note(self, url: str, answer: Answer) -> None:
        """Take what a download says of the next file of its chain."""
        for chain in list(self._chains.values()):
            chain.note(url, answer)

    @property
    def format(self) -> str:
        """Return the files' format as decoders know it."""
        form = self._spec["files"].get("format", "csv")
        return "csv" if form == "tsv" else "json" if form == "jsonl" else str(form)

    def samples(self, request: Request) -> Iterator[Job]:
        """Yield a few completed jobs like the request, in the order of the list; none where there is no list."""
        if "list" not in self._spec:
            return iter(())
        done = (job for job in self._similar(request) if job.status is Status.COMPLETED and not job.data.get(_EMPTY))
        return islice(done, SAMPLES)

    def check(self) -> None:
        """Make a free call that needs the credentials, if the declaration describes one."""
        if "list" in self._spec:
            next(self._listed(self._variables), None)

    # Where the declaration has `list` and `find`

    def _find(self, request: Request, since: datetime, closed: Collection[str] = ()) -> Job | None:
        values = self._values(request)
        asked = fill(self._spec["find"], values)
        for job in self._listed(values):
            recent = job.created_at is None or job.created_at >= since.replace(microsecond=0)
            gone = job.status.is_terminal and job.status is not Status.COMPLETED
            if recent and not gone and job.id not in closed and means_same(asked, self._echo(job)):
                return job
        return None

    def _contradiction(self, request: Request, job: Job) -> str:
        return ", ".join(different(fill(self._spec["find"], self._values(request)), self._echo(job)))

    def _completed(self, request: Request, window: Window) -> Iterator[Job]:
        for job in self._similar(request):
            created, start = job.created_at, window.start
            if created is not None and (start is None or created >= start) and created <= window.end:
                yield job

    def _similar(self, request: Request) -> Iterator[Job]:
        """Yield the jobs whose echo shows the request, apart from its window."""
        values = {**self._variables, **request.params}
        templates = {
            path: template
            for path, template in self._spec.get("find", {}).items()
            if not WINDOW_HOLES & {name for name, _ in holes(template)}
        }
        asked = fill(templates, values)
        return (job for job in self._listed(values) if means_same(asked, self._echo(job)))

    def _echo(self, job: Job) -> dict[str, Any]:
        return {path: pick(job.data.get(_RECORD), path) for path in self._spec["find"]} if "find" in self._spec else {}

    def _listed(self, values: Values) -> Iterator[Job]:
        """Yield the jobs of the list, page by page, until a page brings nothing new.

        Raises:
            CountError: It does not end.
        """
        verb, seen = self._spec["list"], set[str]()
        first = verb.get("first_page", 1)
        for page in range(first, first + MOST_PAGES):
            reply = self._call(verb, {**values, "page": page})
            items = fields.records(pick(reply.json(), verb["items"]), f"{self._name}: `{verb['items']}` of the list")
            fresh = {job.id: job for job in (self._parse(item, {}, values) for item in items) if job.id not in seen}
            yield from fresh.values()
            seen |= fresh.keys()
            if not fresh or not self.declaration.pages_jobs:
                return
        raise CountError(f"{self._name}: the list of jobs does not end after {MOST_PAGES} pages")

    def _delete(self, job_id: str) -> None:
        try:
            self._call(self._spec["delete"], {**self._variables, "id": job_id})
        except NotFoundError:
            return

    # Replies

    def _parse(self, record: object, headers: Mapping[str, str], values: Values, known: str = "") -> Job:
        """Return the job that a record describes; `values` stay with it, for later calls.

        Raises:
            BadContentError: It has no id.
        """
        spec = self._spec["job"]
        job_id = fields.text(pick(record, spec["id"], headers)) or known
        if not job_id or isinstance(record, list):
            raise BadContentError(f'{self._name}: no job at "{spec["id"]}" of the reply, got {fields.shown(record)}')
        word = str(pick(record, spec["status"], headers) or "")
        empty = word.casefold() in self.declaration.empty_words
        count = self._count(record, headers)
        wait = fields.number(pick(record, spec["poll_after"], headers)) if "poll_after" in spec else None
        also = {name: pick(record, path, headers) for name, path in spec.get("also", {}).items()}
        return Job(
            id=known or job_id,
            status=fields.status(self.declaration.statuses, word),
            raw_status=word,
            created_at=instant(pick(record, spec["created"], headers)) if "created" in spec else None,
            rows=0 if empty else count,
            progress=tuple(str(pick(record, path, headers)) for path in spec.get("progress", ())),
            reason=fields.text(pick(record, spec["reason"], headers)) if "reason" in spec else None,
            poll_after=float(wait) if wait is not None else None,
            is_capped=self._is_truncated(record),
            data={**values, **also, _RECORD: record, **({_EMPTY: True} if empty else {})},
        )

    def _count(self, record: object, headers: Mapping[str, str]) -> int | None:
        path = self._spec.get("proof", {}).get("rows") or self._spec["job"].get("rows")
        return fields.number(pick(record, path, headers)) if path else None

    def _is_truncated(self, record: object) -> bool:
        path = self._spec.get("proof", {}).get("truncated")
        return bool(path) and bool(fields.flag(pick(record, path)))

    def _also(self, job: Job) -> Row:
        return {name: job.data.get(name) for name in self._spec["job"].get("also", {})}


class Chain(Sequence[RemoteFile]):
    """Files of which each names the next: the sequence grows while it is read.

    Args:
        url: The URL of the first one.
        pages: The block `files.pages`.
        suffix: Of their names.
        form: As decoders know it.
    """

    def __init__(self, url: str, pages: Mapping[str, Any], suffix: str, form: str) -> None:
        """Begin with the first file."""
        self._url, self._pages, self._suffix, self._form = url, pages, suffix, form
        self._files = [self._file("")]

    def _file(self, locator: str) -> RemoteFile:
        number = 1 + len(getattr(self, "_files", ()))
        query = f"?{urlencode({self._pages['param']: locator})}" if locator else ""
        return RemoteFile(f"page-{number:05d}.{self._suffix}", self._url + query, self._form)

    def note(self, url: str, answer: Answer) -> None:
        """Take the name of the next file from the reply to the last known one."""
        if answer.status == 200 and self._files[-1].url == url:  # noqa: PLR2004 - a status is clearest as its number
            locator = answer.headers.get(self._pages["next"].removeprefix(HEADER))
            if locator and locator != "null":
                self._files.append(self._file(locator))

    def __len__(self) -> int:
        """Return how many files are known."""
        return len(self._files)

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - as of every sequence
        """Return a file, or several."""
        return self._files[index]


def is_aligned(moment: datetime, unit: timedelta) -> bool:
    """Return whether an instant begins a whole unit, in UTC."""
    return not (moment - EPOCH) % unit


def instant(value: object) -> datetime | None:
    """Return an instant from text, or from seconds or milliseconds since 1970; None for anything else."""
    seconds = fields.number(value)
    try:
        if seconds is not None:
            return datetime.fromtimestamp(seconds / (1000 if seconds > FIRST_MILLISECONDS else 1), timezone.utc)
        return from_text(re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", str(value))) if value else None
    except (ValueError, OverflowError, OSError):
        return None
