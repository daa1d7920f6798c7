"""Jobs whose files are converted elsewhere: order, proof and STATE are those of the reader of rows."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tap_exports.engine.convert.converter import MAX_SIGNATURES, Converter
from tap_exports.engine.convert.pool import Pool
from tap_exports.engine.convert.reader import ConvertingReader
from tap_exports.engine.convert.task import Host, Result, Task, layout_values
from tap_exports.engine.decode import Layout
from tap_exports.engine.http import HttpSettings
from tap_exports.engine.jobs import Journal, Outcome
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Column, Event, Kind, LocalFile, RemoteFile, Request
from tap_exports.engine.publish.form import Published
from tap_exports.engine.publish.storage import Storage
from tap_exports.engine.read.proof import Proof
from tap_exports.engine.read.tally import Limits, Tally
from tap_exports.errors import (
    BadContentError,
    CountError,
    ExecutorError,
    JobLostError,
    RejectLimitError,
    StopError,
    TapError,
)
from tests.engine.fakes import FakeClock
from tests.engine.scripted import COLUMNS, NOW, Files, ScriptedApi, job, reader, sha256, shown

REQUEST = Request("p", "s", {})
BODY = b"a\nx\ny\n"
LATE = [{"name": "late", "kind": "string", "schema": None}]


def result(*counts: int, **changes: object) -> Result:
    """Return what the work answers for a file whose parts have these rows."""
    parts = [{"stream": "s", "url": f"part-{number}", "rows": rows} for number, rows in enumerate(counts, 1)]
    made: Result = {"parts": parts, "rejects": [], "new_columns": [], "rows": sum(counts), "last_row": sum(counts)}
    return {
        **made,
        "skipped": 0,
        "bytes": 6,
        "sha256": sha256(BODY),
        "etag": None,
        "summed": False,
        "error": None,
        **changes,
    }


def reject(row: int) -> dict[str, Any]:
    return {"file": "export.csv", "row": row, "column": "a", "code": "type", "message": "no", "raw": "z"}


class Scripted:
    """Does what a script says.

    Attributes:
        checked: The URLs of the parts that were looked at.
        refuses: The part that is not there.
    """

    label = "a script"

    def __init__(self, script: Callable[[Task, Host], Result], size: int, *, is_here: bool) -> None:
        self.most, self._script, self.checked, self.is_here = size, script, list[str](), is_here
        self.refuses: str | None = None
        self.pool = Pool(self.size)

    def open(self, place: Mapping[str, Any], storage: Storage) -> None:
        raise AssertionError

    def size(self) -> int:
        return self.most

    def slot(self, ended: Callable[[], bool]) -> AbstractContextManager[None]:
        return nullcontext()

    def work(self, task: Task, host: Host) -> Result:
        return self._script(task, host)

    def close(self) -> None:
        raise AssertionError

    def check(self, part: Mapping[str, Any]) -> None:
        self.checked.append(part["url"])
        if part["url"] == self.refuses:
            raise ExecutorError(f"{part['url']} is not there")


class Bench:
    """A reader over scripted answers: of the api, and of the work by job."""

    def __init__(self, folder: Path, answers: Mapping[str, Any], size: int = 2, **more: Any) -> None:  # noqa: ANN401 - JSON
        self.clock, self.columns, self.tasks = FakeClock(), dict(COLUMNS), list[Task]()
        self.api = ScriptedApi(opens=more.pop("opens", {}))
        self.files = Files(folder, dict.fromkeys(("j1", "j2", "j3", "j4"), BODY))
        self._answers = {name: list(each) for name, each in answers.items()}
        limits = more.pop("limits", Limits())
        self.executor = Scripted(self.work, size, is_here=more.pop("is_here", True))
        self.plain = replace(reader(self.api, self.files, self.clock, limits), layout=self.layout, **more)
        converter = Converter(self.executor, HttpSettings(), {"folder": None, "max_mb": 1}, noted=self.noted)
        self.reader = ConvertingReader(self.plain, self.shape, converter, Journal(), self.clock)
        self.bookmark: dict[str, Any] = {}
        self.tally, self.proof = Tally(), Proof()

    def layout(self, skip_rows: int = 0) -> Layout:
        return Layout(columns=self.columns, skip_rows=skip_rows)

    def shape(self) -> dict[str, Any]:
        return {"layout": layout_values(self.layout()), "before": {}, "behind": {}, "part": {"stream": "s", "rows": 10}}

    def noted(self, job_id: str) -> Mapping[str, Any]:
        return StreamState.detached("s", self.bookmark).rows_noted(job_id)

    def work(self, task: Task, host: Host) -> Result:
        self.tasks.append(task)
        answers = self._answers[task["part"]["scope"]]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        made: Result = answer(task, host) if callable(answer) else answer
        return made

    def outcome(self, job_id: str = "j1", attempts: int = 1, rows: int | None = None) -> Outcome:
        outcome = Outcome(REQUEST, job(job_id, rows=rows), NOW, 0.0, attempts)
        state = StreamState.detached("s", self.bookmark)
        if state.entry(REQUEST.fingerprint) is None:
            state.opened(REQUEST, outcome.job, NOW)
        return outcome

    def play(self, outcome: Outcome) -> list[Any]:
        """Read a job; columns that are new are known from then on."""
        log: list[Any] = []
        for event in self.proof.watched(
            self.reader.read(outcome, StreamState.detached("s", self.bookmark), self.tally)
        ):
            log.append(self.told(event))
            if log[-1][0] == "columns":
                self.columns |= {name: Column(name, Kind.STRING) for name in log[-1][1]}
        return log

    def told(self, event: Event) -> tuple[Any, ...]:
        if isinstance(event, Published):
            return "part", event.url, len(event)
        said = shown(event, self.bookmark)
        return ("state", done(said[1])) if said[0] == "state" else said


def done(bookmark: Mapping[str, Any]) -> int:
    """Return the rows that STATE covers."""
    return int(bookmark["ledger"]["jobs"][0].get("files", {}).get("export.csv", {}).get("rows", 0))


Benches = Callable[..., Bench]


@pytest.fixture
def bench(tmp_path: Path) -> Benches:
    return lambda answers, **more: Bench(tmp_path, answers, **more)


def test_state_follows_each_part(bench: Benches) -> None:
    """It covers the rows that were announced; those of the last part are covered by the proof of the window."""
    ran = bench({"j1": [result(10, 10, 3)]})
    log = ran.play(ran.outcome(rows=23))
    assert log == [
        ("part", "part-1", 10),
        ("state", 10),
        ("part", "part-2", 10),
        ("state", 20),
        ("part", "part-3", 3),
    ]
    assert (ran.tally.rows, ran.tally.bytes, ran.tally.sha256) == (23, 6, sha256(BODY))


def test_full_table_has_no_progress(bench: Benches) -> None:
    ran = bench({"j1": [result(10, 3)]}, resumes=False)
    assert ran.play(ran.outcome()) == [("part", "part-1", 10), ("part", "part-2", 3)]


@pytest.mark.parametrize(("summed", "proof"), [(True, "A"), (False, "B")])
def test_digest_of_the_file_is_a_proof(bench: Benches, summed: bool, proof: str) -> None:  # noqa: FBT001 - of the table above
    """P1: whether the server's digest fits is told by the work, which saw the bytes."""
    ran = bench({"j1": [result(3, summed=summed)]})
    ran.play(ran.outcome())
    assert ran.tally.proof == proof


