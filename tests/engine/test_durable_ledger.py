from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tap_exports.engine.changes import Changes
from tap_exports.engine.clock import to_text
from tap_exports.engine.jobs import Change, Journal
from tap_exports.engine.ledger import CLOCK_SKEW, StreamState, durable
from tap_exports.engine.ledger import places as at
from tap_exports.engine.ledger.durable import FULL_KEPT, SECTION_KEPT, WINDOW_KEPT, DurableLedger
from tap_exports.engine.ledger.places import LocalPlace, Nowhere, RemotePlace, place_of, sweep
from tap_exports.engine.ledger.seconds import WholeSeconds
from tap_exports.engine.model import Job, Request, Status, Window
from tap_exports.engine.run.followed import LeadingState
from tap_exports.errors import LedgerError

Json = dict[str, Any]
NOW = datetime(2026, 7, 1, tzinfo=timezone.utc)
FIRST = Window(NOW - timedelta(days=60), NOW - timedelta(days=30))
SECOND = Window(NOW - timedelta(days=30), NOW)
STREAM, KEY = "exelensia_export_invoices", "exelensia_export_invoices@1"


class Run:
    """One run over a ledger: its STATE, and the stream's part of it."""

    def __init__(
        self,
        path: Path,
        bookmark: Json | None = None,
        now: datetime = NOW,
        *,
        reads_all: bool = False,
        is_full: bool = True,
        key: str = KEY,
    ) -> None:
        self.bookmarks: Json = {STREAM: bookmark or {}}
        changes = Changes()
        self.ledger = DurableLedger(lambda: self.bookmarks, changes)
        self.journal = Journal(self.ledger)
        self.state = StreamState(STREAM, self.bookmarks[STREAM], changes)
        self.ledger.open(LocalPlace(path), lambda: now, required=True)
        self.ledger.merge(STREAM, [key], self.state, reads_all=reads_all, is_full=is_full)
        self.ledger.write()

    def open(self, window: Window | None, job_id: str, at: datetime = NOW) -> Request:
        """Create a job, and die if nothing else follows."""
        asked = request(window)
        self.state.intend(asked, at)
        self.state.opened(asked, Job(job_id, Status.PENDING, credits=3), at)
        self.ledger.write()
        return asked

    def read(self, asked: Request, job_id: str, created_at: datetime | None = None) -> None:
        """Prove a job, and end."""
        self.journal.note_read(STREAM, asked.fingerprint)
        self.state.close(asked, Job(job_id, Status.COMPLETED, created_at=created_at))
        if asked.window:
            self.state.advance("created_at", to_text(asked.window.end))
        self.ledger.close()

    @property
    def jobs(self) -> list[str | None]:
        return [entry.id for entry in self.state.entries]


def request(window: Window | None) -> Request:
    return Request("exelensia", STREAM, {"schema_id": "s1"}, window)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "ledger.json"


# What a run takes over


@pytest.mark.parametrize("window", [FIRST, None], ids=["window", "full"])
def test_a_job_that_state_lacks_is_taken_over(path: Path, window: Window | None) -> None:
    """A run that was killed left no STATE: the next one has its job, with its charge and its instant."""
    Run(path).open(window, "j1")
    after = Run(path)
    (entry,) = after.state.entries
    assert (entry.id, entry.window, entry.credits, entry.requested_at) == ("j1", window, 3, NOW)


def test_an_intent_that_state_lacks_is_taken_over(path: Path) -> None:
    """A run that was killed while it waited for the reply to its POST: the next one looks for the job."""
    first = Run(path)
    first.state.intend(request(FIRST), NOW)
    first.ledger.write()
    assert [(e.id, e.requested_at) for e in Run(path).state.entries] == [(None, NOW)]


@pytest.mark.parametrize("window", [FIRST, None], ids=["window", "full"])
def test_a_job_that_was_read_is_taken_over_until_a_later_state_proves_it(path: Path, window: Window | None) -> None:
    """STATE proved it, and the loader may not have kept that STATE: only an incoming one shows that it did."""
    first = Run(path)
    first.read(first.open(window, "j1"), "j1")
    assert Run(path).jobs == ["j1"]
    assert Run(path, dict(first.bookmarks[STREAM])).jobs == []
    assert json.loads(path.read_bytes())["streams"][KEY]["jobs"] == []
    assert Run(path).jobs == []


def test_a_window_proven_beyond_the_bookmark_is_dropped(path: Path) -> None:
    """A window behind a gap is proven as well."""
    Run(path).open(SECOND, "j2")
    beyond = {"ledger": {"version": 2, "jobs": [], "proven": [[to_text(SECOND.start or NOW), to_text(SECOND.end)]]}}
    assert Run(path, {"replication_key_value": to_text(NOW - timedelta(days=50)), **beyond}).jobs == []


