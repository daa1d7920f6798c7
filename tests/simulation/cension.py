"""A model of Cension: runs by number without a list, rows of each run as pages, saved queries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.simulation.jobs import FOREIGN, NEVER, ODD_FOR_A_WHILE, Account, Job, Reach, owner_of, there
from tests.simulation.lists import Turned, turned
from tests.simulation.world import Call, Json, Reply

WORDS = {
    "odd": "validating",
    ODD_FOR_A_WHILE: "completed",
    "pending": "running",
    "running": "running",
    "completes": "completed",
    "fails": "failed",
    "vanishes": "completed",
    "ends odd": "archived",
}
ROWS = "cension_export_rows"
HALF_AN_HOUR = 1_800.0
KINDS = ("s1", "s2", "s3")  # of the records of the first three runs; further runs hold them again in turn


class Cension(Account):
    """The account; its records are rows of runs, and of a saved query."""

    def prepare(self, config: Json) -> None:
        """Begin the runs that the configuration names, as their users did; they may go wrong as any job."""
        for _ in config["cension"].get("operation_ids", ()):
            self._begin({"begun": "by hand"}, FOREIGN).created -= HALF_AN_HOUR

    def _begin(self, body: Json, owner: str = "") -> Job:
        trouble = self.world.trouble("run", len(self.jobs) + 1) if owner else None
        job = self.create(body, owner)
        job.fate = "completes" if trouble is None or trouble.value == "is slow" else str(trouble.value)
        job.id, job.kind = str(len(self.jobs)), KINDS[(len(self.jobs) - 1) % len(KINDS)]
        return job

    def creates(self, call: Call) -> bool:
        """Return whether a request begins a run."""
        return call.method == "POST"

    def answer(self, call: Call) -> Reply:
        """Route a request."""
        parts, at = call.path.strip("/").split("/"), self.view()
        if call.method == "POST":
            job = self._begin(call.json)
            return Reply(200, {"success": True, "data": {"operationId": int(job.id)}})
        if parts[1] == "operations":
            seen = [job for job in there(self.jobs, at) if job.id == parts[2]]
            return Reply(200, {"operation": self._shown(seen[0], at)}) if seen else Reply(404, {"message": "none"})
        if parts[1] == "queries":
            page = self._page(call, "query", self._of_query(at))
            told = {"total_count": page.total, "total_pages": page.pages}
            return Reply(200, {"data": page.rows, "pagination": told})
        for job in self.jobs:
            if job.id == call.query.get("operationId"):
                job.readers.add(owner_of(self.world.ran.number))
        page = self._page(call, "rows", self._of_export(call.query.get("operationId"), at))
        return Reply(200, {"data": {"items": page.rows, "total_count": page.total, "total_pages": page.pages}})

    def _page(self, call: Call, name: str, rows: Sequence[Json]) -> Turned:
        return turned(self, name, rows, (int(call.query["page"]), int(call.query["limit"])))

    def _shown(self, job: Job, at: float) -> Json:
        return {
            "operationId": int(job.id),
            "status": job.status(at, WORDS),
            "startedAt": self.stamp(job.created),
            "processedItems": len(self._of_run(job)) if at >= job.ends else 0,
        }

    def _of_query(self, at: float) -> list[Json]:
        seen = sorted(there(self.records, at), key=lambda r: (r.created, r.id))
        return [{"id": r.id, "created_at": self.stamp(r.created), **r.values} for r in seen]

    def _of_export(self, number: str | None, at: float) -> list[Json]:
        runs = [job for job in there(self.jobs, at) if number in {None, job.id}]
        return [row for job in runs if at >= job.ends for row in self._of_run(job)]

    def _of_run(self, job: Job) -> list[Json]:
        """Return the rows of a run; those of runs of one kind have the same values, but ids of their own."""
        if job.rows is None:
            of_kind = [r for r in self.records if r.kind == job.kind]
            job.rows = [{"id": f"{job.id}-{r.id}", **r.values} for r in of_kind]
            job.rows = job.rows[: len(job.rows) // 2] if job.fate == "fails" else job.rows
        return job.rows

    def is_second(self, one: Job, other: Job) -> bool:
        """Each run of the tap begins one: a second beside one that was not read, or in the same run, is too many."""
        return one.run == other.run or not one.readers

    def key(self, stream: str, row: Json) -> str:
        """Return what tells a row from others."""
        return str(row["operationId" if stream == "cension_operations" else "id"])

    def expected(self, stream: str, config: Json, until: float) -> dict[str, Json]:
        """Return the rows that the target must hold by key."""
        block, ours = config["cension"], [job for job in self.jobs if job.created <= until]
        if stream == "cension_query_recent":
            return {r.id: {"id": r.id} for r in self.lasting(until)}
        if stream == "cension_operations":
            named = [job for job in ours if int(job.id) in block.get("operation_ids", ()) and job.is_there(until)]
            return {job.id: {"status": job.status(until, WORDS)} for job in named}
        entry = block["exports"][0]
        if "start" not in entry and not block.get("operation_ids"):
            ended = [job for job in ours if job.ends <= until and job.is_there(self.world.now)]
            return {row["id"]: {"id": row["id"]} for job in ended for row in self._of_run(job)}
        fates = {"completes", ODD_FOR_A_WHILE, *(["fails"] if entry.get("on_failed_run") == "pull" else [])}
        due = [job for job in ours if job.fate in fates and job.ends <= until]
        return {row["id"]: {"id": row["id"]} for job in due for row in self._of_run(job)}

    def covered(self, stream: str, config: Json, reach: Reach) -> Iterable[str]:
        """Return the keys of rows that a target must hold which keeps a STATE, by the bookmark's reach."""
        if stream == "cension_operations":
            return [
                job.id for job in self.jobs if reach(int(job.id)) and int(job.id) in config["cension"]["operation_ids"]
            ]
        if stream != ROWS:
            rows = [r for r in self.records if r.deleted == NEVER and reach(self.clock(r.created))]
            return [r.id for r in rows] if stream == "cension_query_recent" else []
        done = [job for job in self.jobs if job.completes and reach(int(job.id))]
        return [row["id"] for job in done for row in self._of_run(job)]
