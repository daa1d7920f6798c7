"""The API of Cension. Docs: https://www.cension.ai/docs/api/exports/ (seen 2026-11)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from tap_exports.engine.http import Client, Reply, fields
from tap_exports.engine.http.pages import read_pages
from tap_exports.engine.model import Job, Page, Request, Row, Status
from tap_exports.errors import BadContentError, JobLostError, NotFoundError, PaymentError, RefusedError

API_URL = "https://api.cension.ai"
LIMIT = 100  # The documented default; no maximum is documented, and a larger limit may be cut silently.

# https://cension.ai/docs/api/operations: these four; anything else is watched under the stall timeout.
STATUSES = {
    "running": Status.RUNNING,
    "completed": Status.COMPLETED,
    "failed": Status.FAILED,
    "cancelled": Status.CANCELLED,
}


class CensionApi:
    """The verbs of Cension; there is no list of runs, so a lost one cannot be found.

    Args:
        client: Sends requests with the key.
        concurrency: Requests in flight while pages are read.
    """

    costs: Literal[True] = True

    def __init__(self, client: Client, concurrency: int) -> None:
        """Keep the client."""
        self._client = client
        self.time = client.time
        self._concurrency = concurrency

    # https://cension.ai/docs/api/operations: the run stands under `operation`, not under `data`.
    def operation(self, number: int) -> tuple[Row, Job]:
        """Return a run, as the provider's record and as a job.

        Raises:
            NotFoundError: The account has no such run.
        """
        reply = self._reply(f"/api/operations/{number}", f"operation {number} (operation_ids)")
        record = parse_operation(checked(reply))
        return record, parse_job(record, number)

    def poll(self, job: Job) -> Job:
        """Return the run as it stands.

        Raises:
            JobLostError: The account has no such run.
        """
        try:
            return self.operation(int(job.id))[1]
        except NotFoundError as error:
            raise JobLostError(error.message) from error

    def look(self, path: str, params: Mapping[str, Any] | None = None) -> Reply:
        """Return the reply to a free GET, to see what the documents leave open."""
        return self._client.get(path, params)

    # https://cension.ai/docs/api/operations: answers `{"success": true}` only.
    def cancel(self, job_id: str) -> None:
        """Cancel a running run.

        Raises:
            NotFoundError: The account has no such run.
        """
        checked(self._client.send("DELETE", f"/api/operations/{int(job_id)}/cancel"))

    # https://cension.ai/docs/api/horizontal, …/vertical: spends credits, returns an operationId at once.
    def submit(self, request: Request) -> Job:
        """Begin the run that the configuration asks for.

        Raises:
            PaymentError: The credits do not cover it.
        """
        path, body = f"/api/{request.params['endpoint']}", request.params["body"]
        try:
            reply = self._client.send("POST", path, body=body, idempotent=False)
        except PaymentError as error:
            where = "balance and price are in Cension's dashboard, no API tells them"
            raise PaymentError(f"{error.message}; {where}; `cension.exports.start` began the run") from error
        return Job(str(parse_operation_id(checked(reply))), Status.RUNNING, "running")

    # https://www.cension.ai/docs/api/exports/: page from 1; the count follows the operationId filter.
    def export(self, export_id: int, operation_id: int | None = None) -> Iterator[Page]:
        """Yield the pages of an export, whole or of one run."""
        scope = {} if operation_id is None else {"operationId": operation_id}
        return self._pages(f"/api/export/{export_id}", scope, f"export {export_id} (cension.exports.export_id)")

    # https://cension.ai/docs/api/playground: beta; an array at `data`, counts at `pagination`.
    def query(self, query_id: int) -> Iterator[Page]:
        """Yield the pages of a saved query."""
        return self._pages(f"/api/queries/{query_id}", {}, f"query {query_id} (cension.queries.query_id)")

    def _pages(self, path: str, scope: Mapping[str, Any], what: str) -> Iterator[Page]:
        return read_pages(
            lambda number: self._reply(path, what, {"page": number, "limit": LIMIT, **scope}),
            lambda reply: parse_page(checked(reply), path),
            LIMIT,
            self._concurrency,
            f"cension {path}",
        )

    def _reply(self, path: str, what: str, params: Mapping[str, Any] | None = None) -> Reply:
        try:
            return self._client.get(path, params)
        except NotFoundError as error:
            msg = f"cension: no {what} in the account of this key"
            raise NotFoundError(msg) from error


def checked(reply: Reply) -> Any:  # noqa: ANN401 - goes into `parse_*`
    """Return the body of a reply.

    Raises:
        RefusedError: It says `success: false`, whatever its HTTP status.
    """
    body = reply.json()
    if isinstance(body, dict) and body.get("success") is False:
        code, message = parse_error(reply)
        msg = f"cension: {message or 'the reply says success: false without a reason'}"
        raise RefusedError(msg, reply.status, code)
    return body


def parse_operation(body: Any) -> Row:  # noqa: ANN401 - `Any` stops here
    """Return the record of a run.

    Raises:
        BadContentError: It is no object.
    """
    inner = body.get("operation") or body.get("data") or body if isinstance(body, dict) else body
    record = inner.get("operation", inner) if isinstance(inner, dict) else inner
    if not isinstance(record, dict):
        msg = "cension: the reply about a run holds no record of it"
        raise BadContentError(msg)
    return dict(record)


def parse_operation_id(body: Any) -> int:  # noqa: ANN401 - `Any` stops here
    """Return the number of a run that was begun; the envelope around it is not documented.

    Raises:
        BadContentError: There is no number in it.
    """
    outer = body if isinstance(body, dict) else {}
    inner = [outer, outer.get("operation"), outer.get("data")]
    inner += [i.get("operation") for i in inner if isinstance(i, dict)]
    for candidate in inner:
        if isinstance(candidate, dict) and str(candidate.get("operationId")).isdecimal():
            return int(candidate["operationId"])
    msg = "cension: the reply to a run that was begun names no operationId; look it up in the dashboard"
    raise BadContentError(msg)


def parse_job(record: Row, number: int) -> Job:
    """Return the job that the record of a run describes."""
    raw = str(record.get("status", ""))
    started, status = record.get("startedAt"), fields.status(STATUSES, raw)
    return Job(
        id=str(record.get("operationId") or number),
        status=status,
        raw_status=raw,
        rows=fields.number(record.get("processedItems")) if status is Status.COMPLETED else None,
        created_at=fields.instant(started, f"cension: startedAt of operation {number}"),
        progress=record.get("processedItems"),
        reason=record.get("errorMessage"),
    )


def parse_page(body: Any, path: str) -> Page:  # noqa: ANN401 - `Any` stops here
    """Return a page: `data.items` with `data.total_count`, `data` with `pagination`, or a bare array (older docs).

    Raises:
        BadContentError: It is none of them.
    """
    data = body.get("data", {}) if isinstance(body, dict) else body
    counts = fields.mapping(body.get("pagination")) if isinstance(body, dict) else {}
    if isinstance(data, dict):
        counts, data = data, data.get("items", {})
    if data is not None and not isinstance(data, list):
        msg = f"cension {path}: neither data.items nor an array of rows"
        raise BadContentError(msg)
    total, pages, size = (fields.number(counts.get(name)) for name in ("total_count", "total_pages", "limit"))
    return Page(data or [], total=total, pages=pages, size=size)


def parse_error(reply: Reply) -> tuple[str, str]:
    """Return code and message of an error body: `message`, `error`, or `error.message`."""
    body = reply.json()
    error = body.get("error") if isinstance(body, dict) else None
    nested = error if isinstance(error, dict) else {}
    text = body.get("message") or nested.get("message") or error if isinstance(body, dict) else body
    return str(nested.get("code", "")), str(text or "")
