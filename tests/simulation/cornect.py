"""A model of Cornect: companies behind a search with cursors, exports that cost credits, no list of exports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.simulation.files import json_of, sent
from tests.simulation.jobs import ODD_FOR_A_WHILE, Account, Job, Reach, there
from tests.simulation.lists import turned
from tests.simulation.world import Call, Json, Reply

WORDS = {
    "odd": "validating",
    ODD_FOR_A_WHILE: "completed",
    "pending": "pending",
    "running": "processing",
    "completes": "completed",
    "fails": "failed",
    "vanishes": "completed",
    "ends odd": "expired",
}
SHOWN = 20  # transactions


class Cornect(Account):
    """The workspace; its records are companies, each export costs one credit a company."""

    balance = 5000
    whole = frozenset({"cornect_companies"})  # an export may be older than its run: it was created by an earlier one

    def as_of(self, rows: Sequence[Json], began: float) -> float:
        """Return the time whose records an activated version must have."""
        return began

    @staticmethod
    def record_of(row: Json) -> str:
        """Return the record that a row shows."""
        return str(row["id"])

    def answer(self, call: Call) -> Reply:
        """Route a request."""
        parts = call.path.strip("/").split("/")
        if "files.cornect" in call.url:
            job = self.job(parts[0])
            rows = self.settled(job)
            return sent(self, job, lambda edition: json_of(rows, edition), call, "application/json")
        if parts[2] == "credits":
            return Reply(200, self._credits(self.view()))
        if parts[2] == "companies":
            return self._search(call)
        return self._create(call) if len(parts) == 3 else self._export(call, parts)

    def _credits(self, at: float) -> Json:
        booked = [job for job in self.jobs if job.created <= at and job.cost]
        shown = [
            {
                "id": f"tx-{job.id}",
                "amount": -job.cost,
                "reason": "export_charge",
                "reference": f"export:{job.id}:create",
                "created_at": self.stamp(job.created),
            }
            for job in booked[-SHOWN:]
        ]
        left = self.balance - sum(job.cost for job in booked)
        return {"workspace_id": "w", "balance": left, "recent_transactions": shown[::-1]}

    def _search(self, call: Call) -> Reply:
        number = int(call.json.get("cursor") or 1)
        rows = [{"id": record.id, **record.values} for record in there(self.records, self.view())]
        page = turned(self, "search", rows, (number, self.page))
        following = None if page.is_last else str(number + 1)
        return Reply(200, {"items": page.rows, "total": page.total, "next_cursor": following})

    def asks_same(self, one: Json, other: Json) -> bool:
        """Compare without the label, which is the tap's."""
        return {**one, "name": ""} == {**other, "name": ""}

    def is_second(self, one: Job, other: Job) -> bool:
        """Each run exports all again: one beside another that was paid for and not read is too many.

        The other tap's may be read in its place, after a lost reply: they are alike.
        """
        alike = [j for j in self.jobs if j.created >= one.created and self.asks_same(j.body, one.body)]
        is_read = bool(one.readers) or any(one.owner in j.readers for j in alike)
        return bool(one.cost) and (one.run == other.run or not is_read)

    def _create(self, call: Call) -> Reply:
        job = self.create(call.json)
        job.cost = len(self.settled(job))
        return Reply(201, {"export_job": self._shown(job, self.world.now), "credits_charged": job.cost})

    def _shown(self, job: Job, at: float) -> Json:
        done = len(self.settled(job)) if at >= job.ends else 0
        return {
            **job.body,
            "id": job.id,
            "status": job.status(at, WORDS),
            "created_at": self.stamp(job.created),
            "total_records": len(self.settled(job)),
            "processed_records": done,
        }

    def settled(self, job: Job) -> list[Json]:
        """Return the companies of an export: those of a minute before its creation, so that none comes in between."""
        if job.rows is None:
            job.rows = [
                {"id": record.id, **record.values}
                for record in there(there(self.records, job.created), job.created - 60)
            ]
        return job.rows

    def _export(self, call: Call, parts: list[str]) -> Reply:
        at, job = self.view(), self.job(parts[3])
        if not job.is_there(at):
            return Reply(404, {"detail": {"code": "not_found", "message": "no such export"}})
        if call.method == "GET":
            return Reply(200, self._shown(job, at))
        if job.status(at, WORDS) != "completed":
            return Reply(400, {"detail": {"code": "not_ready", "message": "not completed"}})
        return Reply(200, {"download_url": f"https://files.cornect.io/{job.id}?signature={self.world.count('url')}"})

    def expected(self, stream: str, config: Json, until: float) -> dict[str, Json]:
        """Return the rows that the target must hold by key."""
        booked = [job for job in self.jobs if job.cost and job.created < self.settled_by(until)]
        if stream == "cornect_credit_transactions":
            return {f"tx-{job.id}": {"amount": -job.cost} for job in booked}
        if stream == "cornect_exports":
            seen = [job for job in booked if job.fate != "vanishes"]
            return {job.id: {"status": job.status(until, WORDS)} for job in seen}
        return {record.id: {"id": record.id} for record in self.lasting(until)}

    def _stays(self, stream: str, job: Job) -> bool:
        """Return whether a job's row can be read for good: the record of an export may vanish, its charge stays."""
        return stream == "cornect_credit_transactions" or job.fate != "vanishes"

    def covered(self, stream: str, config: Json, reach: Reach) -> Iterable[str]:
        """Return the keys of rows that a target must hold which keeps a STATE, by the bookmark's reach."""
        booked = [
            job.id for job in self.jobs if job.cost and reach(self.clock(job.created)) and self._stays(stream, job)
        ]
        names = {"cornect_credit_transactions": "tx-{}", "cornect_exports": "{}"}
        return [names[stream].format(job_id) for job_id in booked] if stream in names else []
