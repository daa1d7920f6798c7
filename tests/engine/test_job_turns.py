from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import timedelta
from typing import Any, cast

import pytest

from tap_exports.engine.clock import SystemClock
from tap_exports.engine.jobs import JobSettings, Journal, Lifecycle, Outcome
from tap_exports.engine.jobs.poller import Poller
from tap_exports.engine.jobs.slots import Slots
from tap_exports.engine.jobs.steps import Pause, Steps
from tap_exports.engine.jobs.turns import Turns
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Job, Request, Status
from tap_exports.engine.thrift import Due
from tap_exports.engine.workers import Workers
from tap_exports.errors import JobStalledError, RunEndingError
from tests.engine.fakes import FakeClock
from tests.engine.scripted import job


class Shop:
    """Answers for many jobs, each named by its stream and number; a job ends once `ends` says so."""

    def __init__(self, ends: Callable[[str], bool]) -> None:
        self.created: list[str] = []
        self.polled: list[str] = []
        self._ends = ends

    def submit(self, request: Request) -> Job:
        name = f"{request.stream}{request.params['number']}"
        self.created.append(name)
        return job(name, Status.PENDING)

    def poll(self, asked: Job) -> Job:
        self.polled.append(asked.id)
        return job(asked.id, Status.COMPLETED if self._ends(asked.id) else Status.RUNNING)


def request(stream: str, number: int) -> Request:
    return Request("exelensia", stream, {"number": number})


Make = Callable[..., Lifecycle]


@pytest.fixture(name="lifecycle")
def _lifecycle() -> Iterator[Make]:
    """Give a maker of lifecycles whose jobs end with the test."""
    pollers: list[Poller] = []

    def make(api: Any, clock: Any = None, **settings: Any) -> Lifecycle:  # noqa: ANN401 - a fake, of `JobSettings`
        clock = clock or SystemClock()
        pollers.append(Poller(clock))
        quick = {"poll_interval_seconds": 0.01, "max_concurrent_requests": 1}
        return Lifecycle(api, Journal(), clock, JobSettings(**{**quick, **settings}), poller=pollers[-1])

    yield make
    for poller in pollers:
        poller.end()


def started(jobs: Lifecycle, stream: str, count: int, state: StreamState | None = None) -> list[Future[Outcome]]:
    state = state or StreamState.detached(stream, {})
    return [jobs.start(request(stream, number), state) for number in range(1, count + 1)]


def ended(jobs: Lifecycle, future: Future[Outcome]) -> Job:
    for _ in jobs.journal.until(future):
        pass
    return future.result(5).job


# Slots ----------------------------------------------------------------------------------------------------------------


def granted(slots: Slots[str]) -> Iterator[str]:
    while grant := slots.grant():
        yield grant[1]


def test_slots_are_divided_among_the_streams_that_wait() -> None:
    """Who holds the fewest comes first, among equals who got none for longest; a free slot is not left free."""
    slots: Slots[str] = Slots(5)
    for stream, count in (("a", 4), ("b", 4), ("c", 1)):
        for number in range(count):
            slots.line_up(stream, f"{stream}{number}")
    assert list(granted(slots)) == ["a0", "b0", "c0", "a1", "b1"]
    slots.give_back("c")
    assert list(granted(slots)) == ["a2"]
    slots.give_back("a")
    slots.give_back("a")
    assert list(granted(slots)) == ["a3", "b2"]
    assert slots.is_awaited
    slots.give_back("b")
    assert (list(granted(slots)), slots.is_awaited) == (["b3"], False)


def test_one_slot_is_passed_on() -> None:
    """With a single slot the streams take turns, so that one whose jobs stall does not go twice before the others."""
    slots: Slots[str] = Slots(1)
    for name in ("a0", "a1", "b0", "b1"):
        slots.line_up(name[0], name)
    order: list[str] = []
    for _ in range(4):
        order += granted(slots)
        slots.give_back(order[-1][0])
    assert order == ["a0", "b0", "a1", "b1"]


def test_jobs_that_exist_take_slots_beyond_the_limit() -> None:
    """They are open at the provider whether or not there is a slot; nothing new is created until they are fewer."""
    slots: Slots[str] = Slots(2)
    for _ in range(3):
        slots.take("a")
    slots.line_up("b", "b0")
    slots.give_back("a")
    assert list(granted(slots)) == []
    slots.give_back("a")
    assert list(granted(slots)) == ["b0"]


# Lives ----------------------------------------------------------------------------------------------------------------


