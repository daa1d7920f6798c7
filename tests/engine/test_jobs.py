from __future__ import annotations

import copy
import threading
from collections.abc import Collection, Iterator
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import Any

import pytest

from tap_exports.engine.clock import to_text
from tap_exports.engine.http.skew import ProviderClock
from tap_exports.engine.jobs import CLOCK_SKEW, JobSettings, Journal, Lifecycle, Outcome, Statuses, busy
from tap_exports.engine.jobs.cadence import Cadence
from tap_exports.engine.jobs.pursuit import Pursuit
from tap_exports.engine.jobs.steps import Pause
from tap_exports.engine.ledger import Closed, Progress, StreamState
from tap_exports.engine.model import Job, Request, Status
from tap_exports.engine.workers import Workers
from tap_exports.errors import (
    AuthError,
    BadContentError,
    BusyError,
    FileGoneError,
    JobLostError,
    JobStalledError,
    LimitError,
    LostReplyError,
    RefusedError,
    RunEndingError,
    StopError,
    TryAgainError,
    UnsafeUrlError,
)
from tests.engine.fakes import START, FakeClock
from tests.engine.scripted import FindingApi, Gate, ScriptedApi, handed, job, lifecycle, window

REQUEST = Request("exelensia", "s", {"schema_id": "x"}, window("2026-06-01", "2026-06-30"))
PENDING = job("j1", Status.PENDING)
LOST_REPLY = LostReplyError("POST got no reply")
SEARCH = [1, 2, 4, 8, 16, 30, 30, 29]  # waits of 120 s in all
GONE = JobLostError("job j1 is gone")


class Chase:
    """One request, pursued by a worker, with the STATE after each Checkpoint."""

    def __init__(self, api: ScriptedApi, bookmark: dict[str, Any] | None = None, **settings: Any) -> None:  # noqa: ANN401 - of `JobSettings`
        self.clock = FakeClock()
        self.api = api
        self.bookmark = bookmark if bookmark is not None else {}
        self.state = StreamState.detached("s", self.bookmark)
        self.lifecycle = lifecycle(api, self.clock, **settings)
        self.states: list[dict[str, Any]] = []

    def run(self, *, resubmitted: bool = False) -> Outcome:
        return self.wait(self.lifecycle.start(REQUEST, self.state, resubmitted=resubmitted))

    def wait(self, future: Future[Outcome]) -> Outcome:
        for _ in self.lifecycle.journal.until(future):
            self.states.append(copy.deepcopy(self.bookmark.get("ledger", {})))
        return future.result(timeout=5)

    @property
    def ids(self) -> list[list[str | None]]:
        """Return the ids in the ledger after each Checkpoint, None for an intent."""
        return [[raw.get("id") for raw in [*s["jobs"], *s.get("intents", ())]] for s in self.states]


def raw(job_id: str | None = None) -> dict[str, Any]:
    entry = {
        "fingerprint": REQUEST.fingerprint,
        "window": ["2026-06-01T00:00:00.000Z", "2026-06-30T00:00:00.000Z"],
        "requested_at": "2026-07-01T00:00:00.000Z",
    }
    return {"id": job_id, **entry, "files": {}} if job_id else entry


def left_by_a_crash(job_id: str | None) -> dict[str, Any]:
    key = "jobs" if job_id else "intents"
    return {"ledger": {"version": 2, "jobs": [], "delete": [], key: [raw(job_id)]}}


# Creation -------------------------------------------------------------------------------------------------------------


def test_intent_and_job_are_in_state_before_what_follows() -> None:
    """STATE is written with the intent before the POST, and with the id before the first poll."""
    chase = Chase(ScriptedApi([PENDING]))
    seen: list[tuple[str, list[list[str | None]]]] = []
    submit, poll = chase.api.submit, chase.api.poll

    def submitting(request: Request) -> Job:
        seen.append(("submit", list(chase.ids)))
        return submit(request)

    def polling(job: Job) -> Job:
        seen.append(("poll", list(chase.ids)))
        return poll(job)

    chase.api.submit, chase.api.poll = submitting, polling  # type: ignore[method-assign] # watched, not replaced
    outcome = chase.run()
    assert outcome == Outcome(REQUEST, job("j1"), START, 0.0, 1)
    assert seen == [("submit", [[None]]), ("poll", [[None], ["j1"]])]
    assert chase.states == [
        {"version": 2, "jobs": [], "delete": [], "intents": [raw()]},
        {"version": 2, "jobs": [raw("j1")], "delete": []},
    ]


def test_a_creation_begins_with_the_attempt_that_the_provider_takes() -> None:
    """It was busy for minutes: the grace for a job that is not readable yet counts from then, in the next run too."""
    chase = Chase(FindingApi([BusyError("full", wait=600), PENDING]))
    outcome = chase.run()
    assert (outcome.job.id, outcome.requested_at) == ("j1", START + timedelta(seconds=600))
    assert chase.states[-1]["jobs"][0]["requested_at"] == "2026-07-01T00:10:00.000Z"


def test_there_is_one_more_attempt_when_the_wait_for_room_is_over() -> None:
    """A provider that says when to ask again is asked by then at the latest, not given up at once."""
    chase = Chase(FindingApi([BusyError("full", wait=600)]), job_stall_timeout_seconds=1000)
    with pytest.raises(StopError, match="no room for another job in 1000 s: full; nothing was created"):
        chase.run()
    assert (chase.api.calls.count("submit"), chase.clock.monotonic()) == (3, 1000)


def test_there_will_be_room_while_jobs_end() -> None:
    """Each job that ends begins the wait anew: whoever is the last in a long line does not give up."""
    clock, ends = FakeClock(), [100.0, 1000.0, 1900.0]
    cadence = Cadence(JobSettings())
    pursuit = Pursuit(REQUEST, StreamState.detached("s", {}), None, False, START, Closed(), is_free=True)  # noqa: FBT003 - not resubmitted
    steps = busy.submit(FindingApi([BusyError("full", wait=60)]), pursuit, clock, cadence, 1000)

    def wait() -> None:
        for pause in steps:
            assert isinstance(pause, Pause)
            clock.sleep(pause.seconds)
            if ends and clock.monotonic() >= ends[0]:
                cadence.ended("s", 0, ends.pop(0))

    with pytest.raises(StopError):
        wait()
    assert clock.monotonic() == pytest.approx(1900 + 1000, abs=60)


def test_a_refused_creation_leaves_no_intent() -> None:
    """What the provider refused was not created: nothing is looked for in the next run."""
    chase = Chase(FindingApi([AuthError("no")]))
    with pytest.raises(AuthError):
        chase.run()
    assert chase.ids == [[None], []]
    assert chase.api.calls == ["submit"]


