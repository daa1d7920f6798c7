from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_exports.engine.ledger import Closed, Entry, Progress, StreamState, check
from tap_exports.engine.model import Job, LocalFile, Request, Status
from tap_exports.errors import StateError
from tests.engine.scripted import NOW, job, window

REQUESTS = [
    Request("exelensia", "s", {"schema_id": "x"}, window("2026-07-01", "2026-07-02")),
    Request("exelensia", "s", {"schema_id": "x"}, window(None, "2026-07-02")),
    Request("exelensia", "s", {"schema_id": "y"}),
]
ENTRY: dict[str, Any] = {
    "id": "j",
    "fingerprint": "f",
    "window": None,
    "requested_at": "2026-07-01T00:00:00Z",
    "files": {},
}


def entry(request: Request, job_id: str | None = None, later: int = 0, charged: int | None = None) -> Entry:
    return Entry(job_id, request.fingerprint, request.window, NOW + timedelta(seconds=later), charged)


def file(sha256: str = "aa", name: str = "export.csv") -> LocalFile:
    return LocalFile(name, Path("spool"), 10, sha256, '"e"')


def test_a_job_goes_from_intent_to_open_to_forgotten() -> None:
    """STATE holds exactly what the contract shows: the intent, then the job in its place, then nothing.

    A provider that was busy at first created the job with a later attempt.
    """
    bookmark: dict[str, Any] = {}
    state, request = StreamState.detached("s", bookmark), REQUESTS[0]
    raw = {
        "fingerprint": request.fingerprint,
        "window": ["2026-07-01T00:00:00.000Z", "2026-07-02T00:00:00.000Z"],
        "requested_at": "2026-07-03T00:01:00.000Z",
    }
    state.intend(request, NOW)
    assert bookmark == {"ledger": {"version": 2, "jobs": [], "delete": [], "intents": [raw]}}
    assert state.entry(request.fingerprint) == entry(request)
    state.opened(request, job("j1", credits=7), NOW + timedelta(seconds=9))
    opened = {"id": "j1", **raw, "requested_at": "2026-07-03T00:01:09.000Z", "files": {}, "credits": 7}
    assert bookmark == {"ledger": {"version": 2, "jobs": [opened], "delete": []}}
    assert state.entry(request.fingerprint) == entry(request, "j1", later=9, charged=7)
    state.forget(request.fingerprint)
    assert bookmark == {"ledger": {"version": 2, "jobs": [], "delete": []}}
    assert state.entries == []


@pytest.mark.parametrize("number", range(len(REQUESTS)))
def test_an_entry_is_taken_over_with_all_that_is_known(number: int) -> None:
    """Another copy of the state gets the same entry, and keeps how far the files of its job are read."""
    request, live, held = REQUESTS[number], StreamState.detached("s", {}), StreamState.detached("s", {})
    for state in (live, held):
        state.opened(request, job("j1", credits=7), NOW)
    held.note_rows("j1", file(), 5)
    live.note_stall(request.fingerprint)
    live.note_progress(request.fingerprint, Progress.of(job("j1", rows=3), NOW))
    live.note_replaced(request.fingerprint, "j0")
    (found,) = live.entries
    held.copy_entry(found)
    assert (held.entries, held.rows_done("j1", file())) == ([found], 5)
    live.intend(request, NOW)
    live.note_replaced(request.fingerprint, "j1")
    (found,) = live.entries
    held.copy_entry(found)
    assert (held.entries, found.id, found.replaces) == ([found], None, "j1")


def test_progress_tells_moves_only() -> None:
    """Status and counts make the mark, not the time."""
    later = NOW + timedelta(hours=1)
    runs = job("j1", Status.RUNNING, progress=(1, None))
    assert Progress.of(runs, NOW).mark == Progress.of(runs, later).mark
    marks = {
        Progress.of(j, NOW).mark for j in (runs, job(), job(rows=1), job("j1", Status.RUNNING, progress=(2, None)))
    }
    assert len(marks) == 4


def test_forgetting_leaves_a_bookmark_without_ledger_alone() -> None:
    """A stream that never had a job gets no ledger."""
    bookmark: dict[str, Any] = {}
    StreamState.detached("s", bookmark).forget("f")
    assert bookmark == {}


def test_rows_are_done_only_where_the_bytes_are_the_same() -> None:
    """A read goes on inside a file when name and digest agree, else it starts over."""
    state = StreamState.detached("s", {})
    state.opened(REQUESTS[0], job(), NOW)
    state.note_rows("j1", file(), 120)
    assert state.rows_done("j1", file()) == 120
    assert state.rows_done("j1", file("bb")) == 0
    assert state.rows_done("j1", file(name="other.csv")) == 0
    assert state.rows_done("j2", file()) == 0


