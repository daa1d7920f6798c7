"""Bytes on their way into a file: gathered, then hashed and written by a thread while the next ones come."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

GATHERED_BYTES = 1 << 20  # that wait for the thread; about as many may be with it


class Sink(Protocol):
    """What takes bytes; it is called from one thread at a time."""

    def write(self, data: bytes, /) -> Any:  # noqa: ANN401 - files answer what they like
        """Append all of the bytes."""


class Appender:
    """Appends to a file and knows the digest of what it appended; few bytes need no thread.

    Args:
        file: Takes the bytes.

    Attributes:
        size: Bytes appended, those on their way included.
    """

    def __init__(self, file: Sink) -> None:
        """Begin with an empty digest."""
        self.size = 0
        self._file = file
        self._digest = hashlib.sha256()
        self._gathered: list[bytes] = []
        self._room = GATHERED_BYTES
        self._thread: ThreadPoolExecutor | None = None
        self._writing: Future[None] | None = None

    def append(self, data: bytes) -> None:
        """Append bytes, which must not change afterwards.

        Raises:
            OSError: The file refused bytes of an earlier call.
        """
        self.size += len(data)
        self._gathered.append(data)
        self._room -= len(data)
        if self._room <= 0:
            self._hand_over()

    def _hand_over(self) -> None:
        """Have the thread append what is gathered, once it is done with what came before."""
        self._wait()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "append")
        self._writing = self._thread.submit(self._write, self._take())

    def _take(self) -> list[bytes]:
        taken, self._gathered, self._room = self._gathered, [], GATHERED_BYTES
        return taken

    def _write(self, pieces: list[bytes]) -> None:
        data = b"".join(pieces)
        self._digest.update(data)
        self._file.write(data)

    def _wait(self) -> None:
        if self._writing:
            self._writing.result()

    def settle(self) -> None:
        """Have everything appended.

        Raises:
            OSError: The file refused bytes.
        """
        self._wait()
        self._write(self._take())

    @property
    def sha256(self) -> str:
        """Return the hex digest of what is appended; what is on its way only counts once it is settled."""
        return self._digest.hexdigest()

    def release(self) -> None:
        """Let the thread end, once it is done; nothing can be appended any more."""
        if self._thread:
            self._thread.shutdown()
