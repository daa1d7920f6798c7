"""Standard output: whole writes on blocking and non-blocking pipes, and an end even when nobody reads."""

from __future__ import annotations

import os
import select
import sys
from time import monotonic

DRAIN_SECONDS = 3.0  # containers are killed 10 s after SIGTERM
LOOK_SECONDS = 0.1


class Output:
    """Writes to standard output.

    A write waits for the reader for as long as it takes. Once `hurry` was called, a reader that takes nothing for
    `DRAIN_SECONDS` counts as gone.
    """

    def __init__(self) -> None:
        """Start with all the time there is."""
        self._hurries_since: float | None = None
        self._is_cut = False
        self._was_blocking: int | None = None  # the descriptor while it is switched to non-blocking
        self._kept: int | None = None

    def keep(self) -> None:
        """Move standard output to a descriptor that no child gets, and let the old one lead to standard error.

        A reader sees the end of its pipe only when nobody holds it any more, and nothing but messages may stand in it.
        """
        descriptor = self._descriptor()
        if descriptor is None or self._kept is not None:
            return
        sys.stdout.flush()
        self._kept = os.dup(descriptor)  # not inheritable, so a program that is started does not have it
        os.dup2(sys.stderr.fileno(), descriptor)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._let_go)

    def _let_go(self) -> None:
        """Close the kept descriptor, in a child that was forked without a program of its own."""
        if self._kept is not None:
            os.close(self._kept)
            self._kept = None

    def _descriptor(self) -> int | None:
        if self._kept is not None:
            return self._kept
        try:
            return sys.stdout.fileno()
        except (OSError, ValueError, AttributeError):
            return None

    def write(self, data: bytes | memoryview) -> None:
        """Write all bytes.

        Raises:
            BrokenPipeError: The reader is gone, or the last write was cut: what comes after half a line is no message.
        """
        descriptor = self._descriptor()
        if descriptor is None:
            _write_redirected(data)
            return
        if self._is_cut:
            raise BrokenPipeError
        sys.stdout.flush()
        if self._hurries_since is not None:
            self._unblock(descriptor)
        try:
            self._write_all(descriptor, memoryview(data))
        finally:
            self._restore()

    def hurry(self, *, writes: bool) -> None:
        """Let no write wait for long; callable in a signal handler, with `writes` in the middle of a write.

        A write that the signal interrupts is retried by the interpreter: it returns since the pipe no longer blocks.
        """
        self._hurries_since = self._hurries_since or monotonic()
        descriptor = self._descriptor()
        if writes and descriptor is not None:
            self._unblock(descriptor)

    def _write_all(self, descriptor: int, view: memoryview) -> None:
        while view:
            view = view[self._write_some(descriptor, view) :]

    def _write_some(self, descriptor: int, view: memoryview) -> int:
        try:
            return os.write(descriptor, view)
        except BlockingIOError:
            self._await_reader(descriptor)
            return 0

    def _await_reader(self, descriptor: int) -> None:
        began = monotonic()
        while not select.select([], [descriptor], [], LOOK_SECONDS)[1]:
            since = self._hurries_since
            if since is not None and monotonic() - max(began, since) > DRAIN_SECONDS:
                self._is_cut = True
                raise BrokenPipeError

    def _unblock(self, descriptor: int) -> None:
        """Make the pipe non-blocking for this write; other processes may share it, so `_restore` undoes it."""
        if os.get_blocking(descriptor):
            self._was_blocking = descriptor
            os.set_blocking(descriptor, False)

    def _restore(self) -> None:
        if self._was_blocking is not None:
            os.set_blocking(self._was_blocking, True)
            self._was_blocking = None


def _write_redirected(data: bytes | memoryview) -> None:
    """Write to a standard output without a file descriptor, as in tests."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        sys.stdout.write(bytes(data).decode())
    else:
        buffer.write(data)
