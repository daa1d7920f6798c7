"""STATE in batch mode: it covers no row that no BATCH has named, whatever happens, and never hides a job."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import pytest

from tap_exports.engine.changes import Changes
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import JOB_ID, Job, LocalFile, Request, Rows, Status
from tap_exports.engine.thrift import Due
from tap_exports.errors import StopError, Terminated
from tap_exports.singer.messages.batch_settings import BatchSettings
from tap_exports.singer.messages.batches import Batches
from tap_exports.singer.messages.held_state import Covered

Json = dict[str, Any]
AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
FIRST, SECOND, OTHERS = (Request("p", stream, {"n": n}) for stream, n in (("s", 1), ("s", 2), ("o", 3)))
FILE = LocalFile("f.csv", Path("f.csv"), 10, "digest")


@dataclass
class Tap:
    """Stands for the tap: keeps what is written, in order."""

    state: Json = field(default_factory=lambda: {"bookmarks": {"s": {}, "o": {}}})
    written: list[Any] = field(default_factory=list)
    changes: Changes = field(default_factory=Changes)

    @cached_property
    def covered(self) -> Covered:
        return Covered(lambda: self.state["bookmarks"], self.changes)

    @property
    def writer(self) -> Tap:
        return self

    def write_message(self, message: Any) -> None:  # noqa: ANN401 - the SDK's message
        self.written.append([_lines(url) for url in message.manifest])

    def write_state(self, due: Due = Due.NOW) -> None:
        self.written.append(deepcopy(self.state["bookmarks"]))

    def ledger(self, stream: str = "s") -> StreamState:
        return StreamState(stream, self.state["bookmarks"][stream], self.changes)


@dataclass
class Stream:
    """Stands for the stream."""

    tap: Tap
    name: str = "s"
    selected_names: frozenset[str] = frozenset({"a"})
    schema: Json = field(default_factory=lambda: {"properties": {"a": {"type": ["integer", "null"]}}})
    config: Json = field(default_factory=dict)


@pytest.fixture
def tap() -> Tap:
    """Return a tap whose stream has one open job."""
    made = Tap()
    made.ledger().opened(FIRST, Job("j", Status.COMPLETED), AT)
    return made


@pytest.fixture
def begin(tmp_path: Path, tap: Tap) -> Callable[[], Batches]:
    return lambda: Batches(BatchSettings("jsonl", "gzip", str(tmp_path), rows=3), cast("Any", Stream(tap)), None)


def _lines(url: str) -> list[int]:
    lines = gzip.decompress(Path(url.removeprefix("file://")).read_bytes()).splitlines()
    return [json.loads(line)["a"] for line in lines]


def write(batches: Batches, *values: int, job: str | None = "j") -> None:
    rows = Rows([{"a": value} for value in values], {JOB_ID: job} if job else {})
    batches.writer.enter(rows)
    batches.writer.write_rows("s", rows, frozenset({"a"}), None, AT)


def noted(bookmarks: Json) -> Json:
    """Return the rows that a STATE covers, by job."""
    return {job["id"]: job["files"].get("f.csv", {}).get("rows", 0) for job in bookmarks["s"]["ledger"]["jobs"]}


def test_progress_inside_a_file_waits_for_the_part(tap: Tap, begin: Callable[[], Batches]) -> None:
    """STATE holds no progress while rows wait; a part that is full brings the progress up to it."""
    batches = begin()
    with batches:
        write(batches, 1, 2)
        tap.ledger().note_rows("j", FILE, 2)
        batches.write_state(Due.SOON)
        write(batches, 3, 4)
        tap.ledger().note_rows("j", FILE, 4)
        batches.write_state(Due.SOON)
    covered = [noted(each) if isinstance(each, dict) else each for each in tap.written]
    assert covered == [{"j": 0}, [[1, 2, 3]], {"j": 2}, {"j": 2}, [[4]], {"j": 4}]


def test_new_jobs_show_at_once(tap: Tap, begin: Callable[[], Batches]) -> None:
    """An intent and a job's id stand in STATE before a worker goes on, though rows wait; no part is cut for them."""
    batches = begin()
    with batches:
        write(batches, 1)
        tap.ledger().note_rows("j", FILE, 1)
        tap.ledger().intend(SECOND, AT)
        batches.write_state(Due.SOON)
        tap.ledger().opened(SECOND, Job("k", Status.PENDING, credits=7), AT)
        tap.ledger("o").intend(OTHERS, AT)
        batches.write_state(Due.SOON)
    intent, job = tap.written[:2]
    assert [entry["fingerprint"] for entry in intent["s"]["ledger"]["intents"]] == [SECOND.fingerprint]
    assert noted(intent) == {"j": 0}
    assert noted(job) == {"j": 0, "k": 0}
    assert job["s"]["ledger"]["jobs"][1]["credits"] == 7
    assert job["o"]["ledger"]["intents"][0]["fingerprint"] == OTHERS.fingerprint
    assert tap.written[2] == [[1]]
    assert noted(tap.written[3]) == {"j": 1, "k": 0}


