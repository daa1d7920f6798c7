"""Fake time, and what takes it."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import partial
from itertools import count

BEGAN = datetime(2026, 1, 1, tzinfo=timezone.utc)
SPREAD = 0.2
CALL_SECONDS = 0.1


class World:
    """Time, and what happens next.

    Attributes:
        at: Seconds since the beginning.
        random: What durations and stalls are drawn from.
        jitter: What waits between polls are drawn from.
    """

    def __init__(self) -> None:
        """Begin."""
        self.at = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self.random, self.jitter = random.Random(16), random.Random(17)  # noqa: S311 - a simulation

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Have something happen later."""
        heapq.heappush(self._heap, (self.at + seconds, next(self._numbers), act))

    @property
    def due(self) -> float:
        """Return when something happens next."""
        return self._heap[0][0] if self._heap else float("inf")

    def act(self) -> None:
        """Do what is due."""
        while self._heap and self._heap[0][0] <= self.at:
            heapq.heappop(self._heap)[2]()

    def now(self) -> datetime:
        """Return the instant."""
        return BEGAN + timedelta(seconds=self.at)

    def monotonic(self) -> float:
        """Return the seconds."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Refuse: nothing here may wait."""
        raise AssertionError(seconds)

    def wait(self, woken: object, seconds: float | None) -> None:
        """Refuse, too."""
        raise AssertionError(woken, seconds)

    def drawn(self, seconds: float) -> float:
        """Return a duration about so long."""
        return seconds * self.random.uniform(1 - SPREAD, 1 + SPREAD)


class Pool:
    """Threads of one account that send requests: each call takes its time, and one thread at a time."""

    def __init__(self, world: World, size: int) -> None:
        """Begin with all of them free."""
        self._world, self._free = world, size
        self._tasks: deque[Callable[[], object]] = deque()

    def submit(self, task: Callable[[], object]) -> None:
        """Queue a step of a job."""
        self._tasks.append(task)
        self._begin()

    def _begin(self) -> None:
        while self._free and self._tasks:
            self._free -= 1
            self._world.after(CALL_SECONDS, partial(self._end, self._tasks.popleft()))

    def _end(self, task: Callable[[], object]) -> None:
        self._free += 1
        task()
        self._begin()
