"""The API of Closient. Docs: https://docs.closient.com/api-reference/dashboard/data-export (seen 2026-11)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote
from uuid import UUID

from tap_exports.engine.archive import Inventory, Section, Survey
from tap_exports.engine.clock import to_text
from tap_exports.engine.http import Client, Reply, fields
from tap_exports.engine.jobs import Outcome
from tap_exports.engine.model import Job, Offer, RemoteFile, Request, Row, Status
from tap_exports.errors import JobLostError, NotFoundError, NotReadyError

API_URL = "https://www.closient.com"
PATH = "/dashboard/api/v1/data-export"
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
SHORT_LENGTH = 22

STATUSES = {
    "pending": Status.PENDING,
    "processing": Status.RUNNING,
    "completed": Status.COMPLETED,
    "failed": Status.FAILED,
}


class ClosientApi:
    """The verbs of Closient.

    There is no list of jobs, but a job costs nothing and changes nothing: one whose reply was lost is left alone.

    Args:
        client: Sends requests with the key.
        organizations: The configured ones, as shortuuids.
    """

    free_to_repeat: Literal[True] = True

    def __init__(self, client: Client, organizations: Sequence[str]) -> None:
        """Keep the client."""
        self._client = client
        self.time = client.time
        self._organizations = organizations
        self._owners: dict[str, str] = {}

    # https://docs.closient.com/api-reference/account/account/identify-the-authenticated-caller
    def whoami(self) -> Row:
        """Return who the key belongs to: free, and refused with a wrong key."""
        return fields.mapping(self._client.get("/account/api/v1/whoami").json())

    def look(self, path: str, params: Mapping[str, Any] | None = None) -> Reply:
        """Return the reply to a free GET, to see what the documents leave open."""
        return self._client.get(path, params)

    def offers(self) -> Iterator[Offer]:
        """Yield the organizations of the key's owner."""
        told = self.whoami()
        caller = fields.mapping(told.get("data")) or told
        for item in fields.records(caller.get("organizations"), "closient: `organizations` of the caller", key="id"):
            yield Offer(fields.text(item.get("name")) or str(item["id"]), "organization_ids", str(item["id"]))

    # …/data-export/request-an-organization-data-export: no body; answers as the poll does.
    def submit(self, request: Request) -> Job:
        """Ask for the export of an organization."""
        organization = str(request.params["organization_id"])
        query = {"archive_format": request.params["archive_format"]}
        reply = self._client.send("POST", f"{PATH}/{_quoted(organization)}", params=query, idempotent=False)
        return parse_job(unwrap(reply), organization)

    # …/data-export/poll-an-organization-data-export: 404 also for a job of another organization.
    def poll(self, job: Job) -> Job:
        """Return the job as it stands.

        Raises:
            JobLostError: No configured organization has it.
        """
        known = job.data.get("organization_id") or self._owners.get(job.id)
        for organization in [str(known)] if known else self._organizations:
            try:
                reply = self._client.get(f"{PATH}/{_quoted(organization)}/{_quoted(job.id)}")
            except NotFoundError:
                continue
            self._owners[job.id] = organization
            return parse_job(unwrap(reply), organization)
        msg = f"closient: export {job.id} is not known to {known or 'any of organization_ids'}"
        raise JobLostError(msg)

    # Each look at a completed job gives a URL that works for a while.
    def open(self, job: Job) -> Sequence[RemoteFile]:
        """Return the archive of a completed job, with a fresh URL."""
        record = self.poll(job).data["record"]
        if not record.get("download_url"):
            msg = f"closient: export {job.id} has no download_url"
            raise NotReadyError(msg)
        return [RemoteFile(f"export.{record.get('archive_format') or 'archive'}", record["download_url"], "archive")]

    def inventory(self, job: Job) -> Inventory:
        """Return what a job says of its archive."""
        record = job.data["record"]
        return Inventory(parse_sections(record.get("sections")), fields.number(record.get("file_size_bytes")) or None)

    def manifest(self, found: Survey) -> Inventory:
        """Return what the archive says of itself; the manifest's layout is not documented."""
        return Inventory(parse_sections(fields.mapping(found.content).get("sections")))

    def constants(self, job: Job) -> Row:
        """Return the columns that every row of a job has."""
        return {"job_id": job.id, "organization_id": job.data["organization_id"]}


def normalised(identifier: str) -> str:
    """Return an id as a shortuuid; a UUID is converted, anything else stays, since documents know a third form.

    Alphabet: the documented pattern. Order: that of the Python package `shortuuid` from 1.0 on, most significant first.
    """
    text = identifier.strip()
    try:
        number = UUID(text).int
    except ValueError:
        return text
    digits = ""
    while number:
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits.rjust(SHORT_LENGTH, ALPHABET[0])


def unwrap(reply: Reply) -> Row:
    """Return the object of a reply.

    Raises:
        BadContentError: It is not one.
    """
    return fields.record(reply.json(), reply.source, key="job_id")


def parse_job(record: Row, organization: str) -> Job:
    """Return the job that a reply describes; the documented sample has no status, so the rest may have to tell."""
    raw = str(record.get("status") or _implied(record))
    sections = parse_sections(record.get("sections")) or ()
    return Job(
        id=str(record["job_id"]),
        status=fields.status(STATUSES, raw),
        raw_status=raw,
        progress=(record.get("file_size_bytes"), tuple(sections)),
        reason=record.get("error"),
        warnings=tuple(section.complaint for section in sections if section.failed),
        data={"organization_id": organization, "record": record},
    )


def _implied(record: Row) -> str:
    if record.get("download_url"):
        return "completed"
    return "failed" if record.get("error") else "pending"


def parse_sections(value: Any) -> tuple[Section, ...] | None:  # noqa: ANN401 - `Any` stops here
    """Return the sections of a job or a manifest: a list, or a mapping by key; None where there are none of either."""
    if isinstance(value, Mapping):
        value = [{"key": key, **(section if isinstance(section, Mapping) else {})} for key, section in value.items()]
    if not isinstance(value, list):
        return None
    return tuple(_section(raw) for raw in value if isinstance(raw, Mapping))


def _section(raw: Mapping[str, Any]) -> Section:
    status, error = raw.get("status"), raw.get("error")
    return Section(
        key=str(raw.get("key") or raw.get("name") or ""),
        status=None if status is None else str(status),
        records=fields.number(raw.get("record_count")),
        binaries=fields.number(raw.get("binary_count")),
        error=str(error) if error else None,
    )


def export_row(outcome: Outcome) -> Row:
    """Return the record of a job without its URL and its sections; when it was asked for is not among its fields."""
    given = "organization_id" not in outcome.request.params
    record = {k: v for k, v in outcome.job.data["record"].items() if k not in {"download_url", "sections", "job_id"}}
    return {"requested_at": None if given else to_text(outcome.requested_at), **record}


def parse_error(reply: Reply) -> tuple[str, str]:
    """Return code and message of an error body: `{"error": {"code", "message", "status", "details"}}`."""
    error = reply.json()["error"]
    details = [f"{d['field']} {d['message']}" for d in error.get("details") or () if isinstance(d, dict)]
    return str(error.get("code", "")), "; ".join([str(error.get("message", "")), *details])


def _quoted(identifier: str) -> str:
    return quote(identifier, safe="")