@pytest.mark.parametrize(
    "unknown",
    [
        LOST_REPLY,
        BadContentError("no JSON"),
        LimitError("too long"),
        UnsafeUrlError("a redirect"),
        RefusedError("304", 304),
        RefusedError("499", 499),
    ],
)
def test_a_lost_reply_leads_to_the_job(unknown: Exception) -> None:
    """A POST without a readable reply is not repeated: the job, made when the intent was or later, is adopted."""
    api = FindingApi([unknown], finds=[PENDING])
    chase = Chase(api)
    outcome = chase.run()
    assert (outcome.job, outcome.attempts) == (job("j1"), 1)
    assert api.calls == ["submit", "find", "poll j1"]
    assert api.since == [START - CLOCK_SKEW]
    assert chase.ids == [[None], ["j1"]]


@pytest.mark.parametrize(("ahead", "earlier"), [(-600, 900), (-86_400, 86_700), (600, 300), (0, 300)])
def test_a_lost_job_is_looked_for_by_the_clock_of_its_provider(ahead: int, earlier: int) -> None:
    """A provider whose clock is far behind dates a job long before the intent; one that is ahead changes nothing.

    One from before the intent by the measured clock may be another tap's, and is not taken in the first half minute.
    """
    api = FindingApi([LOST_REPLY], finds=[*[None] * 5, PENDING])
    chase = Chase(api)
    time = ProviderClock("exelensia", chase.clock)
    time.ask = lambda: time.note({"Date": format_datetime(START + timedelta(seconds=ahead), usegmt=True)})
    api.time = time  # type: ignore[attr-defined] # a verb that not every api has
    assert chase.run().job.id == "j1"
    likely = START + timedelta(seconds=ahead - 10)
    assert api.since == [*[likely] * 5, START - timedelta(seconds=earlier)]


def test_a_job_from_before_the_intent_is_not_taken_while_the_own_one_may_show() -> None:
    """A replica that lags shows another tap's job of the same request first."""
    own, others = (
        replace(PENDING, id=name, created_at=START - timedelta(seconds=age))
        for name, age in (("own", 0), ("others", 70))
    )

    class Api(FindingApi):
        def find(self, request: Request, since: datetime, closed: Collection[str] = ()) -> Job | None:
            shown = super().find(request, since, closed)
            return shown if shown and shown.created_at and shown.created_at >= since else None

    api = Api([LOST_REPLY], finds=[others, others, own])
    chase = Chase(api)
    api.time = ProviderClock("exelensia", chase.clock)  # type: ignore[attr-defined] # a verb that not every api has
    api.time.note({"Date": format_datetime(START, usegmt=True)})  # type: ignore[attr-defined] # as above
    assert chase.run().job.id == "own"


def test_a_job_may_show_late() -> None:
    """The provider's list may lag, so the job is looked for with growing waits, whatever the poll interval is."""
    api = FindingApi([LOST_REPLY], finds=[None, None, None, PENDING])
    chase = Chase(api, poll_interval_seconds=0.01)
    assert chase.run().job.id == "j1"
    assert api.calls == ["submit", *["find"] * 4, "poll j1"]
    assert chase.clock.sleeps == [1, 2, 4]


def test_a_job_that_surely_does_not_exist_is_created_again() -> None:
    """Where the provider lists its jobs and this one is not there, asking again cannot make a second one."""
    api = FindingApi([LOST_REPLY, PENDING])
    chase = Chase(api)
    outcome = chase.run()
    assert (outcome.job, outcome.attempts) == (job("j1"), 1)
    assert api.calls == ["submit", *["find"] * 9, "submit", "poll j1"]
    assert chase.clock.sleeps == SEARCH


def test_creations_without_any_effect_end() -> None:
    """After three creations that left nothing the stream stops; the intent stays for the next run."""
    api = FindingApi([LOST_REPLY])
    chase = Chase(api)
    with pytest.raises(StopError) as caught:
        chase.run()
    assert str(caught.value) == "s: 3 creations got no reply and left no job; the next run asks again"
    assert api.calls == ["submit", *["find"] * 9] * 3
    assert chase.ids == [[None]] * 3


HANGS = "a job that hangs in 2 runs is requested again (job_stalls_max)"
NOTHING_AGAIN = (
    "s: a job may have been created at 2026-07-01 00:00:00 UTC, its reply was lost and exelensia offers no way to find "
    "it: nothing is created again. If there is none, `tap-exports forget s --lost-reply` has it created; "
    "`recreate_paid_jobs: true` allows another one, at its price"
)


def test_without_a_way_to_find_it_nothing_is_created_again() -> None:
    """A provider without a list may hold the job: the stream stops, and the intent stays in STATE."""
    chase = Chase(ScriptedApi([LOST_REPLY]))
    with pytest.raises(StopError) as caught:
        chase.run()
    assert str(caught.value) == NOTHING_AGAIN
    assert chase.api.calls == ["submit"]
    assert chase.ids == [[None]]


def test_an_api_that_cannot_create_says_so() -> None:
    """A verb that an api does not have is never pretended."""

    class Watching:
        def poll(self, job: Job) -> Job:
            return job

    journal, clock = Journal(), FakeClock()
    future = Lifecycle(Watching(), journal, clock, JobSettings()).start(REQUEST, StreamState.detached("s", {}))
    assert len(list(journal.until(future))) == 2
    with pytest.raises(StopError, match=r"^Watching cannot create jobs$"):
        future.result()


def test_where_a_second_job_is_free_none_is_looked_for() -> None:
    """A provider that takes nothing for another job is asked again at once, three times in all."""

    class Free(FindingApi):
        free_to_repeat = True

    api = Free([LOST_REPLY, PENDING])
    outcome = Chase(api).run()
    assert (outcome.job, outcome.attempts) == (job("j1"), 1)
    assert api.calls == ["submit", "submit", "poll j1"]


# Re-attaching ---------------------------------------------------------------------------------------------------------


def test_an_open_job_is_taken_up_again() -> None:
    """After a crash the job in STATE is polled; none is created, and its charge is not forgotten."""
    bookmark = left_by_a_crash("j7")
    bookmark["ledger"]["jobs"][0]["credits"] = 5
    api = ScriptedApi()
    chase = Chase(api, bookmark)
    assert chase.run() == Outcome(REQUEST, job("j7", credits=5), START, 0.0, 0)
    assert api.calls == ["poll j7"]
    assert chase.states == []


