"""A model of Closient: one archive per organization, with sections that may fail; no list of jobs."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Sequence

from tests.simulation.files import sent
from tests.simulation.jobs import ODD_FOR_A_WHILE, Account, Job, there
from tests.simulation.world import Call, Json, Reply

WORDS = {
    "odd": "validating",
    ODD_FOR_A_WHILE: "completed",
    "pending": "pending",
    "running": "processing",
    "completes": "completed",
    "fails": "failed",
    "vanishes": "completed",
    "ends odd": "archived",
}
SECTIONS = {"s1": "products", "s2": "brands", "s3": "offers"}
LOGO = b"\x89PNG of a logo"


class Closient(Account):
    """The account; its records stand in the archive's sections by their kind, beside one binary file."""

    settles = 60.0
    whole = frozenset({"closient_export_records"})

    def as_of(self, rows: Sequence[Json], began: float) -> float:
        """Return the time whose records an activated version must have: that of the oldest job in it."""
        jobs = {row["job_id"] for row in rows}
        return min((job.created for job in self.jobs if job.id in jobs), default=0.0) - self.settles

    @staticmethod
    def record_of(row: Json) -> str:
        """Return the record that a row shows."""
        return str(row["record"]["id"])

    def answer(self, call: Call) -> Reply:
        """Route a request."""
        parts = call.path.strip("/").split("/")
        if "files.closient" in call.url:
            return self._download(call, self.job(parts[0]))
        if "whoami" in call.path:
            return Reply(200, {"user_id": "u"})
        if call.method == "POST":
            job = self.create({"organization": parts[4], "archive_format": call.query["archive_format"]})
            job.is_partial = bool(self.world.trouble("a section fails in job", len(self.jobs)))
            return Reply(201, self._shown(job, self.world.now))
        at, job = self.view(), self.job(parts[5])
        if not job.is_there(at) or job.body["organization"] != parts[4]:
            return Reply(404, {"error": {"code": "NOT_FOUND", "message": "no such export", "status": 404}})
        return Reply(200, self._shown(job, at))

    def creates(self, call: Call) -> bool:
        """Return whether a request creates a job."""
        return call.method == "POST"

    def is_second(self, one: Job, other: Job) -> bool:
        """Each run asks anew; within a run a second job is harmless only where the reply to the first was lost."""
        return one.run == other.run and not one.is_unanswered

    def _shown(self, job: Job, at: float) -> Json:
        status, url = job.status(at, WORDS), None
        done = status == "completed"
        if done:
            url = f"https://files.closient.com/{job.id}?signature={self.world.count('url')}"
        return {
            "job_id": job.id,
            "status": status,
            "archive_format": job.body["archive_format"],
            "format_version": "1",
            "file_size_bytes": len(self._archive(job, job.edition)) if done else 0,
            "download_url": url,
            "sections": self._sections(job) if done else [],
            "error": "out of memory" if status == "failed" else None,
        }

    def _sections(self, job: Job) -> list[Json]:
        rows, told = self.settled(job), []
        for kind, key in SECTIONS.items():
            count = sum(row["kind"] == kind for row in rows)
            failed = job.is_partial and kind == "s1"
            status = {"status": "failed", "error": "timeout"} if failed else {"status": "completed", "error": None}
            told.append({"key": key, **status, "record_count": count, "binary_count": int(kind == "s1" and not failed)})
        lie = self.world.trouble("totals")
        if lie and lie.value == "absent":
            told = [{name: value for name, value in section.items() if "count" not in name} for section in told]
        return told

    def settled(self, job: Job) -> list[Json]:
        """Return the items of an export: those of a minute before its creation; a failed section lacks some."""
        if job.rows is None:
            seen = there(there(self.records, job.created), job.created - self.settles)
            rows = [{"id": r.id, "kind": r.kind, "customer": r.values["customer"]} for r in seen]
            job.rows = [r for i, r in enumerate(rows) if not (job.is_partial and r["kind"] == "s1" and i % 2)]
        return job.rows

    def _archive(self, job: Job, edition: int) -> bytes:
        known = job.files.get(edition)
        if known is None:
            known = job.files[edition] = _packed(self._members(job, edition), job.body["archive_format"])
        return known

    def _members(self, job: Job, edition: int) -> dict[str, bytes]:
        rows, members = self.settled(job), {}
        members["export/manifest.yaml"] = json.dumps({"sections": self._sections(job)}).encode()
        for kind, key in SECTIONS.items():
            items = [row for row in rows if row["kind"] == kind][:: 1 if edition % 2 else -1]
            members[f"export/{key}/{key}.yaml"] = json.dumps(items).encode()
        if not job.is_partial:
            members["export/products/logo.png"] = LOGO
        return members

    def _download(self, call: Call, job: Job) -> Reply:
        return sent(self, job, lambda edition: self._archive(job, edition), call, "application/octet-stream")

    def key(self, stream: str, row: Json) -> str:
        """Return what tells a row from others: job ids and paths alone change with each export."""
        places = {
            "closient_exports": (),
            "closient_export_sections": (row.get("key"),),
            "closient_export_files": (row.get("path"),),
        }
        place = places.get(stream, ((row.get("record") or {}).get("id"),))
        return "/".join(map(str, (row["organization_id"], *place)))

    def expected(self, stream: str, config: Json, until: float) -> dict[str, Json]:
        """Return the rows that the target must hold by key: those of the last export of each organization."""
        wanted = config["closient"]["organization_ids"]
        if stream == "closient_exports":
            return {organization: {"status": "completed"} for organization in wanted}
        if stream == "closient_export_sections":
            return {f"{one}/{key}": {"status": "completed"} for one in wanted for key in SECTIONS.values()}
        if stream == "closient_export_files":
            return {f"{one}/export/products/logo.png": {"bytes": len(LOGO)} for one in wanted}
        return {f"{one}/{r.id}": {} for one in wanted for r in self.lasting(until)}


def _packed(members: dict[str, bytes], form: str) -> bytes:
    """Return an archive."""
    packed = io.BytesIO()
    if form == "zip":
        with zipfile.ZipFile(packed, "w") as archive:
            for name, content in members.items():
                archive.writestr(zipfile.ZipInfo(name), content)
    else:
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for name, content in members.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
