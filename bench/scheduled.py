"""Simulates a cluster that reads 100,000 files of 40 accounts, with the scheduler of the tap itself on a fake clock.

`python -m bench.scheduled` prints the table of docs/performance.md. Real are the heap of due times, the lines for
slots, the cadence of polls, the journal with its allowance of STATE, the ledger in STATE, the size of the executor, and
the loop that signs URLs late. Played are the provider, the workers and time; what takes a thread in the tap is an entry
here.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from itertools import count
from types import SimpleNamespace
from typing import Any

from tap_exports.engine import thrift as thrift_module
from tap_exports.engine.changes import Changes
from tap_exports.engine.convert import elsewhere as elsewhere_module
from tap_exports.engine.convert.bounds import Bounds
from tap_exports.engine.convert.converter import Converter
from tap_exports.engine.convert.elsewhere import Elsewhere
from tap_exports.engine.http import HttpSettings
from tap_exports.engine.jobs import JobSettings, Journal, Lifecycle, Outcome, Poller
from tap_exports.engine.jobs import journal as journal_module
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Job, RemoteFile, Request, Status
from tap_exports.engine.thrift import Thrift

BEGAN = datetime(2026, 1, 1, tzinfo=timezone.utc)
ACCOUNTS, SLOTS, AHEAD_OF_SLOTS = 40, 10, 2  # jobs of a stream in flight, for each slot; see engine/run/created.py
JOB_SECONDS, FILE_SECONDS, SPREAD = 30.0, 20.0, 0.2
CALL_SECONDS, LIFE_SECONDS = 0.1, 300.0
STALLS, STALL_SECONDS = 1 / 500, 400.0  # files whose worker dies, and how long until another one has begun


class World:
    """Time, and what happens next.

    Attributes:
        now: Seconds since the beginning.
    """

    def __init__(self) -> None:
        """Begin."""
        self.at = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self.random = random.Random(16)  # noqa: S311 - a simulation

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Have something happen later."""
        heapq.heappush(self._heap, (self.at + seconds, next(self._numbers), act))

    @property
    def due(self) -> float:
        """Return when something happens next."""
        return self._heap[0][0] if self._heap else float("inf")

    def act(self) -> None:
        """Do what is due."""
        while self._heap and self._heap[0][0] <= self.at:
            heapq.heappop(self._heap)[2]()

    def now(self) -> datetime:
        """Return the instant."""
        return BEGAN + timedelta(seconds=self.at)

    def monotonic(self) -> float:
        """Return the seconds."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Refuse: nothing here may wait."""
        raise AssertionError(seconds)

    def wait(self, woken: object, seconds: float | None) -> None:
        """Refuse, too."""
        raise AssertionError(woken, seconds)

    def drawn(self, seconds: float) -> float:
        """Return a duration about so long."""
        return seconds * self.random.uniform(1 - SPREAD, 1 + SPREAD)


class Pool:
    """Threads of one account that send requests: each call takes its time, and one thread at a time."""

    def __init__(self, world: World, size: int) -> None:
        """Begin with all of them free."""
        self._world, self._free = world, size
        self._tasks: deque[Callable[[], object]] = deque()

    def submit(self, task: Callable[[], object]) -> None:
        """Queue a step of a job."""
        self._tasks.append(task)
        self._begin()

    def _begin(self) -> None:
        while self._free and self._tasks:
            self._free -= 1
            self._world.after(CALL_SECONDS, partial(self._end, self._tasks.popleft()))

    def _end(self, task: Callable[[], object]) -> None:
        self._free += 1
        task()
        self._begin()


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
    """A durable ledger, whose writes take no time."""

    keeps = True

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

    def begin(self) -> bool:
        """Take a slot if one is free, as `slot` does."""
        if self._taken >= self.size():
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