def test_an_intent_leads_to_its_job() -> None:
    """After a crash between POST and STATE the job is found and adopted, with the moment of its intent."""
    api = FindingApi(finds=[job("j8", Status.RUNNING)])
    chase = Chase(api, left_by_a_crash(None))
    chase.clock.advance(3600)
    outcome = chase.run()
    assert (outcome.job.id, outcome.attempts, outcome.requested_at) == ("j8", 0, START)
    assert api.calls == ["find", "poll j8"]
    assert api.since == [START - CLOCK_SKEW]
    assert chase.states == [{"version": 2, "jobs": [{**raw("j8"), "adopted": True}], "delete": []}]


def test_an_intent_without_a_job_is_asked_for_again() -> None:
    """After a crash before the POST the job is surely not there, and it is created."""
    api = FindingApi([PENDING])
    outcome = Chase(api, left_by_a_crash(None)).run()
    assert (outcome.job.id, outcome.attempts) == ("j1", 1)
    assert api.calls == [*["find"] * 9, "submit", "poll j1"]


def test_an_intent_that_nobody_can_answer_stays() -> None:
    """Without a list, an intent of an earlier run stops the stream too."""
    chase = Chase(ScriptedApi([PENDING]), left_by_a_crash(None))
    with pytest.raises(StopError) as caught:
        chase.run()
    assert str(caught.value) == NOTHING_AGAIN
    assert chase.api.calls == []
    assert chase.bookmark == left_by_a_crash(None)


# Lost jobs ------------------------------------------------------------------------------------------------------------


def test_a_lost_job_is_submitted_again() -> None:
    """A job that the provider forgot leaves the ledger before the same window is asked for again."""
    api = ScriptedApi([job("j2", Status.PENDING)], polls={"j1": [GONE]})
    chase = Chase(api, left_by_a_crash("j1"), job_grace_seconds=0)
    outcome = chase.run()
    assert (outcome.job.id, outcome.attempts, outcome.lost, outcome.resubmitted) == ("j2", 1, job_seen("j1"), True)
    assert api.calls == [*["poll j1"] * 3, "submit", "poll j2"]
    assert chase.ids == [[], [None], ["j2"]]


def job_seen(job_id: str) -> Job:
    return Job(job_id, Status.PENDING, created_at=START, reason="job j1 is gone", data=REQUEST.params)


def test_a_job_is_submitted_again_once() -> None:
    """The second loss stops the stream."""
    api = ScriptedApi([job("j2", Status.PENDING)], polls={"j1": [GONE], "j2": [JobLostError("job j2 is gone")]})
    outcome = Chase(api, left_by_a_crash("j1"), job_grace_seconds=0).run()
    assert (str(outcome.error), outcome.lost) == ("job j2 is gone", job_seen("j1"))
    assert [call for call in api.calls if call != "poll j1"] == ["submit", *["poll j2"] * 3]


def test_a_job_that_took_the_place_of_a_lost_one_is_not_replaced() -> None:
    """A loss while reading counts as the first one."""
    api = ScriptedApi([PENDING], polls={"j1": [GONE]})
    with pytest.raises(JobLostError, match=r"^job j1 is gone$"):
        Chase(api, job_grace_seconds=0).run(resubmitted=True)
    assert api.calls == ["submit", *["poll j1"] * 3]


# A job that is not there ----------------------------------------------------------------------------------------------


def test_a_job_that_is_not_readable_yet_is_pending() -> None:
    """A replica may lag behind the POST: within the grace no second job is created, and the wait stays short."""
    chase = Chase(ScriptedApi([PENDING], polls={"j1": [GONE, GONE, GONE, GONE, job()]}), job_grace_seconds=300)
    assert (chase.run().job, chase.api.calls.count("submit")) == (job(), 1)
    assert sum(chase.clock.sleeps) <= 10


def test_a_job_that_never_shows_is_lost_after_the_grace() -> None:
    """Then the window is submitted again, and not before."""
    api = ScriptedApi([PENDING, job("j2", Status.PENDING)], polls={"j1": [GONE]})
    chase = Chase(api, job_grace_seconds=40)
    outcome = chase.run()
    assert (outcome.job.id, outcome.attempts, outcome.resubmitted) == ("j2", 2, True)
    assert 40 <= chase.clock.monotonic() < 70


def test_the_grace_begins_with_the_reply_to_the_creation() -> None:
    """Retries may take longer than the grace: a job whose creation was answered just now is pending all the same."""
    api = ScriptedApi([PENDING], polls={"j1": [GONE, GONE, GONE, GONE, job()]})
    chase = Chase(api, job_grace_seconds=300)
    submit = api.submit

    def submit_late(request: Request) -> Job:
        chase.clock.advance(400)
        return submit(request)

    api.submit = submit_late  # type: ignore[method-assign] # as after a 429 with Retry-After: 400
    assert (chase.run().job, chase.api.calls.count("submit")) == (job(), 1)


def test_the_grace_begins_with_the_creation() -> None:
    """A job of an earlier run that is older than the grace is lost once all polls of a tenth of it have missed it."""
    chase = Chase(ScriptedApi([job("j2", Status.PENDING)], polls={"j1": [GONE]}), left_by_a_crash("j1"))
    chase.clock.advance(301)
    assert chase.run().job.id == "j2"
    assert 30 <= sum(chase.clock.sleeps) <= 40


@pytest.mark.parametrize("absent_seconds", [20, 290])
def test_a_job_that_was_seen_may_be_missing_for_a_while(absent_seconds: int) -> None:
    """Replicas disagree, and lists are rebuilt: it is lost only once nobody has seen it for the grace."""
    chase = Chase(ScriptedApi([PENDING]))

    def poll(job: Job) -> Job:
        seconds = chase.clock.monotonic()
        if 400 < seconds < 400 + absent_seconds:
            raise GONE
        return replace(PENDING, status=Status.COMPLETED if seconds > 700 else Status.RUNNING)

    chase.api.poll = poll  # type: ignore[method-assign] # answers by the clock
    assert (chase.run().job.id, chase.api.calls.count("submit")) == ("j1", 1)


def test_a_job_whose_files_are_gone_is_lost_at_once() -> None:
    """The provider says so by its own clock: to poll again would not help."""
    chase = Chase(ScriptedApi([PENDING, job("j2", Status.PENDING)], polls={"j1": [FileGoneError("24 hours")]}))
    assert (chase.run().job.id, chase.clock.sleeps) == ("j2", [])