def test_a_run_by_number_is_dropped_by_the_bookmark(path: Path) -> None:
    """Runs of Cension have numbers; those up to the bookmark are proven."""
    Run(path).open(None, "4843")
    assert Run(path, {"replication_key_value": 4842}).jobs == ["4843"]
    assert Run(path, {"replication_key_value": 4843}).jobs == []


def test_a_job_that_was_dropped_is_forgotten(path: Path) -> None:
    """What failed or was given up leaves the ledger with STATE: no later run gets stuck on it (P11)."""
    first = Run(path)
    first.state.close(first.open(FIRST, "failed"), Job("failed", Status.FAILED))
    first.ledger.close()
    assert Run(path).jobs == []


def test_state_that_knows_a_later_job_wins_and_the_other_way_round(path: Path) -> None:
    """The later creation counts, whichever of both holds it; a job goes before its intent."""
    Run(path).open(FIRST, "old", NOW - timedelta(hours=1))
    bookmark: Json = {}
    later = StreamState.detached(STREAM, bookmark)
    later.opened(request(FIRST), Job("new", Status.PENDING), NOW)
    assert Run(path, dict(bookmark)).jobs == ["new"]
    bookmark = {}
    older = StreamState.detached(STREAM, bookmark)
    older.intend(request(FIRST), NOW)
    assert Run(path, dict(bookmark)).jobs == ["new"]


def test_the_same_job_keeps_the_progress_of_state_and_the_higher_counts(path: Path) -> None:
    """Rows of a file are in STATE only; how often a job stalled may be in the ledger only."""
    first = Run(path)
    asked = first.open(FIRST, "j1")
    before = json.loads(json.dumps(first.bookmarks[STREAM]))
    before["ledger"]["jobs"][0]["files"] = {"a.csv": {"rows": 7, "sha256": "x", "etag": None}}
    first.state.note_stall(asked.fingerprint)
    first.ledger.write()
    after = Run(path, before)
    assert after.bookmarks[STREAM]["ledger"]["jobs"][0]["files"]["a.csv"]["rows"] == 7
    assert [entry.stalls for entry in after.state.entries] == [1]


@pytest.mark.parametrize(("window", "kept"), [(FIRST, WINDOW_KEPT), (None, FULL_KEPT)], ids=["window", "full"])
def test_a_job_that_was_read_long_ago_is_not_read_again(path: Path, window: Window | None, kept: timedelta) -> None:
    """Who runs without STATE on purpose gets new rows; an open job has no such age."""
    first = Run(path)
    asked = first.open(window, "j1")
    later = NOW + kept + timedelta(seconds=1)
    assert Run(path, now=later).jobs == ["j1"]
    first.read(asked, "j1")
    assert Run(path, now=NOW + kept).jobs == ["j1"]
    first.ledger.write()
    second = Run(path, now=NOW + kept)
    second.read(asked, "j1")
    assert Run(path, now=later).jobs == []


def test_a_run_by_number_has_no_age(path: Path) -> None:
    """No later run holds the rows of one that was read before the loader died."""
    first = Run(path, is_full=False)
    first.read(first.open(None, "4801"), "4801")
    after = Run(path, now=NOW + SECTION_KEPT - timedelta(seconds=1), is_full=False)
    assert after.jobs == ["4801"]


def test_a_full_export_older_than_one_that_state_closed_is_passed(path: Path) -> None:
    """STATE went on without the ledger: what it closed later goes before what the ledger holds."""
    first = Run(path)
    first.read(first.open(None, "j1"), "j1")
    closed = {"ledger": {"version": 2, "jobs": [], "closed": ["j9"]}}
    at_once = to_text(NOW + CLOCK_SKEW)
    assert Run(path, {"ledger": {**closed["ledger"], "closed_created_at": at_once}}).jobs == ["j1"]
    later = to_text(NOW + CLOCK_SKEW + timedelta(seconds=1))
    assert Run(path, {"ledger": {**closed["ledger"], "closed_created_at": later}}).jobs == []


def test_a_run_that_reads_everything_again_keeps_its_open_jobs(path: Path) -> None:
    """Its bookmark says nothing about them; those that were read are proven by it."""
    bookmark = {"replication_key_value": to_text(NOW)}
    first = Run(path, dict(bookmark), reads_all=True)
    asked = first.open(FIRST, "j1")
    second = Run(path, dict(bookmark), reads_all=True)
    assert second.jobs == ["j1"]
    second.read(asked, "j1")
    assert Run(path, dict(bookmark), reads_all=True).jobs == []


