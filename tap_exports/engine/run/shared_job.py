"""One job whose archive feeds several streams, and how far they are with it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

from tap_exports.engine.archive import Survey
from tap_exports.engine.jobs import Outcome, describe
from tap_exports.engine.model import LocalFile, Request
from tap_exports.engine.read.tally import Tally
from tap_exports.errors import BadContentError, CountError, LimitError, TapError


@dataclass(slots=True, eq=False)
class SharedJob:
    """One job and the progress of the streams that read it.

    Attributes:
        request: The request that creates it.
        future: Its outcome, set once it is terminal or, with `detach`, handed to the next run; None until it is begun.
        readers: Streams that have not finished reading it.
        tally: Counts over all readers.
        local: Its archive in the spool; None before the first fetch and after `release`.
        found: Result of the survey of the archive.
        error: The error of the first reader that failed.
        told: Whether the receipt of a job that this one replaces was yielded.
    """

    request: Request
    future: Future[Outcome] | None = None
    readers: set[str] = field(default_factory=set)
    tally: Tally = field(default_factory=Tally)
    local: LocalFile | None = None
    found: Survey | None = None
    error: TapError | None = None
    told: bool = False

    @property
    def outcome(self) -> Outcome:
        """Return the outcome. Call only after `SharedJobs.wait` returned one."""
        if self.future is None:
            raise RuntimeError(self.request.stream)
        return self.future.result()

    @property
    def has_ended(self) -> bool:
        """Return whether the job was found in a terminal status."""
        future = self.future
        return bool(future and future.done() and not future.exception() and future.result().job.status.is_terminal)

    @property
    def is_left(self) -> bool:
        """Return whether the job is left to the next run: it still runs, or was not created."""
        future = self.future
        return future is None or bool(future.done() and not future.exception() and not self.has_ended)

    @property
    def where(self) -> str:
        """Return stream and job, for messages."""
        return describe(self.request.stream, self.outcome.job, None)


def release(job: SharedJob) -> None:
    """Remove a job's archive from the spool; the next stream downloads it again."""
    if job.local is not None:
        job.local.path.unlink(missing_ok=True)
        job.local = None


@contextmanager
def located(where: str) -> Iterator[None]:
    """Prefix the messages of content, count and limit errors with the job and archive at fault."""
    try:
        yield
    except (BadContentError, CountError, LimitError) as error:
        raise type(error)(f"{where}: {error.message}") from error