def test_count_is_proven(bench: Benches) -> None:
    """Fewer rows than the provider counts stop the stream, though all of them are announced."""
    ran = bench({"j1": [result(3)]})
    with pytest.raises(CountError, match="3 rows read, the provider counts 4"):
        ran.play(ran.outcome(rows=4))


def test_rows_that_are_in_no_part(bench: Benches) -> None:
    """An engine that lost a part does not close a window."""
    ran = bench({"j1": [result(3, rows=5)]})
    with pytest.raises(StopError, match="5 rows were read, its parts hold 3"):
        ran.play(ran.outcome())


@pytest.mark.parametrize("kind", ["BadContentError", "StopError", "NoSuchError", "Terminated"])
def test_error_value_is_raised(bench: Benches, kind: str) -> None:
    """After the parts before it, as RECORD messages come before an error; a strange kind stops the stream too."""
    ran = bench({"j1": [result(3, error={"kind": kind, "message": "the words"})]})
    log: list[Any] = []
    with pytest.raises(TapError, match="the words") as stopped:
        log.extend(map(ran.told, ran.reader.read(ran.outcome(), StreamState.detached("s", ran.bookmark), ran.tally)))
    assert isinstance(stopped.value, StopError)
    assert isinstance(stopped.value, BadContentError) == (kind == "BadContentError")
    assert ran.tally.rows == 3


