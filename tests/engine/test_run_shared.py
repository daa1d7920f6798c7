"""Jobs that several streams share: asked for once, fetched once, closed by the last reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from zipfile import ZIP_STORED

import pytest

from tap_exports.engine.archive import ArchiveLimits, Inventory, Section, Survey
from tap_exports.engine.decode import Layout
from tap_exports.engine.jobs import JobSettings, Journal, Lifecycle
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Column, Job, Kind, Request, Row, Status
from tap_exports.engine.read.members import AssetReader, JobReader, Reader, RecordReader, SectionReader
from tap_exports.engine.read.tally import Limits
from tap_exports.engine.run.archived import ArchiveRun
from tap_exports.engine.run.shared import SharedJobs
from tap_exports.errors import AuthError, JobFailedError, JobLostError, LostReplyError
from tests.engine.archives import zipped
from tests.engine.fakes import FakeClock
from tests.engine.scripted import Files, Log, ScriptedApi, message, play, receipts

KEYS = ("job_id", "section", "path", "index")
YAML = {"manifest.yaml": b"sections: []", "a/1.yaml": b"- {x: 1}\n- {x: 2}", "a/2.png": b"png", "b.yaml": b"x: 3"}
SECTIONS = (Section("a", "completed", 2, 1), Section("b", "completed", 1, 0))


class ArchiveApi(ScriptedApi):
    """One whose jobs are archives.

    Attributes:
        sections: What jobs say of themselves, None for nothing.
        size: The same of their size.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - of `ScriptedApi`
        super().__init__(*args, **kwargs)
        self.sections: Sequence[Section] | None = SECTIONS
        self.own: Sequence[Section] | None = None
        self.size: int | None = None

    def inventory(self, job: Job) -> Inventory:
        return Inventory(self.sections, self.size)

    def manifest(self, found: Survey) -> Inventory:
        return Inventory(self.own)

    def constants(self, job: Job) -> Row:
        return {"job_id": job.id}


class FreeApi(ArchiveApi):
    free_to_repeat: Literal[True] = True