def test_a_job_that_was_seen_and_vanishes_is_lost_after_the_grace() -> None:
    """Its window is submitted again then."""
    chase = Chase(ScriptedApi([PENDING, job("j2", Status.PENDING)], polls={"j1": [job(status=Status.RUNNING), GONE]}))
    assert chase.run().job.id == "j2"
    assert 300 <= sum(chase.clock.sleeps) <= 360


@pytest.mark.parametrize("misses", [1, 2])
def test_a_passing_404_loses_nothing(misses: int) -> None:
    """A job that was seen counts as gone only when several polls in a row do not find it, even without a grace."""
    running = job(status=Status.RUNNING)
    chase = Chase(
        ScriptedApi([PENDING], polls={"j1": [running, *[GONE] * misses, running, GONE, job()]}), job_grace_seconds=0
    )
    chase.clock.advance(1000)
    assert (chase.run().job, chase.api.calls.count("submit")) == (job(), 1)


def test_a_detached_job_that_is_not_readable_yet_is_left_to_the_next_run() -> None:
    """With `detach` a job within its grace is polled once."""
    chase = Chase(ScriptedApi(polls={"j7": [GONE]}), left_by_a_crash("j7"), detach=True)
    assert chase.run().job.status is Status.PENDING
    assert (chase.api.calls, chase.ids) == (["poll j7"], [])


# Money ----------------------------------------------------------------------------------------------------------------


class PaidApi(FindingApi):
    costs = True


KEPT = "the job was paid for, so it is kept and the next run looks again; `recreate_paid_jobs: true` allows another one"


def test_a_paid_job_that_is_gone_is_kept() -> None:
    """Its id stays in STATE, nothing is bought again, and the message names the setting."""
    api = PaidApi([job("j2", Status.PENDING)], polls={"j1": [GONE]})
    chase = Chase(api, left_by_a_crash("j1"), job_grace_seconds=0)
    with pytest.raises(JobLostError) as caught:
        chase.run()
    assert str(caught.value) == f"job j1 is gone; {KEPT}, at its price"
    assert (chase.bookmark, "submit" in api.calls) == (left_by_a_crash("j1"), False)
    allowed = Chase(api, left_by_a_crash("j1"), job_grace_seconds=0, recreate_paid_jobs=True)
    assert allowed.run().job.id == "j2"


def test_a_lost_reply_where_a_job_costs_creates_no_second_one() -> None:
    """The job is looked for; if it does not show, the stream stops, the intent stays, and the message says why."""
    api = PaidApi([LOST_REPLY, PENDING])
    chase = Chase(api)
    with pytest.raises(StopError) as caught:
        chase.run()
    assert "exelensia does not show it, the next run looks again: nothing is created again. If there is none" in str(
        caught.value
    )
    assert (api.calls, chase.ids) == (["submit", *["find"] * 9], [[None]])
    assert sum(chase.clock.sleeps) == 120


@pytest.mark.parametrize(("age", "created"), [(100, 0), (181, 1)])
def test_an_intent_where_a_job_costs_is_settled_after_the_grace(age: int, created: int) -> None:
    """A later run that looks for it in vain knows that nothing was bought, once the grace has passed."""
    api = PaidApi([PENDING])
    chase = Chase(api, left_by_a_crash(None), job_grace_seconds=300)
    chase.clock.advance(age)
    if created:
        assert chase.run().job == job()
    else:
        with pytest.raises(StopError):
            chase.run()
    assert api.calls == [*["find"] * 9, *(["submit", "poll j1"] if created else [])]


def test_a_setting_allows_another_paid_job() -> None:
    """`recreate_paid_jobs` also holds where the provider offers no way to find the first one."""

    class Unlisted(ScriptedApi):
        costs = True

    api = Unlisted([LOST_REPLY, PENDING])
    assert Chase(api, recreate_paid_jobs=True).run().job == job()
    assert api.calls == ["submit", "submit", "poll j1"]


# Stalled jobs ---------------------------------------------------------------------------------------------------------

HUNG = {"j1": [job(status=Status.RUNNING)]}


def test_a_job_that_stalls_in_a_second_run_is_replaced() -> None:
    """The first run counts it, the second discards it with its reason and creates another one in that run."""
    chase = Chase(ScriptedApi(polls=HUNG), left_by_a_crash("j1"), job_stall_timeout_seconds=60)
    with pytest.raises(JobStalledError):
        chase.run()
    shown = Progress.of(HUNG["j1"][0], START)
    assert chase.bookmark["ledger"]["jobs"] == [{**raw("j1"), "stalls": 1, "progress": [shown.mark, to_text(START)]}]
    again = Chase(ScriptedApi([job("j2", Status.PENDING)], polls=HUNG), chase.bookmark, job_stall_timeout_seconds=60)
    outcome = again.run()
    assert (outcome.job.id, outcome.lost_as, outcome.attempts) == ("j2", "stalled", 1)
    assert outcome.lost is not None
    assert "made no progress for 60 s" in str(outcome.lost.reason)
    assert [(e.id, e.stalls, e.replaces) for e in again.state.entries] == [("j2", 0, "j1")]


def in_runs(chase: Chase, hours: int, **settings: Any) -> list[str]:  # noqa: ANN401 - of `JobSettings`
    """Run a request hourly with `detach`; return how each run ended."""
    ends = []
    for _ in range(hours):
        run = Chase(chase.api, chase.bookmark)
        run.clock = chase.clock
        run.lifecycle = lifecycle(chase.api, chase.clock, detach=True, **settings)
        try:
            outcome = run.run()
            ends.append(f"{outcome.job.id} {outcome.job.raw_status}{' for ' + outcome.lost.id if outcome.lost else ''}")
        except JobStalledError as error:
            ends.append(str(error).partition("made ")[2] or str(error))
        chase.clock.advance(3600)
    return ends


def test_a_job_that_hangs_is_replaced_across_detached_runs() -> None:
    """What it showed is remembered, so that runs that only glance at it tell that it does not move."""
    chase = Chase(ScriptedApi([PENDING, job("j2", Status.PENDING)], polls=HUNG))
    assert in_runs(chase, 5) == [
        "j1 pending",
        "j1 running",
        f"no progress for 3600 s (job_stall_timeout_seconds); the bookmark stays; {HANGS}",
        "j2 pending for j1",
        "j2 completed",
    ]


def test_progress_between_detached_runs_moves_the_timeout() -> None:
    """A job whose counts grow from run to run is left alone, and so is one of a STATE that tells nothing of it."""
    moves = [job(status=Status.RUNNING, progress=n) for n in range(4)]
    chase = Chase(ScriptedApi(polls={"j1": [*moves, job()]}), left_by_a_crash("j1"))
    assert in_runs(chase, 5) == [*["j1 running"] * 4, "j1 completed"]


