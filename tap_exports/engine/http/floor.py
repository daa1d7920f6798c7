"""The slowest that a reply may come: silence is bounded by the socket's timeout, a trickle by nothing."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass


class TooSlowError(OSError):
    """Bytes came, but fewer than the floor asks for; no `TimeoutError`, which would look like silence."""


@dataclass(frozen=True, slots=True)
class Floor:
    """The fewest bytes in a span of time.

    Attributes:
        bytes_per_second: The setting `min_transfer_bytes_per_second`; 0 for none.
        span_seconds: How long a reply may stay below it: the setting `request_timeout_seconds`.
    """

    bytes_per_second: float = 0
    span_seconds: float = 60

    @property
    def span_bytes(self) -> float:
        """Return the fewest bytes in a span."""
        return self.bytes_per_second * self.span_seconds


class FlooredReader(io.RawIOBase):
    """Reads a socket and breaks off below the floor, in the head of a reply as well as in its body.

    Only the time spent waiting for the socket counts, from the first byte on: neither a server that thinks before it
    answers nor a slow reader of ours makes a reply slow.
    """

    def __init__(self, raw: io.RawIOBase, floor: Floor, now: Callable[[], float] = time.monotonic) -> None:
        """Read from `raw`, the socket's own reader."""
        super().__init__()
        self._raw = raw
        self._floor = floor
        self._now = now
        self._begun = False
        self._seconds = 0.0
        self._bytes = 0

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override] # the stub asks for any buffer
        """Read what is there, as `socket.SocketIO` does.

        Raises:
            TooSlowError: Fewer bytes than the floor asks for came in a span.
        """
        start = self._now()
        count = self._raw.readinto(buffer)
        if self._begun:
            self._seconds += self._now() - start
            self._bytes += count or 0
            if count and self._seconds >= self._floor.span_seconds:
                self._check()
        self._begun = True
        return count

    def _check(self) -> None:
        if self._bytes < self._floor.bytes_per_second * self._seconds:
            raise TooSlowError(f"fewer than {self._floor.bytes_per_second:g} bytes a second came")
        self._seconds, self._bytes = 0.0, 0

    def readable(self) -> bool:
        """Return whether the socket can be read."""
        return self._raw.readable()

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._raw.fileno()

    def close(self) -> None:
        """Close the socket's reader."""
        if not self.closed:
            self._raw.close()
        super().close()
