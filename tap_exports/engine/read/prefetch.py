"""Files that are brought into the spool before their reader's turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from tap_exports.engine.model import LocalFile, RemoteFile
from tap_exports.engine.workers import Workers

DOWNLOADS = 2  # at once, of all streams, beside that of the file that is read

Files = Sequence[tuple[RemoteFile, LocalFile]]


def workers() -> Workers[Files]:
    """Return the threads that bring the files of all streams of a run."""
    return Workers(DOWNLOADS, "prefetch")


class Prefetch:
    """The files of jobs that ended before their rows are due.

    Args:
        has_room: Whether the spool takes more; asked before each job.
        workers: Bring the files; all streams share them.
    """

    def __init__(self, has_room: Callable[[], bool], workers: Workers[Files]) -> None:
        """Begin with nothing."""
        self._has_room, self._workers = has_room, workers
        self._jobs: dict[str, Future[Files]] = {}
        self._taken = set[str]()  # before they were begun: the worker that sees a job end tells of it last
        self._is_closed = False
        self._lock = threading.Lock()

    def begin(self, job_id: str, fetch: Callable[[], Files]) -> None:
        """Fetch the files of a job in a thread, where there is room and its reader has not come yet."""
        with self._lock:
            if job_id in self._taken or self._is_closed:
                self._taken.discard(job_id)
            elif job_id not in self._jobs and self._has_room():
                self._jobs[job_id] = self._workers.submit(fetch)

    def take(self, job_id: str) -> Files | None:
        """Return the files of a job, which are the caller's now; None where it was not begun.

        Raises:
            TapError: What went wrong on the way, told at the reader's turn.
        """
        with self._lock:
            future = self._jobs.pop(job_id, None)
            if future is None:
                self._taken.add(job_id)
        return None if future is None or future.cancel() else future.result()

    def close(self) -> None:
        """Let go of what nobody took; files that are still on their way are removed when they are here."""
        with self._lock:
            futures, self._jobs, self._is_closed = list(self._jobs.values()), {}, True
        for future in futures:
            if not future.cancel():
                future.add_done_callback(_remove_when_here)


def remove(files: Files) -> None:
    """Take files out of the spool, those that are gone already aside."""
    for _, file in files:
        file.path.unlink(missing_ok=True)


def _remove_when_here(future: Future[Files]) -> None:
    if not future.cancelled() and not future.exception():
        remove(future.result())