@dataclass
class Account:
    """One account's stream: its windows, in order.

    Attributes:
        name: Of the stream.
        provider: What answers.
        lifecycle: The tap's own, over it.
        state: What STATE holds of it.
        left: Windows without a request.
        flying: Requests whose files are not read.
        ready: Completed jobs whose files wait.
        done: Files that were read and wait for earlier ones.
    """

    name: str
    provider: Provider
    lifecycle: Lifecycle
    state: StreamState
    left: int
    flying: deque[Request] = field(default_factory=deque)
    ready: deque[tuple[Request, Outcome]] = field(default_factory=deque)
    done: dict[str, Job] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Return whether all its files are read."""
        return not (self.left or self.flying)


class Run:
    """One run of the tap over all accounts.

    Args:
        files: Their number.
        workers: Of the cluster.
        side_by_side: Whether files of all streams are converted at once, instead of those of one stream after another.

    Attributes:
        greatest: Bytes of the greatest STATE.
        written: Bytes of all STATE.
    """

    def __init__(self, files: int, workers: int, *, side_by_side: bool) -> None:
        """Prepare it."""
        self._world, self._files, self._side_by_side = World(), files, side_by_side
        for module in (thrift_module, journal_module, elsewhere_module):
            vars(module)["time"] = SimpleNamespace(monotonic=self._world.monotonic)
        self._bookmarks: dict[str, dict[str, Any]] = {}
        self._thrift, self.greatest, self.written, self.messages = Thrift(), 0, 0, 0
        self._journal = Journal(Kept(), self._thrift)
        self._poller = Poller(self._world)
        self._poller._is_running = True  # noqa: SLF001 - it has no thread here; `_step` makes its passes
        self._cluster = Cluster(self._world, workers)
        self._converter = Converter(self._cluster, HttpSettings(), {})
        self._accounts = [self._account(number) for number in range(ACCOUNTS)]
        self._turn = deque(self._accounts)

    def _account(self, number: int) -> Account:
        name, provider = f"exelensia_export_account_{number:02d}", Provider(self._world)
        settings = JobSettings(max_concurrent_jobs=SLOTS)
        lifecycle = Lifecycle(provider, self._journal, self._world, settings, poller=self._poller)
        lifecycle._turns._workers = Pool(self._world, settings.max_concurrent_requests)  # type: ignore[assignment] # noqa: SLF001
        state = StreamState(name, self._bookmarks.setdefault(name, {}), Changes())
        return Account(name, provider, lifecycle, state, self._files // ACCOUNTS)

    def play(self) -> float:
        """Return the seconds that it takes."""
        for account in self._accounts:
            self._request(account)
        while not all(account.is_over for account in self._accounts):
            self._step()
        return self._world.at

    def _step(self) -> None:
        """Let happen what is due, then let time pass until something is."""
        self._world.act()
        left = self._poller._pass()  # noqa: SLF001 - see above
        self._pump()
        rests = self._journal._patience  # noqa: SLF001 - for which the main thread would wait
        owed = float("inf") if rests is None else max(rests, 0.001)
        due = self._world.due
        self._world.at = max(self._world.at, min(due, self._world.at + min(left or float("inf"), owed)))

    def _pump(self) -> None:
        for checkpoint in self._journal.pump():
            self._write(checkpoint.due)
        if self._thrift.owed_in == 0:
            self._write(thrift_module.Due.LATER)

    def _write(self, due: thrift_module.Due) -> None:
        if self._thrift.allows(due):
            size = len(json.dumps({"bookmarks": self._bookmarks}, separators=(",", ":")))
            self.greatest, self.written, self.messages = (
                max(self.greatest, size),
                self.written + size,
                self.messages + 1,
            )
            self._thrift.spent(size)

    def _request(self, account: Account) -> None:
        while account.left and len(account.flying) < AHEAD_OF_SLOTS * SLOTS:
            request = Request("exelensia", account.name, {"window": account.left})
            account.left -= 1
            account.flying.append(request)
            future = account.lifecycle.start(request, account.state)
            future.add_done_callback(partial(self._completed, account, request))

    def _completed(self, account: Account, request: Request, future: Future[Outcome]) -> None:
        account.ready.append((request, future.result()))
        self._fill()

    @property
    def _reading(self) -> Sequence[Account]:
        """Return the accounts whose files may be converted now."""
        while self._turn and self._turn[0].is_over:
            self._turn.popleft()
        return self._accounts if self._side_by_side else list(self._turn)[:1]

    def _fill(self) -> None:
        """Begin files while workers are free, of all that may be read in turn."""
        while waiting := [account for account in self._reading if account.ready]:
            for account in waiting:
                if not self._cluster.begin():
                    return
                self._convert(account, *account.ready.popleft())

    def _convert(self, account: Account, request: Request, outcome: Outcome) -> None:
        def signed() -> RemoteFile:
            return account.provider.open(outcome.job)[0]

        self._cluster.spent = 0.0
        self._converter.convert(signed(), lambda file: {"url": file.url}, signed, lambda: False, self._world)

        def over() -> None:
            self._cluster.end()
            account.done[request.fingerprint] = outcome.job
            self._announce(account)
            self._fill()

        self._world.after(CALL_SECONDS + self._cluster.spent, over)

    def _announce(self, account: Account) -> None:
        """Announce what is done in the order of the windows, and request others in their place."""
        while account.flying and account.flying[0].fingerprint in account.done:
            request = account.flying.popleft()
            account.state.close(request, account.done.pop(request.fingerprint))
            self._write(thrift_module.Due.SOON)
        self._request(account)

    @property
    def calls(self) -> int:
        """Return the requests to all accounts."""
        return sum(account.provider.calls for account in self._accounts)

    @property
    def signed(self) -> int:
        """Return the URLs of all accounts."""
        return sum(account.provider.signed for account in self._accounts)


def ideal(files: int, workers: int) -> float:
    """Return the shortest time: either all slots of the provider or all workers are always busy."""
    return max(files * JOB_SECONDS / (ACCOUNTS * SLOTS), files * FILE_SECONDS / workers)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.scheduled", description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--workers", type=int, nargs="*", default=[10, 100, 1000])
    asked = parser.parse_args()
    print("| workers | ideal | streams | makespan | × ideal | calls a file | re-signed | STATE: greatest, in all |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for workers in asked.workers:
        for side_by_side in (False, True):
            run, best = Run(asked.files, workers, side_by_side=side_by_side), ideal(asked.files, workers)
            took, order = run.play(), "side by side" if side_by_side else "in turn"
            state = f"{run.greatest / 1e3:.0f} kB, {run.written / 1e6:.0f} MB in {run.messages:,}"
            again = f"{run.signed - asked.files:,}"
            figures = f"{took / 3600:.1f} h | {took / best:.2f} | {run.calls / asked.files:.1f} | {again} | {state}"
            print(f"| {workers:,} | {best / 3600:.1f} h | {order} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
