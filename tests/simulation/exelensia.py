"""A model of Exelensia: results of schemas, windowed CSV exports, lists with page numbers."""

from __future__ import annotations

from collections.abc import Iterable

from tap_exports.engine.clock import from_text
from tests.simulation.files import csv_of, sent
from tests.simulation.jobs import FOREIGN, NEVER, ODD_FOR_A_WHILE, Account, Job, Reach, Record, there
from tests.simulation.lists import turned
from tests.simulation.world import Call, Json, Reply

WORDS = {
    "odd": "VALIDATING",
    ODD_FOR_A_WHILE: "COMPLETED",
    "pending": "PENDING",
    "running": "PROCESSING",
    "completes": "COMPLETED",
    "fails": "FAILED",
    "vanishes": "COMPLETED",
    "ends odd": "ARCHIVED",
}
FIELDS = ("number", "customer")


class Exelensia(Account):
    """The account; its records are results, each of the schema that `kind` names."""

    def answer(self, call: Call) -> Reply:
        """Route a request."""
        parts = call.path.strip("/").split("/")
        if "files.exelensia" in call.url:
            return self._download(call, parts[0])
        if call.method == "POST":
            return self._created(call.json)
        at = self.view()
        if len(parts) == 2:
            return self._list(call, parts[1], at)
        if parts[1] == "schemas":
            return Reply(200, {"data": _schema(parts[2])})
        job = self.job(parts[2])
        if not job.is_there(at):
            return Reply(404, {"message": "no such export"})
        return self._delete(job) if call.method == "DELETE" else self._url(job, at)

    def _created(self, body: Json) -> Reply:
        if self.is_too_long(*_bounds(body)):
            return Reply(413, {"message": "the range is too large"})
        return Reply(201, {"data": self._shown(self.create(body), self.world.now)})

    def _delete(self, job: Job) -> Reply:
        job.deleted = self.world.now
        return Reply(204, {})

    def _url(self, job: Job, at: float) -> Reply:
        if job.status(at, WORDS) != "COMPLETED":
            return Reply(409, {"message": "not completed"})
        return Reply(200, {"url": f"https://files.exelensia.com/{job.id}?signature={self.world.count('url')}"})

    def _list(self, call: Call, name: str, at: float) -> Reply:
        if name == "exports":
            rows = [self._shown(job, at) for job in there(self.jobs, at)]
        elif name == "results":
            rows = [self._result(record) for record in there(self.records, at)]
        else:
            rows = [_schema(schema) for schema in ("s1", "s2")] if name == "schemas" else []
        after, before = call.query.get("created_after", ""), call.query.get("created_before", "~")
        inside = [row for row in rows if after <= row["createdAt"] <= before]
        number, size = int(call.query.get("page", 1)), int(call.query.get("limit", 20))
        newest = call.query.get("sort_order") == "desc"
        page = turned(self, name, inside, (number, size), "createdAt", newest=newest)
        meta = {"total": page.total, "totalPages": page.pages, "page": number, "limit": min(size, self.page)}
        return Reply(200, {"data": page.rows, "meta": meta if page.total is not None else {}})

    def _shown(self, job: Job, at: float) -> Json:
        status = job.status(at, WORDS)
        updated = self.stamp(min(job.ends, job.created + 1 if status != "PENDING" else job.created))
        return {"id": job.id, "status": status, "createdAt": self.stamp(job.created), "updatedAt": updated, **job.body}

    def _result(self, record: Record) -> Json:
        at = self.stamp(record.created)
        return {"id": record.id, "schema_id": record.kind, "status": "SUCCESS", "createdAt": at, "updatedAt": at}

    def settled(self, job: Job) -> list[Json]:
        """Return the rows of a job's file; they are settled when it is first asked for."""
        if job.rows is None:
            start, end = _bounds(job.body)
            of_schema = [r for r in there(self.records, job.ends) if r.kind == job.body["schema_id"]]
            inside = [r for r in of_schema if start <= self.clock(r.created) <= end]
            job.rows = [r.values for r in sorted(inside, key=lambda r: (r.created, r.id))]
        return job.rows

    def _download(self, call: Call, job_id: str) -> Reply:
        job = self.job(job_id)
        rows = self.settled(job)
        return sent(self, job, lambda edition: csv_of(FIELDS, rows, edition), call, "text/csv")

    def make_foreign(self, start: float, end: float) -> None:
        """Create a job as somebody else does."""
        bounds = {"start_date": self.stamp(start), "end_date": self.stamp(end)}
        self.create({"schema_id": "s1", **bounds}, FOREIGN)

    def key(self, stream: str, row: Json) -> str:
        """Return what tells a row from others."""
        return str(row["number" if stream == "exelensia_export_rows" else "id"])

    def expected(self, stream: str, config: Json, until: float) -> dict[str, Json]:
        """Return the rows that the target must hold by key."""
        if stream == "exelensia_results":
            return {r.id: {"id": r.id} for r in self.lasting(until)}
        if stream == "exelensia_exports":
            seen = [j for j in there(self.jobs, until) if j.created < self.settled_by(until) and j.deleted == NEVER]
            return {job.id: {"id": job.id, "status": job.status(until, WORDS)} for job in seen}
        entry = config["exelensia"]["exports"][0]
        if entry["mode"] == "collect":
            theirs = [j for j in self.jobs if j.owner == FOREIGN and j.body["schema_id"] == entry["schema_id"]]
            return {row["number"]: row for j in theirs if j.completes for row in self.settled(j)}
        return {r.values["number"]: r.values for r in self.lasting(until) if r.kind == entry["schema_id"]}

    def covered(self, stream: str, config: Json, reach: Reach) -> Iterable[str]:
        """Return the keys of rows that a target must hold which keeps a STATE, by the bookmark's reach."""
        entry = config["exelensia"]["exports"][0]
        if stream == "exelensia_exports":
            return [
                job.id
                for job in self.jobs
                if job.deleted == NEVER and job.fate != "vanishes" and reach(self.clock(job.created))
            ]
        if stream == "exelensia_export_rows" and entry["mode"] == "collect":
            return []
        rows = [r for r in self.records if r.deleted == NEVER and reach(self.clock(r.created))]
        return [r.id for r in rows if stream != "exelensia_export_rows" or r.kind == entry["schema_id"]]


def _bounds(body: Json) -> tuple[float, float]:
    return from_text(body["start_date"]).timestamp(), from_text(body["end_date"]).timestamp()


def _schema(name: str) -> Json:
    fields = [{"key": field, "type": "string", "label": field.title()} for field in FIELDS]
    at = "2026-01-01T00:00:00.000Z"
    return {"id": name, "name": name, "schema": {"fields": fields}, "createdAt": at, "updatedAt": at}
