"""Downloads files into the spool before their reader needs them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from tap_exports.engine.model import LocalFile, RemoteFile
from tap_exports.engine.workers import Workers
from tap_exports.errors import NoRoomError

DOWNLOADS = 2  # at once, over all streams, besides the download of the file that is being read

Files = Sequence[tuple[RemoteFile, LocalFile]]


def workers() -> Workers[Files]:
    """Return the download threads that all streams of a run share."""
    return Workers(DOWNLOADS, "prefetch")


class Prefetch:
    """Downloads ahead, by job; safe to use from several threads.

    Args:
        has_room: Whether the spool takes more files; called before each job.
        workers: Download threads; all streams share them.
    """

    def __init__(self, has_room: Callable[[], bool], workers: Workers[Files]) -> None:
        """Start no download."""
        self._has_room, self._workers = has_room, workers
        self._jobs: dict[str, Future[Files]] = {}
        self._taken = set[str]()  # before `begin`: the worker that saw the job end may call it late
        self._is_closed = False
        self._lock = threading.Lock()

    def begin(self, job_id: str, fetch: Callable[[], Files]) -> None:
        """Download the files of a job in a thread, unless the spool is full or `take` was already called for it."""
        with self._lock:
            if job_id in self._taken or self._is_closed:
                self._taken.discard(job_id)
            elif job_id not in self._jobs and self._has_room():
                self._jobs[job_id] = self._workers.submit(fetch)

    def take(self, job_id: str) -> Files | None:
        """Return the files of a job, waiting for the download; None if there was no room. The caller must remove them.

        Raises:
            TapError: The download failed.
        """
        with self._lock:
            future = self._jobs.pop(job_id, None)
            if future is None:
                self._taken.add(job_id)
        try:
            return None if future is None or future.cancel() else future.result()
        except NoRoomError:
            return None

    def close(self) -> None:
        """Discard files that nobody took; a download that is running removes its files when it ends."""
        with self._lock:
            futures, self._jobs, self._is_closed = list(self._jobs.values()), {}, True
        for future in futures:
            if not future.cancel():
                future.add_done_callback(_remove_when_here)


def remove(files: Files) -> None:
    """Remove files from the spool; missing ones are ignored."""
    for _, file in files:
        file.path.unlink(missing_ok=True)


def _remove_when_here(future: Future[Files]) -> None:
    if not future.cancelled() and not future.exception():
        remove(future.result())
