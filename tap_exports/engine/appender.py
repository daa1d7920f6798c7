"""Buffers bytes, then hashes and writes them in a thread while the next ones are buffered."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

GATHERED_BYTES = 1 << 20  # buffered before the thread gets them; about as many may be in the thread


class Sink(Protocol):
    """A writable file; it is called from one thread at a time."""

    def write(self, data: bytes, /) -> Any:  # noqa: ANN401 - return types differ between files
        """Append all of the bytes."""


class Appender:
    """Appends to a file and computes the SHA-256; starts a thread only for more than `GATHERED_BYTES`.

    Args:
        file: The file to write to; it stays open.

    Attributes:
        size: Bytes appended, including those not yet written.
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
        """Append bytes; the caller must not change them afterwards.

        Raises:
            OSError: Bytes of an earlier call could not be written.
        """
        self.size += len(data)
        self._gathered.append(data)
        self._room -= len(data)
        if self._room <= 0:
            self._hand_over()

    def _hand_over(self) -> None:
        """Wait for the previous write, then write the buffered bytes in the thread."""
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
        """Write all buffered bytes and wait for it.

        Raises:
            OSError: Bytes could not be written.
        """
        self._wait()
        self._write(self._take())

    @property
    def sha256(self) -> str:
        """Return the hex digest of the bytes written; call `settle` first to cover all bytes appended."""
        return self._digest.hexdigest()

    def release(self) -> None:
        """Wait for the thread and end it; do not call `append` afterwards."""
        if self._thread:
            self._thread.shutdown()
