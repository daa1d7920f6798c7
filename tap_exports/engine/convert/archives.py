"""Has the records of archives made into parts elsewhere; what proves a job stays with the tap."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import asdict
from functools import partial
from typing import Any

from tap_exports.engine.archive import Counts, Survey
from tap_exports.engine.convert.converter import Converter, refuse_missing
from tap_exports.engine.convert.queue import Conversions
from tap_exports.engine.convert.task import Result, Task, raised
from tap_exports.engine.jobs import Outcome
from tap_exports.engine.model import JOB_ID, Event, RemoteFile, Status
from tap_exports.engine.publish.form import Published
from tap_exports.engine.read.members import Opened, RecordReader
from tap_exports.engine.run.shared import SharedJobs
from tap_exports.engine.run.shared_job import SharedJob
from tap_exports.errors import JobLostError, NotReadyError

LOGGER = logging.getLogger("tap-exports.run")
PASSING = (JobLostError, NotReadyError)  # that the tap, which looks again and submits again, has to see itself


class ArchiveConverter:
    """Reads the records of shared jobs by having their archives converted, several at once.

    Args:
        shared: The jobs.
        reader: Reads the records in the tap.
        shape: Returns the part of a task that is the same for all archives of the stream, as JSON values; thread-safe.
        converter: Converts archives.
    """

    def __init__(
        self,
        shared: SharedJobs,
        reader: RecordReader,
        shape: Callable[[], Mapping[str, Any]],
        converter: Converter,
    ) -> None:
        """Start nothing: conversions begin with the first job that completes."""
        self._shared, self._reader, self._shape, self._converter = shared, reader, shape, converter
        self._conversions: Conversions[Result] = Conversions(converter, self._converted, lambda: True)

    def begin(self) -> None:
        """Convert the archives of all jobs as they complete; call it once, when the jobs were submitted."""
        for job in self._shared.jobs:
            if job.future is not None:
                job.future.add_done_callback(self._ended)

    # In any thread

    def _ended(self, future: Future[Outcome]) -> None:
        if not (future.cancelled() or future.exception()) and self._suits(future.result()):
            self._conversions.add(future.result())

    def _suits(self, outcome: Outcome) -> bool:
        """Return whether an archive can be read by what the job itself says of it."""
        completed = outcome.job.status is Status.COMPLETED
        return completed and self._shared.api.inventory(outcome.job).sections is not None

    # In a worker

    def _converted(self, outcome: Outcome) -> Result:
        def renewed() -> RemoteFile:
            return self._shared.api.open(outcome.job)[0]

        def ended() -> bool:
            return self._conversions.has_ended

        task = partial(self._task, outcome)
        return self._converter.convert(renewed(), task, renewed, ended, self._shared.clock)

    def _task(self, outcome: Outcome, remote: RemoteFile) -> Task:
        shape, api, job = self._shape(), self._shared.api, outcome.job
        return {
            **shape,
            "file": {**asdict(remote), "ahead": False},
            "http": asdict(self._converter.http),
            "spool": dict(self._converter.spool),
            "constants": {**shape["before"], **api.constants(job), JOB_ID: job.id, **shape["behind"]},
            "part": {**shape["part"], "scope": job.id, "first": 1},
            "archive": {"keys": sorted(api.inventory(job).keys), "limits": asdict(self._reader.limits)},
            "rejects_max_count": 0,
        }

    # In the main thread

    def wait(self, job: SharedJob) -> Generator[Event, None, Result | None]:
        """Wait for the conversion of a completed job; return None where the tap has to read the archive itself."""
        if not self._suits(job.outcome):
            LOGGER.info("%s: the job lists no sections; its archive is read by the tap itself", job.where)
            return None
        future = self._conversions.take(job.outcome)
        yield from self._shared.lifecycle.journal.until(future)
        try:
            result = future.result()
        except PASSING as error:
            LOGGER.debug("%s: %s; its archive is read by the tap itself", job.where, error)
            return None
        if result and result["error"] and isinstance(raised(result["error"]), PASSING):
            return None
        return result

    def read(self, job: SharedJob, opened: Opened, result: Result) -> Iterator[Event]:
        """Yield the parts of a job, then the proof that they are all; code after the last event runs once that holds.

        Raises:
            TapError: The same errors as the reader in the tap raises.
        """
        job.tally.bytes += result["bytes"]
        job.tally.sha256 = result["sha256"] or job.tally.sha256
        if found := result.get("survey"):
            self._shared.verify(job, result["bytes"], Survey(**found))
        for part in result["parts"]:
            self._converter.executor.check(part)
            yield Published([], {JOB_ID: job.outcome.job.id}, part["url"], part["rows"])
        if result["error"]:
            raise raised(result["error"])
        refuse_missing(result, "the archive")
        yield self._reader.proven(opened, Counts(Counter(result["found"])))

    def release(self) -> None:
        """Discard conversions that were not read."""
        self._conversions.release()
