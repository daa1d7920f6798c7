"""What the models of providers share: jobs with a fate, records that become visible, lists that turn pages, files."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from tests.simulation.world import Call, Json, Reply, World

NEVER = math.inf
JUST_NOW = 120.0  # seconds: what settles, and what clocks differ
FOREIGN, ODD_FOR_A_WHILE = "foreign", "is odd for a while"
SECONDS = {"is slow": (20, 60), "vanishes": (20, 60), ODD_FOR_A_WHILE: (2_000, 7_000)}  # others take 1 to 10


@dataclass(eq=False)
class Job:
    """A job at the provider.

    Attributes:
        id: Its id.
        body: What was asked for.
        created: When, in seconds since 1970 of the world's clock.
        seconds: How long it takes.
        fate: `completes`, `fails`, `hangs`, `vanishes`, `ends odd` or `is odd for a while`.
        owner: `tap`, or `foreign` where another made it.
        run: The run that made it.
        cost: Credits that it took.
        rows: What its file holds, once that was settled.
        is_spoilt: Whether a file of it was not what it should be, so that another job may be due.
        is_read: Whether its file was asked for.
    """

    id: str
    body: Json
    created: float
    seconds: float = 5.0
    fate: str = "completes"
    owner: str = "tap"
    run: int = 0
    cost: int = 0
    rows: list[Json] | None = None
    is_spoilt: bool = False
    is_read: bool = False
    deleted: float = NEVER

    @property
    def ends(self) -> float:
        return self.created + (NEVER if self.fate == "hangs" else self.seconds)

    def is_there(self, at: float) -> bool:
        gone = self.ends if self.fate == "vanishes" else self.deleted
        return self.created <= at < gone

    def status(self, at: float, words: Mapping[str, str]) -> str:
        """Return the status word at a time; the words are by `pending`, `running`, `odd` and fate."""
        if at < self.created + 1:
            return words["pending"]
        return words["odd" if self.fate == ODD_FOR_A_WHILE else "running"] if at < self.ends else words[self.fate]

    @property
    def completes(self) -> bool:
        return self.fate in {"completes", ODD_FOR_A_WHILE}

    def is_open(self, at: float) -> bool:
        return self.is_there(at) and at < self.ends


@dataclass(eq=False)
class Record:
    """A record of the provider: visible from some time on, until it is deleted."""

    id: str
    created: float
    values: Json
    late: float = 0.0
    deleted: float = NEVER
    kind: str = ""

    def is_there(self, at: float) -> bool:
        return self.created + self.late <= at < self.deleted


@dataclass(eq=False)
class Account:
    """The data of one account of a provider.

    Attributes:
        world: What surrounds it.
        page: Records in a page at most, whatever is asked for.
    """

    world: World
    page: int = 10
    jobs: list[Job] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    most_open: int = 0

    @property
    def skew(self) -> float:
        """Return how far the provider's clock is ahead; it stays when the world is calm: clocks are never right."""
        found = next((t for t in self.world.troubles if t.kind == "provider's clock ahead by"), None)
        return float(found.value) if found else 0.0

    def view(self) -> float:
        """Return the time as of which the replica that is asked knows the world."""
        if all_lag := self.world.trouble("replicas lag by"):
            return self.world.now - float(all_lag.value)
        if one_lags := self.world.trouble("one of the replicas lags by"):
            return self.world.now - self.world.draw.choice((0.0, float(one_lags.value)))
        return self.world.now

    def stamp(self, at: float) -> str:
        """Return a time of the world on the provider's clock, as text."""
        instant = datetime.fromtimestamp(at + self.skew, timezone.utc)
        return instant.strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03}Z"

    def lasting(self, until: float) -> list[Record]:
        """Return the records that a run must have seen that began at a time: not those of just now."""
        return [r for r in there(self.records, until - JUST_NOW) if r.deleted == NEVER]

    def create(self, body: Json, owner: str = "tap") -> Job:
        """Create a job; note where the tap asks twice for one thing without need."""
        world = self.world
        is_ours = owner == "tap"
        trouble = world.trouble("job", world.count("job")) if is_ours else world.trouble(FOREIGN, world.run)
        fate = trouble.value if trouble else "completes"
        seconds = world.draw.uniform(*SECONDS.get(fate, (1, 10)))
        fate = "completes" if fate == "is slow" else fate
        job = Job(f"job-{len(self.jobs) + 1}", dict(body), world.now, seconds, fate, owner, world.run)
        if owner == "tap":
            self._hold_against(job)
        self.jobs.append(job)
        world.tell(f"{job.id} is created by {owner}: {_short(body)}; it {fate}")
        return job

    def _hold_against(self, job: Job) -> None:
        ours = [j for j in self.jobs if j.owner == "tap"]
        same = [j for j in ours if self.asks_same(j.body, job.body) and j.fate == "completes" and not j.is_spoilt]
        if same and self.is_second(same[-1], job):
            self.twice.append(f"{same[-1].id} of run {same[-1].run} and {job.id} of run {job.run}")
        still_open = [j for j in ours if j.fate == "completes" and j.is_open(self.world.now)]
        self.most_open = max(self.most_open, len(still_open) + 1)

    def asks_same(self, one: Json, other: Json) -> bool:
        """Return whether two bodies ask for one thing."""
        return one == other

    def is_second(self, one: Job, other: Job) -> bool:
        """Return whether a second job of the same request was without need."""
        return True

    def paged(self, call: Call, name: str, records: Sequence[Json], key: str) -> Reply:
        """Return one page of a list that moves as the history tells; `key` is the field that it is sorted by."""
        world, query = self.world, call.query
        rows = list(records)
        if world.trouble("ties in any order"):
            world.draw.shuffle(rows)
        rows.sort(key=lambda row: str(row[key]), reverse=query.get("sort_order") == "desc")
        size = min(int(query.get("limit", 20)), self.page)
        number = int(query.get("page", 1))
        pages = max(1, math.ceil(len(rows) / size))
        meta: Json = {"total": len(rows), "totalPages": pages, "page": number, "limit": size}
        if lie := world.trouble("totals"):
            meta = {"zero": {**meta, "total": 0, "totalPages": 0}, "absent": {}}.get(
                lie.value, {**meta, "total": size, "totalPages": 1}
            )
        if (gone := world.trouble("a record is deleted after page", number)) and gone.value == name:
            self.delete_one(rows[:size])
        return Reply(200, {"data": rows[(number - 1) * size : number * size], "meta": meta})

    def delete_one(self, rows: Sequence[Json]) -> None:
        """Delete a record that was on the page that is sent, once."""
        there = [r for r in self.records if r.id in {row["id"] for row in rows} and r.deleted == NEVER]
        if there and self.world.count("deleted") == 1:
            there[0].deleted = self.world.now
            self.world.tell(f"record {there[0].id} is deleted while pages turn")

    def file(self, job: Job, body: bytes, call: Call, media: str) -> Reply:
        """Return the file of a job, or what the history says that comes instead."""
        job.is_read = True
        etag = f'"{job.id}-{len(body)}"'
        trouble = self.world.trouble("download", self.world.count("download"))
        kind = trouble.value if trouble else ""
        if kind:
            self.world.tell(f"the download of {job.id} {kind}")
        if kind in {"is a page", "is one line of error"}:
            job.is_spoilt = True
            page = (b"<html>busy</html>", "text/html") if kind == "is a page" else (b"error, try again\n", media)
            return Reply(200, page[0], {"Content-Type": page[1]})
        if kind == "is gone":
            return Reply(404, {"message": "gone"})
        start = int(call.headers["Range"].removeprefix("bytes=").rstrip("-")) if "Range" in call.headers else 0
        rest = body[start:]
        headers = {"ETag": etag, "Content-Type": media}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return Reply(206 if start else 200, rest, headers, len(rest) // 2 if kind == "is cut" else None)


def there(items: Iterable[Any], at: float) -> list[Any]:
    """Return what is there at a time."""
    return [item for item in items if item.is_there(at)]


def _short(body: Json) -> str:
    return ", ".join(f"{name} {value}" for name, value in body.items() if name != "name")