def test_hung_jobs_of_one_stream_leave_slots_to_another(lifecycle: Make) -> None:
    """Stream `a` would fill all four slots and keep them for ever; `b` and `c` are done meanwhile."""
    jobs = lifecycle(Shop(lambda name: name[0] != "a"), max_concurrent_jobs=4)
    hung, *others = started(jobs, "a", 8), started(jobs, "b", 8), started(jobs, "c", 8)
    assert [ended(jobs, future).id for line in others for future in line] == [
        f"{s}{n}" for s in "bc" for n in range(1, 9)
    ]
    assert not any(future.done() for future in hung)


def test_all_jobs_that_hung_before_leave_the_threads_to_others(lifecycle: Make) -> None:
    """More open jobs of a former run than the limit allows take no thread: another one ends."""
    state = StreamState.detached("a", {})
    for number in range(1, 9):
        state.opened(request("a", number), job(f"a{number}"), SystemClock().now())
    jobs = lifecycle(Shop(lambda name: name == "a8"), max_concurrent_jobs=2)
    assert ended(jobs, started(jobs, "a", 8, state)[-1]).id == "a8"


def test_nothing_is_created_beside_as_many_jobs_of_the_ledger_as_may_be_open(lifecycle: Make) -> None:
    """What an earlier run left open counts; once one of them ends, another job is created."""
    state, release = StreamState.detached("a", {}), threading.Event()
    for number in (1, 2):
        state.opened(request("a", number), job(f"a{number}"), SystemClock().now())
    shop = Shop(lambda name: name == "b1" or release.is_set())
    jobs = lifecycle(shop, max_concurrent_jobs=2)
    open_before, new = started(jobs, "a", 2, state), started(jobs, "b", 1)[0]
    until(lambda: {"a1", "a2"} <= {*shop.polled} and not list(jobs.journal.pump()))
    assert shop.created == []
    release.set()
    assert (ended(jobs, new).id, ended(jobs, open_before[0]).id) == ("b1", "a1")


def test_intents_that_wait_together_are_one_state(lifecycle: Make) -> None:
    """Ten jobs may be created at once: one STATE holds all ten intents before the first POST."""
    bookmark: dict[str, Any] = {}
    shop = Shop(lambda _: True)
    jobs = lifecycle(shop, max_concurrent_jobs=10)
    last = started(jobs, "a", 12, StreamState.detached("a", bookmark))[-1]
    next(jobs.journal.pump())
    assert (len(bookmark["ledger"]["intents"]), shop.created) == (10, [])
    ended(jobs, last)
    assert shop.created == [f"a{number}" for number in range(1, 13)]


def test_an_intent_that_nobody_looks_for_does_not_wait_for_state(lifecycle: Make) -> None:
    """Where a second job is free, STATE with an intent may come later; the ledger has it before the POST."""

    class Free(Shop):
        free_to_repeat = True

    dues = []
    for shop in (Shop, Free):
        jobs = lifecycle(shop(lambda _: True))
        started(jobs, "a", 1)
        dues.append(next(jobs.journal.pump()).due)
    assert dues == [Due.NOW, Due.SOON]


def test_open_jobs_are_entries_not_threads(lifecycle: Make) -> None:
    """A thousand open jobs take the threads of the requests and one more."""
    before, release = set(threading.enumerate()), threading.Event()
    shop = Shop(lambda _: release.is_set())
    jobs = lifecycle(
        shop,
        max_concurrent_jobs=1000,
        max_concurrent_requests=4,
        poll_interval_seconds=0.2,
        job_stall_timeout_seconds=60,
    )
    futures = started(jobs, "a", 1000)
    while len(set(shop.polled)) < 1000:
        list(jobs.journal.pump())
    assert len(set(threading.enumerate()) - before) == 5
    release.set()
    assert {ended(jobs, future).status for future in futures} == {Status.COMPLETED}


def test_a_creation_that_waits_for_a_slot_can_be_cancelled(lifecycle: Make) -> None:
    """A stream that stops takes what it has not begun out of the line."""
    release = threading.Event()
    shop = Shop(lambda _: release.is_set())
    jobs = lifecycle(shop, max_concurrent_jobs=1)
    first, second, third = started(jobs, "a", 3)
    list(jobs.journal.pump())
    assert (first.cancel(), second.cancel()) == (False, True)
    release.set()
    assert (ended(jobs, third).id, shop.created) == ("a3", ["a1", "a3"])