def test_the_timeout_goes_on_in_the_next_run() -> None:
    """A run that was ended while it waited does not begin the timeout anew for the next one."""
    waits = [job(status=Status.RUNNING, poll_after=20.0)] * 50
    chase = Chase(ScriptedApi(polls={"j1": [*waits, RunEndingError("the run is ending")]}), left_by_a_crash("j1"))
    with pytest.raises(RunEndingError):
        chase.run()
    assert chase.bookmark["ledger"]["jobs"][0]["progress"][1] == to_text(START)
    again = Chase(ScriptedApi(polls=HUNG), chase.bookmark)
    again.clock.advance(3000)
    with pytest.raises(JobStalledError, match="no progress for 3600 s"):
        again.run()
    assert sum(again.clock.sleeps) == pytest.approx(600, abs=0.1)


# Jobs that come back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("detach", [False, True])
def test_a_discarded_job_that_completes_first_is_used(*, detach: bool) -> None:
    """It was created for the same request, so that its rows are there sooner; that in its place is left alone."""
    left = left_by_a_crash("j2")
    left["ledger"]["jobs"][0]["replaces"] = "j1"
    chase = Chase(ScriptedApi(polls={"j1": [GONE, job()], "j2": [job("j2", Status.RUNNING)]}), left)
    runs = [Chase(chase.api, left, detach=detach) for _ in range(1 + detach)]
    outcome = [run.run() for run in runs][-1]
    assert outcome.lost is not None
    assert (outcome.job.id, outcome.lost.id, outcome.lost_as) == ("j1", "j2", "unused")
    assert [(e.id, e.replaces) for e in chase.state.entries] == [("j1", None)]


def test_the_job_that_is_there_first_is_used() -> None:
    """Where the one in its place has completed, nobody looks for the discarded one."""
    left = left_by_a_crash("j2")
    left["ledger"]["jobs"][0]["replaces"] = "j1"
    chase = Chase(ScriptedApi(), left)
    assert (chase.run().job.id, chase.api.calls) == ("j2", ["poll j2"])


def test_a_lost_job_that_comes_back_is_used() -> None:
    """In the same run, too."""
    polls: dict[str, list[Job | Exception]] = {"j1": [*[GONE] * 3, job()], "j2": [job("j2", Status.RUNNING)]}
    chase = Chase(ScriptedApi([job("j2", Status.PENDING)], polls=polls), left_by_a_crash("j1"), job_grace_seconds=0)
    outcome = chase.run()
    assert outcome.lost is not None
    assert (outcome.job.id, outcome.lost.id, outcome.lost_as) == ("j1", "j2", "unused")


def test_a_paid_job_that_was_replaced_is_not_looked_for() -> None:
    """The one in its place was paid for too, and is the one that is read."""
    again = [job("j2", Status.RUNNING), job("j2")]
    polls: dict[str, list[Job | Exception]] = {"j1": [*[GONE] * 3, job()], "j2": [*again]}
    api = PaidApi([job("j2", Status.PENDING)], polls=polls)
    chase = Chase(api, left_by_a_crash("j1"), job_grace_seconds=0, recreate_paid_jobs=True)
    assert chase.run().job.id == "j2"
    assert [e.replaces for e in chase.state.entries] == [None]


@pytest.mark.parametrize("crashes", [False, True])
def test_a_discarded_job_is_not_taken_for_its_successor(*, crashes: bool) -> None:
    """Where the reply to the second creation is lost, the first job is found, too: it is not what was created."""
    api = FindingApi(
        [LOST_REPLY], finds=[PENDING, job("j2", Status.PENDING)], polls={"j1": [*[GONE] * 3, HUNG["j1"][0]]}
    )
    left = left_by_a_crash("j1")
    if crashes:
        left["ledger"] |= {"jobs": [], "intents": [{**raw(), "replaces": "j1"}]}
    chase = Chase(api, left, job_grace_seconds=0)
    assert chase.run().job.id == "j2"
    assert [(e.id, e.replaces) for e in chase.state.entries] == [("j2", "j1")]


def test_a_paid_job_is_not_taken_for_its_successor_either() -> None:
    """It was given up by a setting: what may have been created in its place is looked for, and not bought again."""
    polls: dict[str, list[Job | Exception]] = {"j1": [GONE]}
    api = PaidApi([LOST_REPLY], finds=[PENDING, job("j2", Status.PENDING)], polls=polls)
    chase = Chase(api, left_by_a_crash("j1"), job_grace_seconds=0, recreate_paid_jobs=True)
    assert (chase.run().job.id, api.calls.count("submit")) == ("j2", 1)


def test_a_provider_may_answer_with_the_discarded_job() -> None:
    """One job for one request: then it replaces nothing, and is not polled twice."""
    chase = Chase(
        ScriptedApi([PENDING], polls={"j1": [*[GONE] * 3, job()]}), left_by_a_crash("j1"), job_grace_seconds=0
    )
    assert (chase.run().job.id, [e.replaces for e in chase.state.entries]) == ("j1", [None])
    assert chase.api.calls == [*["poll j1"] * 3, "submit", "poll j1"]


@pytest.mark.parametrize("theirs", [[*[GONE] * 3], HUNG["j1"]], ids=["gone", "hangs"])
def test_the_own_job_is_looked_for_beside_a_found_one(theirs: list[Job | Exception]) -> None:
    """Two taps with the same requests: a lost reply led to the other's job; another one is not created for that."""
    left = left_by_a_crash("j1")
    left["ledger"]["jobs"][0]["adopted"] = True
    settings = {"job_grace_seconds": 0, "job_stall_timeout_seconds": 60, "job_stalls_max": 1}
    chase = Chase(FindingApi(finds=[PENDING, job("j2", Status.PENDING)], polls={"j1": theirs}), left, **settings)
    assert (chase.run().job.id, chase.api.calls.count("submit")) == ("j2", 0)
    assert [(e.id, e.replaces, e.adopted) for e in chase.state.entries] == [("j2", "j1", True)]
    hung: dict[str, list[Job | Exception]] = {"j2": [job("j2", Status.RUNNING)]}
    again = Chase(FindingApi([job("j3", Status.PENDING)], finds=[PENDING], polls=hung), chase.bookmark, **settings)
    assert (again.run().job.id, again.api.calls.count("find")) == ("j3", 0)