def test_a_second_that_is_read_again_does_not_keep_its_job(path: Path) -> None:
    """Where the last second of a bookmark is read again, by another job, the one that was read is proven."""
    first = Run(path)
    first.read(first.open(FIRST, "j1"), "j1")
    after = Run(path)
    after.bookmarks[STREAM].clear()
    after.bookmarks[STREAM].update(first.bookmarks[STREAM])
    after.state = WholeSeconds(STREAM, after.bookmarks[STREAM], Changes(), overlaps=True)
    after.ledger.open(LocalPlace(path), lambda: NOW, required=True)
    after.ledger.merge(STREAM, [KEY], after.state, reads_all=False, is_full=False)
    assert after.jobs == []


def test_sections_do_not_see_each_other(path: Path) -> None:
    """Another account, request or range of one stream has a section of its own, also in one file."""
    Run(path, key="exelensia_export_invoices@other").open(FIRST, "theirs")
    Run(path).open(FIRST, "mine")
    assert Run(path, key="exelensia_export_invoices@other").jobs == ["theirs"]
    assert Run(path).jobs == ["mine"]


def test_what_nobody_used_for_long_is_removed(path: Path) -> None:
    """The file stays small."""
    Run(path, key="gone").open(FIRST, "theirs")
    Run(path, now=NOW + SECTION_KEPT + timedelta(days=1))
    assert list(json.loads(path.read_bytes())["streams"]) == [KEY]


def test_jobs_that_were_read_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last ones are kept."""
    monkeypatch.setattr(durable, "READ_KEPT", 3)
    run = Run(path)
    for number in range(5):
        end = NOW + timedelta(days=number)
        asked = request(Window(end - timedelta(days=1), end))
        run.state.opened(asked, Job(str(number), Status.PENDING), NOW)
        run.ledger.write()
        run.journal.note_read(STREAM, asked.fingerprint)
        run.state.close(asked, Job(str(number), Status.COMPLETED))
    run.ledger.close()
    jobs = json.loads(path.read_bytes())["streams"][KEY]["jobs"]
    assert (len(jobs), jobs[0]["id"]) == (3, "2")


def test_followers_get_the_jobs_that_their_leader_takes_over() -> None:
    """Their files would be lost with the STATE that named the job."""
    follower = StreamState.detached("errors", {})
    leader = LeadingState(STREAM, {}, Changes(), lambda: [follower], overlaps=False)
    bookmark: Json = {}
    known = StreamState.detached(STREAM, bookmark)
    known.opened(request(FIRST), Job("j1", Status.PENDING), NOW)
    (raw,) = bookmark["ledger"]["jobs"]
    assert leader.merge_entry(raw)
    assert not leader.merge_entry(raw)
    assert [entry.id for entry in follower.entries] == ["j1"]


# When it is written


def test_it_is_written_before_state_and_before_the_creation(path: Path) -> None:
    """The order of P2: ledger, STATE, POST; then ledger and STATE with the id."""
    run = Run(path)
    seen: list[tuple[str, list[Any]]] = []

    def kept() -> list[Any]:
        section = json.loads(path.read_bytes())["streams"][KEY]
        return [job["id"] for job in section["jobs"]] or ["intent" for _ in section["intents"]]

    asked = request(FIRST)

    def post() -> None:
        seen.append(("POST", kept()))
        run.journal.hand_over(Change(lambda: run.state.opened(asked, Job("j1", Status.PENDING), NOW)), done)

    ended: Future[None] = Future()
    done = partial(ended.set_result, None)
    run.journal.hand_over(Change(lambda: run.state.intend(asked, NOW), lambda: None), post)
    seen.extend(("STATE", kept()) for _ in run.journal.until(ended))
    assert seen == [("STATE", ["intent"]), ("POST", ["intent"]), ("STATE", ["j1"])]


def test_a_ledger_that_cannot_be_written_stops_every_creation(path: Path) -> None:
    """The intent is withdrawn at the end of the run, and nothing was sent."""
    run = Run(path)
    run.ledger._place = _Broken()
    sent: list[str] = []

    intent = Change(lambda: run.state.intend(request(FIRST), NOW), lambda: run.state.forget(request(FIRST).fingerprint))
    run.journal.hand_over(intent, lambda: sent.append("POST"))
    for _ in range(2):
        with pytest.raises(LedgerError, match="ledger: here cannot be used: No space left on device"):
            list(run.journal.pump())
    run.journal.end()
    assert (sent, run.jobs) == ([], [])


def test_progress_inside_a_file_writes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows cost no fsync; a creation costs one for the intent and one for the id."""
    syncs: list[int] = []
    monkeypatch.setattr(os, "fsync", syncs.append)
    run = Run(path)
    syncs.clear()
    run.open(FIRST, "j1")
    assert len(syncs) == 2  # the file and its folder: intent and id were one change here
    for rows in range(1, 4):
        run.state._files("j1")["a.csv"] = {"rows": rows, "sha256": "x", "etag": None}
        run.ledger.write()
    assert len(syncs) == 2


