"""Downloads run ahead of their reader; what is written, and in which order, does not depend on it (P9)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tap_exports.engine.jobs import Outcome
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Job, LocalFile, RemoteFile, Request, Rows
from tap_exports.engine.read.files import FileReader
from tap_exports.engine.read.prefetch import DOWNLOADS, Prefetch, workers
from tap_exports.engine.read.tally import Tally
from tap_exports.engine.run.created import Export, ExportRun
from tap_exports.errors import BadContentError, NoRoomError
from tests.engine.fakes import FakeClock
from tests.engine.scripted import NOW, Files, Log, ScriptedApi, at, job, lifecycle, message, play, reader, values

DAYS = 4
LIMIT_SECONDS = 30
BEGIN = at("2026-06-26")
CONTENTS = {f"j{day}": f"a\n{day}\n".encode() for day in range(1, DAYS + 1)}


class Daily(ScriptedApi):
    """Creates a job that is named by the day of its window."""

    def submit(self, request: Request) -> Job:
        assert request.window
        return job(f"j{(request.window.end - BEGIN).days + 1}")


def run_of(files: Files, prefetch: Prefetch | None) -> tuple[ExportRun, dict[str, Any]]:
    """Return a run over four windows of a day, whose jobs end at once."""
    api, clock, bookmark = Daily(), FakeClock(), dict[str, Any]()
    wanted = Export("p", "s", {}, "created_at", BEGIN, at("2026-06-29T23:59:59.999Z"), max_window_days=1)
    chosen = replace(reader(api, files, clock), prefetch=prefetch)
    life = lifecycle(api, clock, max_concurrent_jobs=2)
    return ExportRun(wanted, life, chosen, StreamState.detached("s", bookmark), clock), bookmark


def played(folder: Path, prefetch: Prefetch | None, **changes: bytes | Exception) -> tuple[Log, Exception | None]:
    folder.mkdir()
    run, bookmark = run_of(Files(folder, {**CONTENTS, **changes}), prefetch)
    return play(run, bookmark)


def of(day: int) -> Outcome:
    return Outcome(Request("p", "s", {}), job(f"j{day}"), NOW, 0.0, 1)


def ahead_of(files: Files, room: bool = True) -> tuple[FileReader, Prefetch]:  # noqa: FBT001, FBT002 - of the spool
    prefetch = Prefetch(lambda: room, workers())
    return replace(reader(ScriptedApi(), files, FakeClock()), prefetch=prefetch), prefetch


def test_files_are_here_before_their_turn(tmp_path: Path) -> None:
    """The file is asked for once, and removed when its rows were read."""
    files = Files(tmp_path, dict(CONTENTS))
    chosen, prefetch = ahead_of(files)
    chosen.run_ahead(of(2))
    prefetch._jobs["j2"].result(LIMIT_SECONDS)
    assert files.downloads == ["j2"]
    events = list(chosen.read(of(2), StreamState.detached("s", {}), Tally()))
    assert [len(event) for event in events if isinstance(event, Rows)] == [1]
    assert files.downloads == ["j2"]
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_fetched_behind_its_reader(tmp_path: Path) -> None:
    """The worker that saw a job end tells of it last: by then its rows, or the whole stream, may have been read."""
    files = Files(tmp_path, dict(CONTENTS))
    chosen, prefetch = ahead_of(files)
    list(chosen.read(of(1), StreamState.detached("s", {}), Tally()))
    chosen.run_ahead(of(1))
    assert (files.downloads, prefetch._jobs) == (["j1"], {})
    chosen.release()
    chosen.run_ahead(of(2))
    assert prefetch._jobs == {}


def test_a_full_spool_lets_nothing_run_ahead(tmp_path: Path) -> None:
    files = Files(tmp_path, dict(CONTENTS))
    chosen, prefetch = ahead_of(files, room=False)
    chosen.run_ahead(of(2))
    assert prefetch._jobs == {}


def test_what_nobody_reads_is_removed(tmp_path: Path) -> None:
    """Whether it is here, or still on its way."""
    files = Files(tmp_path, dict(CONTENTS))
    chosen, prefetch = ahead_of(files)
    for day in range(1, DAYS + 1):
        chosen.run_ahead(of(day))
    futures = list(prefetch._jobs.values())
    futures[0].result(LIMIT_SECONDS)
    chosen.release()
    ends = time.monotonic() + LIMIT_SECONDS
    while not all(future.done() for future in futures) or list(tmp_path.iterdir()):
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_rows_come_in_the_order_of_their_windows(tmp_path: Path) -> None:
    ahead, alone = played(tmp_path / "a", Prefetch(lambda: True, workers())), played(tmp_path / "b", None)
    assert values(ahead[0]) == values(alone[0]) == ["1", "2", "3", "4"]
    assert [e for e in ahead[0] if e[0] != "state"] == [e for e in alone[0] if e[0] != "state"]


@pytest.mark.parametrize("ahead", [True, False])
def test_an_error_is_told_at_its_turn(tmp_path: Path, *, ahead: bool) -> None:
    """The other windows are proven; it is the same error as without running ahead."""
    log, error = played(tmp_path / "a", Prefetch(lambda: ahead, workers()), j3=BadContentError("HTML"))
    assert (values(log), message(error)) == (["1", "2", "4"], "BadContentError: HTML")


def test_files_of_a_job_that_broke_half_way_are_removed(tmp_path: Path) -> None:
    files = Files(tmp_path, {"one": b"a\n1\n", "two": BadContentError("HTML")})
    api = ScriptedApi(opens={"j1": [[RemoteFile("1.csv", "one"), RemoteFile("2.csv", "two")]]})
    chosen = reader(api, files, FakeClock())
    with pytest.raises(BadContentError):
        chosen._fetched(Outcome(Request("p", "s", {}), job(), NOW, 0.0, 1))
    assert list(tmp_path.iterdir()) == []


def test_streams_share_the_threads(tmp_path: Path) -> None:
    """However many streams wait for their turn, no more threads than that are there."""
    shared, before = workers(), threading.active_count()
    files = Files(tmp_path, {f"j{number}": b"a\n1\n" for number in range(20)})
    readers = [replace(ahead_of(files)[0], prefetch=Prefetch(lambda: True, shared)) for _ in range(20)]
    for number, chosen in enumerate(readers):
        chosen.run_ahead(of(number))
    assert threading.active_count() - before <= DOWNLOADS


def test_what_finds_no_room_is_downloaded_in_its_turn(tmp_path: Path) -> None:
    """A full spool costs time, no rows and no order."""

    class Full(Files):
        def download(self, remote: RemoteFile, again: Callable[[], RemoteFile]) -> LocalFile:
            if remote.ahead and remote.url in {"j2", "j3"}:
                raise NoRoomError("full")
            return super().download(remote, again)

    files = Full(tmp_path, CONTENTS)
    run, bookmark = run_of(files, Prefetch(lambda: True, workers()))
    log, error = play(run, bookmark)
    assert (values(log), error, sorted(files.downloads)) == (["1", "2", "3", "4"], None, ["j1", "j2", "j3", "j4"])
