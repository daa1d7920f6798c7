from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tap_exports.engine.decode import Layout
from tap_exports.engine.jobs import Outcome
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import FILE, Job, LocalFile, Reject, RemoteFile, Request, Rows
from tap_exports.engine.publish.lines import dicts_of
from tap_exports.engine.read.files import FileReader
from tap_exports.engine.read.proof import Proof
from tap_exports.engine.read.tally import Limits, Tally
from tap_exports.errors import CountError, EmptyFileError, RejectLimitError, TapError
from tests.engine.fakes import FakeClock
from tests.engine.scripted import NOW, Files, Log, ScriptedApi, all_shown, job, reader, sha256, shown, values

REQUEST = Request("exelensia", "s", {})
REJECT = Reject("f.csv", 7, "a", "type", "no", "x")


def outcome(seen: Job) -> Outcome:
    return Outcome(REQUEST, seen, NOW, 0.0, 1)


def read(
    folder: Path, files: list[RemoteFile], contents: dict[str, bytes], bookmark: dict[str, Any]
) -> tuple[Log, Tally]:
    api, tally = ScriptedApi(opens={"j1": [files]}), Tally()
    state = StreamState.detached("s", bookmark)
    if not state.entries:
        state.opened(REQUEST, job(), NOW)
    chosen = reader(api, Files(folder, contents), FakeClock())
    return all_shown(chosen.read(outcome(job(rows=9)), state, tally), bookmark), tally


def test_files_of_a_job_follow_each_other(tmp_path: Path) -> None:
    """Ordinals begin anew in each file; counts, bytes and the last digest stand in the tally; the sum is the count."""
    files = [RemoteFile("1.csv", "one", rows=2), RemoteFile("2.csv", "two", rows=1)]
    log, tally = read(tmp_path, files, {"one": b"a\nx\ny\n", "two": b"a\nz\n"}, {})
    assert [(row["a"], row[FILE], row["_sdc_row"]) for event in log for row in event[1]] == [
        ("x", "1.csv", 1),
        ("y", "1.csv", 2),
        ("z", "2.csv", 1),
    ]
    assert (tally.rows, tally.rejects, tally.bytes, tally.sha256) == (3, 0, 10, sha256(b"a\nz\n"))


def test_the_count_of_the_job_stands_in_for_files_without_one(tmp_path: Path) -> None:
    """Where not every file has a count, that of the job is held against all rows."""
    files = [RemoteFile("1.csv", "one", rows=2), RemoteFile("2.csv", "two")]
    with pytest.raises(CountError, match=r"^s, job j1: 3 rows read, the provider counts 9 \(verify_counts: fail\)$"):
        read(tmp_path, files, {"one": b"a\nx\ny\n", "two": b"a\nz\n"}, {})


@pytest.mark.parametrize(("summed", "proof"), [((True, True), "A"), ((True, False), "B"), ((False, True), "B")])
def test_digests_of_all_files_are_a_proof(tmp_path: Path, summed: tuple[bool, ...], proof: str) -> None:
    """P1: the digest that a server gives of a file proves it as a count does, if every file of the job has one."""
    contents = {"one": b"a\nx\n", "two": b"a\ny\n"}
    files, tally = Files(tmp_path, contents), Tally()
    has = dict(zip(contents, summed, strict=True))
    api = ScriptedApi(opens={"j1": [[RemoteFile(f"{name}.csv", name) for name in contents]]})
    chosen = replace(
        reader(api, files, FakeClock()),
        download=lambda remote, again: replace(files.download(remote, again), summed=has[remote.url]),
    )
    all_shown(chosen.read(outcome(job()), StreamState.detached("s", {}), tally), {})
    assert tally.proof == proof


def test_a_crash_in_the_second_file(tmp_path: Path) -> None:
    """Each file goes on where STATE says, and covered rows count once."""
    files = [RemoteFile("1.csv", "one"), RemoteFile("2.csv", "two", rows=None)]
    contents = {"one": b"a\n1\n2\n3\n4\n5\n", "two": b"a\n6\n7\n8\n9\n"}
    bookmark: dict[str, Any] = {}
    state = StreamState.detached("s", bookmark)
    state.opened(REQUEST, job(), NOW)
    covered = {"1.csv": (contents["one"], 4), "2.csv": (contents["two"], 3)}
    bookmark["ledger"]["jobs"][0]["files"] = {
        name: {"sha256": sha256(content), "rows": rows} for name, (content, rows) in covered.items()
    }
    log, tally = read(tmp_path, files, contents, bookmark)
    assert values(log) == ["5", "9"]
    assert tally.rows == 9


