"""What the models of providers share: jobs with a fate, records that become visible, clocks, replicas that lag."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Protocol

from tests.simulation.world import BEGINNING, Call, Json, Reply, World

NEVER = math.inf
DAY = 86_400.0
JUST_NOW = 120.0  # seconds: what settles, and some more
TWIN = 101  # number of the first run of a second tap
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
        owner: `tap` or `twin`, after the tap that made it, or `foreign`.
        run: The run that made it.
        cost: Credits that it took.
        rows: What its file holds, once that was settled.
        is_spoilt: Whether a file of it was not what it should be, so that another job may be due.
        readers: Whose taps asked for its file: `tap`, `twin`.
        is_unanswered: Whether the reply to its creation was lost.
        edition: Counts how often its file was written anew.
        kind: Which records it holds, where a job has a kind.
        is_partial: Whether a part of its file failed.
        files: Its file by edition, where it is costly to make.
        deleted: When it is gone.
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
    readers: set[str] = field(default_factory=set)
    is_unanswered: bool = False
    edition: int = 1
    kind: str = ""
    is_partial: bool = False
    files: dict[int, bytes] = field(default_factory=dict)
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


class Reach(Protocol):
    """What a bookmark covers: instants on the provider's clock, or numbers."""

    def __call__(self, place: float) -> bool:
        """Return whether a place is covered."""


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
    _stamps: dict[float, str] = field(default_factory=dict)

    def skew(self, at: float) -> float:
        """Return how far the provider's clock is ahead; that stays when the world is calm: clocks are never right."""
        ahead = self.world.standing("provider's clock ahead by")
        drifts = self.world.standing("provider's clock gains a day")
        return (float(ahead.value) if ahead else 0.0) + (drifts.value * (at - BEGINNING) / DAY if drifts else 0.0)

    def clock(self, at: float) -> float:
        """Return what the provider's clock shows at a time of the world, in seconds since 1970, to the millisecond."""
        return round(at + self.skew(at), 3)

    def creates(self, call: Call) -> bool:
        """Return whether a request creates a job."""
        return call.method == "POST" and call.path.endswith("/exports")

    def note_unanswered(self) -> None:
        """Note that the reply to the last creation is lost."""
        self.jobs[-1].is_unanswered = True

    def make_foreign(self, start: float, end: float) -> None:
        """Create a job as somebody else does, of the rows between two times."""

    def key(self, stream: str, row: Json) -> str:
        """Return what tells a row from others, whatever keys the stream has."""
        return str(row["id"])

    def prepare(self, config: Json) -> None:
        """Make what is there before the first run."""

    def spent(self, run: int) -> int:
        """Return the credits that a run took."""
        return sum(job.cost for job in self.jobs if job.run == run)

    def expected(self, stream: str, config: Json, until: float) -> dict[str, Json]:
        """Return the rows that the target must hold by key: those that were there when its last run began."""
        raise NotImplementedError

    def answer(self, call: Call) -> Reply:
        """Take a request into effect and return the reply."""
        raise NotImplementedError

    def covered(self, stream: str, config: Json, reach: Reach) -> Iterable[str]:
        """Return the keys of rows that a target must hold which keeps a STATE, by the bookmark's reach."""
        return ()

    def view(self) -> float:
        """Return the time as of which the replica that is asked knows the world."""
        if all_lag := self.world.trouble("replicas lag by"):
            return self.world.now - float(all_lag.value)
        if one_lags := self.world.trouble("one of the replicas lags by"):
            return self.world.now - self.world.draw.choice((0.0, float(one_lags.value)))
        return self.world.now

    def stamp(self, at: float) -> str:
        """Return a time of the world on the provider's clock, as text."""
        if at not in self._stamps:
            instant = datetime.fromtimestamp(self.clock(at), timezone.utc)
            self._stamps[at] = instant.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
        return self._stamps[at]

    def lasting(self, until: float) -> list[Record]:
        """Return the records that a run must have seen that began at a time: not those of just now."""
        return [r for r in there(self.records, self.settled_by(until)) if r.deleted == NEVER]

    def settled_by(self, until: float) -> float:
        """Return the time of the world up to which a run must have seen everything that began at a time.

        What is dated by a clock that is ahead settles later.
        """
        return until - JUST_NOW - max(0.0, self.skew(until))

    def create(self, body: Json, owner: str = "") -> Job:
        """Create a job; note where a tap asks twice for one thing without need."""
        world, owner = self.world, owner or owner_of(self.world.ran.number)
        is_ours = owner != FOREIGN
        trouble = world.trouble("job", world.count("job")) if is_ours else world.trouble(FOREIGN, world.ran.number)
        fate = trouble.value if trouble else "completes"
        seconds = world.draw.uniform(*SECONDS.get(fate, (1, 10)))
        fate = "completes" if fate == "is slow" else fate
        job = Job(f"job-{len(self.jobs) + 1}", dict(body), world.now, seconds, fate, owner, world.ran.number)
        if is_ours:
            self._hold_against(job)
        self.jobs.append(job)
        world.tell(f"{job.id} is created by {owner}: {_short(body)}; it {fate}")
        return job

    def _hold_against(self, job: Job) -> None:
        ours = [j for j in self.jobs if j.owner == job.owner]
        same = [j for j in ours if self.asks_same(j.body, job.body) and j.fate == "completes" and not j.is_spoilt]
        if same and self.is_second(same[-1], job) and not (self._reads_again() and same[-1].run != job.run):
            self.twice.append(f"{same[-1].id} of run {same[-1].run} and {job.id} of run {job.run}")
        known = [j for j in ours if not j.is_unanswered]
        still_open = [j for j in known if j.fate == "completes" and j.is_open(self.world.now)]
        self.most_open = max(self.most_open, len(still_open) + 1)

    def is_too_long(self, start: float, end: float) -> bool:
        """Return whether an export of so much is more than the provider takes; that stays when the world is calm."""
        most = self.world.standing("hours that an export covers at most")
        return most is not None and end - start > most.value * 3_600 + 1

    def _reads_again(self) -> bool:
        """Return whether each run asks again for windows that are proven."""
        blocks = [block for block in self.world.ran.config.values() if isinstance(block, dict)]
        return any(entry.get("lookback") for block in blocks for entry in block.get("exports", ()))

    def job(self, job_id: str) -> Job:
        """Return the job of an id, which a model gave out."""
        return next(job for job in self.jobs if job.id == job_id)

    def asks_same(self, one: Json, other: Json) -> bool:
        """Return whether two bodies ask for one thing."""
        return one == other

    def is_second(self, one: Job, other: Job) -> bool:
        """Return whether a second job of the same request was without need."""
        return True

    def delete_one(self, rows: Sequence[Json]) -> None:
        """Delete a record that was on the page that is sent, once."""
        there = [r for r in self.records if r.id in {row["id"] for row in rows} and r.deleted == NEVER]
        if there and self.world.count("deleted") == 1:
            there[0].deleted = self.world.now
            self.world.tell(f"record {there[0].id} is deleted while pages turn")


def owner_of(run: int) -> str:
    """Return who makes the jobs of a run."""
    return "tap" if run < TWIN else "twin"


def there(items: Iterable[Any], at: float) -> list[Any]:
    """Return what is there at a time."""
    return [item for item in items if item.is_there(at)]


def _short(body: Json) -> str:
    return ", ".join(f"{name} {value}" for name, value in body.items() if name != "name")
