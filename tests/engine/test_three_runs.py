"""P11: whatever goes wrong for ever, the third run in a row goes on, or names the setting that lets it.

Each knot is played three times, an hour apart, with the STATE of the run before; docs/state.md lists them for users.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tap_exports.engine.changes import Changes
from tap_exports.engine.jobs import JobSettings, Journal, Lifecycle, Statuses
from tap_exports.engine.ledger import StreamState, check_state, places
from tap_exports.engine.ledger.durable import DurableLedger
from tap_exports.engine.ledger.places import LocalPlace
from tap_exports.engine.model import Job, Page, RemoteFile, Request, Status, Window
from tap_exports.engine.read.guards import GuardedReader, Guards
from tap_exports.engine.read.pages import PageReader
from tap_exports.engine.read.tally import Limits
from tap_exports.engine.run.collected import CollectRun
from tap_exports.engine.run.created import Export, ExportRun
from tap_exports.engine.run.followed import FollowRun
from tap_exports.engine.run.guarded import GuardedRun
from tap_exports.engine.run.listed import Listing, ListRun
from tap_exports.engine.run.numbered import GivenRun
from tap_exports.errors import (
    AuthError,
    BadContentError,
    ExecutorError,
    GatewayError,
    GuardError,
    JobLostError,
    LedgerError,
    LimitError,
    LostReplyError,
    NotReadyError,
    PaymentError,
    QuotaError,
    RefusedError,
    RejectLimitError,
    StopError,
    TryAgainError,
    UnsafeUrlError,
)
from tests.engine.fakes import FakeClock
from tests.engine.scripted import (
    CollectingApi,
    Files,
    FindingApi,
    Log,
    Run,
    ScriptedApi,
    at,
    job,
    layout,
    lifecycle,
    play,
    reader,
    receipts,
    values,
)

GONE, LOST_REPLY, HTML = JobLostError("404"), LostReplyError("no reply"), BadContentError("HTML")
PENDING, SECOND, THIRD = (job(f"j{number}", Status.PENDING) for number in (1, 2, 3))
RUNNING, ODD = job(status=Status.RUNNING), job(status=Status.UNKNOWN, raw_status="archived")
FILES: Mapping[str, bytes | Exception] = {f"j{number}": b"a\n1\n" for number in (1, 2, 3)}
QUICK = {"job_grace_seconds": 60, "job_stall_timeout_seconds": 600}
START, UNTIL = at("2026-07-01"), at("2026-07-01T23:59:59.999Z")
AGAIN = {"recreate_paid_jobs": True}
Ends = tuple[str, str, str]


class EchoingApi(FindingApi):
    """Shows what a job was asked for; its first creation is answered with another job."""

    def contradiction(self, request: Request, job: Job) -> str:
        return str(job.data.get("differs", ""))


class PaidApi(FindingApi):
    costs = True


class UnlistedApi(ScriptedApi):
    costs = True


@dataclass(frozen=True)
class Knot:
    """What goes wrong, and how three runs in a row end.

    Attributes:
        api: The provider, new for each test.
        ends: A part of each run's message; empty where it ends well.
        asked: Creations in all.
        files: By job.
        third: Settings that a user changes before the third run.
        told: Receipts, as job and status.
    """

    api: Callable[[], ScriptedApi]
    ends: Ends
    asked: int = 1
    files: Mapping[str, bytes | Exception] = field(default_factory=dict)
    third: Mapping[str, Any] = field(default_factory=dict)
    told: Sequence[str] = ()


CREATED = {
    "not readable for a minute": Knot(lambda: FindingApi([PENDING], {"j1": [*[GONE] * 5, job()]}), ("", "", "")),
    "gone after it was seen": Knot(
        lambda: FindingApi([PENDING, SECOND], {"j1": [RUNNING, GONE]}),
        ("", "", ""),
        2,
        told=["j1 lost", "j2 completed"],
    ),
    "gone, and the creation in its place is refused": Knot(
        lambda: FindingApi([PENDING, AuthError("401"), SECOND], {"j1": [RUNNING, GONE]}),
        ("401", "", ""),
        3,
        told=["j1 lost", "j2 completed"],
    ),
    "gone twice": Knot(lambda: FindingApi([PENDING, SECOND, THIRD], {"j1": [GONE], "j2": [GONE]}), ("404", "", ""), 3),
    "its file is gone": Knot(
        lambda: FindingApi([PENDING, SECOND], opens={"j1": [GONE]}), ("", "", ""), 2, told=["j1 lost", "j2 completed"]
    ),
    "completed, and not ready to be read": Knot(
        lambda: FindingApi([PENDING, SECOND], opens={"j1": [NotReadyError("409")]}), ("409", "409", ""), 2
    ),
    "bad bytes": Knot(lambda: FindingApi([PENDING, SECOND]), ("HTML", "HTML", ""), 2, {"j1": HTML}),
    "a wrong count": Knot(
        lambda: FindingApi([PENDING, SECOND], {"j1": [job(rows=9)]}), ("verify_counts", "verify_counts", ""), 2
    ),
    "a guard refuses it": Knot(
        lambda: FindingApi([PENDING, SECOND]), ("min_rows", "min_rows", ""), 2, {"j1": GuardError("min_rows is 5")}
    ),
    "too many rejects": Knot(
        lambda: FindingApi([PENDING]), ("rejects_max_count",) * 3, 1, {"j1": RejectLimitError("(rejects_max_count)")}
    ),
    "an address that may not be followed": Knot(
        lambda: FindingApi([PENDING]), ("allow_private_hosts",) * 3, 1, {"j1": UnsafeUrlError("allow_private_hosts")}
    ),
    "hangs": Knot(
        lambda: FindingApi([PENDING, SECOND], {"j1": [RUNNING]}),
        ("job_stall_timeout_seconds", "", ""),
        2,
        told=["j1 stalled", "j2 completed"],
    ),
    "hangs, and the one in its place too": Knot(
        lambda: FindingApi([PENDING, SECOND, THIRD], {n: [job(n, Status.RUNNING)] for n in ("j1", "j2")}),
        ("job_stall_timeout_seconds", "job_stall_timeout_seconds", ""),
        3,
    ),
    "a status that nobody knows": Knot(
        lambda: FindingApi([PENDING, SECOND], {"j1": [ODD]}), ("exelensia.statuses", "", ""), 2
    ),
    "failed": Knot(
        lambda: FindingApi([PENDING, SECOND], {"j1": [job(status=Status.FAILED)]}), ("max_window_days", "", ""), 2
    ),
    "the outcome of each creation is unknown": Knot(
        lambda: FindingApi([*[LOST_REPLY] * 3, PENDING]), ("3 creations got no reply", "", ""), 4
    ),
    "a creation is refused": Knot(lambda: FindingApi([RefusedError("422", 422), PENDING]), ("422", "", ""), 2),
    "a creation is answered with another job": Knot(
        lambda: EchoingApi([job("j9", data={"differs": "start_date"}), PENDING]), ("another start_date", "", ""), 2
    ),
    "an outage": Knot(lambda: FindingApi([PENDING], {"j1": [TryAgainError("503")] * 2 + [job()]}), ("503", "503", "")),
    "a key that is refused": Knot(
        lambda: FindingApi([PENDING], {"j1": [AuthError("403: api_key")] * 2 + [job()]}), ("api_key", "api_key", "")
    ),
    "a gateway answers in place of the API": Knot(
        lambda: FindingApi([PENDING], {"j1": [GatewayError("a gateway")] * 2 + [job()]}), ("a gateway",) * 2 + ("",)
    ),
    "a reply that cannot be read": Knot(
        lambda: FindingApi([PENDING], {"j1": [BadContentError("no JSON")] * 2 + [job()]}), ("no JSON",) * 2 + ("",)
    ),
    "a limit of this machine": Knot(
        lambda: FindingApi([PENDING]), ("spool_max_mb",) * 3, 1, {"j1": LimitError("`spool_max_mb` allows less")}
    ),
    "a column that is frozen": Knot(
        lambda: FindingApi([PENDING]), ("schema_contract",) * 3, 1, {"j1": StopError("a new column (schema_contract)")}
    ),
    "an executor that fails": Knot(
        lambda: FindingApi([PENDING]), ("executor: ",) * 3, 1, {"j1": ExecutorError("executor: no worker answers")}
    ),
    "a creation that may not be followed": Knot(
        lambda: FindingApi([*[UnsafeUrlError("a redirect")] * 3, PENDING]), ("3 creations got no reply", "", ""), 4
    ),
    "a paid job is gone": Knot(
        lambda: PaidApi([PENDING, SECOND], {"j1": [GONE]}), ("recreate_paid_jobs",) * 2 + ("",), 2, third=AGAIN
    ),
    "a paid job hangs": Knot(
        lambda: PaidApi([PENDING, SECOND], {"j1": [RUNNING]}),
        ("job_stall_timeout_seconds", "recreate_paid_jobs", ""),
        2,
        third=AGAIN,
    ),
    "a paid job has bad bytes": Knot(
        lambda: PaidApi([PENDING, SECOND]), ("recreate_paid_jobs", "recreate_paid_jobs", "HTML"), 1, {"j1": HTML}, AGAIN
    ),
    "a paid job's creation got no reply": Knot(
        lambda: PaidApi([LOST_REPLY, SECOND]), ("the next run looks again", "", ""), 2
    ),
    "a paid job's creation got no reply, and nobody lists it": Knot(
        lambda: UnlistedApi([LOST_REPLY, SECOND]), ("recreate_paid_jobs",) * 2 + ("",), 2, third=AGAIN
    ),
    "a quota of creations": Knot(
        lambda: FindingApi([QuotaError("429; used up until 18:00"), QuotaError("429; used up until 18:00"), PENDING]),
        ("until 18:00", "until 18:00", ""),
        3,
    ),
    "a quota of polls": Knot(
        lambda: FindingApi([PENDING], {"j1": [*[QuotaError("429; used up until 18:00")] * 2, job()]}),
        ("until 18:00", "until 18:00", ""),
    ),
    "a quota of downloads": Knot(
        lambda: FindingApi([PENDING], opens={"j1": [QuotaError("429"), QuotaError("429"), [RemoteFile("f", "j1")]]}),
        ("429", "429", ""),
    ),
    "credits are used up": Knot(
        lambda: FindingApi(
            [PaymentError("402; a run after they do"), PaymentError("402; a run after they do"), PENDING]
        ),
        ("a run after they do", "a run after they do", ""),
        3,
    ),
    "a credit limit": Knot(
        lambda: PaidApi([PaymentError("max_credits is 0")] * 2 + [PENDING]), ("max_credits",) * 2 + ("",), 3
    ),
}


def three(
    make: Callable[[FakeClock, dict[str, Any], Mapping[str, Any]], Run], third: Mapping[str, Any]
) -> Iterator[tuple[Log, str, dict[str, Any]]]:
    """Yield events, message and STATE of each of three runs."""
    bookmark: dict[str, Any] = {}
    clock = FakeClock(at("2026-07-03"))
    for number in range(3):
        log, error = play(make(clock, bookmark, {**QUICK, **(third if number == 2 else {})}), bookmark)
        yield log, str(error or ""), bookmark
        clock.advance(3600)


def held(ends: Sequence[str], messages: Sequence[str]) -> bool:
    """Return whether each run ended as told."""
    return all(end in said and bool(end) == bool(said) for end, said in zip(ends, messages, strict=True))


@pytest.mark.parametrize("name", CREATED)
def test_three_runs_of_an_export(tmp_path: Path, name: str) -> None:
    """A window of a job that the tap creates."""
    knot = CREATED[name]
    api, files = knot.api(), Files(tmp_path, {**FILES, **knot.files})
    asked = Export("exelensia", "s", {}, "created_at", start=START, until=UNTIL)

    def run(clock: FakeClock, bookmark: dict[str, Any], settings: Mapping[str, Any]) -> ExportRun:
        state = StreamState.detached("s", bookmark)
        return ExportRun(asked, lifecycle(api, clock, **settings), reader(api, files, clock), state, clock)

    played = list(three(run, knot.third))
    messages = [error for _, error, _ in played]
    assert held(knot.ends, messages), messages
    assert api.calls.count("submit") == knot.asked
    assert ("1" in [value for log, *_ in played for value in values(log)]) == (knot.ends[2] == "")
    told = [f"{job_id} {status}" for log, *_ in played for _, job_id, status, _ in receipts(log)]
    assert not knot.told or told == knot.told


# Runs that the configuration names ------------------------------------------------------------------------------------


def pages_of(run: Job) -> Iterator[Page]:
    return iter([Page([{"a": run.id}], total=1)])


@pytest.mark.parametrize(
    ("polls", "says", "way_out"),
    [
        ([job("10", Status.FAILED)], "on_failed_run: skip", {"on_failed": "skip"}),
        ([GONE], "404", {"numbers": [5, 20]}),
        ([job("10", Status.RUNNING)], "job_stall_timeout_seconds", {"numbers": [5, 20]}),
        ([job("10", Status.UNKNOWN, raw_status="odd")], "cension.statuses", {"numbers": [5, 20]}),
    ],
)
def test_three_runs_over_numbers(polls: list[Job | Exception], says: str, way_out: dict[str, Any]) -> None:
    """A run that cannot be read holds the bookmark, not the runs behind it, until the user says what to do."""
    api = ScriptedApi(polls={"10": polls})

    def run(clock: FakeClock, bookmark: dict[str, Any], settings: Mapping[str, Any]) -> GivenRun:
        more = dict(settings)
        numbers, on_failed = more.pop("numbers", [5, 10, 20]), more.pop("on_failed", "stop")
        state, read = StreamState.detached("s", bookmark), PageReader(pages_of, layout, Limits(), clock)
        chased = lifecycle(api, clock, **more)
        return GivenRun("s", "cension", numbers, "operationId", on_failed, None, chased, read, state, clock)

    played = list(three(run, way_out))
    assert held((says, says, ""), [error for _, error, _ in played])
    assert [values(log) for log, *_ in played] == [["5", "20"], [], []]
    assert played[-1][2]["replication_key_value"] == 20


def test_three_runs_of_a_begin_without_a_reply() -> None:
    """Nothing is begun again; the number of the run that was begun settles it."""
    begin, api = Request("cension", "s", {"endpoint": "x"}), UnlistedApi([LOST_REPLY])

    def run(clock: FakeClock, bookmark: dict[str, Any], settings: Mapping[str, Any]) -> GivenRun:
        more = dict(settings)
        numbers = more.pop("numbers", [])
        api._polls = {"30": [job("30", created_at=at("2026-07-03"))]}
        state, read = StreamState.detached("s", bookmark), PageReader(pages_of, layout, Limits(), clock)
        chased = lifecycle(api, clock, **more)
        return GivenRun("s", "cension", numbers, "operationId", "stop", begin, chased, read, state, clock)

    played = list(three(run, {"numbers": [30]}))
    assert held(("recreate_paid_jobs", "recreate_paid_jobs", ""), [error for _, error, _ in played])
    assert (api.calls.count("submit"), values(played[-1][0])) == (1, ["30"])


# Jobs of others -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "opens", "says"),
    [
        (HTML, {}, ("HTML", "it is passed", "")),
        (b"", {"j1": [GONE]}, ("404; it is passed", "", "")),
        (b"", {"j1": [NotReadyError("409")]}, ("409", "it is passed", "")),
    ],
)
def test_three_runs_over_jobs_of_others(tmp_path: Path, bad: Any, opens: Any, says: tuple[str, ...]) -> None:  # noqa: ANN401 - of `ScriptedApi`
    """A job that is gone is passed at once, one that cannot be read in the second run; those behind it are read."""
    jobs = [job(f"j{hour}", created_at=START + timedelta(hours=hour)) for hour in (1, 2)]
    api, files = CollectingApi(jobs, opens=opens), Files(tmp_path, {**FILES, "j1": bad})

    def run(clock: FakeClock, bookmark: dict[str, Any], settings: Mapping[str, Any]) -> CollectRun:
        del settings
        asked, read = Export("exelensia", "s", {}, "created_at", start=START), reader(api, files, clock)
        return CollectRun(asked, api, read, StreamState.detached("s", bookmark), clock)

    def unread(bookmark: str) -> list[Job]:
        return [each for each in jobs if each.created_at and each.created_at > at(bookmark)]

    runs = three(run, {})
    messages, read = [], []
    for log, error, bookmark in runs:
        messages.append(error)
        read += values(log)
        api.jobs = unread(bookmark["replication_key_value"])
    assert held(says, messages), messages
    assert read == ["1"]


def test_a_follower_knows_the_words_of_the_configuration(tmp_path: Path) -> None:
    """A job whose status the configuration explains is read, and not left to the next run for ever."""
    clock, state = FakeClock(at("2026-07-03")), StreamState.detached("e", {})
    state.opened(Request("packagex", "s", {}, Window(START, UNTIL)), job("j1"), START)
    api = ScriptedApi(polls={"j1": [ODD]})
    known = Statuses.configured({"ARCHIVED": "completed"})
    chased = Lifecycle(api, Journal(), clock, JobSettings(), known)
    read = reader(api, Files(tmp_path, FILES), clock)
    follows = StreamState.detached("s", {})
    run = FollowRun("packagex", "e", "created_at", chased, read, state, follows, clock)
    assert values(play(run, {})[0]) == ["1"]
    assert state.entries == []


@pytest.mark.parametrize(
    ("bad", "opens", "ends"),
    [(HTML, {}, ("HTML", "its rows are lost", "")), (b"", {"j1": [GONE]}, ("its rows are lost", "", ""))],
)
def test_three_runs_of_a_follower(tmp_path: Path, bad: Any, opens: Any, ends: Ends) -> None:  # noqa: ANN401 - of `ScriptedApi`
    """A file of errors that cannot be read is given up once, with a message; the one behind it is read."""
    api, files = ScriptedApi(opens=opens), Files(tmp_path, {**FILES, "j1": bad})
    leader: dict[str, Any] = {"replication_key_value": "2026-07-03T00:00:00.000Z"}

    def run(clock: FakeClock, bookmark: dict[str, Any], settings: Mapping[str, Any]) -> FollowRun:
        state = StreamState.detached("e", bookmark)
        for number in () if bookmark else (1, 2):
            state.opened(Request("packagex", "s", {"n": number}, Window(START, UNTIL)), job(f"j{number}"), START)
        follows = StreamState.detached("s", leader)
        chased, read = lifecycle(api, clock, **settings), reader(api, files, clock)
        return FollowRun("packagex", "e", "created_at", chased, read, state, follows, clock)

    played = list(three(run, {}))
    assert held(ends, [error for _, error, _ in played]), [error for _, error, _ in played]
    assert [value for log, *_ in played for value in values(log)] == ["1"]


# Guards ---------------------------------------------------------------------------------------------------------------

OLD = at("2026-06-01")


@pytest.mark.parametrize(
    ("guards", "says"),
    [(Guards(min_rows=2), "1 rows, min_rows is 2"), (Guards(max_age_hours=24), "max_age_hours is 24")],
)
@pytest.mark.parametrize("kind", ["numbered", "collected", "paid", "list"])
def test_three_runs_of_a_guard_that_cannot_heal(
    tmp_path: Path, kind: str, guards: Guards, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """P11: the first run says it, the second one reads all the same, or passes it; what is behind it is never held."""
    state, jobs = dict[str, Any](), {"10": [job("10", created_at=OLD)], "j1": [job("j1", created_at=OLD)]}
    theirs = [job("j1", created_at=OLD), job("j2", created_at=at("2026-07-02T23:00:00Z"))]

    def run(clock: FakeClock, bookmark: dict[str, Any], settings: Mapping[str, Any]) -> Run:
        ledger, files = StreamState.detached("s", bookmark), Files(tmp_path, {**FILES, "j2": b"a\n1\n2\n"})
        if kind == "numbered":
            read = GuardedReader(PageReader(pages_of, layout, Limits(), clock), guards, clock)
            chased = lifecycle(ScriptedApi(polls=jobs), clock, **settings)
            return GivenRun("s", "cension", [10], "operationId", "stop", None, chased, read, ledger, clock)
        if kind == "list":
            listing = Listing("s", lambda _: [lambda: iter([Page([{"a": "1"}], total=1)])])
            return GuardedRun("s", ListRun(listing, layout, Limits(), ledger, clock), guards, ledger)
        if kind == "collected":
            due = [each for each in theirs if ledger.instant is None or (each.created_at or OLD) > ledger.instant]
            api: ScriptedApi = CollectingApi(due)
            read = GuardedReader(reader(api, files, clock), guards, clock)
            return CollectRun(Export("e", "s", {}, "created_at", start=OLD), api, read, ledger, clock)  # type: ignore[arg-type] # collects
        api = PaidApi([PENDING], jobs)
        read = GuardedReader(reader(api, files, clock), guards, clock)
        return ExportRun(Export("e", "s", {}), lifecycle(api, clock, **settings), read, ledger, clock)

    clock, ends, read = FakeClock(at("2026-07-03")), list[str](), list[list[str]]()
    for _ in range(2 if kind in {"paid", "list"} else 3):
        log, error = play(run(clock, state, QUICK), state)
        ends.append(str(error or ""))
        read.append(values(log))
        clock.advance(3600)
    if kind == "list" and guards.max_age_hours:
        assert ends == ["", ""]  # nothing has an age
        return
    assert says in ends[0]
    assert ends[1:] == [""] * (len(ends) - 1)
    whole = ["1", "2"] if kind == "collected" else []
    assert {*read[0], *read[1]} == {*(whole or (["10"] if kind == "numbered" else ["1"]))}
    assert says in caplog.text
    check_state({"bookmarks": {"s": state}})


# The durable ledger ---------------------------------------------------------------------------------------------------

HOLD = (
    "import fcntl, os, sys; fcntl.lockf(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX); "
    "print(1, flush=True); input()"
)


def test_three_runs_of_a_ledger_that_stays_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process has it, a run ends with a message that names the setting; the lock ends with that one."""
    monkeypatch.setattr(places, "LOCK_SECONDS", 0)
    path = tmp_path / "ledger.json"
    lock = tmp_path / "ledger.json.lock"
    messages = []
    command, pipe = [sys.executable, "-c", HOLD, str(lock)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as other:
        assert other.stdout
        other.stdout.readline()
        for number in range(3):
            if number == 2:
                other.communicate(b"\n")
            ledger = DurableLedger(dict, Changes())
            try:
                ledger.open(LocalPlace(path), FakeClock().now, required=True)
                ledger.close()
            except LedgerError as error:
                messages.append(str(error))
    assert ["`ledger: none`" in message for message in messages] == [True, True]
    assert path.exists()
