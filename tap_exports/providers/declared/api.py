"""The verbs of a declared API. Format: docs/declare.md."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any, Literal

from tap_exports.engine.clock import MILLISECOND
from tap_exports.engine.http import Reply, fields, plain_error
from tap_exports.engine.http.quota import used_up
from tap_exports.engine.http.transport import Answer
from tap_exports.engine.jobs.echo import different, means_same
from tap_exports.engine.model import Job, RemoteFile, Request, Row, Status, Window
from tap_exports.errors import (
    BadContentError,
    BusyError,
    JobLostError,
    NotFoundError,
    NotReadyError,
    QuotaError,
    RefusedError,
    StopError,
    TooLargeError,
)
from tap_exports.providers.declared.declaration import WINDOW_HOLES
from tap_exports.providers.declared.declaration.paths import HEADER, pick
from tap_exports.providers.declared.declaration.templates import Values, fill, holes
from tap_exports.providers.declared.exchange.calls import STATUS, Calls, Signs, headers_of
from tap_exports.providers.declared.exchange.echoed import UNITS, is_aligned, shows_all, windows
from tap_exports.providers.declared.exchange.files import Files
from tap_exports.providers.declared.exchange.listing import JobList
from tap_exports.providers.declared.exchange.replies import EMPTY, RECORD, Replies

SAMPLES = 3
BUSY_SECONDS = 30
MATCHED_CHARACTERS = 240  # of a refusal's text; see `MOST_COST` of declarations
Refusal = tuple[Mapping[str, Any], re.Match[str]]  # as declared, and where it fits
TOO_LARGE = "`max_window_days` makes windows smaller, `window_size: auto` by itself"
NONE = "none-"  # ids of exports for which the provider made no job, since there is nothing to export


class DeclaredApi:
    """The verbs that a declaration describes; those that it lacks are no attributes of the object.

    A class `Api` in the file that `python` names may override `submit`, `poll`, `open`, and the two that are None here.

    Args:
        calls: Sends the calls of the declaration.

    Attributes:
        sign: Returns further headers of a request to the API, from its method, path, query and body.
        row: Returns the row that is read instead of an object of a JSON file.
    """

    sign: Signs | None = None
    row: Callable[[Row], Row] | None = None

    def __init__(self, calls: Calls) -> None:
        """Keep the parts."""
        self.calls, self.declaration = calls, calls.declaration
        self._spec, self._variables = self.declaration.spec, calls.variables
        self._replies = Replies(self.declaration)
        self._files = Files(calls, self._replies)
        self.time = calls.client.time
        calls.sign = self.sign
        self._offer()

    def _offer(self) -> None:
        """Offer the verbs that the declaration describes."""
        if "list" in self._spec:
            self._list = JobList(self.calls, self._replies.job)
            self.jobs = self._jobs
        if "find" in self._spec:
            self.find = self._find
            self.contradiction = self._contradiction
            self.completed = self._completed
            if shows_all(self._spec):
                self.earlier = self._earlier
        elif self._spec.get("lost_reply") == "repeat":
            self.free_to_repeat: Literal[True] = True
        if "delete" in self._spec:
            self.delete = self._delete
        pages = self._spec["files"].get("pages", {})
        if "path" in self._spec["files"] and not str(pages.get("next", HEADER)).startswith(HEADER):
            self.follow = self._files.follow

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
            TooLargeError: The range is too large.
        """
        verb, values, met = self._spec["submit"], self._values(request), list[Refusal]()

        def refuses(reply: Reply) -> bool:
            """Return whether a declared refusal fits; others of its status are asked again."""
            text = " ".join((str(reply.status), *plain_error(reply)))
            met[:] = [] if reply.is_success else self._met(text)
            return bool(met)

        try:
            reply = self.calls.send(verb, values, idempotent=False, stands=refuses)
        except StopError as error:
            if isinstance(error, RefusedError):  # also one within a success
                met = met or self._met(f"{error.status} {error.code} {error.message}")
            if not met:
                raise
            return self._refused(request, met[0], error, values)
        job = self._replies.job(pick(reply.json(), verb.get("at")), headers_of(reply), values)
        for step in self._spec.get("then", ()):
            self.calls.send(step, {**values, **self._replies.also(job), "id": job.id})
        return job

    def _met(self, text: str) -> list[Refusal]:
        """Return the first declared refusal that a text fits, if there is one."""
        cases = self._spec["submit"].get("refusals", ())
        found = ((case, re.search(case["matches"], text[:MATCHED_CHARACTERS])) for case in cases)
        return [(case, match) for case, match in found if match][:1]

    def _refused(self, request: Request, refusal: Refusal, error: StopError, values: Values) -> Job:
        case, match = refusal
        if case["means"] == "same":
            return self.poll(Job(match["id"], Status.PENDING, data=values))
        if case["means"] == "empty":
            return Job(NONE + request.fingerprint, Status.COMPLETED, "no data", rows=0, data={**values, EMPTY: True})
        if case["means"] == "busy":
            raise BusyError(error.message, case.get("wait", BUSY_SECONDS)) from error
        if case["means"] == "too_large":
            raise TooLargeError(f"{error.message}; nothing was created ({TOO_LARGE})") from error
        seconds = error.retry_after if isinstance(error, RefusedError) else None
        until = used_up(self.time.now(), seconds) if seconds else "a quota is used up, a later run goes on"
        raise QuotaError(f"{error.message}; nothing was created; {until}") from error

    def poll(self, job: Job) -> Job:
        """Return the job as it stands.

        Raises:
            JobLostError: The provider no longer knows it.
        """
        if job.id.startswith(NONE):
            return replace(job, status=Status.COMPLETED, rows=0, data={**job.data, EMPTY: True})
        verb, values = self._spec["poll"], {**self._variables, **job.data, "id": job.id}
        if verb.get("list"):
            found = next((other for other in self._list.whole(values) if other.id == job.id), None)
            if found is None:
                raise JobLostError(f"{self._name}: job {job.id} is not in the list any more")
            return found
        try:
            reply = self.calls.send(verb, values, stands=self._tells_status)
        except NotFoundError as error:
            raise JobLostError(error.message) from error
        except RefusedError as error:
            return self._ended(job, error)
        record = fields.mapping(pick(reply.json(), verb.get("at")))
        return self._replies.job(record, headers_of(reply), values, known=job.id)

    def _tells_status(self, reply: Reply) -> bool:
        """Return whether the HTTP status of a reply is all that is due: a completed job has to tell more."""
        told = self.declaration.statuses.get(str(reply.status), Status.COMPLETED)
        return self._spec["job"]["status"] == HEADER + STATUS and told is not Status.COMPLETED

    def _ended(self, job: Job, error: RefusedError) -> Job:
        """Return a job that an HTTP status of failure is the status of.

        Raises:
            RefusedError: It says nothing of the job.
        """
        word = str(error.status)
        if self._spec["job"]["status"] != HEADER + STATUS or word not in self.declaration.statuses:
            raise error
        return replace(job, status=self.declaration.statuses[word], raw_status=word, reason=error.message)

    def open(self, job: Job) -> Sequence[RemoteFile]:
        """Return the files of a completed job, with fresh URLs.

        Raises:
            NotReadyError: The provider says that it is not completed.
            BadContentError: It is completed and shows no file.
        """
        if job.data.get(EMPTY):
            return []
        try:
            return self._files.of(job, self.poll)
        except NotFoundError as error:
            raise JobLostError(error.message) from error
        except RefusedError as error:
            if error.status in self._spec["files"].get("not_ready", ()):
                raise NotReadyError(error.message) from error
            raise

    def note(self, url: str, answer: Answer) -> None:
        """Take what the head of a download says of the next file of its chain."""
        self._files.note(url, answer)

    def samples(self, request: Request) -> Iterator[Job]:
        """Yield a few completed jobs like the request, in the order of the list; none where there is no list."""
        if "list" not in self._spec:
            return iter(())
        values = {**self._variables, **request.params}
        similar = self._similar(request, self._list.once(values))
        return islice((j for j in similar if j.status is Status.COMPLETED and not j.data.get(EMPTY)), SAMPLES)

    def check(self) -> None:
        """Make a free call that needs the credentials, if the declaration describes one."""
        if "list" in self._spec:
            next(self._list.once(self._variables), None)

    def look(self, path: str, params: Mapping[str, Any] | None = None) -> Reply:
        """Return the reply to a free GET, to see what the documents leave open."""
        return self.calls.send({"get": path.replace("{", "{{"), "params": params or {}}, {})

    # Where the declaration has `list` and `find`

    def _jobs(self) -> Iterator[Job]:
        return self._list.once(self._variables)

    def _find(self, request: Request, since: datetime, closed: Collection[str] = ()) -> Job | None:
        values = self._values(request)
        asked = self._asked(values)
        for job in self._list.whole(values):
            recent = job.created_at is None or job.created_at >= since.replace(microsecond=0)
            gone = job.status.is_terminal and job.status is not Status.COMPLETED
            if recent and not gone and job.id not in closed and means_same(asked, self._echo(job)):
                return job
        return None

    def _earlier(self, request: Request, since: datetime) -> Iterator[tuple[Job, Window | None]]:
        for job in self._list.once({**self._variables, **request.params}):
            if job.created_at is None or job.created_at < since:
                continue
            for window in windows(self._spec, job.data.get(RECORD)) if self.declaration.is_windowed else [None]:
                if means_same(self._asked(self._values(replace(request, window=window))), self._echo(job)):
                    yield job, window

    def _contradiction(self, request: Request, job: Job) -> str:
        return ", ".join(different(self._asked(self._values(request)), self._echo(job)))

    def _completed(self, request: Request, window: Window) -> Iterator[Job]:
        values = {**self._variables, **request.params}
        for job in self._similar(request, self._list.whole(values)):
            created, start = job.created_at, window.start
            if created is None:
                place = self._spec["job"]["created"]
                raise BadContentError(f'{self._name}: job {job.id} shows no instant at "{place}"')
            if (start is None or created >= start) and created <= window.end:
                yield job

    def _similar(self, request: Request, jobs: Iterator[Job]) -> Iterator[Job]:
        """Yield the jobs whose echo shows the request, apart from its window."""
        asked = self._asked({**self._variables, **request.params}, WINDOW_HOLES)
        return (job for job in jobs if means_same(asked, self._echo(job)))

    def _asked(self, values: Values, unknown: Collection[str] = ()) -> dict[str, Any]:
        """Return what `find` compares; what was not asked for is None, which a job must not show either.

        Args:
            values: For the holes.
            unknown: Holes without which nothing is compared.
        """
        return {
            path: fill(template, values)
            for path, template in self._spec.get("find", {}).items()
            if not set(unknown) & {name for name, _ in holes(template)}
        }

    def _echo(self, job: Job) -> dict[str, Any]:
        return {path: pick(job.data.get(RECORD), path) for path in self._spec.get("find", {})}

    def _delete(self, job_id: str) -> None:
        try:
            self.calls.send(self._spec["delete"], {**self._variables, "id": job_id})
        except NotFoundError:
            return
