"""One stream's run over jobs that it shares with others."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from tap_exports.engine.model import Event, Proven, Rows, Step
from tap_exports.engine.read.members import Opened, Reader
from tap_exports.engine.read.proof import Proof
from tap_exports.engine.run.shared import SharedJobs
from tap_exports.engine.run.shared_job import SharedJob, located
from tap_exports.errors import RunEndingError, TapError

LOGGER = logging.getLogger("tap-exports.run")


Made = TypeVar("Made")


class Away(Protocol[Made]):
    """Makes the rows of jobs elsewhere."""

    def begin(self) -> None:
        """Begin with the jobs that complete."""

    def wait(self, job: SharedJob) -> Generator[Event, None, Made | None]:
        """Wait for what was made of a completed job; return None where the tap has to read it itself."""

    def read(self, job: SharedJob, opened: Opened, made: Made) -> Iterator[Event]:
        """Yield the rows and the proof of what was made of a job."""


@dataclass(slots=True)
class ArchiveRun:
    """One stream's run over shared jobs; a job that fails does not keep the others from being read.

    Attributes:
        stream: The stream's name.
        shared: The jobs.
        reader: Makes the stream's rows from a job and its archive.
        away: Makes them elsewhere, where that is possible.
    """

    stream: str
    shared: SharedJobs
    reader: Reader
    away: Away[Any] | None = None

    def start(self) -> None:
        """Register this stream as a reader of the jobs; the first stream to do so submits them."""
        self.shared.join(self.stream)
        if self.away:
            self.away.begin()

    def plan(self) -> Iterator[Step]:
        """Yield what the run is going to do; the jobs are those of the first stream that plans."""
        yield from self.shared.plan(self.stream)

    def events(self) -> Iterator[Event]:
        """Yield the rows of all jobs in the configured order.

        Raises:
            TapError: The first error of any job; the jobs after it were read all the same.
        """
        first: TapError | None = None
        whole: list[bool] = []
        for job in self.shared.jobs:
            error: TapError | None = None
            try:
                whole.append((yield from self._read(job)))
            except RunEndingError:
                raise
            except TapError as caught:
                error = caught
                LOGGER.debug("%s: %s", self.stream, caught)
            yield from self.shared.leave(job, self.stream, error)
            first = first or error
        if first:
            raise first
        if whole and all(whole):
            yield Proven()

    def _read(self, job: SharedJob) -> Generator[Event, None, bool]:
        """Yield the rows of a job; return whether they are all."""
        if (yield from self.shared.wait(job)) is None:
            LOGGER.info("%s: max_concurrent_jobs are open; %s is left to the next run", self.stream, job.request.params)
            return False
        if self._is_left(job):
            return False
        if not self.reader.takes_failed:
            self.shared.refuse_failed(job)
        began = self.shared.clock.monotonic()
        events = yield from self._source(job)
        if events is None:
            return False
        is_whole = yield from self._rows(job, events)
        job.tally.read_seconds += self.shared.clock.monotonic() - began
        self.shared.refuse_failed(job)
        return is_whole and job.tally.agrees

    def _source(self, job: SharedJob) -> Generator[Event, None, Iterator[Event] | None]:
        """Return the events of a completed job, made elsewhere or read from its archive; None: left to the next run."""
        if self.away and (made := (yield from self.away.wait(job))):
            return self.away.read(job, self._opened(job), made)
        if self.reader.needs_archive(self.shared.inventory(job)):
            yield from self.shared.fetch(job)
            if self._is_left(job):
                return None
        return self.reader.read(self._opened(job))

    def _is_left(self, job: SharedJob) -> bool:
        """Return whether a job still runs, so that the next run reads it."""
        ended = job.outcome.job
        if not ended.status.is_terminal:
            LOGGER.info("%s: job %s is left to the next run", self.stream, ended.id)
        return not ended.status.is_terminal

    def _rows(self, job: SharedJob, events: Iterator[Event]) -> Generator[Event, None, bool]:
        """Yield the rows of a job and count them; return whether they are all."""
        proof = Proof()
        with located(job.where):
            for event in self.shared.lifecycle.journal.along(proof.watched(events)):
                yield event
                if isinstance(event, Rows):
                    job.tally.rows += len(event)
        return proof.required(job.where)

    def _opened(self, job: SharedJob) -> Opened:
        archive = (job.local.path, job.found) if job.local and job.found else None
        constants = self.shared.api.constants(job.outcome.job)
        return Opened(job.outcome, self.shared.inventory(job), constants, self.shared.complain, archive)
