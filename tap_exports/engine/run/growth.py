"""Windows that get longer while nothing comes, so that years without rows take few jobs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tap_exports.engine.model import Request, Window

LAG = 8  # a window's length depends on those that ended so many windows before it, whatever runs at once (P9)
MOST_AT_ONCE = 8  # windows joined into one


@dataclass(slots=True)
class Growth:
    """Joins windows that are due, by how many before them were empty: two after one empty window, then four, eight.

    Attributes:
        enabled: Whether windows may be joined; False where the configuration sets their length.
        is_fixed: Whether a request must stay as it is, since it has a job or an intent.
        advised: What makes windows smaller, for messages.
    """

    enabled: bool
    is_fixed: Callable[[Request], bool]
    advised: str = "`max_window_days` makes windows smaller, `window_size: auto` by itself"
    _submitted: int = 0
    _empty: list[bool] = field(default_factory=list)

    def ended(self, request: Request, rows: int | None) -> None:
        """Record that a window ended, in the order of the plan; None for the rows of one that failed."""
        del request
        self._empty.append(rows == 0)

    def next(self, waiting: deque[Request]) -> Request:
        """Take the next request from those that wait, joined with as many that follow it as the length allows."""
        taken = [waiting.popleft()]
        known = self._empty[: max(0, self._submitted - LAG + 1)]
        self._submitted += 1
        streak = len(known) - next((i + 1 for i in reversed(range(len(known))) if not known[i]), 0)
        while self.enabled and waiting and len(taken) < min(2**streak, MOST_AT_ONCE) and self._joins(taken, waiting[0]):
            taken.append(waiting.popleft())
        return joined(taken)

    def parts(self, request: Request) -> list[Request]:
        """Return nothing: windows are not cut."""
        del request
        return []

    def advice(self, request: Request) -> str:
        """Return what makes the window of a request smaller, for messages."""
        del request
        return self.advised

    def cut(self, request: Request, parts: list[Request]) -> None:
        """Do nothing: windows are not cut."""

    def _joins(self, taken: list[Request], other: Request) -> bool:
        last, window = taken[-1].window, other.window
        touches = last is not None and window is not None and last.end == window.start
        return touches and not self.is_fixed(taken[-1]) and not self.is_fixed(other)


def joined(requests: list[Request]) -> Request:
    """Return one request for windows that touch."""
    first, last = requests[0].window, requests[-1].window
    if len(requests) == 1 or first is None or last is None:
        return requests[0]
    return replace(requests[0], window=Window(first.start, last.end))