@dataclass
class Stage:
    """What a test plays on."""

    folder: Path
    api: ArchiveApi
    contents: Mapping[str, bytes | Exception]
    bookmark: dict[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    room: Callable[[], bool] = lambda: True
    detach: bool = False
    given: Sequence[tuple[Request, Job]] = ()
    organizations: Sequence[str] = ("o1",)

    def __post_init__(self) -> None:
        self.clock, self.proofs = FakeClock(), list[bool]()
        self.files = Files(self.folder, self.contents)
        settings = JobSettings(max_concurrent_jobs=1, detach=self.detach)
        self.shared = SharedJobs(
            lifecycle=Lifecycle(self.api, Journal(), self.clock, settings),
            api=self.api,
            download=self.files.download,
            state=lambda: StreamState.detached("exports", self.bookmark),
            requests=[Request("p", "exports", {"organization_id": o}) for o in self.organizations],
            given=self.given,
            archive_limits=ArchiveLimits(),
            limits=self.limits,
            has_room=self.room,
            clock=self.clock,
        )

    def play(self, *streams: str) -> dict[str, tuple[Log, Exception | None]]:
        """Run some streams as the tap does: all begin, then one after another in the order of their names."""
        runs = {name: ArchiveRun(name, self.shared, readers()[name]) for name in sorted(streams)}
        for run in runs.values():
            run.start()
        return {name: play(_Begun(run, self.shared), self.bookmark, self.proofs) for name, run in runs.items()}


class _Begun:
    """A run that was started already."""

    def __init__(self, run: ArchiveRun, shared: SharedJobs) -> None:
        self._run, self._shared = run, shared

    @property
    def state(self) -> StreamState:
        return self._shared.state()

    def start(self) -> None:
        pass

    def events(self) -> Any:  # noqa: ANN401 - of `ArchiveRun`
        return self._run.events()


def layout(skip_rows: int = 0) -> Layout:
    names = ("job_id", "key", "status", "record_count", "binary_count", "error")
    return Layout(columns={name: Column(name, Kind.ANY) for name in names})


def readers() -> dict[str, Reader]:
    return {
        "assets": AssetReader(ArchiveLimits(), None),
        "exports": JobReader(lambda outcome: {"status": outcome.job.raw_status}, layout, "exports"),
        "records": RecordReader(ArchiveLimits()),
        "sections": SectionReader(layout, "sections"),
    }


ALL = ("assets", "exports", "records", "sections")
NEW = [Job("j1", Status.PENDING, "pending")]


def rows(log: Log) -> list[Row]:
    return [row for event in log if event[0] == "rows" for row in event[1]]


def done(job_id: str = "j1", **more: Any) -> Job:  # noqa: ANN401 - of `Job`
    return Job(job_id, Status.COMPLETED, "completed", **more)


def open_jobs(bookmark: Mapping[str, Any]) -> list[str]:
    return [job["id"] for job in bookmark.get("ledger", {}).get("jobs", ())]


def test_four_streams_cost_one_job_and_one_download(tmp_path: Path) -> None:
    """Asked for once, polled once, downloaded once; the archive is gone at the end."""
    stage = Stage(tmp_path, ArchiveApi(NEW), {"j1": zipped(YAML)})
    played = stage.play(*ALL)
    assert stage.api.calls == ["submit", "poll j1", "open j1"]
    assert stage.files.downloads == ["j1"]
    assert [path.name for path in tmp_path.iterdir()] == []
    assert {name: (len(rows(log)), error) for name, (log, error) in played.items()} == {
        "assets": (1, None),
        "records": (3, None),
        "sections": (2, None),
        "exports": (1, None),
    }


def test_records_carry_their_place(tmp_path: Path) -> None:
    log, _ = Stage(tmp_path, ArchiveApi(NEW), {"j1": zipped(YAML)}).play("records")["records"]
    assert [tuple(row[key] for key in (*KEYS, "_sdc_row", "record")) for row in rows(log)] == [
        ("j1", "a", "a/1.yaml", 0, 1, {"x": 1}),
        ("j1", "a", "a/1.yaml", 1, 2, {"x": 2}),
        ("j1", "b", "b.yaml", 0, 1, {"x": 3}),
    ]


def test_the_last_stream_closes_the_job(tmp_path: Path) -> None:
    """The ledger holds the job until the last reader is done, and there is one receipt."""
    stage = Stage(tmp_path, ArchiveApi(NEW), {"j1": zipped(YAML)})
    played = stage.play(*ALL)
    assert [name for name, (log, _) in played.items() if receipts(log)] == ["sections"]
    assert receipts(played["sections"][0]) == [("receipt", "j1", "completed", 7)]
    before, after = [open_jobs(event[1]) for log, _ in played.values() for event in log if event[0] == "state"][-2:]
    assert (before, after) == (["j1"], [])


def test_streams_that_are_not_selected_cost_nothing(tmp_path: Path) -> None:
    """Jobs and sections are told by the poll: nothing is downloaded for them."""
    stage = Stage(tmp_path, ArchiveApi(NEW), {})
    played = stage.play("exports", "sections")
    assert (len(rows(played["sections"][0])), stage.api.calls) == (2, ["submit", "poll j1"])


def test_sections_come_from_the_manifest_where_the_job_has_none(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ArchiveApi(NEW), {"j1": zipped(YAML)})
    stage.api.sections, stage.api.own = None, SECTIONS
    assert [row["key"] for row in rows(stage.play("sections")["sections"][0])] == ["a", "b"]


def test_a_run_after_a_crash_reads_the_same_job(tmp_path: Path) -> None:
    """A job of the ledger is not asked for again, and its api knows what it was asked for."""
    first = Stage(tmp_path, ArchiveApi(NEW), {"j1": JobFailedError("the disk broke")})
    first.play("records")
    assert open_jobs(first.bookmark) == ["j1"]
    again = Stage(tmp_path, ArchiveApi(), {"j1": zipped(YAML)}, bookmark=first.bookmark)
    log, error = again.play("records")["records"]
    assert (again.api.calls, len(rows(log)), error) == (["poll j1", "open j1"], 3, None)
    assert open_jobs(first.bookmark) == []


def test_a_job_of_another_configuration_is_left_alone(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ArchiveApi(NEW), {"j1": zipped(YAML)})
    stage.shared.state().opened(Request("p", "exports", {"organization_id": "gone"}), done("old"), stage.clock.now())
    stage.play("exports")
    assert ("poll old" in stage.api.calls, open_jobs(stage.bookmark)) == (False, [])


@pytest.mark.parametrize(("api", "creations"), [(ArchiveApi, 1), (FreeApi, 2)])
def test_a_lost_reply_is_repeated_only_where_that_costs_nothing(
    tmp_path: Path, api: type[ArchiveApi], creations: int
) -> None:
    stage = Stage(tmp_path, api([LostReplyError("no reply"), *NEW]), {"j1": zipped(YAML)})
    _, error = stage.play("exports")["exports"]
    assert (stage.api.calls.count("submit"), error is None) == (creations, creations == 2)


def test_a_job_that_failed_is_a_row_and_stops_its_streams(tmp_path: Path) -> None:
    """Its streams fail, the next run asks anew, and the receipt says why."""
    failed = Job("j1", Status.FAILED, "failed", reason="no room")
    stage = Stage(tmp_path, ArchiveApi(NEW, {"j1": [failed]}), {})
    played = stage.play("exports", "records")
    assert rows(played["exports"][0])[0]["status"] == "failed"
    assert {message(error) for _, error in played.values()} == {
        'JobFailedError: exports, job j1: ended as "failed": no room; the next run asks again'
    }
    assert (open_jobs(stage.bookmark), receipts(played["records"][0])) == ([], [("receipt", "j1", "failed", 1)])


def test_one_bad_organization_does_not_keep_the_others_back(tmp_path: Path) -> None:
    jobs = [Job("j1", Status.PENDING), Job("j2", Status.PENDING)]
    stage = Stage(tmp_path, ArchiveApi(jobs), {"j1": b"<html>", "j2": zipped(YAML)}, organizations=("o1", "o2"))
    log, error = stage.play("records")["records"]
    assert len(rows(log)) == 3
    assert message(error) == (
        "BadContentError: exports, job j1: export.csv: the bytes are neither a zip nor a gzip archive"
    )
    assert open_jobs(stage.bookmark) == ["j1"]


def test_bad_bytes_are_read_twice_and_then_asked_for_anew(tmp_path: Path) -> None:
    bookmark: dict[str, Any] = {}
    for expected in (["j1"], []):
        Stage(tmp_path, ArchiveApi(NEW), {"j1": b"PK\x03\x04"}, bookmark=bookmark).play("records")
        assert open_jobs(bookmark) == expected


def test_a_job_lost_while_it_is_read_is_asked_for_again_once(tmp_path: Path) -> None:
    lost = JobLostError("gone")
    jobs = [Job("j1", Status.PENDING), Job("j2", Status.PENDING)]
    stage = Stage(tmp_path, ArchiveApi(jobs, opens={"j1": [lost]}), {"j2": zipped(YAML)})
    log, error = stage.play("records")["records"]
    assert ({row["job_id"] for row in rows(log)}, error) == ({"j2"}, None)
    assert receipts(log) == [("receipt", "j1", "lost", 0), ("receipt", "j2", "completed", 3)]


def test_a_detached_job_in_place_of_a_lost_one_is_left_to_the_next_run(tmp_path: Path) -> None:
    """It runs, which is no failure: the next run reads it."""
    jobs, opens = [Job("j1", Status.PENDING), Job("j2", Status.PENDING, "pending")], {"j1": [JobLostError("gone")]}
    bookmark: dict[str, Any] = {}
    api = ArchiveApi(jobs, opens=opens)
    played = []
    for _ in range(3):
        stage = Stage(tmp_path, api, {"j2": zipped(YAML)}, bookmark=bookmark, detach=True)
        played.append(stage.play("records")["records"])
    assert [error for _, error in played] == [None] * 3
    assert [receipts(log) for log, _ in played] == [
        [],
        [("receipt", "j1", "lost", 0)],
        [("receipt", "j2", "completed", 3)],
    ]
    assert (len(rows(played[2][0])), open_jobs(bookmark)) == (3, [])


@pytest.mark.parametrize(("poll", "status"), [(JobLostError("gone"), "lost"), (Job("j1", Status.RUNNING), "stalled")])
def test_the_receipt_of_a_job_that_was_replaced_comes_once(tmp_path: Path, poll: Any, status: str) -> None:  # noqa: ANN401 - of `ScriptedApi`
    """Whichever streams wait for it, and whatever becomes of the creation in its place."""
    bookmark: dict[str, Any] = {}
    told = []
    api = ArchiveApi([Job("j1", Status.PENDING), AuthError("no"), Job("j2", Status.PENDING)], {"j1": [poll]})
    for _ in range(3):
        played = Stage(tmp_path, api, {"j2": zipped(YAML)}, bookmark=bookmark).play("exports", "sections")
        told.append([entry for log, _ in played.values() for entry in receipts(log)])
    assert [entry for run in told for entry in run if entry[1] == "j1"] == [("receipt", "j1", status, 0)]
    assert told[2][0][1:3] == ("j2", "completed")
    assert open_jobs(bookmark) == []


@pytest.mark.parametrize("polls", [{}, {"j1": [JobLostError("gone")]}])
def test_a_job_lost_twice_stops(tmp_path: Path, polls: Any) -> None:  # noqa: ANN401 - of `ScriptedApi`
    """However it was lost the first time, there is no third job."""
    jobs, lost = [Job(f"j{n}", Status.PENDING) for n in (1, 2, 3)], JobLostError("gone")
    stage = Stage(tmp_path, ArchiveApi(jobs, polls, opens={"j1": [lost], "j2": [lost]}), {})
    error = stage.play("records")["records"][1]
    assert (message(error), stage.api.calls.count("submit")) == ("JobLostError: gone", 2)


def test_given_jobs_are_read_and_nothing_is_asked_for(tmp_path: Path) -> None:
    given = [(Request("p", "exports", {"job_id": "g1"}), Job("g1", Status.PENDING))]
    stage = Stage(tmp_path, ArchiveApi(), {"g1": zipped(YAML)}, given=given)
    played = stage.play(*ALL)
    assert (stage.api.calls, {len(rows(log)) for log, _ in played.values()}) == (["poll g1", "open g1"], {1, 2, 3})
    assert open_jobs(stage.bookmark) == []


def test_without_room_the_archive_is_fetched_again(tmp_path: Path) -> None:
    """A full spool costs a second download, never a second job."""
    stage = Stage(tmp_path, ArchiveApi(NEW), {"j1": zipped(YAML)}, room=lambda: False)
    stage.play(*ALL)
    assert (stage.api.calls.count("submit"), stage.files.downloads) == (1, ["j1", "j1"])


def test_detached_jobs_are_left_and_replace_nothing(tmp_path: Path) -> None:
    """Rows of earlier runs must stay at the target, so nothing is proven."""
    stage = Stage(tmp_path, ArchiveApi(NEW), {}, detach=True)
    stage.play("exports", "records")
    assert stage.proofs == []
    assert (open_jobs(stage.bookmark), stage.api.calls) == (["j1"], ["submit"])


def test_detached_jobs_are_no_more_than_allowed_at_once(tmp_path: Path) -> None:
    """Each run asks for what has room; a completed job is kept until all are, since one table holds them all."""
    new = [Job("j1", Status.PENDING, "pending"), Job("j2", Status.PENDING, "pending")]
    api = ArchiveApi(new, polls={"j1": [done()], "j2": [done("j2")]})
    bookmark = dict[str, Any]()
    seen = []
    for _ in range(3):
        stage = Stage(
            tmp_path,
            api,
            {"j1": zipped(YAML), "j2": zipped(YAML)},
            bookmark=bookmark,
            detach=True,
            organizations=("o1", "o2"),
        )
        stage.play("records")
        seen.append((open_jobs(bookmark), api.calls.count("submit"), stage.proofs))
    assert seen == [(["j1"], 1, []), (["j1", "j2"], 2, []), ([], 2, [True])]


COUNTS = "records read differ from the provider's counts: b: 1 of 2 (verify_counts: fail)"


def test_missing_records_stop_the_stream(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ArchiveApi(NEW), {"j1": zipped(YAML)})
    stage.api.sections = (SECTIONS[0], Section("b", "completed", 2, 0))
    assert message(stage.play("records")["records"][1]) == f"CountError: exports, job j1: {COUNTS}"


@pytest.mark.parametrize(("verify", "warnings"), [("warn", 1), ("off", 0)])
def test_counts_may_be_told_or_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, verify: str, warnings: int
) -> None:
    stage = Stage(tmp_path, ArchiveApi(NEW), {"j1": zipped(YAML)}, limits=Limits(verify_counts=verify))
    stage.api.sections = (SECTIONS[0], Section("b", "completed", 2, 0))
    assert stage.play("records")["records"][1] is None
    assert caplog.text.count("b: 1 of 2") == warnings