def test_a_job_without_files_is_empty(tmp_path: Path) -> None:
    """No file means no row, which the count confirms or denies."""
    with pytest.raises(CountError, match=r"^s, job j1: 0 rows read, the provider counts 9"):
        read(tmp_path, [], {}, {})


def test_a_reader_that_is_abandoned_leaves_no_file(tmp_path: Path) -> None:
    """A run that ends in the middle of a file removes it from the spool."""
    files = Files(tmp_path, {"j1": b"a\n1\n"})
    events = reader(ScriptedApi(), files, FakeClock()).read(outcome(job()), StreamState.detached("s", {}), Tally())
    next(events)
    assert len(list(tmp_path.iterdir())) == 1
    events.close()  # type: ignore[attr-defined] # a generator
    assert list(tmp_path.iterdir()) == []


def test_each_file_is_read_with_the_columns_known_by_then(tmp_path: Path) -> None:
    """The layout is asked for anew with each file; the time spent is noted, also that of a failure."""
    clock, seen = FakeClock(), list[int]()

    def layouts(skip_rows: int = 0) -> Layout:
        clock.advance(2)
        seen.append(skip_rows)
        return Layout(skip_rows=skip_rows)

    files = [RemoteFile("1.csv", "one"), RemoteFile("2.csv", "two")]
    api, tally, state = ScriptedApi(opens={"j1": [files]}), Tally(), StreamState.detached("s", {})
    spool = Files(tmp_path, {"one": b"a\nx\n", "two": b"b\nz\n"})
    chosen = FileReader(api, spool.download, layouts, Limits(), clock)
    log: Log = []
    with pytest.raises(CountError):
        log.extend(shown(event, {}) for event in Proof().watched(chosen.read(outcome(job(rows=1)), state, tally)))
    assert [event for event in log if event[0] == "columns"] == [("columns", ["a"]), ("columns", ["b"])]
    assert (seen, tally.read_seconds) == ([0, 0], 4)


@pytest.mark.parametrize(("resumes", "expected"), [(True, ["y"]), (False, ["x", "y"])])
def test_only_what_resumes_goes_on_inside_a_file(tmp_path: Path, *, resumes: bool, expected: list[str]) -> None:
    """A full table starts over: its rows have one version, and activating it drops those of a crashed run."""
    contents = b"a\nx\ny\n"
    done = {"1.csv": {"etag": None, "sha256": sha256(contents), "rows": 1}}
    raw = {"id": "j1", "fingerprint": REQUEST.fingerprint, "window": None, "requested_at": "2026-01-01", "files": done}
    state = StreamState.detached("s", {"ledger": {"version": 2, "jobs": [raw], "delete": []}})
    api = ScriptedApi(opens={"j1": [[RemoteFile("1.csv", "one")]]})
    spool = Files(tmp_path, {"one": contents})
    chosen = FileReader(
        api, spool.download, lambda skip_rows=0: Layout(skip_rows=skip_rows), Limits(), FakeClock(), resumes=resumes
    )
    batches = [e.data for e in chosen.read(outcome(job()), state, Tally()) if isinstance(e, Rows)]
    assert [row["a"] for batch in batches for row in dicts_of(Rows(batch), frozenset({"a"}))] == expected


# The tally ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "fits"), [(0, True), (2, True), (3, False)])
def test_rejects_up_to_a_count(count: int, fits: bool) -> None:  # noqa: FBT001 - a parameter of the table above
    """The row over the limit stops the file at once."""
    tally, limits = Tally(), Limits(rejects_max_count=2)
    tally.begin_file()
    if fits:
        for _ in range(count):
            tally.reject("s", REJECT, limits)
        tally.end_file("s", limits)
        return
    for _ in range(count - 1):
        tally.reject("s", REJECT, limits)
    with pytest.raises(RejectLimitError) as caught:
        tally.reject("s", REJECT, limits)
    assert str(caught.value) == (
        's: file f.csv, row 7, column "a": no; 3 rows rejected, allowed are 2 (rejects_max_count) or a share of 0 '
        "(rejects_max_ratio)"
    )