def test_a_job_that_reads_badly_is_let_go() -> None:
    """The second bad read removes the job, the first one only counts."""
    bookmark: dict[str, Any] = {}
    state = StreamState.detached("s", bookmark)
    state.opened(REQUESTS[0], job("j1"), NOW)
    state.opened(REQUESTS[1], job("j2"), NOW)
    state.note_bad_read(REQUESTS[0].fingerprint, 2)
    assert [raw.get("bad_reads") for raw in bookmark["ledger"]["jobs"]] == [1, None]
    state.note_bad_read(REQUESTS[0].fingerprint, 2)
    assert state.entries == [entry(REQUESTS[1], "j2")]


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["intend", "opened", "forget", "close", "rows", "bad", "delete", "deleted", "advance"]),
        st.integers(0, len(REQUESTS) - 1),
        st.integers(0, 1000),
    ),
    max_size=30,
)


def transition(state: StreamState, name: str, index: int, number: int) -> None:
    request, job_id, when = REQUESTS[index], f"j{index}", NOW + timedelta(seconds=number)
    {
        "intend": lambda: state.intend(request, when),
        "opened": lambda: state.opened(request, job(job_id), when),
        "forget": lambda: state.forget(request.fingerprint),
        "close": lambda: state.close(request, job(f"{job_id}-{number}", created_at=when if number % 2 else None)),
        "rows": lambda: state.note_rows(job_id, file(), number),
        "bad": lambda: state.note_bad_read(request.fingerprint, 2),
        "delete": lambda: state.delete_later(job_id),
        "deleted": lambda: state.deleted(job_id),
        "advance": lambda: state.advance("created_at", number),
    }[name]()


def facts(bookmark: dict[str, Any]) -> tuple[object, ...]:
    """Return all that a run asks its STATE, which it takes only when it is well-formed."""
    state = StreamState.detached("s", bookmark)
    rows = [state.rows_done(f"j{index}", file()) for index in range(len(REQUESTS))]
    return state.entries, state.closed, state.deletions, state.value, rows


@given(OPERATIONS)
def test_any_sequence_of_transitions_round_trips(operations: list[tuple[str, int, int]]) -> None:
    """A run that stops after any transition and reads its STATE from JSON goes on as if it had not stopped."""
    whole: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for operation in operations:
        transition(StreamState.detached("s", whole), *operation)
        transition(StreamState.detached("s", kept), *operation)
        kept = json.loads(json.dumps(kept))
        assert kept == whole
        assert facts(kept) == facts(whole)


@given(OPERATIONS)
def test_the_ledger_holds_one_entry_per_request(operations: list[tuple[str, int, int]]) -> None:
    """Whatever happens, a request stands in the ledger as an intent, as a job, or not at all: it cannot grow."""
    state = StreamState.detached("s", {})
    expected: dict[str, str | None] = {}
    bad: dict[str, int] = {}
    for name, index, number in operations:
        transition(state, name, index, number)
        fingerprint = REQUESTS[index].fingerprint
        if name == "bad" and expected.get(fingerprint):
            bad[fingerprint] = bad.get(fingerprint, 0) + 1
        if name in {"intend", "opened"}:
            expected[fingerprint], bad[fingerprint] = (f"j{index}" if name == "opened" else None), 0
        if name in {"forget", "close"} or bad.get(fingerprint, 0) >= 2:
            expected.pop(fingerprint, None)
            bad.pop(fingerprint, None)
        assert len(state.entries) == len(expected)
        assert {e.fingerprint: e.id for e in state.entries} == expected


FULL_EXPORTS = st.lists(
    st.tuples(st.sampled_from(["opened", "close", "bad"]), st.just(2), st.integers(0, 9)), max_size=20
)


@given(FULL_EXPORTS | OPERATIONS)
def test_the_last_full_exports_are_remembered(operations: list[tuple[str, int, int]]) -> None:
    """The next full export asks for the same as those that are done with: the last are known, and when they began.

    So are all that the provider dates like the latest, however quickly they followed each other.
    """
    state, full = StreamState.detached("s", {}), REQUESTS[2].fingerprint
    done: list[str] = []
    began: list[datetime] = []
    alike: set[str] = set()
    for name, index, number in operations:
        before = state.entry(full)
        transition(state, name, index, number)
        if name == "close" and REQUESTS[index].window is None:
            done += [f"j{index}-{number}"]
            if number % 2:
                at = NOW + timedelta(seconds=number)
                alike = {*alike, done[-1]} if at == max(began, default=at) else {done[-1]} if at > max(began) else alike
                began += [at]
        if name == "bad" and before and not state.entry(full):
            done += ["j2"]
        assert state.closed.created_at == max(began, default=None)
        assert {*done[-5:], *alike} <= state.closed.ids <= set(done)


