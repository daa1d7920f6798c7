"""One run of the tap over all accounts: what takes a thread in the tap is an entry here."""

from __future__ import annotations

import json
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

from bench.scheduled.played import Cluster, Kept, Provider
from bench.scheduled.world import CALL_SECONDS, Pool, World
from tap_exports.engine import thrift as thrift_module
from tap_exports.engine.changes import Changes
from tap_exports.engine.convert import elsewhere as elsewhere_module
from tap_exports.engine.convert.converter import Converter
from tap_exports.engine.http import HttpSettings
from tap_exports.engine.jobs import JobSettings, Journal, Lifecycle, Outcome, Poller
from tap_exports.engine.jobs import cadence as cadence_module
from tap_exports.engine.jobs import journal as journal_module
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Job, RemoteFile, Request
from tap_exports.engine.thrift import Thrift
from tap_exports.engine.workers import Workers

ACCOUNTS, SLOTS, AHEAD_OF_SLOTS = 40, 10, 2  # jobs of a stream in flight, for each slot; see engine/run/created.py


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
        side_by_side: Whether files of all streams are announced as they are done, instead of stream after stream.

    Attributes:
        greatest: Bytes of the greatest STATE.
        written: Bytes of all STATE.
    """

    def __init__(self, files: int, workers: int, *, side_by_side: bool) -> None:
        """Prepare it."""
        self._world, self._files, self._side_by_side = World(), files, side_by_side
        for module in (thrift_module, journal_module, elsewhere_module):
            vars(module)["time"] = SimpleNamespace(monotonic=self._world.monotonic)
        vars(cadence_module)["random"] = SimpleNamespace(Random=lambda: self._world.jitter)
        self._bookmarks: dict[str, dict[str, Any]] = {}
        self._thrift, self.greatest, self.written, self.messages = Thrift(), 0, 0, 0
        self._journal = Journal(Kept(), self._thrift)
        self._poller = Poller(self._world)
        self._poller._is_running = True  # noqa: SLF001 - it has no thread here; `_step` makes its passes
        self._cluster = Cluster(self._world, workers)
        self._converter = Converter(self._cluster, HttpSettings(), {})
        self._accounts = [self._account(number) for number in range(ACCOUNTS)]
        self._turn = deque(self._accounts)
        self._left = sum(account.left for account in self._accounts)

    def _account(self, number: int) -> Account:
        name, provider = f"exelensia_export_account_{number:02d}", Provider(self._world)
        settings = JobSettings(max_concurrent_jobs=SLOTS)
        workers = cast("Workers[None]", Pool(self._world, settings.max_concurrent_requests))
        lifecycle = Lifecycle(provider, self._journal, self._world, settings, poller=self._poller, workers=workers)
        state = StreamState(name, self._bookmarks.setdefault(name, {}), Changes())
        return Account(name, provider, lifecycle, state, self._files // ACCOUNTS)

    def play(self) -> float:
        """Return the seconds that it takes."""
        for account in self._accounts:
            self._request(account)
        while self._left:
            self._step()
        return self._world.at

    def _step(self) -> None:
        """Let happen what is due, then let time pass until something is."""
        self._world.act()
        left = self._poller._pass()  # noqa: SLF001 - see above
        if not self._journal._queue.empty():  # noqa: SLF001 - the main thread waits for it
            self._pump()
        self._write_owed()
        rests = self._journal._patience  # noqa: SLF001 - for which the main thread would wait
        owed = float("inf") if rests is None else max(rests, 0.001)
        due = self._world.due
        if self._left:
            self._world.at = max(self._world.at, min(due, self._world.at + min(left or float("inf"), owed)))

    def _pump(self) -> None:
        for checkpoint in self._journal.pump():
            self._write(checkpoint.due)
        self._write_owed()

    def _write_owed(self) -> None:
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

    def _fill(self) -> None:
        """Begin files while workers are free: those of the stream whose turn it is, then those of all others."""
        if self._cluster.is_full:
            return
        first = self._turn[0] if self._turn else None
        while first and not self._side_by_side and first.ready and self._cluster.begin():
            self._convert(first, *first.ready.popleft())
        while waiting := [account for account in self._accounts if account.ready]:
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
            if self._side_by_side:
                self._announce(account)
            else:
                self._announce_in_turn()
            self._fill()

        self._world.after(CALL_SECONDS + self._cluster.spent, over)

    def _announce_in_turn(self) -> None:
        """Announce what is done of the stream whose turn it is, and of the next one once that is over."""
        while self._turn:
            self._announce(self._turn[0])
            if not self._turn[0].is_over:
                return
            self._turn.popleft()

    def _announce(self, account: Account) -> None:
        """Announce what is done in the order of the windows, and request others in their place."""
        while account.flying and account.flying[0].fingerprint in account.done:
            request = account.flying.popleft()
            self._left -= 1
            account.state.close(request, account.done.pop(request.fingerprint))
            self._write(thrift_module.Due.SOON)
        self._request(account)

    @property
    def open_jobs(self) -> int:
        """Return the jobs that STATE holds."""
        return sum(len(account.state.entries) for account in self._accounts)

    @property
    def calls(self) -> int:
        """Return the requests to all accounts."""
        return sum(account.provider.calls for account in self._accounts)

    @property
    def signed(self) -> int:
        """Return the URLs of all accounts."""
        return sum(account.provider.signed for account in self._accounts)