def test_an_adopted_job_that_was_discarded_is_let_be() -> None:
    """It may be somebody else's, and would be deleted like a job of this tap if it were read as one."""
    left = left_by_a_crash("j1")
    left["ledger"]["jobs"][0]["adopted"] = True
    polls: dict[str, list[Job | Exception]] = {"j1": [*[GONE] * 3, job()], "j2": [job("j2", Status.RUNNING), job("j2")]}
    chase = Chase(ScriptedApi([job("j2", Status.PENDING)], polls=polls), left, job_grace_seconds=0)
    assert (chase.run().job.id, [e.replaces for e in chase.state.entries]) == ("j2", [None])


def test_an_unused_full_export_is_never_adopted() -> None:
    """It belongs to an earlier run by the time that the next creation gets no reply."""
    full = replace(REQUEST, window=None)
    state = StreamState.detached("s", {})
    state.opened(full, job("j2"), START)
    state.note_replaced(full.fingerprint, "j1")
    api = ScriptedApi(polls={"j2": [job("j2", Status.RUNNING)]})
    running = lifecycle(api, FakeClock())
    future = running.start(full, state)
    assert len(list(running.journal.until(future))) == 1
    assert (future.result().job.id, [*state.closed.ids]) == ("j1", ["j2"])


def test_the_receipt_of_a_discarded_job_outlives_a_refused_creation() -> None:
    """Why there is no job in its place is told beside it."""
    chase = Chase(ScriptedApi([AuthError("no")], polls={"j1": [GONE]}), left_by_a_crash("j1"), job_grace_seconds=0)
    outcome = chase.run()
    assert (outcome.lost, str(outcome.error)) == (job_seen("j1"), "no")
    assert (chase.ids[-1], chase.lifecycle.open_jobs) == ([], 0)


def test_how_many_runs_may_find_a_job_stalled() -> None:
    """`job_stalls_max: 1` replaces it in the run that finds it, 3 in the third."""
    at_once = Chase(
        ScriptedApi([PENDING, job("j2", Status.PENDING)], polls=HUNG), job_stall_timeout_seconds=60, job_stalls_max=1
    )
    assert at_once.run().job.id == "j2"
    bookmark = left_by_a_crash("j1")
    bookmark["ledger"]["jobs"][0]["stalls"] = 1
    late = Chase(ScriptedApi(polls=HUNG), bookmark, job_stall_timeout_seconds=60, job_stalls_max=3)
    with pytest.raises(JobStalledError):
        late.run()
    assert bookmark["ledger"]["jobs"][0]["stalls"] == 2


def test_a_paid_job_that_stalls_is_kept() -> None:
    """It is not bought again without the setting, which the message names."""
    bookmark = left_by_a_crash("j1")
    bookmark["ledger"]["jobs"][0]["stalls"] = 5
    chase = Chase(PaidApi(polls=HUNG), bookmark, job_stall_timeout_seconds=60)
    with pytest.raises(JobStalledError, match=r"`recreate_paid_jobs: true` allows another one, at its price$"):
        chase.run()
    assert bookmark["ledger"]["jobs"][0]["id"] == "j1"


def test_a_job_has_an_upper_bound_whatever_it_reports() -> None:
    """Counts that move for ever do not hold a run for longer than `job_timeout_seconds` after the creation."""
    moves = [job(status=Status.RUNNING, progress=n, poll_after=900.0) for n in range(200)]
    chase = Chase(ScriptedApi([PENDING], polls={"j1": moves}), job_timeout_seconds=10_000)
    with pytest.raises(JobStalledError, match=r"has not ended within 10000 s \(job_timeout_seconds\)"):
        chase.run()
    assert chase.clock.monotonic() == 10_000


# Status words of the configuration ------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["EXPIRED", "Expired"])
def test_a_configured_status_ends_the_wait(word: str) -> None:
    """`statuses` is compared without case, and goes before what the tap knows."""
    api = ScriptedApi([PENDING], polls={"j1": [Job("j1", Status.UNKNOWN, word)]})
    chase = Chase(api)
    chase.lifecycle = Lifecycle(
        api, Journal(), chase.clock, JobSettings(max_concurrent_jobs=1), Statuses.configured({"expired": "failed"})
    )
    assert chase.run().job == Job("j1", Status.FAILED, word)


# Another job than was asked for ---------------------------------------------------------------------------------------


class EchoingApi(FindingApi):
    """Shows the schema that a job was asked for."""

    def contradiction(self, request: Request, job: Job) -> str:
        return "schema_id" if job.data.get("schema_id", "x") != request.params["schema_id"] else ""


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (job("j9", Status.PENDING, data={"schema_id": "other"}), "a job of another schema_id"),
        (job("j5", Status.PENDING), "the job of another window"),
        (job("j0", Status.PENDING, created_at=START), "a job of an earlier run"),
    ],
)
def test_a_creation_that_is_answered_with_another_job_is_refused(answer: Job, complaint: str) -> None:
    """What is echoed is held against the request, and an id of another window or of an earlier run is not taken."""
    other = {**raw("j5"), "fingerprint": "another"}
    bookmark = {"ledger": {"version": 2, "jobs": [other], "delete": [], "closed": ["j0"]}}
    chase = Chase(EchoingApi([answer]), bookmark)
    with pytest.raises(StopError, match=complaint):
        chase.run()
    assert [e.id for e in chase.state.entries] == ["j5", None]


# Waiting --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [Status.FAILED, Status.CANCELLED, Status.TIMED_OUT, Status.COMPLETED])
def test_every_terminal_status_ends_the_wait(end: Status) -> None:
    """Whatever way a job ends, it is polled no more, and charge and warnings of its creation are kept."""
    running = [job(status=Status.PENDING), job(status=Status.RUNNING), job(status=end, reason="r")]
    chase = Chase(ScriptedApi([job(status=Status.PENDING, credits=3, warnings=("capped",))], polls={"j1": running}))
    assert chase.run().job == job(status=end, reason="r", credits=3, warnings=("capped",))
    assert chase.api.calls == ["submit", *["poll j1"] * 3]


def test_polling_slows_down_up_to_the_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits begin at the interval, are a tenth of the job's age later, with a fifth of jitter, below the ceiling."""
    pending = [job(status=Status.RUNNING, progress=n) for n in range(60)]
    chase = Chase(
        ScriptedApi([PENDING], polls={"j1": [*pending, job()]}), poll_interval_seconds=2, poll_interval_max_seconds=10
    )
    ages, poll = list[float](), chase.api.poll

    def timed(polled: Job) -> Job:
        ages.append(chase.clock.monotonic())
        return poll(polled)

    monkeypatch.setattr(chase.api, "poll", timed)
    chase.run()
    assert len(ages) == 61
    for age, later in pairwise(ages):
        expected = max(2.0, age / 10)
        assert min(0.8 * expected, 10) - 1e-6 <= later - age <= min(1.2 * expected, 10) + 1e-6
    assert ages[-1] - ages[-2] == pytest.approx(10)


