"""The export jobs of Closient and their archives."""

from __future__ import annotations

from dataclasses import dataclass

from tap_exports.sandbox.clock import iso_s
from tap_exports.sandbox.closient.archive import MEDIA_TYPES, Archive
from tap_exports.sandbox.closient.seed import Record
from tap_exports.sandbox.files import Content, FileStore
from tap_exports.sandbox.jobs import COMPLETED, FAILED, QUEUED, Life, is_known
from tap_exports.sandbox.web import Refusal

FORMAT_VERSION = "1.0"
_STATUSES = {QUEUED: "pending"}
_NO_FILE = {"file_size_bytes": 0, "output_filename": None, "download_url": None, "expires_at": None}


@dataclass(frozen=True, slots=True)
class Export:
    """One export job of one organization."""

    id: str
    organization: str
    kind: str
    archive: Archive
    content: Content
    path: str
    life: Life

    def record(self, files: FileStore) -> Record:
        """Return the job as the API shows it; every look at a completed one gives a new URL."""
        phase = self.life.phase()
        done = phase.name == COMPLETED
        return {
            "job_id": self.id,
            "status": _STATUSES.get(phase.name, phase.name),
            "archive_format": self.kind,
            "format_version": FORMAT_VERSION,
            **(self._file(files) if done else _NO_FILE),
            "sections": self.archive.inventory() if done else self._waiting(),
            "error": phase.reason if phase.name == FAILED else None,
        }

    def _file(self, files: FileStore) -> Record:
        self.content.make()
        url, expires = files.sign(self.path)
        return {
            "file_size_bytes": self.content.path.stat().st_size,
            "output_filename": self.path.rpartition("/")[2],
            "download_url": url,
            "expires_at": iso_s(expires),
        }

    def _waiting(self) -> list[Record]:
        nothing = {"status": "pending", "record_count": 0, "binary_count": 0, "error": None}
        return [{"key": section.key, **nothing} for section in self.archive.sections]


class Exports:
    """All jobs, in the order of their creation."""

    def __init__(self, files: FileStore) -> None:
        """Start without jobs."""
        self._files = files
        self._jobs: dict[str, Export] = {}

    def content(self, job_id: str, archive: Archive, kind: str) -> Content:
        """Return the file of a new job; nothing is written yet."""
        return self._files.content(("closient", job_id), archive.writer(kind))

    def add(self, export: Export) -> Export:
        """Add a job and publish its file."""
        self._files.publish(export.path, export.content, style="amz", media_type=MEDIA_TYPES[export.kind])
        self._jobs[export.id] = export
        return export

    def known(self, organization: str | None = None) -> list[Export]:
        """Return the jobs that have not vanished, of one organization or of all."""
        jobs = (job for job in self._jobs.values() if organization in {None, job.organization})
        return [job for job in jobs if is_known(job.life)]

    def find(self, organization: str, job_id: str) -> Export:
        """Return a job of an organization.

        Raises:
            Refusal: 404, also when it is a job of another organization.
        """
        for job in self.known(organization):
            if job.id == job_id:
                return job
        raise Refusal(404, "Export job not found")
