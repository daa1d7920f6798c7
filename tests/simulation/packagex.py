"""A model of PackageX: windowed exports with three files each, all of which are gone after 24 hours."""

from __future__ import annotations

from collections.abc import Iterable

from tap_exports.engine.clock import from_text
from tests.simulation.files import csv_of, json_of, sent
from tests.simulation.jobs import DAY, FOREIGN, NEVER, ODD_FOR_A_WHILE, Account, Job, Reach, Record, there
from tests.simulation.lists import turned
from tests.simulation.world import Call, Json, Reply

WORDS = {
    "odd": "validating",
    ODD_FOR_A_WHILE: "completed",
    "pending": "queued",
    "running": "processing",
    "completes": "completed",
    "fails": "failed",
    "vanishes": "completed",
    "ends odd": "archived",
    "times out": "timed_out",
}
FIELDS = ("id", "customer", "created_at", "updated_at")
FILES = {"json": "s1", "csv": "s1", "errors": "s2", "sanitized": "s3"}  # the kind of record that a file holds
URLS = {"json": "_json_url", "csv": "_csv_url", "errors": "_csv_error_url", "sanitized": "_csv_sanitized_url"}
SIDES = {"packagex_export_rows_errors": "s2", "packagex_export_rows_sanitized": "s3"}


class Packagex(Account):
    """The account; its records are shipments, some of which cannot be exported (`s2`) or are held out (`s3`)."""

    def answer(self, call: Call) -> Reply:
        """Route a request."""
        parts = call.path.strip("/").split("/")
        if "files.packagex" in call.url:
            return self._download(call, self.job(parts[0]), parts[1])
        if call.method == "POST":
            job = self.create(call.json)
            return Reply(201, {"data": self._shown(job, self.world.now)})
        at = self.view()
        if len(parts) == 2:
            return self._list(call, at)
        job = self.job(parts[2])
        if not job.is_there(at):
            return Reply(404, {"message": "no such export"})
        return Reply(200, {"data": {**self._shown(job, at), **self._urls(job, at)}})

    def create(self, body: Json, owner: str = "") -> Job:
        """Create a job, which is removed after a day."""
        job = super().create(body, owner)
        job.deleted = job.created + DAY
        if owner != FOREIGN and self.is_too_long(*_bounds(body["options"])):
            job.fate = "times out"
        return job

    def is_second(self, one: Job, other: Job) -> bool:
        """A job that is gone may have a second one."""
        return one.is_there(self.world.now)

    def _list(self, call: Call, at: float) -> Reply:
        rows = [self._shown(job, at) for job in there(self.jobs, at)]
        number, size = int(call.query["page"]), int(call.query["limit"])
        newest = call.query.get("direction") == "desc"
        page = turned(self, "exports", rows, (number, size), "created_at", newest=newest)
        told = {"page": number, "limit": size, "has_more": not page.is_last, "total_count": page.total}
        return Reply(200, {"data": page.rows, "pagination": told})

    def _shown(self, job: Job, at: float) -> Json:
        status = job.status(at, WORDS)
        updated = min(job.ends, job.created + 1 if status != "queued" else job.created)
        count = len(self.settled(job, "json")) if status == "completed" else None
        return {
            **job.body,
            "id": job.id,
            "status": status,
            "count_total": count,
            "created_at": self._seconds(job.created),
            "updated_at": self._seconds(updated),
        }

    def _urls(self, job: Job, at: float) -> Json:
        if job.status(at, WORDS) != "completed":
            return {}
        held = [name for name in FILES if self.settled(job, name) or name in {"json", "csv"}]
        sign = self.world.count("url")
        return {URLS[name]: f"https://files.packagex.io/{job.id}/{name}?signature={sign}" for name in held}

    def _seconds(self, at: float) -> int:
        return int(self.clock(at))

    def settled(self, job: Job, name: str) -> list[Json]:
        """Return the rows of one of a job's files; they are settled when they are first asked for."""
        if job.rows is None:
            start, end = _bounds(job.body["options"])
            seen = there(self.records, job.ends if job.ends < NEVER else self.world.now)
            inside = [r for r in seen if start <= self._seconds(r.created) <= end]
            job.rows = [self._row(r) for r in sorted(inside, key=lambda r: (r.created, r.id))]
        return [row for row in job.rows if row["kind"] == FILES[name]]

    def _row(self, record: Record) -> Json:
        at = self._seconds(record.created)
        values = {"id": record.id, "customer": record.values["customer"], "kind": record.kind}
        return {**values, "created_at": at, "updated_at": at}

    def _download(self, call: Call, job: Job, name: str) -> Reply:
        rows = [{field: row[field] for field in FIELDS} for row in self.settled(job, name)]
        if name == "json":
            return sent(self, job, lambda edition: json_of(rows, edition), call, "application/json")
        return sent(self, job, lambda edition: csv_of(FIELDS, rows, edition), call, "text/csv")

    def make_foreign(self, start: float, end: float) -> None:
        """Create a job as somebody else does."""
        bounds = f"bwi:{self.stamp(start)},{self.stamp(end)}"
        self.create({"resource": "shipment", "options": {"limit": "all", "created_at": bounds}}, FOREIGN)

    def expected(self, stream: str, config: Json, until: float) -> dict[str, Json]:
        """Return the rows that the target must hold by key."""
        if stream == "packagex_exports":
            seen = [
                j for j in there(self.jobs, until) if j.created < self.settled_by(until) and j.is_there(self.world.now)
            ]
            return {job.id: {"id": job.id, "status": job.status(until, WORDS)} for job in seen}
        kind = SIDES.get(stream, "s1")
        if config["packagex"]["exports"][0]["mode"] == "collect":
            name = next(name for name, of in FILES.items() if of == kind)
            theirs = [j for j in self.jobs if j.owner == FOREIGN and j.completes and j.is_there(self.world.now)]
            return {row["id"]: {"id": row["id"]} for job in theirs for row in self.settled(job, name)}
        return {r.id: {"id": r.id} for r in self.lasting(until) if r.kind == kind}

    def covered(self, stream: str, config: Json, reach: Reach) -> Iterable[str]:
        """Return the keys of rows that a target must hold which keeps a STATE, by the bookmark's reach."""
        if stream == "packagex_exports":
            return [j.id for j in self.jobs if j.is_there(self.world.now) and reach(self._seconds(j.created))]
        if config["packagex"]["exports"][0]["mode"] == "collect":
            return []
        kind = SIDES.get(stream, "s1")
        rows = [r for r in self.records if r.deleted == NEVER and r.kind == kind]
        return [r.id for r in rows if reach(self._seconds(r.created))]


def _bounds(options: Json) -> tuple[float, float]:
    """Return the first and last second of an export's filter."""
    condition, _, dates = str(next(value for name, value in options.items() if name.endswith("_at"))).partition(":")
    instants = [from_text(text).timestamp() for text in dates.split(",")]
    first = {"bwi": instants[0], "equals": instants[0]}.get(condition, 0.0)
    return first, instants[-1]
