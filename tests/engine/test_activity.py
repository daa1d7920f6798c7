"""Notes of what jobs do, and the lines that are made of them."""

from __future__ import annotations

import logging

import pytest

from tap_exports.engine import activity as notes
from tap_exports.engine.activity import Activity, Phase, Span, span_text
from tap_exports.engine.model import Job, Receipt, Request, Status
from tap_exports.singer.progress import MOST_SHOWN, lines
from tests.engine.fakes import FakeClock

PENDING = Job("0197-138", Status.PENDING, "p")
RUNNING = Job("0197-138", Status.RUNNING, "r")
COMPLETED = Job("0197-138", Status.COMPLETED, "a")


def request(number: int = 1) -> Request:
    return Request("cension", "cension_export_a", {"n": number})


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def activity(clock: FakeClock) -> Activity:
    return Activity(clock)


def run_to_its_end(activity: Activity, clock: FakeClock, number: int = 1, seconds: float = 90) -> None:
    activity.asked(request(number))
    activity.created(request(number), PENDING)
    clock.advance(seconds / 3)
    activity.polled(request(number), RUNNING)
    clock.advance(seconds * 2 / 3)
    activity.polled(request(number), COMPLETED)


def test_phases_follow_each_other(activity: Activity, clock: FakeClock) -> None:
    """Queued until it runs, running until it ends; then downloads, and reading as its receipt tells."""
    run_to_its_end(activity, clock)
    with activity.downloading(request()):
        clock.advance(5)
    clock.advance(10)
    receipt = Receipt("cension", "0197-138", "cension_export_a", request().fingerprint, "completed", read_seconds=8.0)
    activity.read(receipt)
    (track,) = activity.tracks()
    assert track.spans == (
        Span(Phase.QUEUED, 0, 30),
        Span(Phase.RUNNING, 30, 90),
        Span(Phase.DOWNLOADING, 90, 95),
        Span(Phase.READING, 97, 105),
    )
    assert track.waits_in is None


def test_a_job_that_replaces_another_begins_again(activity: Activity, clock: FakeClock) -> None:
    """What was waited for the lost job stays in the timeline."""
    activity.asked(request())
    activity.polled(request(), RUNNING)
    clock.advance(7)
    activity.asked(request())
    (track,) = activity.tracks()
    assert (track.job_id, track.word) == (None, "")
    assert [span.phase for span in track.spans] == [Phase.QUEUED, Phase.RUNNING, Phase.QUEUED]


def test_the_waiting_line_names_what_runs_and_counts_what_waits(activity: Activity, clock: FakeClock) -> None:
    """One line: the end of the id, the provider's word, the share where it is known, the age, and the usual time."""
    run_to_its_end(activity, clock)
    activity.asked(request(2))
    activity.asked(request(3))
    activity.polled(request(2), Job("0198-777", Status.RUNNING, "processing", rows=200, progress=80))
    clock.advance(180)
    assert activity.waiting() == "2 jobs: …777 processing 40 %, 3 min of usually 90 s; 1 queued"
    activity.left(request(2))
    activity.left(request(3))
    assert activity.waiting() == ""


def test_the_usual_time_is_known_once_a_job_of_the_stream_ended(activity: Activity, clock: FakeClock) -> None:
    """Also to windows that were asked for before, as all are at the start; a wait for a slot is no time of a job."""
    activity.asked(request(2))
    run_to_its_end(activity, clock, seconds=60)
    activity.created(request(2), Job("0198-777", Status.PENDING, "queued"))
    clock.advance(10)
    activity.polled(request(2), Job("0198-777", Status.RUNNING, "processing"))
    assert activity.waiting() == "1 job: …777 processing, 10 s of usually 60 s"
    clock.advance(30)
    activity.polled(request(2), Job("0198-777", Status.COMPLETED, "done"))
    activity.asked(request(3), "0199-888")
    activity.polled(request(3), Job("0199-888", Status.RUNNING, "processing"))
    assert activity.waiting() == "1 job: …888 processing, 0.0 s of usually 40 s"


def test_a_wait_names_its_job_where_none_runs(activity: Activity, clock: FakeClock) -> None:
    """A run that waits for an hour for a queue of the provider says for which job, and what waits for a slot."""
    activity.asked(request(1))
    activity.asked(request(2))
    activity.created(request(1), PENDING)
    clock.advance(60)
    assert activity.waiting() == "2 jobs: …138 p, 60 s; 1 queued"


def test_the_display_shows_first_what_runs(activity: Activity, clock: FakeClock) -> None:
    """Of more jobs than have room, those in line for a slot are left out."""
    for number in range(MOST_SHOWN + 1):
        activity.asked(request(number))
    last = max((request(n) for n in range(MOST_SHOWN + 1)), key=lambda each: each.fingerprint)
    activity.created(last, RUNNING)
    activity.polled(last, RUNNING)
    clock.advance(5)
    shown = lines(activity)
    assert shown[1] == "  cension_export_a r, 5.0 s, job 0197-138"
    assert shown[2:] == [*["  cension_export_a in line, 5.0 s"] * (MOST_SHOWN - 1), "  and 1 more job"]


def test_each_change_of_status_is_a_line(
    activity: Activity, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Once per change, not per poll, and with fields for a structured log."""
    with caplog.at_level(logging.INFO, "tap-exports.jobs"):
        activity.asked(request())
        activity.created(request(), PENDING)
        for _ in range(3):
            clock.advance(10)
            activity.polled(request(), RUNNING)
        activity.polled(request(), COMPLETED)
    told = [(record.message, record.__dict__["stream"], record.__dict__["job"]) for record in caplog.records]
    where = ("cension_export_a", "0197-138")
    assert told == [
        ("cension_export_a: job 0197-138 is r after 10 s", *where),
        ("cension_export_a: job 0197-138 is a after 30 s", *where),
    ]


def test_a_change_within_two_seconds_is_no_line(
    activity: Activity, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A job that ends at once is told by its creation and its rows."""
    with caplog.at_level(logging.INFO, "tap-exports.jobs"):
        run_to_its_end(activity, clock, seconds=1)
    assert caplog.messages == []


def test_memory_does_not_grow_with_the_number_of_jobs(
    activity: Activity, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs that ended are forgotten first; one that is waited for stays."""
    monkeypatch.setattr(notes, "MOST_TRACKS", 3)
    activity.asked(request(0))
    for number in range(1, 10):
        run_to_its_end(activity, clock, number)
    kept = {track.fingerprint for track in activity.tracks()}
    assert kept == {request(number).fingerprint for number in (0, 8, 9)}


def test_faults_are_summed_per_provider(activity: Activity) -> None:
    activity.retried("cension", 2)
    activity.retried("cension", 30, throttled=True)
    activity.retried("files.test", 1)
    found = {where: (d.retries, d.seconds, d.throttled_seconds) for where, d in activity.delays().items()}
    assert found == {"cension": (2, 32, 30), "files.test": (1, 1, 0)}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (10, "10 s"), (119, "119 s"), (180, "3 min"), (7500, "2 h 5 min")],
)
def test_spans_are_told_as_people_say_them(seconds: float, text: str) -> None:
    assert span_text(seconds) == text
