"""Reads jobs by converting their files to parts of batches, several at once; parts are announced in job order.

docs/decisions/0008-executor.md says which jobs are still read as rows, and why.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, wait
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from tap_exports.engine.clock import Clock
from tap_exports.engine.convert.executors import Executor
from tap_exports.engine.convert.task import Host, Result, Task, column_of, raised
from tap_exports.engine.http import HttpSettings
from tap_exports.engine.jobs import Journal, Outcome, describe
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import (
    FILE,
    JOB_ID,
    Checkpoint,
    Event,
    LocalFile,
    NewColumns,
    Proven,
    Reject,
    Rejected,
    RemoteFile,
)
from tap_exports.engine.publish.form import Published
from tap_exports.engine.read.files import FileReader, declared, window_constants
from tap_exports.engine.read.tally import Tally, advised
from tap_exports.engine.workers import Workers
from tap_exports.errors import BadContentError, EmptyFileError, StopError, UrlExpiredError

LOGGER = logging.getLogger("tap-exports.run")
FORMATS = frozenset({"csv", "json", "jsonl"})
MAX_RENEWALS = 3
MAX_SIGNATURES = 50  # of one file, those included that were refused because the work began late
LATE_SECONDS = 1.0  # in a queue, after which a refused URL says nothing about the next one
AHEAD = 4  # files handed in and not yet announced, for each that is converted at once
LETTING_GO_SECONDS = 1  # for running conversions to remove their unfinished parts

Shape = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Converter:
    """What converts files, and the settings that each task needs beside the stream's shape.

    Attributes:
        executor: Converts files.
        http: Settings of the download.
        spool: `folder` and `max_mb` of the workers' spools.
        options: Arguments of fsspec's file system; never in a task.
        has_room: Returns whether the spool takes another file ahead of its turn.
        samples: Whether unknown columns get their types from a sample of the file.
        noted: Returns what STATE says of the files of a job; thread-safe.
    """

    executor: Executor
    http: HttpSettings
    spool: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    has_room: Callable[[], bool] = lambda: True
    samples: bool = False
    noted: Callable[[str], Mapping[str, Any]] = lambda _: {}


@dataclass(frozen=True, slots=True)
class _Done:
    """A finished conversion of a job's file.

    Attributes:
        shape: The stream's shape when the conversion began; the result is stale once the shape has changed.
        remote: The file.
        result: The result of the work.
    """

    shape: Shape
    remote: RemoteFile
    result: Result

    @property
    def is_blank(self) -> bool:
        """Return whether the file held nothing."""
        return bool(self.result["error"]) and self.result["error"]["kind"] == EmptyFileError.__name__


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a conversion starts: after `skip_rows` rows of the file, with `first` as the number of its first part."""

    skip_rows: int = 0
    first: int = 1


