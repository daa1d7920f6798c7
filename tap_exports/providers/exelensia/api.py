"""The API of Exelensia. Docs: https://exelensia.com/docs/api-reference/exports (seen 2026-11)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from tap_exports.engine.clock import MILLISECOND, to_text
from tap_exports.engine.http import Client, Reply, fields
from tap_exports.engine.http.pages import read_pages
from tap_exports.engine.http.whole import WholeList
from tap_exports.engine.jobs.echo import different, means_same
from tap_exports.engine.model import Column, Job, Kind, Offer, Page, RemoteFile, Request, Row, Status, Window
from tap_exports.errors import BadContentError, JobLostError, NotFoundError, NotReadyError, RefusedError

API_URL = "https://api.exelensia.com"
LIMIT = 100
SAMPLES = 3

STATUSES = {
    "PENDING": Status.PENDING,
    "PROCESSING": Status.RUNNING,
    "COMPLETED": Status.COMPLETED,
    "FAILED": Status.FAILED,
}

# https://exelensia.com/docs/api-reference/files: PENDING while it is uploaded.
FILE_STATUSES = {"PENDING": Status.PENDING, "READY": Status.COMPLETED, "FAILED": Status.FAILED}

# https://exelensia.com/docs/api-reference/results: SUCCESS is the only word that is documented.
RESULT_STATUSES = {**STATUSES, "SUCCESS": Status.COMPLETED}

# Field types of a schema; `string`, `date` and `number` are documented, the rest is what such APIs call theirs.
KINDS = {
    "string": Kind.STRING,
    "date": Kind.DATE,
    "datetime": Kind.DATETIME,
    "date-time": Kind.DATETIME,
    "number": Kind.NUMBER,
    "integer": Kind.INTEGER,
    "boolean": Kind.BOOLEAN,
}


class ExelensiaApi:
    """The verbs of Exelensia.

    Args:
        client: Sends requests with the key.
        concurrency: Requests in flight while a list is read.
    """

    def __init__(self, client: Client, concurrency: int) -> None:
        """Keep the client."""
        self._client = client
        self.time = client.time
        self.time.ask = lambda: client.get("/v1/exports", {"limit": 1})
        self._concurrency = concurrency

    # https://exelensia.com/docs/getting-started/introduction: page from 1, limit up to 100, newest first by default.
    def list(self, path: str, window: Window | None) -> Iterator[Page]:
        """Yield the pages of a resource, oldest first; bounds are one millisecond wider, the caller cuts."""
        params = {"limit": LIMIT, "sort_by": "createdAt", "sort_order": "asc", **bounds(window)}
        if path.endswith("/results"):
            params["include_extraction"] = "true"
        return read_pages(
            lambda number: self._client.get(path, {**params, "page": number}),
            lambda reply: parse_page(reply.json()),
            LIMIT,
            self._concurrency,
            f"exelensia {path}",
        )

    def whole(self, path: str) -> Iterator[Page]:
        """Yield the pages of a resource, all of it.

        Raises:
            CountError: The list is not proven whole.
        """
        return WholeList(lambda: self.list(path, None), ("id",), f"exelensia {path}").required()

    # https://exelensia.com/docs/api-reference/schemas: GET /schemas/{id}.
    def schema(self, schema_id: str) -> Row:
        """Return the definition of a schema.

        Raises:
            NotFoundError: The account has no such schema.
        """
        try:
            return unwrap(self._client.get(f"/v1/schemas/{schema_id}").json())
        except NotFoundError:
            for page in self.whole("/v1/schemas"):
                if found := next((s for s in page.items if s.get("id") == schema_id), None):
                    return found
        msg = f"exelensia: no schema {schema_id} (exports.schema_id) in the account of this key"
        raise NotFoundError(msg)

    # POST /exports: both dates are required and inclusive; 201 with the bare job.
    def submit(self, request: Request) -> Job:
        """Create the export of a window."""
        reply = self._client.send("POST", "/v1/exports", body=body_of(request), idempotent=False)
        return parse_job(unwrap(reply.json()))

    # There is no GET /exports/{id}, and 409 on /download does not tell a failed job from a pending one: the list does.
    def poll(self, job: Job) -> Job:
        """Return the job as the list shows it.

        Raises:
            JobLostError: The list does not hold it.
        """
        since = Window(job.created_at - MILLISECOND, job.created_at) if job.created_at else None
        found = self._in_list(job.id, created_after(since)) or (self._in_list(job.id, {}) if since else None)
        if found is None:
            msg = f"exelensia: export {job.id} is not in the list any more"
            raise JobLostError(msg)
        return found

    def _in_list(self, job_id: str, params: Mapping[str, Any]) -> Job | None:
        for page in self._exports(params):
            for item in page.items:
                if item.get("id") == job_id:
                    return parse_job(item)
        return None

    def _exports(self, params: Mapping[str, Any]) -> Iterator[Page]:
        """Yield the exports; at the end all of them, so that one that is not among them does not exist."""
        return WholeList(lambda: self._read_exports(params), ("id",), "exelensia /v1/exports").required()

    def _read_exports(self, params: Mapping[str, Any]) -> Iterator[Page]:
        order = "asc" if params else "desc"
        query = {"limit": LIMIT, "sort_by": "createdAt", "sort_order": order, **params}
        return read_pages(
            lambda number: self._client.get("/v1/exports", {**query, "page": number}),
            lambda reply: parse_page(reply.json()),
            LIMIT,
            1,
            "exelensia /v1/exports",
        )

    def look(self, path: str, params: Mapping[str, Any] | None = None) -> Reply:
        """Return the reply to a free GET, to see what the documents leave open."""
        return self._client.get(path, params)

    def offers(self) -> Iterator[Offer]:
        """Yield the extraction schemas of the team."""
        for page in self.whole("/v1/schemas"):
            for item in page.items:
                name = fields.text(item.get("name")) or str(item["id"])
                yield Offer(name, "exports", {"schema_id": item["id"], "name": name})

    def jobs(self) -> Iterator[Job]:
        """Yield the exports of the team, newest first."""
        return (parse_job(item) for page in self._read_exports({}) for item in page.items)

    def find(self, request: Request, since: datetime, closed: Collection[str] = ()) -> Job | None:
        """Return the job that this very request created: its schema, array and bounds are echoed in the list."""
        asked = body_of(request)
        for page in self._exports(created_after(Window(since, since))):
            for item in page.items:
                job = parse_job(item)
                recent = job.created_at is None or job.created_at >= since
                if recent and job.id not in closed and job.status is not Status.FAILED and is_same(item, asked):
                    return job
        return None

    def earlier(self, request: Request, since: datetime) -> Iterator[tuple[Job, Window | None]]:
        """Yield the exports of a schema and array created since, with the bounds that the list echoes."""
        for job in self._matching(request, created_after(Window(since, since))):
            start, end = (
                fields.instant(job.data.get(f"{name}_date"), f"exelensia: {name}_date") for name in ("start", "end")
            )
            if start and end:
                yield job, Window(start, end)

    def contradiction(self, request: Request, job: Job) -> str:
        """Return what an export shows that differs from the request: its schema, array and bounds are echoed."""
        return ", ".join(different(body_of(request), job.data))

    # GET /exports/{id}/download: a time-limited URL; 409 while the export is not completed.
    def open(self, job: Job) -> Sequence[RemoteFile]:
        """Return the one CSV file of a completed export, with a fresh URL."""
        try:
            reply = self._client.get(f"/v1/exports/{job.id}/download")
        except NotFoundError as error:
            raise JobLostError(error.message) from error
        except RefusedError as error:
            if error.status == 409:  # noqa: PLR2004 - documented: not yet completed
                raise NotReadyError(error.message) from error
            raise
        url = fields.text(fields.mapping(fields.mapping(reply.json()).get("data", reply.json())).get("url"))
        if not url:
            msg = f"exelensia: the download of export {job.id} names no url"
            raise BadContentError(msg)
        return [RemoteFile("export.csv", url)]

    # DELETE /exports/{id}: removes the job and its file.
    def delete(self, job_id: str) -> None:
        """Delete an export; one that is gone is fine."""
        try:
            self._client.send("DELETE", f"/v1/exports/{job_id}")
        except NotFoundError:
            return

    def samples(self, request: Request) -> Iterator[Job]:
        """Yield the newest completed exports of a schema."""
        return islice((job for job in self._matching(request, {}) if job.status is Status.COMPLETED), SAMPLES)

    def _matching(self, request: Request, params: Mapping[str, Any]) -> Iterator[Job]:
        schema_id, array = request.params["schema_id"], request.params.get("expand_array")
        for page in self._exports(params):
            for item in page.items:
                if item.get("schema_id") == schema_id and (item.get("expand_array") or None) == (array or None):
                    yield parse_job(item)

    def completed(self, request: Request, window: Window) -> Iterator[Job]:
        """Yield the exports of a schema created in a window."""
        for job in self._matching(request, bounds(window)):
            created, start = job.created_at, window.start
            if created is not None and (start is None or created >= start) and created <= window.end:
                yield job


def bounds(window: Window | None) -> dict[str, Any]:
    """Return the date filters of a window; whether they include their instant is not documented, so they are wider."""
    if window is None:
        return {}
    return created_after(window) | {"created_before": to_text(window.end + MILLISECOND)}


def created_after(window: Window | None) -> dict[str, Any]:
    """Return the lower date filter of a window."""
    return {"created_after": to_text(window.start - MILLISECOND)} if window and window.start else {}


def body_of(request: Request) -> dict[str, Any]:
    """Return the body that asks for an export.

    Raises:
        ValueError: The request has no bounded window.
    """
    window = request.window
    if window is None or window.start is None:
        msg = "an export of Exelensia needs both dates"
        raise ValueError(msg)
    array = request.params.get("expand_array")
    bounds = {"start_date": to_text(window.start), "end_date": to_text(window.end)}
    return {"schema_id": request.params["schema_id"], **bounds, **({"expand_array": array} if array else {})}


def is_same(item: Row, asked: Mapping[str, Any]) -> bool:
    """Tell whether an export in the list is what a body asked for."""
    return means_same({"expand_array": None, **asked}, item)


def unwrap(body: Any) -> Row:  # noqa: ANN401 - `Any` stops here
    """Return the object of a reply, with or without a `data` around it.

    Raises:
        BadContentError: There is none.
    """
    return fields.record(body, "exelensia")


def parse_page(body: Any) -> Page:  # noqa: ANN401 - `Any` stops here
    """Return a page of a list: `{"data": […], "meta": {"total", "totalPages", "limit"}}`; no body is an empty list.

    Raises:
        BadContentError: It has no array of records.
    """
    outer = body if isinstance(body, dict) else {"data": body}
    meta = fields.mapping(outer.get("meta"))
    items = fields.records(outer.get("data", {}), "exelensia: `data` of a list")
    total, pages, size = (fields.number(meta.get(name)) for name in ("total", "totalPages", "limit"))
    return Page(items, total=total, pages=pages, size=size)


def parse_job(item: Row) -> Job:
    """Return the job that an export record describes.

    Raises:
        BadContentError: It has no id.
    """
    if not item.get("id"):
        msg = "exelensia: a record of an export without an id"
        raise BadContentError(msg)
    raw = str(item.get("status", ""))
    return Job(
        id=str(item["id"]),
        status=fields.status(STATUSES, raw),
        raw_status=raw,
        created_at=fields.instant(item.get("createdAt"), f"exelensia: createdAt of export {item['id']}"),
        data=item,
        updated_at=fields.instant(item.get("updatedAt"), f"exelensia: updatedAt of export {item['id']}"),
    )


def parse_columns(schema: Row) -> tuple[dict[str, Column], dict[str, str]]:
    """Return the columns that a schema definition declares, and the labels that stand for their keys.

    Arrays and objects have no documented form in CSV: they stay text.
    """
    listed = fields.records(fields.mapping(schema.get("schema")).get("fields"), "exelensia: `fields` of a schema")
    named = [(str(f["key"]), f) for f in listed if fields.text(f.get("key"))]
    columns = {key: Column(key, KINDS.get(str(f.get("type")).lower(), Kind.STRING)) for key, f in named}
    return columns, {str(f["label"]): key for key, f in named if f.get("label") and f["label"] not in columns}


def parse_error(reply: Reply) -> tuple[str, str]:
    """Return code and message of an error body; its shape is not documented, `message` may be a list."""
    body = reply.json()
    outer = body if isinstance(body, dict) else {"message": body}
    nested = outer.get("error")
    error = fields.mapping(nested)
    message = outer.get("message") or error.get("message") or nested or ""
    text = "; ".join(map(str, message)) if isinstance(message, list) else str(message)
    return str(error.get("code") or outer.get("code") or ""), text
