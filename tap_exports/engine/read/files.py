"""From the files of a completed job to rows: download, decode, count; resumes inside a file (P3)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import pyarrow as pa

from tap_exports.engine import decode
from tap_exports.engine.api import Opens
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
from tap_exports.engine.read.ahead import ahead
from tap_exports.engine.read.prefetch import Prefetch, remove
from tap_exports.engine.read.tally import Limits, Tally
from tap_exports.errors import BadContentError, JobLostError

LOGGER = logging.getLogger("tap-exports.run")
ROWS_PER_CHECKPOINT = 10_000

Download = Callable[[RemoteFile, Callable[[], RemoteFile]], LocalFile]


class Layouts(Protocol):
    """Gives the layout of the next file: the columns known by then."""

    def __call__(self, skip_rows: int = 0) -> decode.Layout:
        """Return the layout of a file of which the first rows are done."""


@runtime_checkable
class RunsAhead(Protocol):
    """A reader that can bring what it will read before its turn; safe to call from several threads."""

    def run_ahead(self, outcome: Outcome) -> None:
        """Begin with the files of a job that is completed."""

    def release(self) -> None:
        """Let go of what was brought and not read."""


class Reads(Protocol):
    """Anything that yields the rows of a job that ended: files or pages."""

    def read(self, outcome: Outcome, state: StreamState, tally: Tally) -> Iterator[Event]:
        """Yield the rows; code after the last event runs only when all of it was read and counted."""


@dataclass(frozen=True, slots=True)
class FileReader:
    """Reads the files of jobs.

    Attributes:
        api: Gives the files of a job, with fresh URLs.
        download: Brings one file into the spool.
        layout: Columns, selection and contract of the stream.
        limits: What is tolerated.
        clock: Measures the time spent.
        resumes: Whether a read may go on inside a file. A full table may not: its rows have one version, and
            activating that would drop those of the crashed one.
        prefetch: Brings files before their turn, or None.
    """

    api: Opens
    download: Download
    layout: Layouts
    limits: Limits
    clock: Clock
    resumes: bool = True
    prefetch: Prefetch | None = None

    def run_ahead(self, outcome: Outcome) -> None:
        """Begin to bring the files of a job that is completed."""
        if self.prefetch:
            self.prefetch.begin(outcome.job.id, partial(self._fetched, outcome))

    def release(self) -> None:
        """Let go of what was brought and not read."""
        if self.prefetch:
            self.prefetch.close()

    def _fetched(self, outcome: Outcome) -> list[tuple[RemoteFile, LocalFile]]:
        here: list[tuple[RemoteFile, LocalFile]] = []
        try:
            for remote in self.api.open(outcome.job):
                here.append((remote, self._download(outcome, remote)))  # noqa: PERF401 - what is here is to be removed
        except BaseException:
            remove(here)
            raise
        return here

    def read(self, outcome: Outcome, state: StreamState, tally: Tally) -> Iterator[Event]:
        """Yield the rows of a job; code after the last event runs only when all of it was read and counted.

        Raises:
            TapError: The files are not what they should be; see `tap_exports.errors`.
        """
        began = self.clock.monotonic()
        here = None
        try:
            here = self.prefetch.take(outcome.job.id) if self.prefetch else None
            files = self.api.open(outcome.job) if here is None else [remote for remote, _ in here]
            locals_ = (local for _, local in here) if here else (self._download(outcome, remote) for remote in files)
            for remote, local in zip(files, locals_, strict=True):
                yield from self._read_file(outcome, remote, local, state, tally)
            where = describe(outcome.request.stream, outcome.job, outcome.request.window)
            tally.verify(where, declared(files, outcome.job), self.limits)
            yield Proven(tally.agrees)
        finally:
            remove(here or ())
            tally.read_seconds = self.clock.monotonic() - began

    def _download(self, outcome: Outcome, remote: RemoteFile) -> LocalFile:
        local = self.download(remote, lambda: self.again(outcome, remote.name))
        stream, job = outcome.request.stream, outcome.job.id
        LOGGER.info("%s: job %s: %s downloaded, %d bytes", stream, job, remote.name, local.size)
        return local

    def _read_file(
        self, outcome: Outcome, remote: RemoteFile, local: LocalFile, state: StreamState, tally: Tally
    ) -> Iterator[Event]:
        job, stream = outcome.job, outcome.request.stream
        try:
            done = state.rows_done(job.id, local) if self.resumes else 0
            tally.begin_file(done)
            tally.bytes += local.size
            tally.sha256 = local.sha256
            yield from self._decode(outcome, local, remote.format, state, tally)
            tally.end_file(stream, self.limits)
        finally:
            local.path.unlink(missing_ok=True)

    def _decode(
        self, outcome: Outcome, local: LocalFile, file_format: str, state: StreamState, tally: Tally
    ) -> Iterator[Event]:
        job_id = outcome.job.id
        constants = {JOB_ID: job_id, FILE: local.name, **window_constants(outcome.request)}
        decoded = decode.read(local, file_format, self.layout(skip_rows=tally.file_rows))
        with closing(ahead(decoded)) as items:  # not left to the finaliser: a signal that comes within one is lost
            for item in items:
                if isinstance(item, Reject):
                    tally.reject(outcome.request.stream, item, self.limits)
                    yield Rejected(job_id, item)
                elif isinstance(item, NewColumns):
                    yield item
                else:
                    for data in cut(item.data, tally.file_rows):
                        yield Rows(data, constants)
                        tally.add(len(data))
                        if self.resumes and tally.file_rows % ROWS_PER_CHECKPOINT == 0 and not tally.file_rejects:
                            state.note_rows(job_id, local, tally.file_rows)
                            yield Checkpoint()

    def read_rest(self, outcome: Outcome, state: StreamState, tally: Tally) -> Iterator[Event]:
        """Yield the rows of a job's only file that are behind those counted, which others have read.

        Raises:
            TapError: As for `read`; also where the file is not the one that was begun.
        """
        (remote,) = self.api.open(outcome.job)
        local = self._download(outcome, remote)
        try:
            if local.sha256 != tally.sha256:
                raise BadContentError(f"{remote.name}: it changed between two downloads")
            yield from self._decode(outcome, local, remote.format, state, tally)
        finally:
            local.path.unlink(missing_ok=True)

    def again(self, outcome: Outcome, name: str) -> RemoteFile:
        """Ask for a fresh URL of one file.

        Raises:
            JobLostError: The job does not hold that file any more.
        """
        if found := next((f for f in self.api.open(outcome.job) if f.name == name), None):
            return found
        msg = f"{outcome.request.provider}: job {outcome.job.id} holds no {name} any more"
        raise JobLostError(msg)


def cut(data: pa.RecordBatch | list[Row], before: int) -> Iterator[pa.RecordBatch | list[Row]]:
    """Yield a batch in parts that end where a checkpoint is due: it may hold more rows than a crash may repeat.

    Args:
        data: The batch.
        before: Rows of the file that come before it.
    """
    start, size = 0, len(data)
    while start < size:
        end = min(size, start + ROWS_PER_CHECKPOINT - (before + start) % ROWS_PER_CHECKPOINT)
        yield data[start:end]
        start = end


def window_constants(request: Request) -> dict[str, str | None]:
    """Return the lineage columns of a window, empty for a full export."""
    if request.window is None:
        return {}
    start = request.window.start
    return {WINDOW_START: to_text(start) if start else None, WINDOW_END: to_text(request.window.end)}


def declared(files: Sequence[RemoteFile], job: Job) -> int | None:
    """Return the provider's count: that of all files where each has one, else that of the job."""
    counts = [f.rows for f in files if f.rows is not None]
    return sum(counts) if counts and len(counts) == len(files) else job.rows