class ConvertingReader:
    """Reads jobs of one file by converting it to parts; all other jobs go to the reader of rows.

    A job of an earlier run may be read in part: the work then begins behind the rows that STATE covers.

    Args:
        plain: Reads rows.
        shape: Returns the part of a task that is the same for all files of the stream, as JSON values; thread-safe.
        converter: Converts files.
        journal: Applies changes of STATE while a conversion is awaited.
        clock: Measures and waits.
    """

    def __init__(
        self,
        plain: FileReader,
        shape: Callable[[], Shape],
        converter: Converter,
        journal: Journal,
        clock: Clock,
    ) -> None:
        """Start nothing: conversions begin with the stream's first `read`."""
        self._plain, self._shape, self._converter = plain, shape, converter
        self._journal, self._clock = journal, clock
        self._workers: Workers[_Done | None] = Workers(converter.executor.most, "convert")
        self._begun: dict[str, Future[_Done | None]] = {}
        self._running: set[Future[_Done | None]] = set()
        self._waiting: deque[Outcome] = deque()
        self._ending = threading.Event()
        self._lock = threading.RLock()
        self._turn = False

    # In any thread

    def run_ahead(self, outcome: Outcome) -> None:
        """Queue a completed job; its file is converted once the stream is being read and the spool has room."""
        with self._lock:
            self._waiting.append(outcome)
            if self._turn:
                self._fill()

    def _fill(self) -> None:
        """Hand in what is ready: the executor begins a file when it is free."""
        most = AHEAD * self._converter.executor.most
        while self._waiting and len(self._begun) < most and self._converter.has_room():
            outcome = self._waiting.popleft()
            if self._suits():
                self._begun[outcome.job.id] = self._submit(outcome, _Place())

    def _submit(self, outcome: Outcome, place: _Place) -> Future[_Done | None]:
        future = self._workers.submit(partial(self._converted, outcome, place))
        self._running.add(future)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, future: Future[_Done | None]) -> None:
        with self._lock:
            self._running.discard(future)
            if self._turn and not self._ending.is_set():
                self._fill()

    def _suits(self) -> bool:
        """Return whether jobs can be converted: without columns, parts have no schema."""
        return bool(self._plain.layout().columns)

    # In a worker

    def _converted(self, outcome: Outcome, place: _Place) -> _Done | None:
        """Convert a job's file; return None if it is left to the reader of rows, or the run is ending.

        That is a job that is not a single CSV or JSON file, and a file that holds nothing: it is read twice.
        """
        with self._converter.executor.slot(self._ending.is_set):
            if self._ending.is_set():
                return None
            files = self._plain.api.open(outcome.job)
            if len(files) != 1 or files[0].format not in FORMATS or declared(files, outcome.job) == 0:
                return None
            done = self._signed(outcome, files[0], place)
            return None if done.is_blank else done

    def _signed(self, outcome: Outcome, remote: RemoteFile, place: _Place) -> _Done:
        """Convert a file, with a new URL where one is refused; one that came late to a worker counts as none."""
        shape, renewals = self._shape(), 0
        renew = partial(self._plain.again, outcome, remote.name)
        host = Host(self._converter.options, renew, self._ending.is_set, self._clock)
        for number in count(1):
            result = self._converter.executor.work(self._task(outcome, remote, shape, place), host)
            is_refused = result["error"] and result["error"]["kind"] == UrlExpiredError.__name__
            renewals += result.get("queued", 0.0) < LATE_SECONDS
            if not is_refused or renewals > MAX_RENEWALS or number == MAX_SIGNATURES:
                return _Done(shape, remote, result)
            remote = renew()
        raise AssertionError

    def _task(self, outcome: Outcome, remote: RemoteFile, shape: Shape, place: _Place) -> Task:
        resumes = self._plain.resumes and place == _Place()
        noted = self._converter.noted(outcome.job.id).get(remote.name) if resumes else None
        lineage = {JOB_ID: outcome.job.id, FILE: remote.name, **window_constants(outcome.request)}
        return {
            **shape,
            "file": {**asdict(remote), "ahead": False},
            "http": asdict(self._converter.http),
            "spool": dict(self._converter.spool),
            "layout": {**shape["layout"], "skip_rows": place.skip_rows},
            "constants": {**shape["before"], **lineage, **shape["behind"]},
            "part": {**shape["part"], "scope": outcome.job.id, "first": place.first},
            "noted": noted,
            "samples": self._converter.samples,
            "places": self._plain.places is not None,
            "rejects_max_count": self._plain.limits.rejects_max_count,
        }

    # In the main thread

    def read(self, outcome: Outcome, state: StreamState, tally: Tally) -> Iterator[Event]:
        """Yield the parts of a job; the iterator ends only after every part was announced and the counts agree.

        Raises:
            TapError: The same errors as the reader of rows raises.
        """
        began = self._clock.monotonic()
        try:
            done = None
            if self._suits():
                done = yield from self._fitting(outcome, self._taken(outcome), _Place())
            if done is None:
                yield from self._plain.read(outcome, state, tally)
            else:
                tally.begin_file(done.result["skipped"])
                tally.bytes, tally.sha256 = done.result["bytes"], done.result["sha256"]
                tally.ended = tally.ended and done.result.get("is_whole", True)
                yield from self._delivered(outcome, state, tally, done)
                self._prove(outcome, tally, done)
                yield Proven(tally.agrees)
        finally:
            tally.read_seconds = self._clock.monotonic() - began

    def _taken(self, outcome: Outcome) -> Future[_Done | None]:
        """Return the conversion of a job, submitting it unless it is running; submit those of the next jobs."""
        with self._lock:
            self._turn = True
            self._waiting = deque(each for each in self._waiting if each.job.id != outcome.job.id)
            future = self._begun.pop(outcome.job.id, None) or self._submit(outcome, _Place())
            self._fill()
        return future

    def _fitting(
        self, outcome: Outcome, future: Future[_Done | None], place: _Place
    ) -> Generator[Event, None, _Done | None]:
        """Wait for a conversion with the stream's current shape; submit a stale one again."""
        while True:
            yield from self._journal.until(future)
            done = future.result()
            if done is None or done.shape == self._shape():
                return done
            future = self._submit(outcome, place)

    def _delivered(self, outcome: Outcome, state: StreamState, tally: Tally, done: _Done) -> Iterator[Event]:
        """Yield the events of a conversion; where it stopped at new columns, convert the rest of the file with them."""
        first = 1
        while True:
            yield from self._announced(outcome, state, tally, done)
            first += len(done.result["parts"])
            if not (new := done.result["new_columns"]):
                return
            yield NewColumns([column_of(each) for each in new])
            if tally.file_rows and not tally.file_rejects:
                yield from self._plain.read_rest(outcome, state, tally)
                return
            place = _Place(done.result["last_row"], first)
            again = yield from self._fitting(outcome, self._submit(outcome, place), place)
            if again is None or again.result["sha256"] not in {tally.sha256, None}:
                raise BadContentError(f"{done.remote.name}: it changed between two downloads")
            done = again

    def _announced(self, outcome: Outcome, state: StreamState, tally: Tally, done: _Done) -> Iterator[Event]:
        """Yield parts and rejects; after a crash in between, the next run resumes after the last announced part."""
        result, job_id = done.result, outcome.job.id
        local = LocalFile(done.remote.name, Path(), result["bytes"], result["sha256"] or "", result["etag"])
        for number, part in enumerate(result["parts"], 1):
            self._converter.executor.check(part)
            yield Published([], {JOB_ID: job_id}, part["url"], part["rows"])
            tally.add(part["rows"])
            if self._plain.resumes and not (result["rejects"] or tally.file_rejects) and number < len(result["parts"]):
                state.note_rows(job_id, local, tally.file_rows)
                yield Checkpoint()
        for each in result["rejects"]:
            reject = Reject(**each)
            with advised(lambda: result.get("advice") or ""):
                tally.reject(outcome.request.stream, reject, self._plain.limits)
            yield Rejected(job_id, reject)
        if result["error"]:
            raise raised(result["error"])
        if (there := sum(part["rows"] for part in result["parts"])) != result["rows"]:
            raise StopError(
                f"{local.name}: {result['rows']} rows were read, its parts hold {there}; the window stays open"
            )

    def _prove(self, outcome: Outcome, tally: Tally, done: _Done) -> None:
        """Compare the counts with the reject limits and the provider's own row count."""
        request = outcome.request
        tally.end_file(request.stream, self._plain.limits)
        where = describe(request.stream, outcome.job, request.window)
        count, summed = declared([done.remote], outcome.job), done.result["summed"]
        tally.verify(where, count, self._plain.limits, summed=summed)

    def release(self) -> None:
        """Discard conversions that were not read; running ones stop at their next batch and remove unfinished parts."""
        self._ending.set()
        with self._lock:
            self._begun.clear()
            self._waiting.clear()
        self._workers.close()
        wait(set(self._running), LETTING_GO_SECONDS)
        self._plain.release()
