"""One stream's run over jobs that it shares with others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from tap_exports.engine.archive import Inventory, Survey
from tap_exports.engine.jobs import Outcome
from tap_exports.engine.model import Event, Row, Rows, Unfinished
from tap_exports.engine.run.shared import SharedJob, SharedJobs, located
from tap_exports.errors import RunEndingError, TapError

LOGGER = logging.getLogger("tap-exports.run")


@dataclass(frozen=True, slots=True)
class Opened:
    """What a reader gets of one job.

    Attributes:
        outcome: How it ended.
        inventory: What it is said to hold.
        constants: Columns that all its rows have.
        complain: Raises or warns of a count that differs.
        archive: The archive and its survey, None for a reader that does without.
    """

    outcome: Outcome
    inventory: Inventory
    constants: Row
    complain: Callable[[str], None]
    archive: tuple[Path, Survey] | None = None


class Reader(Protocol):
    """Makes the rows of one stream."""

    takes_failed: ClassVar[bool]

    def needs_archive(self, inventory: Inventory) -> bool:
        """Tell whether the archive is needed, given what the job says of it."""

    def read(self, opened: Opened) -> Iterator[Event]:
        """Yield the rows of one job; code after the last event runs only when all of it was read and counted."""


@dataclass(slots=True)
class ArchiveRun:
    """One stream's run over shared jobs; a job that fails does not keep the others from being read.

    Attributes:
        stream: The stream's name.
        shared: The jobs.
        reader: Makes its rows.
    """

    stream: str
    shared: SharedJobs
    reader: Reader

    def start(self) -> None:
        """Join the readers; the first one has the jobs asked for."""
        self.shared.join(self.stream)

    def events(self) -> Iterator[Event]:
        """Yield the rows of all jobs in the configured order.

        Raises:
            TapError: A job could not be had or read; those after it were read nevertheless.
        """
        first: TapError | None = None
        for job in self.shared.jobs:
            error: TapError | None = None
            try:
                yield from self._read(job)
            except RunEndingError:
                raise
            except TapError as caught:
                error = caught
                LOGGER.debug("%s: %s", self.stream, caught)
            yield from self.shared.leave(job, self.stream, error)
            first = first or error
        if first:
            raise first

    def _read(self, job: SharedJob) -> Iterator[Event]:
        outcome = yield from self.shared.wait(job)
        if not outcome.job.status.is_terminal:
            LOGGER.info("%s: job %s is left to the next run", self.stream, outcome.job.id)
            yield Unfinished()
            return
        if not self.reader.takes_failed:
            self.shared.refuse_failed(job)
        began = self.shared.clock.monotonic()
        if self.reader.needs_archive(self.shared.inventory(job)):
            yield from self.shared.fetch(job)
        yield from self._rows(job)
        job.tally.read_seconds += self.shared.clock.monotonic() - began
        self.shared.refuse_failed(job)

    def _rows(self, job: SharedJob) -> Iterator[Event]:
        """Yield the rows of a job and count them."""
        with located(job.where):
            for event in self.shared.lifecycle.journal.along(self.reader.read(self._opened(job))):
                yield event
                if isinstance(event, Rows):
                    job.tally.rows += len(event)

    def _opened(self, job: SharedJob) -> Opened:
        archive = (job.local.path, job.found) if job.local and job.found else None
        constants = self.shared.api.constants(job.outcome.job)
        return Opened(job.outcome, self.shared.inventory(job), constants, self.shared.complain, archive)
