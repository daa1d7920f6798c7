"""Files of a completed job to rows: download, decode, count; resumes inside a file (P3)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from typing import Protocol, runtime_checkable

import pyarrow as pa

from tap_exports.engine import decode
from tap_exports.engine.activity import Activity
from tap_exports.engine.api import Follows, Opens
from tap_exports.engine.clock import Clock, to_text
from tap_exports.engine.jobs import Outcome, describe
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import (
    FILE,
    JOB_ID,
    WINDOW_END,
    WINDOW_START,
    Checkpoint,
    Event,
    Job,
    LocalFile,
    NewColumns,
    Proven,
    Reject,
    Rejected,
    RemoteFile,
    Request,
    Row,
    Rows,
)
from tap_exports.engine.place import Places
from tap_exports.engine.read.ahead import ahead
from tap_exports.engine.read.prefetch import Prefetch, remove
from tap_exports.engine.read.tally import Limits, Tally, advised
from tap_exports.errors import BadContentError, FileGoneError

LOGGER = logging.getLogger("tap-exports.run")
ROWS_PER_CHECKPOINT = 10_000
NO_START = datetime(1970, 1, 1, tzinfo=timezone.utc)  # part of the key, which takes no null
MAY_BE_BLANK = "jsonl"  # the format in which a table without rows has no text

Download = Callable[[RemoteFile, Callable[[], RemoteFile]], LocalFile]


class Layouts(Protocol):
    """Returns the layout of the next file, with the columns known at the time of the call."""

    def __call__(self, skip_rows: int = 0) -> decode.Layout:
        """Return the layout of a file whose first `skip_rows` rows are skipped, because STATE covers them."""


@runtime_checkable
class RunsAhead(Protocol):
    """A reader that can download files before `read` is called; safe to call from several threads."""

    def run_ahead(self, outcome: Outcome) -> None:
        """Start to download the files of a completed job; returns at once."""

    def release(self) -> None:
        """Discard what was downloaded ahead and not read; call it at the end of the stream."""


class Reads(Protocol):
    """Yields the rows of a completed job, from files or pages."""

    def read(self, outcome: Outcome, state: StreamState, tally: Tally) -> Iterator[Event]:
        """Yield the rows; code after the last event runs only when all of it was read and counted."""


@dataclass(frozen=True, slots=True)
class FileReader:
    """Reads the files of jobs.

    Attributes:
        api: Lists the files of a job, with fresh URLs.
        download: Downloads one file into the spool.
        layout: Columns, selection and contract of the stream.
        limits: Rejects allowed, and how counts are verified.
        clock: Measures `read_seconds`.
        resumes: Whether a read may resume inside a file. A full table must not: each run has its own table version, and
            activating the new version removes the rows that the crashed run wrote.
        prefetch: Downloads files before they are read, or None.
        activity: Notes downloads.
        places: Returns what gives the rows of one job their places, or None: rows carry none.
    """

    api: Opens
    download: Download
    layout: Layouts
    limits: Limits
    clock: Clock
    resumes: bool = True
    prefetch: Prefetch | None = None
    activity: Activity = field(default_factory=lambda: Activity())  # noqa: PLW0108 - see docs/simulation.md
    places: Callable[[], Places] | None = None

    def run_ahead(self, outcome: Outcome) -> None:
        """Start to download the files of a completed job; returns at once."""
        if self.prefetch:
            self.prefetch.begin(outcome.job.id, partial(self._fetched, outcome))

    def release(self) -> None:
        """Discard what was downloaded ahead and not read."""
        if self.prefetch:
            self.prefetch.close()

    def _fetched(self, outcome: Outcome) -> list[tuple[RemoteFile, LocalFile]]:
        here: list[tuple[RemoteFile, LocalFile]] = []
        try:
            for remote in self.api.open(outcome.job):
                here.append((remote, self._download(outcome, replace(remote, ahead=True))))  # noqa: PERF401 - an error removes them
        except BaseException:
            remove(here)
            raise
        return here

    def read(self, outcome: Outcome, state: StreamState, tally: Tally) -> Iterator[Event]:
        """Yield the rows of a job; code after the last event runs only when all of it was read and counted.

        Raises:
            TapError: A file cannot be downloaded or decoded, or its counts are wrong; see `tap_exports.errors`.
        """
        began = self.clock.monotonic()
        here, places = None, self.places() if self.places else None
        try:
            here = self.prefetch.take(outcome.job.id) if self.prefetch else None
            files = self.api.open(outcome.job) if here is None else [remote for remote, _ in here]
            locals_ = (local for _, local in here) if here else (self._download(outcome, remote) for remote in files)
            for remote, local in zip(files, locals_, strict=True):
                yield from self._read_file(outcome, remote, local, state, tally, places)
            where = describe(outcome.request.stream, outcome.job, outcome.request.window)
            summed = bool(files) and tally.summed
            tally.verify(where, declared(files, outcome.job), self.limits, summed=summed)
            yield Proven(tally.agrees)
        finally:
            remove(here or ())
            if places:
                places.close()
            tally.read_seconds = self.clock.monotonic() - began

    def _download(self, outcome: Outcome, remote: RemoteFile) -> LocalFile:
        with self.activity.downloading(outcome.request):
            local = self.download(remote, lambda: self.again(outcome, remote.name))
        if isinstance(self.api, Follows):
            self.api.follow(outcome.job, remote, local)
        stream, job = outcome.request.stream, outcome.job.id
        LOGGER.debug("%s: job %s: %s downloaded, %d bytes", stream, job, remote.name, local.size)
        return local

    def _read_file(
        self,
        outcome: Outcome,
        remote: RemoteFile,
        local: LocalFile,
        state: StreamState,
        tally: Tally,
        places: Places | None,
    ) -> Iterator[Event]:
        job, stream = outcome.job, outcome.request.stream
        try:
            local = self._confirmed(outcome, remote, local)
            done = state.rows_done(job.id, local) if self.resumes else 0
            tally.begin_file(done)
            tally.bytes += local.size
            tally.sha256, tally.summed = local.sha256, tally.summed and local.summed
            tally.ended = tally.ended and local.is_whole
            if not is_empty(remote, local, declared([remote], job)):
                yield from self._decode(outcome, local, remote.format, state, tally, places)
            tally.end_file(stream, self.limits)
        finally:
            local.path.unlink(missing_ok=True)

    def _confirmed(self, outcome: Outcome, remote: RemoteFile, local: LocalFile) -> LocalFile:
        """Return a copy of a file; where it holds nothing and nothing else says so, a second one, from a new URL.

        A server may answer once with a proper reply of no bytes where there are rows.
        """
        if declared([remote], outcome.job) == 0 or not is_empty(remote, local, None):
            return local
        local.path.unlink(missing_ok=True)
        return self._download(outcome, self.again(outcome, remote.name))

    def _decode(
        self,
        outcome: Outcome,
        local: LocalFile,
        file_format: str,
        state: StreamState,
        tally: Tally,
        places: Places | None,
    ) -> Iterator[Event]:
        job_id = outcome.job.id
        constants = {JOB_ID: job_id, FILE: local.name, **window_constants(outcome.request)}
        layout = self.layout(skip_rows=tally.file_rows)
        decoded = decode.read(local, file_format, layout, places)
        with closing(ahead(decoded)) as items:  # not left to the finaliser: a signal that comes within one is lost
            for item in items:
                if isinstance(item, Reject):
                    with advised(lambda: decode.advice(local, file_format, layout)):
                        tally.reject(outcome.request.stream, item, self.limits)
                    yield Rejected(job_id, item)
                elif isinstance(item, NewColumns):
                    yield item
                else:
                    for data in cut(item.data, tally.file_rows):
                        yield Rows(data, {**constants, **item.constants})
                        tally.add(len(data))
                        if self.resumes and tally.file_rows % ROWS_PER_CHECKPOINT == 0 and not tally.file_rejects:
                            state.note_rows(job_id, local, tally.file_rows)
                            yield Checkpoint()

    def read_rest(self, outcome: Outcome, state: StreamState, tally: Tally) -> Iterator[Event]:
        """Yield the rows of a job's only file that follow those in `tally`, which an executor has converted.

        Raises:
            TapError: As for `read`.
            BadContentError: The file differs from the one that was converted.
        """
        (remote,) = self.api.open(outcome.job)
        local, places = self._download(outcome, remote), self.places() if self.places else None
        try:
            if local.sha256 != tally.sha256:
                raise BadContentError(f"{remote.name}: it changed between two downloads")
            yield from self._decode(outcome, local, remote.format, state, tally, places)
        finally:
            if places:
                places.close()
            local.path.unlink(missing_ok=True)

    def again(self, outcome: Outcome, name: str) -> RemoteFile:
        """Request a fresh URL of one file.

        Raises:
            FileGoneError: The job no longer has a file of that name.
        """
        if found := next((f for f in self.api.open(outcome.job) if f.name == name), None):
            return found
        msg = f"{outcome.request.provider}: job {outcome.job.id} no longer has the file {name}"
        raise FileGoneError(msg)


def cut(data: pa.RecordBatch | list[Row], before: int) -> Iterator[pa.RecordBatch | list[Row]]:
    """Yield a batch in parts, each ending at a multiple of `ROWS_PER_CHECKPOINT` rows of the file or with the batch.

    Args:
        data: The batch.
        before: Rows of the file that precede the batch.
    """
    start, size = 0, len(data)
    while start < size:
        end = min(size, start + ROWS_PER_CHECKPOINT - (before + start) % ROWS_PER_CHECKPOINT)
        yield data[start:end]
        start = end


def is_empty(remote: RemoteFile, local: LocalFile, count: int | None) -> bool:
    """Return whether a file holds nothing where that is a table without rows.

    The provider counts no rows, or the file is one of JSON Lines and its end is proven: a length of 0, or the end of
    chunks. Other formats have a header or a bracket also without rows.
    """
    is_proven = count == 0 or (remote.format == MAY_BE_BLANK and not remote.rows and local.is_whole)
    return is_proven and decode.is_blank(local)


def window_constants(request: Request) -> dict[str, str]:
    """Return the lineage columns of a window, empty for a full export; a start that is open is `NO_START`."""
    if request.window is None:
        return {}
    return {WINDOW_START: to_text(request.window.start or NO_START), WINDOW_END: to_text(request.window.end)}


def declared(files: Sequence[RemoteFile], job: Job) -> int | None:
    """Return the provider's count: that of all files where each has one, else that of the job."""
    counts = [f.rows for f in files if f.rows is not None]
    return sum(counts) if counts and len(counts) == len(files) else job.rows
