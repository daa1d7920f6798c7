"""Reads jobs by converting their files to parts of batches, several at once; parts are announced in job order.

docs/decisions/0008-executor.md says which jobs are still read as rows, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tap_exports.engine.clock import Clock
from tap_exports.engine.convert.converter import Converter, refuse_missing
from tap_exports.engine.convert.queue import Conversions
from tap_exports.engine.convert.task import Result, Task, column_of, raised
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
from tap_exports.errors import BadContentError, EmptyFileError

FORMATS = frozenset({"csv", "json", "jsonl"})

Shape = Mapping[str, Any]


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


_START = _Place()


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
        self._conversions: Conversions[_Done | None] = Conversions(converter, self._converted, self._suits)

    # In any thread

    def run_ahead(self, outcome: Outcome) -> None:
        """Queue a completed job; its file is converted once the stream is being read and the spool has room."""
        self._conversions.add(outcome)

    def _suits(self) -> bool:
        """Return whether jobs can be converted: without columns, parts have no schema."""
        return bool(self._plain.layout().columns)

    # In a worker

    def _converted(self, outcome: Outcome, place: _Place = _START) -> _Done | None:
        """Convert a job's file with a fresh URL; return None if it is left to the reader of rows.

        That is a job that is not a single CSV or JSON file, and a file that holds nothing: it is read twice.
        """
        files = self._plain.api.open(outcome.job)
        if len(files) != 1 or files[0].format not in FORMATS or declared(files, outcome.job) == 0:
            return None
        remote, shape = files[0], self._shape()
        renew = partial(self._plain.again, outcome, remote.name)
        result = self._converter.convert(
            remote,
            lambda signed: self._task(outcome, signed, shape, place),
            renew,
            lambda: self._conversions.has_ended,
            self._clock,
        )
        done = _Done(shape, remote, result)
        return None if done.is_blank else done

    def _task(self, outcome: Outcome, remote: RemoteFile, shape: Shape, place: _Place) -> Task:
        resumes = self._plain.resumes and place == _START
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
                done = yield from self._fitting(outcome, self._conversions.take(outcome), _START)
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

    def _submit(self, outcome: Outcome, place: _Place) -> Future[_Done | None]:
        return self._conversions.submit(partial(self._converted, outcome, place))

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
        refuse_missing(result, local.name)

    def _prove(self, outcome: Outcome, tally: Tally, done: _Done) -> None:
        """Compare the counts with the reject limits and the provider's own row count."""
        request = outcome.request
        tally.end_file(request.stream, self._plain.limits)
        where = describe(request.stream, outcome.job, request.window)
        count, summed = declared([done.remote], outcome.job), done.result["summed"]
        tally.verify(where, count, self._plain.limits, summed=summed)

    def release(self) -> None:
        """Discard conversions that were not read; running ones stop at their next batch and remove unfinished parts."""
        self._conversions.release()
        self._plain.release()
