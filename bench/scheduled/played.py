"""What is played: accounts of a provider, and the workers of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from types import SimpleNamespace
from typing import Any

from bench.scheduled.world import CALL_SECONDS, World
from tap_exports.engine.convert.bounds import Bounds
from tap_exports.engine.convert.elsewhere import Elsewhere
from tap_exports.engine.model import Job, RemoteFile, Request, Status

JOB_SECONDS, FILE_SECONDS, LIFE_SECONDS = 30.0, 20.0, 300.0
STALLS, STALL_SECONDS = 1 / 500, 400.0  # files whose worker dies, and how long until another one has begun


class Provider:
    """An account: jobs that end after a while, and URLs that live for five minutes.

    Attributes:
        calls: Requests so far.
        signed: URLs so far.
    """

    def __init__(self, world: World) -> None:
        """Begin without jobs."""
        self._world, self._ids, self._ends = world, count(1), dict[str, float]()
        self.calls = self.signed = 0

    def submit(self, _: Request) -> Job:
        """Create a job."""
        self.calls += 1
        job = f"0197-{next(self._ids):012d}"
        self._ends[job] = self._world.at + self._world.drawn(JOB_SECONDS)
        return Job(job, Status.RUNNING, "PROCESSING", created_at=self._world.now())

    def poll(self, job: Job) -> Job:
        """Return a job as it stands."""
        self.calls += 1
        is_over = self._world.at >= self._ends[job.id]
        return Job(job.id, Status.COMPLETED, "COMPLETED") if is_over else Job(job.id, Status.RUNNING, "PROCESSING")

    def open(self, job: Job) -> Sequence[RemoteFile]:
        """Return the file of a job, its URL signed now."""
        self.calls += 1
        self.signed += 1
        return [RemoteFile("export.csv", f"https://files/{job.id}?until={self._world.at + LIFE_SECONDS}", "csv")]


class Kept:
    """A durable ledger that the configuration names, whose writes take no time."""

    keeps = is_named = True

    def note_read(self, stream: str, fingerprint: str) -> None:
        """Do nothing."""

    def write(self) -> None:
        """Do nothing."""


class Cluster(Elsewhere):
    """Workers that a simulation plays, behind the size that the tap asks for.

    Attributes:
        spent: Seconds that the last work took, all its attempts together.
    """

    def __init__(self, world: World, workers: int) -> None:
        """Connect."""
        super().__init__("simulated", lambda: SimpleNamespace(size=lambda: workers), Bounds())
        self._engine = SimpleNamespace(size=lambda: workers)
        self._world, self.spent = world, 0.0

    @property
    def is_full(self) -> bool:
        """Return whether no slot is free."""
        return self._taken >= self.size()

    def begin(self) -> bool:
        """Take a slot if one is free, as `slot` does."""
        if self.is_full:
            return False
        self._taken += 1
        return True

    def end(self) -> None:
        """Give a slot back."""
        self._taken -= 1

    def work(self, task: dict[str, Any], host: object) -> dict[str, Any]:
        """Return what a worker answers: its URL was refused where another one had to begin anew, too late."""
        del host
        stalls = self.spent == 0.0 and self._world.random.random() < STALLS
        queued = STALL_SECONDS if stalls else 0.0
        self.spent += queued + (CALL_SECONDS if queued > LIFE_SECONDS else self._world.drawn(FILE_SECONDS))
        error = {"kind": "UrlExpiredError", "message": task["url"]} if queued > LIFE_SECONDS else None
        return {"error": error, "queued": queued}
