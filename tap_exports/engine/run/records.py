"""The record of each configured job, ascending."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tap_exports.engine import decode
from tap_exports.engine.jobs import Statuses
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Action, Checkpoint, Event, Job, Proven, Reject, Rejected, Row, Step
from tap_exports.engine.read.files import Layouts
from tap_exports.engine.read.tally import Limits, Tally
from tap_exports.engine.run.failures import Failures
from tap_exports.errors import NotFoundError

NO_NUMBER_DUE = "every configured operation id is at or below the bookmark, or proven"


@dataclass(slots=True)
class StatusRun:
    """One record per configured job; the bookmark never moves past a job that is not terminal, or that is not there.

    Attributes:
        stream: The stream's name.
        job_ids: The configured numbers.
        replication_key: The bookmark's name.
        fetch: Returns the record of a job, and the job.
        layout: Columns, selection and contract of the stream.
        state: Bookmark.
        limits: Rejects allowed.
        statuses: Status words that the configuration explains.
    """

    stream: str
    job_ids: Sequence[int]
    replication_key: str
    fetch: Callable[[int], tuple[Row, Job]]
    layout: Layouts
    state: StreamState
    limits: Limits = field(default_factory=Limits)
    statuses: Statuses = field(default_factory=Statuses)

    def start(self) -> None:
        """Do nothing: no job is created, so nothing can be requested ahead."""

    def _due(self) -> list[int]:
        bookmark = self.state.number
        return sorted({i for i in self.job_ids if bookmark is None or i > bookmark})

    def plan(self) -> Iterator[Step]:
        """Yield what the run is going to do."""
        numbers = self._due()
        yield from (Step(Action.COLLECT, job=str(number)) for number in numbers)
        if not numbers:
            yield Step(Action.SKIP, note=NO_NUMBER_DUE)

    def events(self) -> Iterator[Event]:
        """Yield one record per job above the bookmark, ascending.

        Raises:
            TapError: A record cannot be read; the bookmark stays at the last terminal record that was written. One that
                does not exist is told after all others.
        """
        held, tally, failures, numbers = False, Tally(), Failures(self.stream), self._due()
        for row, number in enumerate(numbers, 1):
            try:
                record, job = self.fetch(number)
            except NotFoundError as error:
                failures.add(error, more=number != numbers[-1])
                held = True
                continue
            for item in decode.conform([record], self.layout(), row, self.stream):
                yield self._rejected(job, item, tally) if isinstance(item, Reject) else item
            held = held or not self.statuses.applied(job).status.is_terminal
            if not held:
                self.state.advance(self.replication_key, number)
                yield Checkpoint()
        failures.end()
        if not held:
            yield Proven()

    def _rejected(self, job: Job, reject: Reject, tally: Tally) -> Rejected:
        tally.reject(self.stream, reject, self.limits)
        return Rejected(job.id, reject)