def test_deletion_is_noted_and_struck_off() -> None:
    """The list of jobs to delete keeps its order and loses what was deleted."""
    state = StreamState.detached("s", {})
    for job_id in ("j1", "j2", "j3"):
        state.delete_later(job_id)
    state.deleted("j2")
    assert state.deletions == ["j1", "j3"]


REMEDY = "`tap-exports forget s` drops what STATE has of it, the next run begins at start_date then"


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("2026-07-01", "instant", "replication_key_value is not an ISO 8601 date-time; "),
        (12, "instant", "replication_key_value is not an ISO 8601 date-time; "),
        ("x", "number", "replication_key_value is not an integer; "),
        (12.5, "number", "replication_key_value is not an integer; "),
    ],
)
def test_a_bookmark_of_another_type_is_refused(value: object, kind: str, expected: str) -> None:
    """A value that cannot be read stops the stream with the stream's name; a date alone is ISO 8601."""
    state = StreamState.detached("s", {"replication_key_value": value})
    if value == "2026-07-01":
        assert state.instant == window(None, "2026-07-01").end
        return
    with pytest.raises(StateError) as caught:
        getattr(state, kind)
    assert str(caught.value) == f"STATE of s: {expected}{REMEDY}"


def test_the_command_of_a_message_can_be_pasted() -> None:
    """An account may be called anything: its stream stands in the command as a shell takes it."""
    with pytest.raises(StateError, match="`tap-exports forget 's@a b; c'`"):
        StreamState.detached("s@a b; c", {"ledger": {}})


def test_a_bookmark_is_read_as_its_stream_needs_it() -> None:
    """An integer is read from a number and from text, and no value is None."""
    assert StreamState.detached("s", {"replication_key_value": 4836}).number == 4836
    assert StreamState.detached("s", {"replication_key_value": "4836"}).number == 4836
    assert StreamState.detached("s", {}).number is None
    assert StreamState.detached("s", {}).instant is None


MALFORMED = f"is malformed: bookmarks.s.ledger holds an entry that cannot be read; {REMEDY}"


@pytest.mark.parametrize(
    ("bookmark", "expected"),
    [
        ([], "is malformed: expected an object under bookmarks.s; " + REMEDY),
        ({"ledger": []}, "is malformed: bookmarks.s.ledger has no version; " + REMEDY),
        ({"ledger": {}}, "is malformed: bookmarks.s.ledger has no version; " + REMEDY),
        (
            {"ledger": {"version": 3}},
            "has ledger version 3, this tap knows up to 2: it was written by a newer tap-exports; upgrade this one",
        ),
        (
            {"ledger": {"version": 0}},
            "has ledger version 0, which no tap-exports wrote; " + REMEDY,
        ),
        ({"ledger": {"version": 2, "jobs": None}}, MALFORMED),
        ({"ledger": {"version": 2, "jobs": {}}}, MALFORMED),
        ({"ledger": {"version": 2, "jobs": ["j"]}}, MALFORMED),
        ({"ledger": {"version": 2, "jobs": [{**ENTRY, "id": None}]}}, MALFORMED),
        ({"ledger": {"version": 2, "jobs": [{**ENTRY, "window": ["2026-07-01"]}]}}, MALFORMED),
        ({"ledger": {"version": 2, "jobs": [{**ENTRY, "window": [None, "never"]}]}}, MALFORMED),
        ({"ledger": {"version": 2, "jobs": [{**ENTRY, "requested_at": 5}]}}, MALFORMED),
        ({"ledger": {"version": 2, "jobs": [{**ENTRY, "files": {"f": {"rows": "x"}}}]}}, MALFORMED),
        ({"ledger": {"version": 2, "jobs": [{**ENTRY, "files": []}]}}, MALFORMED),
        ({"ledger": {"version": 2, "jobs": [{**ENTRY, "bad_reads": "x"}]}}, MALFORMED),
        ({"ledger": {"version": 2, "intents": [{"requested_at": "2026-07-01"}]}}, MALFORMED),
        ({"ledger": {"version": 2, "delete": "j1"}}, MALFORMED),
        ({"ledger": {"version": 2, "proven": {}}}, MALFORMED),
        ({"ledger": {"version": 2, "proven": ["2026-07-01"]}}, MALFORMED),
        ({"ledger": {"version": 2, "proven": [["2026-07-01"]]}}, MALFORMED),
        ({"ledger": {"version": 2, "jobs": [{**ENTRY, "stalls": "x"}]}}, MALFORMED),
        ({"ledger": {"version": 2, "jobs": [{**ENTRY, "progress": "x"}]}}, MALFORMED),
        ({"ledger": {"version": 2, "jobs": [{**ENTRY, "progress": ["x"]}]}}, MALFORMED),
        ({"ledger": {"version": 2, "jobs": [{**ENTRY, "progress": ["x", "y"]}]}}, MALFORMED),
        ({"ledger": {"version": 2, "jobs": [{**ENTRY, "progress": {"x": "y"}}]}}, MALFORMED),
        ({"ledger": {"version": 2, "jobs": [{**ENTRY, "replaces": 5}]}}, MALFORMED),
        ({"ledger": {"version": 2, "delete": [1]}}, MALFORMED),
    ],
)
def test_a_state_that_cannot_be_read_is_refused(bookmark: Any, expected: str) -> None:  # noqa: ANN401 - also what is no bookmark
    """Every wrong shape and every unknown version gives one message that names the stream."""
    with pytest.raises(StateError) as caught:
        check("s", bookmark)
    assert str(caught.value) == f"STATE of s {expected}"