def test_rejects_come_and_count(bench: Benches) -> None:
    """With rejects no progress is noted: rows are not ordinals any more. One too many stops the stream."""
    answer = result(2, 1, rejects=[reject(2)])
    ran = bench({"j1": [answer]}, limits=Limits(rejects_max_count=1))
    assert ran.play(ran.outcome(rows=4)) == [("part", "part-1", 2), ("part", "part-2", 1), ("reject", "j1", 2, "a")]
    ran = bench({"j1": [answer]})
    with pytest.raises(RejectLimitError, match="row 2, column"):
        ran.play(ran.outcome())


def test_windows_run_ahead(bench: Benches) -> None:
    """From the stream's turn on, as many files at once as the executor takes; one more when one of them is done."""
    begun: queue.SimpleQueue[str] = queue.SimpleQueue()
    going = {f"j{number}": threading.Event() for number in range(2, 8)}

    def noted(task: Task, host: Host) -> Result:
        begun.put(job_id := task["part"]["scope"])
        assert going[job_id].wait(5)
        return result(1)

    ran = bench({"j1": [result(1)], **{name: [noted] for name in going}})
    outcomes = [ran.outcome(f"j{number}") for number in range(1, 8)]
    for outcome in outcomes[1:]:
        ran.reader.run_ahead(outcome)
    assert ran.tasks == []
    ran.play(outcomes[0])
    assert sorted(begun.get(timeout=5) for _ in range(2)) == ["j2", "j3"]
    with pytest.raises(queue.Empty):
        begun.get(timeout=0.2)
    going["j3"].set()
    assert begun.get(timeout=5) == "j4"
    for each in going.values():
        each.set()
    assert [ran.play(outcome) for outcome in outcomes[1:]] == [[("part", "part-1", 1)]] * 6
    assert sorted(task["part"]["scope"] for task in ran.tasks) == [f"j{number}" for number in range(1, 8)]


def test_files_of_all_streams_side_by_side(bench: Benches) -> None:
    """An executor elsewhere begins as jobs complete, whosever turn it is; here only with the stream's turn."""
    begun: queue.SimpleQueue[str] = queue.SimpleQueue()

    def noted(task: Task, host: Host) -> Result:
        begun.put(task["part"]["scope"])
        return result(1)

    for is_here in (False, True):
        ran = bench({"j1": [noted]}, is_here=is_here)
        ran.reader.run_ahead(ran.outcome())
        if is_here:
            with pytest.raises(queue.Empty):
                begun.get(timeout=0.2)
        else:
            assert begun.get(timeout=5) == "j1"
        assert ran.play(ran.outcome()) == [("part", "part-1", 1)]
        assert len(ran.tasks) == 1