def test_polling_is_closer_where_the_job_before_ended() -> None:
    """The end of the second job is met within a sixth of the span in which the first one ended, and soon after it."""
    cadence = Cadence(JobSettings(poll_interval_seconds=2, poll_interval_max_seconds=60))
    cadence.ended("s", 40.0, 48.0)
    assert cadence.wait("s", 38.5) == 1.5
    assert cadence.wait("s", 40.0) == cadence.wait("s", 51.9) == pytest.approx(8 / 6)
    assert cadence.wait("s", 52.0) > 3
    assert cadence.wait("another", 38.5) == 1.5
    cadence.ended("s", 42.0, 42.1)
    assert cadence.wait("s", 42.0) == 0.2


def test_a_provider_of_even_jobs_is_waited_for_as_long_as_they_take() -> None:
    """Twelve jobs of 10 s, one after the other, at the default interval: 1.04 times their sum at most."""
    took = 0.0
    cadence = Cadence(JobSettings(poll_interval_seconds=2))
    for _ in range(12):
        age = looked = 0.0
        while age < 10:
            looked, age = age, age + cadence.wait("s", age)
        cadence.ended("s", looked, age)
        took += age
    assert 120 <= took <= 124.8


def test_the_end_of_one_job_hastens_the_look_at_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that were created together may end together: who waits for one hears of another's end within the wait."""
    chase = Chase(ScriptedApi([PENDING], polls={"j1": [job(status=Status.RUNNING), job()]}), poll_interval_seconds=20)
    sleep = chase.clock.sleep

    def sleeping(seconds: float) -> None:
        sleep(seconds)
        if len(chase.clock.sleeps) == 1:
            chase.lifecycle._looks.cadence.ended("another", 4.0, 6.0)

    monkeypatch.setattr(chase.clock, "sleep", sleeping)
    chase.run()
    assert chase.clock.sleeps == [pytest.approx(5, rel=0.2), 2.0]


def test_a_hint_of_the_provider_wins() -> None:
    """`poll_after` replaces the interval; zero is no hint, and a tiny one makes no hot loop."""
    hints = [job(status=Status.RUNNING, progress=n, poll_after=hint) for n, hint in enumerate([30.0, 0.001, -5.0, 0.0])]
    chase = Chase(ScriptedApi([PENDING], polls={"j1": [*hints, job()]}), poll_interval_max_seconds=1)
    chase.run()
    assert chase.clock.sleeps[:3] == pytest.approx([30.0, 0.05, 0.05])
    assert 0.8 <= sum(chase.clock.sleeps[3:]) <= 1


def test_a_job_that_does_not_move_stalls() -> None:
    """Without progress the wait ends at the timeout, not after it, even where a hint asks to wait longer."""
    chase = Chase(
        ScriptedApi([PENDING], polls={"j1": [job(status=Status.RUNNING, poll_after=700.0)]}),
        job_stall_timeout_seconds=1000,
    )
    with pytest.raises(JobStalledError) as caught:
        chase.run()
    assert str(caught.value) == (
        "s 2026-06-01T00:00:00.000Z…2026-06-30T00:00:00.000Z, job j1: made no progress for 1000 s "
        f"(job_stall_timeout_seconds); the bookmark stays; {HANGS}"
    )
    assert chase.clock.sleeps == [700, 300]
    assert chase.ids[-1] == ["j1"]


def test_progress_moves_the_timeout() -> None:
    """A job that moves, by status or by progress, is waited for as long as it does."""
    moves = [job(status=Status.RUNNING, progress=n, poll_after=900.0) for n in range(5)]
    chase = Chase(ScriptedApi([PENDING], polls={"j1": [*moves, job()]}), job_stall_timeout_seconds=1000)
    assert chase.run().wait_seconds == 4500


def test_an_unknown_status_is_watched_and_then_named() -> None:
    """It never counts as success, is polled at the same pace as any other, and the message says where to add it."""
    odd = job(status=Status.UNKNOWN, raw_status="archived")
    chase = Chase(ScriptedApi([PENDING], polls={"j1": [odd]}), job_stall_timeout_seconds=100)
    with pytest.raises(JobStalledError) as caught:
        chase.run()
    assert str(caught.value) == (
        "s 2026-06-01T00:00:00.000Z…2026-06-30T00:00:00.000Z, job j1: "
        'status "archived" is not known: say what it means in the setting exelensia.statuses; it made no progress for '
        f"100 s (job_stall_timeout_seconds); the bookmark stays; {HANGS}"
    )
    assert len(chase.api.calls) < 40


def test_a_failed_poll_leaves_the_job_open() -> None:
    """A provider that does not answer stops the stream; the job stays in the ledger for the next run."""
    chase = Chase(ScriptedApi([PENDING], polls={"j1": [TryAgainError("502")]}))
    with pytest.raises(TryAgainError):
        chase.run()
    assert chase.ids[-1] == ["j1"]


def test_watching_leaves_the_ledger_alone() -> None:
    """A job that the configuration names is polled to its end without a trace in STATE."""
    created = START - CLOCK_SKEW
    chase = Chase(ScriptedApi(polls={"5": [job("5", Status.RUNNING), job("5", created_at=created)]}))
    outcome = chase.wait(chase.lifecycle.watch(REQUEST, Job("5", Status.PENDING)))
    assert (outcome.job, outcome.requested_at, outcome.attempts) == (job("5", created_at=created), created, 0)
    assert (chase.states, chase.bookmark) == ([], {})


# Detached -------------------------------------------------------------------------------------------------------------


def test_detached_creation_is_not_polled() -> None:
    """With `detach` a new job is only written to the ledger."""
    chase = Chase(ScriptedApi([PENDING]), detach=True)
    assert chase.run().job == PENDING
    assert chase.api.calls == ["submit"]
    assert chase.ids == [[None], ["j1"]]


def test_detached_jobs_are_looked_at_once() -> None:
    """With `detach` an open job is polled once, whatever it answers."""
    chase = Chase(ScriptedApi(polls={"j7": [job("j7", Status.RUNNING)]}), left_by_a_crash("j7"), detach=True)
    assert chase.run().job == job("j7", Status.RUNNING)
    assert (chase.api.calls, chase.clock.sleeps) == (["poll j7"], [])


