"""Column types from a sample: a file of an existing job, or the first rows of the file to be read."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator
from http import HTTPStatus

from tap_exports.engine import decode
from tap_exports.engine.jobs import Outcome
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Column, Event, Job, LocalFile, NewColumns, RemoteFile
from tap_exports.engine.place import Places
from tap_exports.engine.read.files import FileReader
from tap_exports.engine.read.tally import Tally
from tap_exports.errors import AuthError, EmptyFileError, RunEndingError, StopError, TapError

LOGGER = logging.getLogger("tap-exports.run")
MOST_FAILURES = 2  # jobs whose files cannot be read, before sampling ends without columns


class SamplingReader(FileReader):
    """Reads files and derives the types of unknown columns from the file itself.

    If discovery found no job to sample, the first run thus declares the types that the next discovery will find.
    """

    __slots__ = ()

    def _decode(
        self,
        outcome: Outcome,
        local: LocalFile,
        file_format: str,
        state: StreamState,
        tally: Tally,
        places: Places | None,
    ) -> Iterator[Event]:
        layout = self.layout(skip_rows=tally.file_rows)
        if unknown := decode.unknown(local, file_format, layout):
            yield NewColumns(unknown)
        yield from super()._decode(outcome, local, file_format, state, tally, places)


def sample_columns(reader: FileReader, jobs: Iterable[Job], layout: decode.Layout) -> dict[str, Column]:
    """Return the columns in the files of the first job that has rows, or an empty dict; no job is created.

    Args:
        reader: Lists and downloads the files.
        jobs: Completed jobs, in order of preference.
        layout: Encoding, delimiter, aliases; its columns are ignored.

    A job whose file cannot be read is skipped; after `MOST_FAILURES` of them sampling ends, because each used all
    attempts of a download. Where jobs cannot be listed there is no sample: what is optional stops no data.

    Raises:
        AuthError: The key is refused altogether.
        RunEndingError: The run was asked to end.
    """
    failures = 0
    for job in _listed(jobs):
        try:
            columns = _columns(reader, job, layout)
        except RunEndingError:
            raise
        except TapError as error:
            LOGGER.info("job %s gives no sample: %s", job.id, error)
            failures += 1
            if failures == MOST_FAILURES:
                break
            continue
        if columns:
            return columns
    return {}


def _listed(jobs: Iterable[Job]) -> Iterator[Job]:
    """Yield the jobs up to where the list fails."""
    try:
        yield from jobs
    except RunEndingError:
        raise
    except TapError as error:
        if isinstance(error, AuthError) and error.status == HTTPStatus.UNAUTHORIZED:
            raise
        LOGGER.warning("exports cannot be listed for a sample of their columns: %s; the first file shows them", error)


def _columns(reader: FileReader, job: Job, layout: decode.Layout) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for remote in reader.api.open(job):
        local = reader.download(remote, lambda name=remote.name: _again(reader, job, name))  # type: ignore[misc] # binds
        try:
            with contextlib.suppress(EmptyFileError):
                columns |= decode.sample(local, remote.format, layout)
        finally:
            local.path.unlink(missing_ok=True)
    return columns


def _again(reader: FileReader, job: Job, name: str) -> RemoteFile:
    found = next((f for f in reader.api.open(job) if f.name == name), None)
    if found is None:
        msg = f"the job no longer has the file {name}"
        raise StopError(msg)
    return found