def test_a_window_that_is_asked_for_again_goes_first(lifecycle: Make) -> None:
    """The reader waits for it, before all others of its stream."""
    shop = Shop(lambda _: True)
    jobs = lifecycle(shop, max_concurrent_jobs=1)
    later = started(jobs, "a", 2)
    jobs.start(request("a", 0), StreamState.detached("a", {}), resubmitted=True)
    ended(jobs, later[-1])
    assert shop.created == ["a0", "a1", "a2"]


def test_a_job_whose_date_of_change_alone_moves_stalls(lifecycle: Make) -> None:
    """Progress is status and counts: a job that only says that it was touched makes none."""
    clock = FakeClock()

    class Touching(Shop):
        def poll(self, asked: Job) -> Job:
            return job(asked.id, Status.RUNNING, updated_at=clock.now() + timedelta(seconds=1))

    jobs = lifecycle(Touching(lambda _: False), clock, job_stall_timeout_seconds=600, poll_interval_seconds=2)
    with pytest.raises(JobStalledError, match="made no progress for 600 s"):
        ended(jobs, started(jobs, "a", 1)[0])


# The poller -----------------------------------------------------------------------------------------------------------


class Sleeper:
    def __init__(self, name: str, heard: list[str]) -> None:
        self._name, self._heard = name, heard

    def resume(self) -> None:
        self._heard.append(self._name)

    def close(self) -> None:
        self._heard.append(f"{self._name} closed")


def until(is_so: Callable[[], bool]) -> None:
    for _ in range(500):
        if is_so():
            return
        threading.Event().wait(0.01)
    pytest.fail("it did not come about")


def test_what_is_due_first_is_resumed_first() -> None:
    """Also where it began to wait later."""
    heard: list[str] = []
    poller = Poller(SystemClock())
    for name, seconds in (("late", 0.3), ("soon", 0.1), ("now", 0.0)):
        poller.after(Pause(seconds), Sleeper(name, heard))
    until(lambda: len(heard) == 3)
    assert heard == ["now", "soon", "late"]


def test_the_end_of_the_run_ends_what_waits() -> None:
    """Nothing is resumed any more; a life that would wait ends at once, and whoever waits for it hears of it."""
    heard: list[str] = []
    poller = Poller(SystemClock())
    poller.after(Pause(60), Sleeper("early", heard))
    poller.end()
    poller.after(Pause(0), Sleeper("late", heard))
    assert heard == ["early closed", "late closed"]

    def steps() -> Steps[None]:
        try:
            yield Pause(60)
        finally:
            heard.append("given up")

    future = Turns[None](Journal(), poller, 1, 1).watch(steps())
    with pytest.raises(RunEndingError, match="the run is ending"):
        future.result(5)
    assert heard[2:] == ["given up"]


def test_what_was_put_off_is_done_although_the_rest_ends_meanwhile() -> None:
    """A pump within the rest after a slow write hands out no slot: the wait behind it must not be endless."""
    journal, done = Journal(), list[int]()
    journal.before_changes(lambda: done.append(1))
    journal._rests_until = float("inf")
    list(journal.pump())
    journal._rests_until = float("-inf")
    assert (done, journal._patience) == ([], 0.0)
    list(journal.pump())
    assert (done, journal._patience) == ([1], None)


class Line:
    """Threads that several accounts share: what was submitted waits for its turn."""

    def __init__(self) -> None:
        self.tasks: deque[Callable[[], None]] = deque()

    def submit(self, task: Callable[[], None]) -> None:
        self.tasks.append(task)

    def run(self) -> None:
        while self.tasks:
            self.tasks.popleft()()


def test_a_worker_may_find_its_work_done() -> None:
    """One that goes on at the end of the line meets another that was in it: nothing is left, and nothing is lost."""
    line, clock = Line(), FakeClock()
    turns: Turns[int] = Turns(Journal(), Poller(clock), 4, 2, cast("Workers[None]", line))

    def steps(number: int) -> Steps[int]:
        yield from ()
        return number

    for numbers in ((1, 2), (3, 4), (5, 6)):
        ends = [turns.attach("s", steps(number)) for number in numbers]
        line.run()
        assert [end.result(timeout=0) for end in ends] == list(numbers)


def test_a_wake_up_while_changes_are_made_is_not_lost() -> None:
    """A slot is given back just after nobody got one: the word of it is not taken without another look."""
    journal, looks = Journal(), list[int]()

    def look() -> None:
        looks.append(len(looks))
        if len(looks) == 1:
            journal.wake()

    journal.before_changes(look)
    assert (list(journal.pump()), looks) == ([], [0, 1])