def test_state_with_an_open_part_says_what_it_is_about(tap: Tap, begin: Callable[[], Batches]) -> None:
    """The basis stands in STATE from the first change, and a job that was found stays marked as such."""
    batches = begin()
    with batches:
        write(batches, 1)
        state = tap.ledger().on({"api_url": "https://api.example.com"}, "created_at")
        state.opened(SECOND, Job("k", Status.PENDING), AT, adopted=True)
        batches.write_state(Due.SOON)
    held = tap.written[0]["s"]
    assert held["basis"] == {"api_url": "https://api.example.com"}
    assert {job["id"]: job.get("adopted", False) for job in held["ledger"]["jobs"]} == {"j": False, "k": True}


@pytest.mark.parametrize("owner", ["s", "o"])
def test_a_job_that_is_let_go_ends_the_part(tap: Tap, begin: Callable[[], Batches], owner: str) -> None:
    """No STATE lacks a job whose rows wait, whichever stream's ledger holds it."""
    tap.ledger(owner).opened(OTHERS, Job("shared", Status.COMPLETED), AT)
    batches = begin()
    with batches:
        write(batches, 1, job="shared")
        tap.ledger(owner).forget(OTHERS.fingerprint)
        batches.write_state(Due.SOON)
        assert tap.written[0] == [[1]]
        assert [e.id for e in StreamState.detached(owner, tap.written[1][owner]).entries] == [
            j for j in "j" if owner == "s"
        ]


def test_a_window_that_is_proven_ends_the_part(tap: Tap, begin: Callable[[], Batches]) -> None:
    batches = begin()
    with batches:
        write(batches, 1)
        tap.ledger().advance("created_at", "2026-01-01T00:00:00.000Z")
        batches.write_state(Due.SOON)
        assert (tap.written[0], tap.written[1]["s"]["replication_key_value"]) == ([[1]], "2026-01-01T00:00:00.000Z")


def test_pages_of_a_list_fill_parts(tap: Tap, begin: Callable[[], Batches]) -> None:
    """The bookmark of a sorted list moves with every page; it stays where it was until the part is whole."""
    batches = begin()
    with batches:
        for page in (1, 2, 3, 4):
            write(batches, page, job=None)
            tap.ledger().advance("id", page)
            batches.write_state(Due.SOON)
    seen = [each["s"].get("replication_key_value") if isinstance(each, dict) else each for each in tap.written]
    assert seen == [None, None, [[1, 2, 3]], 2, 3, 3, [[4]], 4]


def test_rows_of_another_job_begin_a_part(tap: Tap, begin: Callable[[], Batches]) -> None:
    batches = begin()
    with batches:
        write(batches, 1)
        write(batches, 2, job="k")
    assert [each for each in tap.written if isinstance(each, list)] == [[[1]], [[2]]]


def interrupted(tap: Tap, batches: Batches, error: BaseException) -> None:
    """Write four rows, note them and the intent to create a job, and raise."""
    with batches:
        write(batches, 1, 2, 3, 4)
        tap.ledger().note_rows("j", FILE, 4)
        tap.ledger().intend(SECOND, AT)
        raise error


def test_signal_takes_back_what_waits(tap: Tap, begin: Callable[[], Batches], tmp_path: Path) -> None:
    """The open part is removed and the live STATE, which is written last of all, covers whole parts only."""
    tap.ledger().note_rows("j", FILE, 0)
    with pytest.raises(Terminated):
        interrupted(tap, begin(), Terminated(143))
    assert [each for each in tap.written if isinstance(each, list)] == [[[1, 2, 3]]]
    assert noted(tap.state["bookmarks"]) == {"j": 0}
    assert [e.fingerprint for e in tap.ledger().entries] == [FIRST.fingerprint, SECOND.fingerprint]
    assert [path.suffix for path in tmp_path.iterdir()] == [".gz"]


def test_signal_between_proof_and_part(tap: Tap, begin: Callable[[], Batches]) -> None:
    """A job that was let go before its last rows were announced is open again."""
    batches = begin()
    write(batches, 1)
    tap.ledger().advance("created_at", "2026-01-01T00:00:00.000Z")
    tap.ledger().forget(FIRST.fingerprint)
    batches.__exit__(Terminated, Terminated(143), None)
    assert (tap.ledger().value, [e.id for e in tap.ledger().entries]) == (None, ["j"])


def test_stream_that_fails_announces_what_it_read(tap: Tap, begin: Callable[[], Batches]) -> None:
    """Rows before a failure arrive, as they do in RECORD messages."""
    with pytest.raises(StopError, match="count"):
        interrupted(tap, begin(), StopError("count"))
    assert [each for each in tap.written if isinstance(each, list)] == [[[1, 2, 3]], [[4]]]
    assert noted(tap.state["bookmarks"]) == {"j": 4}


def test_storage_that_fails_at_the_end(
    tap: Tap, begin: Callable[[], Batches], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that cannot get its name is no part: STATE stays before its rows, nothing of it is left."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    batches = begin()
    write(batches, 1)
    tap.ledger().note_rows("j", FILE, 1)
    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.mv", refuse)
    with pytest.raises(StopError, match="Permission denied"):
        batches.__exit__(None, None, None)
    assert tap.written == []
    assert noted(tap.state["bookmarks"]) == {"j": 0}
    assert list(tmp_path.iterdir()) == []