def test_a_detached_job_that_was_lost_is_submitted_again() -> None:
    """The policy for lost jobs holds with `detach` too."""
    chase = Chase(
        ScriptedApi([job("j2", Status.PENDING)], polls={"j1": [GONE]}),
        left_by_a_crash("j1"),
        detach=True,
        job_grace_seconds=0,
    )
    assert chase.run().job == job("j2", Status.PENDING)
    assert chase.api.calls == [*["poll j1"] * 3, "submit"]


def test_a_detached_job_that_was_lost_waits_for_room() -> None:
    """Where as many jobs as allowed are open, another one in place of it is left to the next run."""
    gone = {"polls": {"j1": [GONE]}}
    chase = Chase(ScriptedApi([PENDING], **gone), left_by_a_crash("j1"), detach=True, job_grace_seconds=0)
    other = StreamState.detached("s", {})
    chase.wait(chase.lifecycle.start(replace(REQUEST, params={"other": 1}), other))
    outcome = chase.run()
    assert "max_concurrent_jobs" in str(outcome.error)
    assert (outcome.lost and outcome.lost.id, chase.api.calls.count("submit"), chase.state.entries) == ("j1", 1, [])


# Journal and workers --------------------------------------------------------------------------------------------------


def pump_once(journal: Journal) -> int:
    """Pump until there was something to write; return the number of Checkpoints."""
    for _ in range(500):
        if count := len(list(journal.pump())):
            return count
        threading.Event().wait(0.01)
    msg = "nothing came"
    raise AssertionError(msg)


def test_changes_are_made_by_whoever_pumps() -> None:
    """A job goes on once the main thread made its change and STATE was written."""
    journal, made = Journal(), list[threading.Thread]()
    written = list[threading.Event]()
    worker = threading.Thread(
        target=lambda: written.append(handed(journal, lambda: made.append(threading.current_thread())))
    )
    worker.start()
    worker.join(5)
    assert (made, written[0].is_set()) == ([], False)
    assert pump_once(journal) == 1
    assert (made, written[0].is_set()) == ([threading.main_thread()], True)


def test_a_job_waits_for_the_write_not_for_the_change() -> None:
    """While STATE is being written the job still waits; an abandoned write is caught up by the next one."""
    journal, made = Journal(), list[int]()
    written = handed(journal, lambda: made.append(1))
    next(journal.pump())
    assert (made, written.is_set()) == ([1], False)
    assert len(list(journal.pump())) == 1
    assert (made, written.is_set()) == ([1], True)


def test_what_is_reported_at_the_end_is_still_made() -> None:
    """A fact that no pump came for before the end is in the last STATE."""
    journal, made = Journal(), list[int]()
    handed(journal, lambda: made.append(1))
    journal.end()
    assert made == []
    assert len(list(journal.settle(0))) == 1
    assert made == [1]


def test_no_intent_is_made_at_the_end() -> None:
    """Once the run is ending nothing may be created, so no intent enters STATE."""
    journal, made = Journal(), list[str]()
    journal.end()
    written = handed(journal, lambda: made.append("intent"), made.clear)
    assert (list(journal.settle(0)), made, written.is_set()) == ([], [], False)


def test_an_intent_that_nobody_acted_upon_is_taken_back() -> None:
    """A run that ends while it writes the intent creates nothing, so its last STATE does not hold the intent."""
    journal, state = Journal(), StreamState.detached("s", {})
    written = handed(journal, lambda: state.intend(REQUEST, START), lambda: state.forget(REQUEST.fingerprint))
    next(journal.pump())
    assert [e.fingerprint for e in state.entries] == [REQUEST.fingerprint]
    journal.end()
    assert (state.entries, written.is_set()) == ([], False)


def test_a_creation_under_way_may_finish() -> None:
    """A run that ends in the middle of a POST waits for its reply a little, and STATE holds the job."""
    journal, clock, gate, state = Journal(), FakeClock(), Gate(), StreamState.detached("s", {})

    class Slow(ScriptedApi):
        def submit(self, request: Request) -> Job:
            gate.wait()
            return super().submit(request)

    Lifecycle(Slow([PENDING]), journal, clock, JobSettings()).start(REQUEST, state)
    assert pump_once(journal) == 1
    assert gate.reached.wait(5)
    journal.end()
    gate.open()
    assert len(list(journal.settle(5))) == 1
    assert [e.id for e in state.entries] == ["j1"]


def test_a_creation_that_takes_too_long_is_left_to_its_intent() -> None:
    """The wait at the end is bounded; the intent stays, and the next run looks for the job."""
    journal, gate, state = Journal(), Gate(), StreamState.detached("s", {})

    class Stuck(ScriptedApi):
        def submit(self, request: Request) -> Job:
            gate.wait()
            return super().submit(request)

    Lifecycle(Stuck([PENDING]), journal, FakeClock(), JobSettings()).start(REQUEST, state)
    assert pump_once(journal) == 1
    assert gate.reached.wait(5)
    journal.end()
    assert list(journal.settle(0.05)) == []
    assert [e.id for e in state.entries] == [None]
    gate.open()


def test_changes_are_made_between_events() -> None:
    """While one stream's rows are written, the jobs of others are created: their changes do not wait for its end."""
    journal, made = Journal(), threading.Event()
    written = handed(journal, made.set)

    def events() -> Iterator[str]:
        while not made.is_set():
            yield "rows"

    seen = list(journal.along(events()))
    assert [event for event in seen if event != "rows"] == [seen[-1]]
    assert written.is_set()


def test_waiting_for_a_cancelled_future_ends() -> None:
    """A future that was cancelled before or while it is waited for does not hold the main thread."""
    journal = Journal()
    before: Future[Outcome] = Future()
    before.cancel()
    assert list(journal.until(before)) == []
    during: Future[Outcome] = Future()
    threading.Timer(0.02, during.cancel).start()
    assert list(journal.until(during)) == []


def test_workers_keep_the_order_and_the_errors() -> None:
    """One worker runs what was handed in in that order; an error comes with its future and ends nothing else."""
    workers: Workers[int] = Workers(1, "test")
    done: list[int] = []
    gate = Gate()

    def first() -> int:
        gate.wait()
        return 0

    def fail() -> int:
        raise StopError("no")

    def note(number: int) -> int:
        done.append(number)
        return number

    futures = [workers.submit(first), workers.submit(fail), workers.submit(lambda: note(2))]
    skipped = workers.submit(lambda: note(3))
    assert skipped.cancel()
    last = workers.submit(lambda: note(4))
    gate.open()
    assert last.result(5) == 4
    assert (futures[0].result(5), str(futures[1].exception(5)), futures[2].result(5)) == (0, "no", 2)
    assert done == [2, 4]
    workers.close()