# Places


@pytest.fixture
def memory() -> Iterator[str]:
    yield "memory://ledgers/one.json"
    MemoryFileSystem.store.clear()


def test_an_object_of_any_storage_is_written_whole(memory: str) -> None:
    """Fsspec URLs keep it too."""
    place = place_of(memory, "unused")
    place.lock()
    assert (place.read(), place.name) == (None, memory)
    place.write(b"one")
    place.write(b"two")
    assert RemotePlace(memory).read() == b"two"


@pytest.mark.parametrize(
    ("setting", "kind"), [("none", Nowhere), (" None ", Nowhere), ("memory://x", RemotePlace), ("x.json", LocalPlace)]
)
def test_the_setting_names_a_place(setting: str, kind: type) -> None:
    """`none`, a URL, or a path."""
    assert type(place_of(setting, "unused")) is kind


def test_file_urls_are_local(tmp_path: Path) -> None:
    """They have a lock and reach the disk."""
    assert place_of(f"file://{tmp_path}/x.json", "unused").name == f"{tmp_path}/x.json"


def test_the_default_is_in_the_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the XDG Base Directory specification, which ignores relative paths."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert place_of(None, "x.json").name == f"{tmp_path}/tap-exports/x.json"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place_of(None, "x.json").name == f"{tmp_path}/.local/state/tap-exports/x.json"


def test_names_of_remote_places_hold_no_secret() -> None:
    """Neither user nor password nor query."""
    assert at._shown("sftp://user:secret@host/a/b.json?token=x") == "sftp://host/a/b.json"


def test_only_its_owner_reads_it(path: Path) -> None:
    """Job ids are not for others; no temporary file stays."""
    Run(path).open(FIRST, "j1")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert sorted(p.name for p in path.parent.iterdir()) == ["ledger.json", "ledger.json.lock"]


def test_an_interrupted_write_leaves_the_old_ledger(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new one takes its place when it is on the disk."""
    run = Run(path)
    before = path.read_bytes()

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LedgerError, match="No space left"):
        run.open(FIRST, "j1")
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir() if p.suffix == ".tmp"] == []


def test_old_files_of_the_state_folder_are_swept(tmp_path: Path) -> None:
    """Configurations whose dates change leave one each."""
    for name, age in (("old.json", at.UNUSED_SECONDS + 60), ("old.json.lock", at.UNUSED_SECONDS + 60), ("new.json", 0)):
        (tmp_path / name).touch()
        then = (tmp_path / name).stat().st_mtime - age
        os.utime(tmp_path / name, (then, then))
    sweep(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["new.json"]


CONTENTS = {
    "damaged": b'{"version": 1, "str',
    "no ledger": b"[]",
    "no version": b'{"streams": {}}',
    "no fingerprint": b'{"version":1,"streams":{"x":{"updated_at":"2026-07-01T00:00:00Z","jobs":[{"id":"1"}]}}}',
}


@pytest.mark.parametrize("name", CONTENTS)
def test_what_is_no_ledger_is_refused_and_kept(path: Path, name: str) -> None:
    """Never overwritten: the message names the file and what to do."""
    path.parent.mkdir()
    path.write_bytes(CONTENTS[name])
    with pytest.raises(LedgerError, match=r"ledger\.json cannot be read.*Move it away, or set another `ledger`"):
        Run(path)
    assert path.read_bytes() == CONTENTS[name]


def test_a_newer_version_is_refused(path: Path) -> None:
    """It may say what this tap does not understand."""
    path.parent.mkdir()
    path.write_bytes(b'{"version": 2, "streams": []}')
    with pytest.raises(LedgerError, match="has version 2, this tap knows 1"):
        Run(path)


def test_a_default_place_that_cannot_be_used_is_done_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A warning says what that means; a configured one is an error."""
    (tmp_path / "file").touch()
    place = LocalPlace(tmp_path / "file" / "ledger.json")
    ledger = DurableLedger(dict, Changes())
    with caplog.at_level(logging.WARNING):
        ledger.open(place, lambda: NOW, required=False)
    ledger.write()
    assert "may create its jobs again" in caplog.text
    assert ledger.name == "none"
    with pytest.raises(LedgerError, match=r"config: ledger: .* cannot be used"):
        DurableLedger(dict, Changes()).open(place, lambda: NOW, required=True)


class _Broken(Nowhere):
    """A place without room."""

    name = "here"

    def write(self, data: bytes) -> None:
        raise OSError(28, "No space left on device")
