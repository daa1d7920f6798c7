from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Timer
from types import SimpleNamespace

import pytest

from tap_exports.engine import thrift
from tap_exports.engine.jobs import Change, JobSettings, Journal, Lifecycle, journal
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Checkpoint, Request
from tap_exports.engine.thrift import BURST_BYTES, BYTES_PER_SECOND, Due, Thrift
from tests.engine.fakes import FakeClock
from tests.engine.scripted import ScriptedApi, handed, job

Now = Callable[[float], None]


@pytest.fixture
def to(monkeypatch: pytest.MonkeyPatch) -> Now:
    """Return what sets the seconds of the monotonic clock, 0 at first."""
    times = SimpleNamespace(at=0.0)
    for module in (thrift, journal):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: times.at))
    return lambda seconds: setattr(times, "at", seconds)


def test_small_state_is_written_with_each_proof(to: Now) -> None:
    """A run of a few jobs never meets the allowance, however fast it is."""
    to(0)
    allowance = Thrift()
    for _ in range(1000):
        assert allowance.allows(Due.SOON)
        allowance.spent(4000)
    allowance.spent(4100)
    assert not allowance.allows(Due.SOON)
    assert allowance.owed_in == pytest.approx(max(1, 4100 / BYTES_PER_SECOND))


def test_what_nobody_waits_for_is_written_once_a_second(to: Now) -> None:
    """Progress of jobs at the provider; a proof in between is written at once, with all that is there."""
    allowance = Thrift()
    assert allowance.allows(Due.LATER)
    allowance.spent(100)
    to(0.9)
    assert not allowance.allows(Due.LATER)
    assert allowance.owed_in == pytest.approx(0.1)
    assert (allowance.allows(Due.SOON), allowance.owed_in) == (True, None)
    to(1.0)
    assert allowance.allows(Due.LATER)


def test_a_creation_does_not_wait_for_the_allowance(to: Now) -> None:
    """An intent is in STATE before its POST, whatever was written before; what was owed comes with it."""
    to(0)
    allowance = Thrift()
    allowance.spent(10 * BURST_BYTES)
    assert (allowance.allows(Due.SOON), allowance.allows(Due.NOW), allowance.owed_in) == (False, True, None)


def test_great_state_is_written_seldom(to: Now) -> None:
    """Ten thousand proofs in a hundred seconds, each in a STATE of 1 MB: one a second would be 100 MB."""
    allowance, written = Thrift(), 0
    for proof in range(10_000):
        to(proof / 100)
        if allowance.allows(Due.SOON):
            written += 1_000_000
            allowance.spent(1_000_000)
    assert written == 1_000_000
    left = allowance.owed_in or 0.0
    assert left == pytest.approx((1_000_000 - BURST_BYTES) / BYTES_PER_SECOND - 99.99)
    to(99.99 + left)
    assert (allowance.owed_in, allowance.allows(Due.SOON)) == (0, True)


def test_state_that_was_held_back_is_written_while_the_run_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing more happens for an hour, and what happened last is in STATE after a second all the same."""
    monkeypatch.setattr(thrift, "FACT_SECONDS", 0.05)
    allowance, over = Thrift(), Future[None]()
    allowance.spent(1)
    assert not allowance.allows(Due.LATER)
    Timer(1.0, over.set_result, [None]).start()
    seen = [(each.due, allowance.allows(each.due), over.done()) for each in Journal(thrift=allowance).until(over)]
    assert seen == [(Due.LATER, True, False)]


def test_state_is_as_urgent_as_what_is_in_it() -> None:
    """One intent among facts has it written at once."""
    made, facts = Journal(), [Change(list, due=Due.LATER), Change(list)]
    for change in facts:
        made.hand_over(change, list)
    assert list(made.pump()) == [Checkpoint(Due.SOON)]
    for change in [*facts, Change(list, list, Due.NOW)]:
        made.hand_over(change, list)
    assert [*made.until(_soon()), *made.pump()] == [Checkpoint(Due.NOW)]


class Kept:
    """A durable ledger that a script breaks."""

    def __init__(self, *, keeps: bool, is_named: bool = True, breaks: bool = False) -> None:
        self.keeps, self.is_named, self._breaks = keeps, is_named, breaks

    def note_read(self, stream: str, fingerprint: str) -> None: ...

    def write(self) -> None:
        self.keeps = self.keeps and not self._breaks


@pytest.mark.parametrize(
    ("durable", "due"),
    [
        (Kept(keeps=True), Due.SOON),
        (Kept(keeps=True, is_named=False), Due.NOW),
        (Kept(keeps=False), Due.NOW),
        (Kept(keeps=True, breaks=True), Due.NOW),
    ],
    ids=["kept", "default", "none", "breaks"],
)
def test_an_intent_that_the_ledger_holds_spares_state(durable: Kept, due: Due) -> None:
    """Else STATE comes before the POST: without a ledger, where it breaks at this very write, and by default.

    The default ledger may lie in a container that is gone with the run.
    """
    made = Journal(durable)
    made.hand_over(Change(list, list, Due.KEPT), list)
    assert list(made.pump()) == [Checkpoint(due)]
    made.hand_over(Change(list, list, Due.NOW), list)
    assert Checkpoint(Due.NOW) in [*made.until(_soon()), *made.pump()]


@pytest.mark.parametrize(("durable", "due"), [(None, Due.NOW), (Kept(keeps=True), Due.SOON)])
def test_the_id_of_a_job_is_in_state_at_once_where_nothing_else_keeps_it(durable: Kept | None, due: Due) -> None:
    """With `ledger: none` a run that is killed leaves the id in STATE before the first poll (P2)."""
    chased = Lifecycle(ScriptedApi([job("j1")]), Journal(durable), FakeClock(), JobSettings())
    over = chased.start(Request("p", "s", {}), StreamState.detached("s", {}))
    assert list(chased.journal.until(over)) == [Checkpoint(due), Checkpoint(due)]


def _soon() -> Future[None]:
    over: Future[None] = Future()
    Timer(0.1, over.set_result, [None]).start()
    return over


def test_changes_that_come_after_a_slow_write_are_written_together(to: Now) -> None:
    """The ledger and STATE take a fifth of the main thread's time at most, however many jobs end one by one."""
    made = Journal()
    handed(made, list)
    pumping = made.pump()
    next(pumping)
    to(0.1)  # the write took so long
    assert next(pumping, None) is None
    written = []
    for tenth in range(1, 5):
        to(0.1 * tenth)
        written.append(handed(made, list))
        assert list(made.pump()) == []
    to(0.51)
    assert (len(list(made.pump())), [event.is_set() for event in written]) == (1, [True] * 4)


def test_the_end_of_the_run_does_not_wait_for_others(to: Now) -> None:
    """What is reported while the journal rests is in the last STATE."""
    made = Journal()
    handed(made, list)
    for _ in made.pump():
        to(0.2)
    written = handed(made, list)
    assert list(made.pump()) == []
    made.end()
    assert (len(list(made.settle(0))), written.is_set()) == (1, True)
