"""The routes of Closient's API, as its documents describe them."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from tap_exports.sandbox.clock import iso_s, parse_iso
from tap_exports.sandbox.closient import seed
from tap_exports.sandbox.closient.archive import FORMATS, Archive
from tap_exports.sandbox.closient.exports import FORMAT_VERSION, Export, Exports
from tap_exports.sandbox.closient.limits import Limits
from tap_exports.sandbox.closient.seed import Record
from tap_exports.sandbox.ids import long, named_uuid, short
from tap_exports.sandbox.jobs import COMPLETED, FAILED, Ended, Life, Phase, at_work
from tap_exports.sandbox.params import Params
from tap_exports.sandbox.provider import Provider
from tap_exports.sandbox.web import Refusal, Request, Response, json_response, route, truth

_PATH = "/dashboard/api/v1/data-export/{organization_id}"
_BODY = "SandboxSandboxSandboxSandbox0123"
_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    409: "CONFLICT",
    422: "VALIDATION_ERROR",
    429: "RATE_LIMITED",
    500: "INTERNAL_ERROR",
}
JOB_ID, TAR_JOB_ID, FAILED_JOB_ID, RUNNING_JOB_ID = (
    short(named_uuid(f"closient {name} job")) for name in ("foreign", "foreign tar", "failed", "running")
)
_START = parse_iso("2024-06-01T08:00:00Z")


@dataclass(frozen=True, slots=True)
class Knobs:
    """How to behave where the documents leave it open.

    Attributes:
        per_minute: requests that the key may make in a minute.
        per_day: requests that the key may make in a day.
        created_status: status of the response that creates an export.
        root: folder that holds everything in the archive.
        files: `mixed`, `per_record` or `per_section`: how records are spread over YAML files.
        failed_section: key of a section that fails in every organization's export.
        count_error: added to the true record count of the first section.
        running_seconds: length of the seeded job that is processing, a third of which has passed.
        strict: whether unknown parameters are refused.
    """

    per_minute: int = 300
    per_day: int = 10_000
    created_status: int = 200
    root: str = ""
    files: str = "mixed"
    failed_section: str | None = None
    count_error: int = 0
    running_seconds: float = 3600.0
    strict: bool = True


class Closient(Provider):
    """Data exports of the organizations of one key."""

    name: ClassVar[str] = "closient"
    key: ClassVar[str] = f"csb_{_BODY}_{zlib.crc32(_BODY.encode()):08x}"
    auth_header: ClassVar[str] = "x-api-key"
    knobs_type: ClassVar[type] = Knobs

    def seed(self) -> None:
        """Set up the organizations and the exports that somebody else made."""
        self._knobs: Knobs = self.settings
        self._limits = Limits(self.world.clock, self._knobs.per_minute, self._knobs.per_day)
        self._organizations = {seed.ACME, seed.SOUND, seed.BROKEN} | ({seed.LOAD} if self.world.options.rows else set())
        self._exports = Exports(self.world.files)
        self._created = self._grown = 0
        running = at_work(self.world.clock, self._knobs.running_seconds)
        self._add(JOB_ID, seed.ACME, "zip", _ended(COMPLETED, 1))
        self._add(TAR_JOB_ID, seed.ACME, "tar.gz", _ended(COMPLETED, 2))
        self._add(FAILED_JOB_ID, seed.ACME, "zip", _ended(FAILED, 3, "Archive could not be stored"))
        self._add(RUNNING_JOB_ID, seed.BROKEN, "zip", running)

    def respond(self, request: Request) -> Response:
        """Answer as usual, and tell the rate limits to those who have the key."""
        response = super().respond(request)
        if self.recognised(request) is None:
            return response
        return replace(response, headers=(*response.headers, *self.locked(self._limits.headers)))

    def admit(self, _request: Request, _handler: str) -> None:
        """Hold the rate limits."""
        self._limits.take()

    def envelope(self, refusal: Refusal) -> Response:
        """Return the error body."""
        limited = refusal.headers and refusal.status == 429  # noqa: PLR2004 - HTTP
        error = {
            "code": _CODES.get(refusal.status, "ERROR"),
            "message": refusal.message,
            "status": refusal.status,
            "details": None if limited else refusal.details,
        }
        more = {"retry_after_seconds": refusal.details} if limited else {}
        return json_response({"error": {**error, **more}}, refusal.status)

    @route("GET", "/account/api/v1/whoami")
    def whoami(self, _request: Request) -> Response:
        """Tell whose key it is."""
        organizations = [{"id": key, "name": seed.NAMES[key]} for key in sorted(self._organizations)]
        key = {"id": short(named_uuid("closient key")), "role": "manager", "created": iso_s(_START)}
        user = {"user_id": short(named_uuid("closient user")), "email": "sandbox@acme.example", "metadata": {}}
        return json_response({**user, "organizations": organizations, "api_key": key})

    @route("POST", _PATH)
    def request_export(self, request: Request, organization_id: str) -> Response:
        """Start an export of all that the organization has now."""
        organization = self._organization(organization_id)
        params = Params(request, status=422, strict=self._knobs.strict)
        kind = params.choice("archive_format", FORMATS, "zip")
        params.done()
        self._created += 1
        job_id = short(named_uuid(f"closient job {self._created}"))
        export = self._add(job_id, organization, kind)
        return json_response(export.record(self.world.files), self._knobs.created_status)

    @route("GET", _PATH + "/{job_id}")
    def poll(self, _request: Request, organization_id: str, job_id: str) -> Response:
        """Return one job."""
        organization = _canonical(organization_id, "organization_id")
        export = self._exports.find(self._organization(organization), _canonical(job_id, "job_id"))
        export.life.observe()
        return json_response(export.record(self.world.files))

    @truth("/jobs")
    def all_jobs(self, _request: Request) -> list[Record]:
        """Return all jobs, with the organization of each."""
        return [{"organization_id": job.organization, **job.record(self.world.files)} for job in self._exports.known()]

    @truth("/records")
    def all_records(self, request: Request) -> list[Record]:
        """Return the records of an export of `organization_id`, requested now."""
        return list(self._archive(self._asked(request)).records())

    @truth("/sections")
    def all_sections(self, request: Request) -> list[Record]:
        """Return the inventory of an export of `organization_id`, requested now."""
        return self._archive(self._asked(request)).inventory()

    @truth("/files")
    def all_files(self, request: Request) -> list[Record]:
        """Return the binary files of an export of `organization_id`, requested now."""
        return [
            {
                "section": section.key,
                "path": binary.path,
                "bytes": len(binary.data),
                "sha256": hashlib.sha256(binary.data).hexdigest(),
                "media_type": binary.media_type,
            }
            for section in self._archive(self._asked(request)).sections
            for binary in section.binaries
        ]

    def grow(self) -> dict[str, Any]:
        """Add two products."""
        before = list(self._archive(seed.ACME).records())
        self._grown += 2
        added = [record for record in self._archive(seed.ACME).records() if record not in before]
        return {"organization_id": seed.ACME, "records": added}

    def spend(self) -> dict[str, int]:
        """Return the number of jobs that were created."""
        return {"jobs_created": self._created}

    def config(self) -> dict[str, Any]:
        """Return two organizations, the second one by its UUID; a third has exports with a failed section."""
        return {"organization_ids": [seed.ACME, str(long(seed.SOUND))], "archive_format": "zip"}

    def _organization(self, organization_id: str) -> str:
        organization = _canonical(organization_id, "organization_id")
        if organization not in self._organizations:
            raise Refusal(404, "Organization not found")
        return organization

    def _asked(self, request: Request) -> str:
        return self._organization(dict(request.query).get("organization_id", seed.ACME))

    def _archive(self, organization: str) -> Archive:
        knobs = self._knobs
        head = {
            "format_version": FORMAT_VERSION,
            "organization": {"id": organization, "name": seed.NAMES[organization]},
        }
        sections = seed.sections(organization, self._grown, self.world.options.rows, knobs.files)
        broken = seed.Section(knobs.failed_section or "", error="The sandbox was told to fail this section")
        sections = [broken if section.key == broken.key else section for section in sections]
        return Archive(head, sections, knobs.root, knobs.count_error)

    def _add(self, job_id: str, organization: str, kind: str, life: Life | None = None) -> Export:
        archive = self._archive(organization)
        content = self._exports.content(job_id, archive, kind)
        if life is None:
            start = content.start if archive.large else content.make
            start()
            life = self.job(content.ready)
        path = f"/closient/data-exports/{organization}/{job_id}/export-{job_id[:8]}.{kind}"
        return self._exports.add(Export(job_id, organization, kind, archive, content, path, life))


def _canonical(text: str, name: str) -> str:
    try:
        return short(UUID(text) if "-" in text else long(text))
    except ValueError:
        details = [{"field": name, "message": "must be a shortuuid of 22 characters or a UUID"}]
        raise Refusal(422, "Request validation failed", details=details) from None


def _ended(status: str, hours: int, reason: str | None = None) -> Life:
    created = _START + timedelta(hours=hours)
    return Ended(created, Phase(status, 1.0, created + timedelta(seconds=40), reason))
