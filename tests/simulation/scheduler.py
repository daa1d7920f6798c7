"""Tasks that take turns: one holds the baton, and at every wait the scheduler draws who goes on next.

A task is a greenlet: one that waits hands on at once, while threads would wait for the system and each other. A process
is a main task and the tasks that it started; several processes may share one scheduler, and so one clock.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from greenlet import getcurrent, greenlet


class Killed(BaseException):
    """The simulated process is gone; nothing in it may catch this for good."""


class Deadlock(BaseException):
    """Every thread waits for another."""


class Carrier:
    """A greenlet that carries one task after another."""

    idle: ClassVar[deque[Carrier]] = deque()

    def __init__(self) -> None:
        self.job: Callable[[], None] = lambda: None
        self.fiber = greenlet(self._carry)

    @classmethod
    def take(cls) -> Carrier:
        return cls.idle.pop() if cls.idle else cls()

    def _carry(self) -> None:
        while True:
            self.job()


@dataclass(eq=False)
class Process:
    """A simulated process.

    Attributes:
        main: Its main thread.
        about: What the world keeps of it.
        is_killed: Whether it is gone: each of its tasks ends where it waits.
        is_stuck: Whether all its tasks wait for each other.
        others: Its further tasks.
    """

    main: Task
    about: Any
    is_killed: bool = False
    is_stuck: bool = False
    others: list[Task] = field(default_factory=list)


@dataclass(eq=False)
class Task:
    """A thread of a simulated process, or outside of any.

    Attributes:
        fiber: Switched to when it is its turn.
        ready: What it waits for, or None for the time alone.
        until: When it goes on in any case, in seconds, or None for never.
    """

    fiber: greenlet
    ready: Callable[[], bool] | None = None
    until: float | None = 0.0
    carrier: Carrier | None = None
    process: Process | None = None


@dataclass(eq=False)
class Scheduler:
    """Runs tasks one after another in turns, in the time of the world.

    Attributes:
        draw: Draws who goes on.
        now: Seconds since 1970.
        tasks: Those that have not ended; the first is the thread that made the scheduler.
        current: The one that holds the baton.
    """

    draw: random.Random
    now: float
    tasks: list[Task] = field(init=False)
    current: Task = field(init=False)
    _failed: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.current = Task(getcurrent())
        self.tasks = [self.current]

    @property
    def process(self) -> Process | None:
        """Return the process of the task that holds the baton."""
        return self.current.process

    def begin(self, about: object) -> None:
        """Make the current task the main thread of a new process."""
        self.current.process = Process(self.current, about)

    def end(self) -> None:
        """End all other tasks of the process, as the end of its main thread does."""
        process = self.current.process
        if process is None:
            return
        process.is_killed = True
        while process.others:
            self.current = process.others[-1]
            self.current.fiber.switch()
        self.current = process.main
        process.main.process = None

    def spawn(self, target: Callable[[], object]) -> Task:
        """Add a task to the current process, or outside of any; it begins when it is drawn."""
        carrier = Carrier.take()
        task = Task(carrier.fiber, carrier=carrier, process=self.process)
        carrier.job = lambda: self._carried(task, target)
        self.tasks.append(task)
        if self.process:
            self.process.others.append(task)
        return task

    def beside(self, plays: Iterable[Callable[[], object]]) -> None:
        """Run functions at once, each as a task of its own, and wait for all of them.

        Raises:
            BaseException: What one of them raised.
        """
        first, *rest = plays
        tasks = [self.spawn(play) for play in rest]
        first()
        self.wait(lambda: not any(task in self.tasks for task in tasks)) if tasks else None
        if self._failed:
            raise self._failed[0]

    def _carried(self, task: Task, target: Callable[[], object]) -> None:
        process = task.process
        try:
            if process is None or not process.is_killed:
                target()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for it
            self._failed.append(error)
        self.tasks.remove(task)
        if process:
            process.others.remove(task)
        if task.carrier:
            Carrier.idle.append(task.carrier)
        self.current = process.main if process and process.is_killed else self._next()
        self.current.fiber.switch()

    def wait(self, ready: Callable[[], bool] | None = None, until: float | None = None) -> bool:
        """Hand the baton over until something is ready or a time has come; return whether it is ready."""
        self._check()
        me = self.current
        me.ready, me.until = ready, until
        if (following := self._next()) is not me:
            self.current = following
            following.fiber.switch()
        self._check()
        return ready is None or ready()

    def sleep(self, seconds: float) -> None:
        """Wait for some seconds; 0 lets others go first."""
        self.wait(until=self.now + seconds)

    def kill(self) -> None:
        """End the current process here.

        Raises:
            Killed: Always.
        """
        if self.process:
            self.process.is_killed = True
        raise Killed

    def _check(self) -> None:
        process = self.process
        if process and process.is_killed:
            raise Deadlock if process.is_stuck and self.current is process.main else Killed

    def _next(self) -> Task:
        able = [task for task in self.tasks if self._is_able(task)]
        if not able:
            times = [task.until for task in self.tasks if task.until is not None]
            if not times:
                return self._unstuck()
            self.now = max(self.now, min(times))
            able = [task for task in self.tasks if self._is_able(task)]
        return able[0] if len(able) == 1 else self.draw.choice(able)

    def _unstuck(self) -> Task:
        """End the first process whose tasks wait for ever, and return its main task."""
        process = next(task.process for task in self.tasks if task.process)
        process.is_killed = process.is_stuck = True
        return process.main

    def _is_able(self, task: Task) -> bool:
        return (task.until is not None and task.until <= self.now) or (task.ready is not None and task.ready())
