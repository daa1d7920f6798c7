"""The API of Mandrill. Docs: https://mailchimp.com/developer/transactional/api/exports/ (seen 2026-11)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Literal

from tap_exports.engine.http import Client, Reply, fields
from tap_exports.engine.model import Job, Page, RemoteFile, Request, Row, Status, Window
from tap_exports.errors import AuthError, BadContentError, JobLostError, RefusedError

API_URL = "https://mandrillapp.com/api/1.0"
LIST = "/exports/list"
ACTIVITY = "activity"
SAMPLES = 3
NO_KEY, NO_JOB = "Invalid_Key", "Unknown_Export"

# https://mailchimp.com/developer/transactional/api/exports/view-export-info/: the values of `state`.
STATUSES = {
    "waiting": Status.PENDING,
    "working": Status.RUNNING,
    "complete": Status.COMPLETED,
    "error": Status.FAILED,
    "expired": Status.FAILED,  # its file is gone: the window is requested again
}


class MandrillApi:
    """The verbs of Mandrill: every call is a POST that holds the key.

    Args:
        client: Sends requests.
        key: The key.
    """

    free_to_repeat: Literal[True] = True  # an export costs nothing, and the list does not show its dates

    def __init__(self, client: Client, key: str) -> None:
        """Keep the parts."""
        self._client, self._key = client, key
        self.time = client.time

    def _call(self, path: str, body: Mapping[str, Any], *, idempotent: bool = True) -> Any:  # noqa: ANN401 - JSON
        try:
            whole = {"key": self._key, **body}
            return self._client.send("POST", path, body=whole, idempotent=idempotent, stands=is_refusal).json()
        except RefusedError as error:
            if error.code == NO_KEY:
                raise AuthError(f"mandrill: key setting `mandrill.api_key` was refused: {error.message}") from error
            raise

    # https://mailchimp.com/developer/transactional/api/exports/list-exports/: all of them, without pages.
    def list(self, path: str, window: Window | None) -> Iterator[Page]:
        """Yield the exports of the account, whoever made them."""
        del window
        items = fields.records(self._call(path, {}), f"mandrill {path}", key="id")
        yield Page([{k: v for k, v in item.items() if k != "result_url"} for item in items], last=True)

    def jobs(self) -> Iterator[Job]:
        """Yield the exports of the account, newest first."""
        found = (parse_job(item) for page in self.list(LIST, None) for item in page.items)
        return iter(sorted(found, key=lambda job: job.created_at.timestamp() if job.created_at else 0, reverse=True))

    # https://mailchimp.com/developer/transactional/api/exports/export-activity-history/
    def submit(self, request: Request) -> Job:
        """Create the export of a window."""
        return parse_job(self._call("/exports/activity", body_of(request), idempotent=False))

    def poll(self, job: Job) -> Job:
        """Return the job as it stands.

        Raises:
            JobLostError: The account does not know it.
        """
        try:
            return parse_job(self._call("/exports/info", {"id": job.id}))
        except RefusedError as error:
            if error.code == NO_JOB:
                raise JobLostError(error.message) from error
            raise

    def open(self, job: Job) -> Sequence[RemoteFile]:
        """Return the file of a completed export: a zip that holds `activity.csv`.

        Raises:
            BadContentError: It shows no URL.
        """
        url = fields.text(self.poll(job).data.get("result_url"))
        if not url:
            msg = f"mandrill: export {job.id} is complete, but shows no result_url"
            raise BadContentError(msg)
        return [RemoteFile("activity.csv", url, "csv")]

    def samples(self, request: Request) -> Iterator[Job]:
        """Yield the newest completed exports of the activity history: they all have the same columns."""
        del request
        done = (job for job in self.jobs() if job.status is Status.COMPLETED and job.data.get("type") == ACTIVITY)
        return islice(done, SAMPLES)


def body_of(request: Request) -> dict[str, Any]:
    """Return the body that asks for an export; bounds are whole seconds.

    No page says whether `date_to` is inclusive: the second after the window is named, so that no row is missed.
    """
    bounds = {}
    if request.window:
        start, until = request.window.start, request.window.end + timedelta(milliseconds=1)
        bounds = {"date_from": to_second(start) if start else None, "date_to": to_second(until)}
    body = {**request.params, **bounds}
    return {name: value for name, value in body.items() if value}


def to_second(moment: datetime) -> str:
    """Return an instant as the API writes it."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def parse_job(item: Row) -> Job:
    """Return the job that an export record describes.

    Raises:
        BadContentError: It has no id.
    """
    record = fields.record(item, "mandrill: an export", key="id")
    raw = str(record.get("state") or "")
    created = fields.text(record.get("created_at"))
    return Job(
        id=str(record["id"]),
        status=fields.status(STATUSES, raw),
        raw_status=raw,
        created_at=fields.instant(f"{created.replace(' ', 'T')}Z", "mandrill: created_at") if created else None,
        data=record,
    )


# Errors come with 500, which otherwise is tried again: {"status": "error", "code": -1, "name": …, "message": …}.
def is_refusal(reply: Reply) -> bool:
    """Return whether a reply of an error status is an answer of the API itself."""
    return not reply.is_success and reply.is_json and "name" in fields.mapping(reply.json())


def parse_error(reply: Reply) -> tuple[str, str]:
    """Return name and message of an error."""
    body = fields.mapping(reply.json())
    return str(body.get("name") or ""), str(body.get("message") or "")