def test_part_is_looked_at_before_it_is_announced(bench: Benches) -> None:
    """What is not in the storage is never named, nor is what comes behind it; STATE covers what was."""
    ran = bench({"j1": [result(10, 10, 3)]})
    ran.executor.refuses = "part-2"
    log: list[Any] = []
    with pytest.raises(ExecutorError, match="part-2 is not there"):
        log.extend(map(ran.told, ran.reader.read(ran.outcome(), StreamState.detached("s", ran.bookmark), ran.tally)))
    assert ran.executor.checked == ["part-1", "part-2"]
    assert done(ran.bookmark) == 10


def test_job_of_an_earlier_run_goes_on_behind_what_state_covers(bench: Benches) -> None:
    """The work gets what STATE says of the file; the rows that it skips count as read."""
    ran = bench({"j1": [result(10, 3, skipped=10)]})
    outcome = ran.outcome(attempts=0, rows=23)
    local = LocalFile("export.csv", Path(), 6, sha256(BODY), None)
    StreamState.detached("s", ran.bookmark).note_rows("j1", local, 10)
    assert ran.play(outcome) == [("part", "part-1", 10), ("state", 20), ("part", "part-2", 3)]
    assert (ran.tasks[0]["noted"]["sha256"], ran.tasks[0]["noted"]["rows"]) == (sha256(BODY), 10)
    assert (ran.tally.rows, ran.tally.file_rows) == (23, 23)


def test_new_columns_are_announced_and_handed_in_again(bench: Benches) -> None:
    """SCHEMA comes before the parts that hold them; windows that were converted without them are converted anew."""
    begun = threading.Event()

    def first(task: Task, host: Host) -> Result:
        assert begun.wait(5)
        return result(rows=0, last_row=0, new_columns=LATE)

    def without(task: Task, host: Host) -> Result:
        begun.set()
        return result(7)

    ran = bench({"j1": [first, result(2)], "j2": [without, result(2)]})
    ran.reader.run_ahead(ahead := ran.outcome("j2"))
    assert ran.play(ran.outcome()) == [("columns", ["late"]), ("part", "part-1", 2)]
    assert ran.play(ahead) == [("part", "part-1", 2)]
    names = [[column["name"] for column in task["layout"]["columns"]] for task in ran.tasks]
    assert sorted(names) == [["a"], ["a"], ["a", "late"], ["a", "late"]]


def test_new_columns_inside_a_file_leave_the_rest_to_rows(bench: Benches) -> None:
    """Parts before them stay, and every row comes once: the reader of rows goes on behind them."""
    ran = bench({"j1": [result(1, new_columns=LATE)]})
    log = ran.play(ran.outcome(rows=2))
    assert log[:2] == [("part", "part-1", 1), ("columns", ["late"])]
    assert [row["a"] for row in log[2][1]] == ["y"]
    assert ran.tally.rows == 2


def test_new_columns_behind_rejects(bench: Benches) -> None:
    """The ordinal of the last row is known to the work only: the file is handed in again, behind it."""
    first = result(1, 1, rejects=[reject(2)], last_row=3, new_columns=LATE)
    ran = bench({"j1": [first, result(5)]}, limits=Limits(rejects_max_count=1))
    assert [event[0] for event in ran.play(ran.outcome(rows=8))] == ["part", "part", "reject", "columns", "part"]
    assert [(t["layout"]["skip_rows"], t["part"]["first"]) for t in ran.tasks] == [(0, 1), (3, 3)]


def test_rest_of_another_file(bench: Benches) -> None:
    ran = bench({"j1": [result(1, new_columns=LATE, sha256="other")]})
    with pytest.raises(BadContentError, match="changed between two downloads"):
        ran.play(ran.outcome())