def test_missing_files_stop_the_stream(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ArchiveApi(NEW), {"j1": zipped(YAML)})
    stage.api.sections = (Section("a", "completed", 2, 5), SECTIONS[1])
    assert "files read differ from the provider's counts: a: 1 of 5" in message(stage.play("assets")["assets"][1])


def test_job_and_manifest_must_agree(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ArchiveApi(NEW), {"j1": zipped(YAML)})
    stage.api.own = (SECTIONS[0], Section("b", "completed", 9, 0))
    assert message(stage.play("records")["records"][1]) == (
        "CountError: exports, job j1: row counts of job and manifest.yaml differ: b (verify_counts: fail)"
    )


def test_another_size_than_announced_stops(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ArchiveApi(NEW), {"j1": zipped(YAML)})
    stage.api.size = 7
    assert "bytes, the provider declares 7" in message(stage.play("records")["records"][1])


def test_a_failed_section_is_a_row_and_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What a failed section lacks does not stop the others."""
    failed = Section("b", "failed", 7, 0, "timed out")
    stage = Stage(tmp_path, ArchiveApi(NEW, {"j1": [done(warnings=(failed.complaint,))]}), {"j1": zipped(YAML)})
    stage.api.sections = (SECTIONS[0], failed)
    played = stage.play(*ALL)
    assert [row["error"] for row in rows(played["sections"][0])] == [None, "timed out"]
    assert {error for _, error in played.values()} == {None}
    assert 'exports, job j1: section b is "failed": timed out' in caplog.text


def test_large_records_come_in_small_batches(tmp_path: Path) -> None:
    """A batch is bounded in bytes as well as in rows."""
    files = {"a.yaml": b"".join(b"- {x: " + b"y" * 2_000_000 + b"}\n" for _ in range(5))}
    files["b.yaml"] = b"- {x: 1}\n" * 2500
    stage = Stage(tmp_path, ArchiveApi(NEW), {"j1": zipped(files, ZIP_STORED)}, limits=Limits(verify_counts="off"))
    log, _ = stage.play("records")["records"]
    assert [len(event[1]) for event in log if event[0] == "rows"] == [3, 1000, 1000, 502]