def test_what_earlier_runs_wrote_is_accepted() -> None:
    """A bookmark alone, a ledger, and the intents of a run that died are all read."""
    check("s", {})
    check("s", {"replication_key": "created_at", "replication_key_value": "2026-07-01T00:00:00.000Z"})
    check("s", {"ledger": {"version": 2}})
    check("s", {"ledger": {"version": 2, "jobs": [ENTRY], "intents": [ENTRY], "delete": ["j0"]}})


def test_exports_within_one_second_are_all_remembered() -> None:
    """A provider that counts whole seconds dates a dozen quick exports alike: only their ids tell them apart."""
    state, request = StreamState.detached("s", {}), REQUESTS[2]
    for second, count in ((0, 12), (1, 1)):
        for number in range(count):
            state.close(
                request, Job(f"{second}-{number}", Status.COMPLETED, created_at=NOW + timedelta(seconds=second))
            )
        if second == 0:
            assert state.closed.ids == {f"0-{number}" for number in range(12)}
    assert state.closed == Closed(frozenset({"0-8", "0-9", "0-10", "0-11", "1-0"}), NOW + timedelta(seconds=1))


# Versions -------------------------------------------------------------------------------------------------------------

V1 = json.loads((Path(__file__).parent / "data" / "ledger_v1.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("stream", V1)
def test_a_ledger_of_version_1_is_taken_over(stream: str) -> None:
    """Everything that the released version wrote is used as it is; the first change makes it version 2."""
    bookmark = json.loads(json.dumps(V1[stream]))
    state = StreamState.detached(stream, bookmark)
    raw = V1[stream]["ledger"]
    assert [e.id for e in state.entries] == [e.get("id") for e in [*raw["jobs"], *raw.get("intents", ())]]
    assert (state.proven, state.proven_numbers, bookmark) == ([], set(), V1[stream])
    state.delete_later("j")
    assert bookmark["ledger"] == {**raw, "version": 2, "delete": [*raw["delete"], "j"]}


def test_the_read_position_of_version_1_is_used() -> None:
    """A crash of the released version inside a file costs no row of what it wrote."""
    state = StreamState.detached("s", json.loads(json.dumps(V1["open"])))
    assert state.rows_done("j1", file("ab" * 32)) == 2


def test_what_is_proven_beyond_the_bookmark_is_bounded() -> None:
    """What is furthest from the bookmark is forgotten first: it is read again, never lost."""
    bookmark: dict[str, Any] = {}
    state = StreamState.detached("s", bookmark)
    state.keep_proven_numbers(range(2000))
    assert state.proven_numbers == set(range(1000))
    state.keep_proven_numbers([])
    assert bookmark == {"ledger": {"version": 2, "jobs": [], "delete": []}}


def test_a_read_of_everything_sees_nothing_proven() -> None:
    """A full read does not leave out what earlier runs proved."""
    state = StreamState.detached("s", {})
    state.keep_proven([window("2026-07-01", "2026-07-02")])
    assert state.proven == [window("2026-07-01", "2026-07-02")]
    assert state.reading_all(enabled=True).proven == []