def test_second_conversion_of_another_file(bench: Benches) -> None:
    """A file that is handed in again behind its first rows must be the same one, or rows of two files are mixed."""
    first = result(1, 1, rejects=[reject(2)], last_row=3, new_columns=LATE)
    ran = bench({"j1": [first, result(5, sha256="other")]}, limits=Limits(rejects_max_count=1))
    with pytest.raises(BadContentError, match="changed between two downloads"):
        ran.play(ran.outcome())
    assert [(t["layout"]["skip_rows"], t["part"]["first"]) for t in ran.tasks] == [(0, 1), (3, 3)]


def test_url_that_came_late_to_a_worker_is_no_renewal(bench: Benches) -> None:
    """It waited for a worker for longer than it lived: another one is asked for, as often as that happens."""
    refused = result(error={"kind": "UrlExpiredError", "message": "refused"})
    late = {**refused, "queued": 5.0}
    ran = bench({"j1": [late, late, refused, late, late, refused, refused, result(1)]})
    assert ran.play(ran.outcome()) == [("part", "part-1", 1)]
    ran = bench({"j1": [late]})
    with pytest.raises(TapError, match="refused"):
        ran.play(ran.outcome())
    assert len(ran.tasks) == MAX_SIGNATURES


def test_expired_url_is_renewed(bench: Benches) -> None:
    """Three times; then its error stands."""
    refused = result(error={"kind": "UrlExpiredError", "message": "refused"})
    opens = {"j1": [[RemoteFile("export.csv", f"url-{number}")] for number in range(9)]}
    ran = bench({"j1": [refused, refused, refused, result(1)]}, opens=opens)
    assert ran.play(ran.outcome()) == [("part", "part-1", 1)]
    assert [task["file"]["url"] for task in ran.tasks] == ["url-0", "url-1", "url-2", "url-3"]
    ran = bench({"j1": [refused]})
    with pytest.raises(TapError, match="refused"):
        ran.play(ran.outcome())
    assert len(ran.tasks) == 4


PLAIN: dict[str, dict[str, Any]] = {
    "two files": {"opens": {"j1": [[RemoteFile("x.csv", "j1"), RemoteFile("y.csv", "j2")]]}},
    "an archive": {"opens": {"j1": [[RemoteFile("x.zip", "j1", "zip")], [RemoteFile("x.csv", "j1")]]}},
    "no column known": {"columns": {}},
}


@pytest.mark.parametrize("case", PLAIN.values(), ids=PLAIN)
def test_left_to_the_reader_of_rows(bench: Benches, case: dict[str, Any]) -> None:
    ran = bench({"j1": [result(1)]}, opens=case.get("opens", {}))
    ran.columns = case.get("columns", ran.columns)
    log = ran.play(ran.outcome())
    assert [row["a"] for event in log if event[0] == "rows" for row in event[1]][:2] == ["x", "y"]
    assert ran.tasks == []


def test_lost_job(bench: Benches) -> None:
    """What the provider says when the file's URL is asked for is told at the job's turn."""
    ran = bench({"j1": [result(1)]}, opens={"j1": [JobLostError("gone")]})
    with pytest.raises(JobLostError, match="gone"):
        ran.play(ran.outcome())


def test_release_ends_the_workers(bench: Benches) -> None:
    """Those at work are told, those that wait never begin, and nobody is waited for much longer than they take."""
    started, seen = threading.Event(), list[bool]()

    def long(task: Task, host: Host) -> Result:
        started.set()
        for _ in range(1000):
            if host.ended():
                break
            threading.Event().wait(0.01)
        seen.append(host.ended())
        return result(1)

    ran = bench({"j1": [result(1)], "j2": [long], "j3": [long], "j4": [long]}, size=1)
    for name in ("j2", "j3", "j4"):
        ran.reader.run_ahead(ran.outcome(name))
    ran.play(ran.outcome())
    assert started.wait(5)
    ran.reader.release()
    assert seen == [True]
    assert [task["part"]["scope"] for task in ran.tasks] == ["j1", "j2"]
    assert ran.api.calls == ["open j1", "open j2"]
