"""The list of jobs of a declared API, read until it is proven whole; see `engine/http/whole.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from tap_exports.engine.http import Reply, fields
from tap_exports.engine.http.pages import read_pages
from tap_exports.engine.http.whole import WholeList
from tap_exports.engine.model import Job, Page
from tap_exports.errors import CountError, StopError
from tap_exports.providers.declared.declaration.paths import pick
from tap_exports.providers.declared.declaration.templates import Values
from tap_exports.providers.declared.exchange.calls import Calls, headers_of

MOST_PAGES = 10_000
UNKNOWN_LIMIT = 1_000_000  # of a page: nobody asked for one, so that the first page shows how long a full one is
_ID, _JOB = "id", "job"


class JobList:
    """The list that a declaration names.

    Args:
        calls: Sends the calls.
        parse: Returns the job of a record.
    """

    def __init__(self, calls: Calls, parse: Callable[[object, Mapping[str, str], Values], Job]) -> None:
        """Keep the parts."""
        self._calls, self._parse = calls, parse
        self._spec: Mapping[str, Any] = calls.declaration.spec["list"]
        self._where = f"{calls.name}: the list of jobs"

    def whole(self, values: Values) -> Iterator[Job]:
        """Yield the jobs, each once; at its end all of them, so that one that is not among them does not exist.

        Raises:
            CountError: The list is not proven whole.
        """
        return _jobs(WholeList(partial(self._read, values), (_ID,), self._where).required())

    def once(self, values: Values) -> Iterator[Job]:
        """Yield the jobs of one read: a job may be missing, or come twice."""
        return _jobs(self._read(values))

    def _read(self, values: Values) -> Iterator[Page]:
        if self._calls.declaration.pages_jobs:
            size = self._spec.get("size")
            limit = size if isinstance(size, int) else UNKNOWN_LIMIT
            fetch = partial(self._numbered, values)
            return read_pages(fetch, partial(self._page, values), limit, 1, self._where)
        return self._chained(values)

    def _numbered(self, values: Values, number: int) -> Reply:
        if number > MOST_PAGES:
            raise CountError(f"{self._where} does not end after {MOST_PAGES} pages")
        page = number + int(self._spec.get("first_page", 1)) - 1
        return self._calls.send(self._spec, {**values, "page": page})

    def _chained(self, values: Values) -> Iterator[Page]:
        """Yield pages of which each names the next, or the only one."""
        pages, following, seen = self._spec.get("pages", {}), None, set[str]()
        while True:
            call = self._spec
            if following is not None:
                call = {**call, "params": {**call.get("params", {}), pages["param"]: following}}
            reply = self._calls.send(call, values)
            following = fields.text(pick(reply.json(), pages["next"], headers_of(reply))) if pages else None
            yield self._page(values, reply, last=following is None)
            if following is None:
                return
            if following in seen or len(seen) >= MOST_PAGES:
                raise StopError(f"{self._where} leads in a circle, or does not end after {MOST_PAGES} pages")
            seen.add(following)

    def _page(self, values: Values, reply: Reply, *, last: bool | None = None) -> Page:
        spec, body, headers = self._spec, reply.json(), headers_of(reply)
        found = pick(body, spec["items"], headers)
        items = fields.records(found, f"{self._calls.name}: `{spec['items']}` of the list")
        jobs = [self._parse(item, {}, values) for item in items]
        more = fields.flag(pick(body, spec["more"], headers)) if "more" in spec else None
        size = pick(body, spec["size"], headers) if isinstance(spec.get("size"), str) else spec.get("size")
        return Page(
            [{_ID: job.id, _JOB: job} for job in jobs],
            total=fields.number(pick(body, spec["total"], headers)) if "total" in spec else None,
            last=last if last is not None or more is None else not more,
            size=fields.number(size),
        )


def _jobs(pages: Iterator[Page]) -> Iterator[Job]:
    return (row[_JOB] for page in pages for row in page.items)
