"""How the jobs that a provider may have open at once are divided among streams."""

from __future__ import annotations

from collections import Counter, deque
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")


class Slots(Generic[T]):
    """Slots for open jobs; a stream whose jobs hang holds its own slots, and no more of them while others wait.

    A free slot goes to the waiting stream that holds the fewest, among equals to the one that got none for longest.

    Args:
        most: Their number.
    """

    def __init__(self, most: int) -> None:
        """Start with all slots free."""
        self._most, self._held = most, Counter[str]()
        self._lines: dict[str, deque[T]] = {}
        self._turns, self._granted = count(1), dict[str, int]()

    @property
    def is_awaited(self) -> bool:
        """Return whether something waits for a slot."""
        return bool(self._lines)

    def take(self, stream: str) -> None:
        """Take a slot for a job that exists already, even where none is free."""
        self._held[stream] += 1

    def give_back(self, stream: str) -> None:
        """Free a slot of a stream."""
        self._held[stream] -= 1

    def line_up(self, stream: str, waiting: T, *, first: bool = False) -> None:
        """Have something wait for a slot, behind what waits of the same stream or before it."""
        line = self._lines.setdefault(stream, deque())
        if first:
            line.appendleft(waiting)
        else:
            line.append(waiting)

    def grant(self) -> tuple[str, T] | None:
        """Take the next free slot; return the stream and what gets it, None where none is free or nothing waits."""
        if not self._lines or self._held.total() >= self._most:
            return None
        stream = min(self._lines, key=lambda each: (self._held[each], self._granted.get(each, 0)))
        line = self._lines[stream]
        granted = line.popleft()
        if not line:
            del self._lines[stream]
        self._granted[stream] = next(self._turns)
        self._held[stream] += 1
        return stream, granted