@pytest.mark.parametrize(("rows", "fits"), [(8, True), (7, False)])
def test_rejects_up_to_a_share(rows: int, fits: bool) -> None:  # noqa: FBT001 - a parameter of the table above
    """A share is held against the whole file, rejected rows included; the larger limit holds."""
    tally, limits = Tally(), Limits(rejects_max_ratio=0.2, rejects_max_count=1)
    tally.begin_file()
    for _ in range(2):
        tally.reject("s", REJECT, limits)
    tally.add(rows)
    if fits:
        tally.end_file("s", limits)
        return
    with pytest.raises(RejectLimitError, match="2 rows rejected, allowed are 1"):
        tally.end_file("s", limits)


def test_limits_hold_for_each_file() -> None:
    """A new file begins without rejects; the tally of the job keeps all of them."""
    tally, limits = Tally(), Limits(rejects_max_count=1)
    for _ in range(3):
        tally.begin_file()
        tally.reject("s", REJECT, limits)
        tally.end_file("s", limits)
    assert (tally.rejects, tally.file_rejects) == (3, 1)


ROW = b'{"a": "x"}\n'


class Answers(Files):
    """The same URL shows what is next, each copy with an end that is proven or not."""

    def __init__(self, folder: Path, *contents: bytes, is_whole: bool = True) -> None:
        super().__init__(folder, {})
        self._next, self._is_whole = list(contents), is_whole

    def download(self, remote: RemoteFile, again: Any) -> LocalFile:  # noqa: ANN401 - unused
        self.contents[remote.url] = self._next.pop(0)
        return replace(super().download(remote, again), is_whole=self._is_whole)


def answered(folder: Path, answers: Answers, remote: RemoteFile, count: int | None = None) -> tuple[list[str], Tally]:
    api, tally, state = ScriptedApi(opens={"j1": [[remote]] * 3}), Tally(), StreamState.detached("s", {})
    events = reader(api, answers, FakeClock()).read(outcome(job(rows=count)), state, tally)
    log = all_shown(events, {})
    assert list(folder.iterdir()) == []
    return values(log), tally


LINES = RemoteFile("export.jsonl", "u", "jsonl")


@pytest.mark.parametrize("nothing", [b"", b"\n", gzip.compress(b"")], ids=["no bytes", "a line end", "gzip"])
def test_json_lines_without_a_line_are_a_table_without_rows(tmp_path: Path, nothing: bytes) -> None:
    """Where the end is proven, and a second copy from a new URL holds nothing as well; without a count it is B."""
    answers = Answers(tmp_path, nothing, nothing)
    rows, tally = answered(tmp_path, answers, LINES)
    assert (rows, tally.proof, len(answers.downloads)) == ([], "B", 2)


def test_nothing_once_is_no_empty_table(tmp_path: Path) -> None:
    """The second copy holds the rows: a server answered once with a proper reply of no bytes."""
    assert answered(tmp_path, Answers(tmp_path, b"", ROW), LINES)[0] == ["x"]


def test_a_count_of_none_needs_no_second_copy(tmp_path: Path) -> None:
    answers = Answers(tmp_path, b"")
    rows, tally = answered(tmp_path, answers, LINES, count=0)
    assert (rows, tally.proof, len(answers.downloads)) == ([], "A", 1)


@pytest.mark.parametrize(
    ("remote", "count", "is_whole", "error"),
    [
        (LINES, None, False, EmptyFileError),
        (LINES, 3, True, CountError),
        (replace(LINES, rows=3), None, True, EmptyFileError),
        (replace(LINES, format="json"), None, True, EmptyFileError),
        (replace(LINES, format="csv"), None, True, EmptyFileError),
    ],
    ids=["end not proven", "counted", "counted itself", "JSON", "CSV"],
)
def test_nothing_is_refused_where_there_may_be_rows(
    tmp_path: Path, remote: RemoteFile, count: int | None, *, is_whole: bool, error: type[TapError]
) -> None:
    """A bracket or a header is due, rows are counted, or the connection may have been cut before the first byte."""
    with pytest.raises(error):
        answered(tmp_path, Answers(tmp_path, b"", b"", is_whole=is_whole), remote, count)


def test_rows_whose_end_nothing_proves_are_c(tmp_path: Path) -> None:
    """`unframed_files: accept` takes them, and the receipt says so."""
    assert answered(tmp_path, Answers(tmp_path, ROW, is_whole=False), LINES)[1].proof == "C"
