"""A model of Cornect: companies behind a search with cursors, exports that cost credits, no list of exports."""

from __future__ import annotations

import json
from typing import Any

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
    "ends odd": "expired",
}
SHOWN = 20  # transactions


class Cornect(Account):
    """The workspace; its records are companies, each export costs one credit a company."""

    balance = 5000

    def answer(self, call: Call) -> Reply:
        """Route a request."""
        parts = call.path.strip("/").split("/")
        if "files.cornect" in call.url:
            job = self._job(parts[0])
            return self.file(job, json.dumps(self.settled(job)).encode(), call, "application/json")
        if parts[2] == "credits":
            return Reply(200, self._credits(self.view()))
        if parts[2] == "companies":
            return self._search(call)
        return self._create(call) if len(parts) == 3 else self._export(call, parts)

    def _job(self, job_id: str) -> Job:
        return next(job for job in self.jobs if job.id == job_id)

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
        world, start = self.world, int(call.json.get("cursor") or 0)
        rows = [{"id": record.id, **record.values} for record in there(self.records, self.view())]
        if world.trouble("ties in any order"):
            world.draw.shuffle(rows)
        total: Any = len(rows)
        if lie := world.trouble("totals"):
            total = {"zero": 0, "absent": None}.get(lie.value, min(self.page, total))
        if (gone := world.trouble("a record is deleted after page", start // self.page + 1)) and gone.value == "search":
            self.delete_one(rows[start : start + self.page])
        following = str(start + self.page) if start + self.page < len(rows) else None
        return Reply(200, {"items": rows[start : start + self.page], "total": total, "next_cursor": following})

    def asks_same(self, one: Json, other: Json) -> bool:
        """Compare without the label, which is the tap's."""
        return {**one, "name": ""} == {**other, "name": ""}

    def is_second(self, one: Job, other: Job) -> bool:
        """Each run exports all again: one beside another that was paid for and not read is too many."""
        return bool(one.cost) and (one.run == other.run or not one.is_read)

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
        at, job = self.view(), next((job for job in self.jobs if job.id == parts[3]), None)
        if job is None or not job.is_there(at):
            return Reply(404, {"detail": {"code": "not_found", "message": "no such export"}})
        if call.method == "GET":
            return Reply(200, self._shown(job, at))
        if job.status(at, WORDS) != "completed":
            return Reply(400, {"detail": {"code": "not_ready", "message": "not completed"}})
        return Reply(200, {"download_url": f"https://files.cornect.io/{job.id}?signature={self.world.count('url')}"})

    def spent(self, run: int) -> int:
        """Return the credits that a run took."""
        return sum(job.cost for job in self.jobs if job.run == run)

    def expected(self, stream: str, config: Json, until: float) -> dict[str, Json]:
        """Return the rows that the target must hold by key."""
        return {record.id: {"id": record.id} for record in self.lasting(until)}
