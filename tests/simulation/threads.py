"""Threads that take turns: one holds the baton, and at every wait the scheduler draws who goes on next.

The stand-ins below take the place of `threading`, `queue`, `time`, `random` and `Future` in every module of
`tap_exports` while a history is played, so that one seed is one order of events.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import queue
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, ClassVar

import tap_exports


class Killed(BaseException):
    """The simulated process is gone; nothing in it may catch this for good."""


class Deadlock(BaseException):
    """Every thread waits for another."""


class Carrier:
    """A thread that carries one task after another."""

    idle: ClassVar[deque[Carrier]] = deque()

    def __init__(self) -> None:
        self.baton = threading.Lock()
        self.baton.acquire()
        self.job: Callable[[], None] = lambda: None
        threading.Thread(target=self._carry, name="simulated", daemon=True).start()

    @classmethod
    def take(cls) -> Carrier:
        return cls.idle.pop() if cls.idle else cls()

    def _carry(self) -> None:
        while True:
            self.baton.acquire()
            self.job()


@dataclass(eq=False)
class Task:
    """A thread of the simulated process.

    Attributes:
        baton: Released when it is its turn.
        ready: What it waits for, or None for the time alone.
        until: When it goes on in any case, in seconds, or None for never.
    """

    baton: Any
    ready: Callable[[], bool] | None = None
    until: float | None = 0.0
    carrier: Carrier | None = None


@dataclass(eq=False)
class Scheduler:
    """Runs the tasks of one process after another in turns, in the time of the world.

    Attributes:
        draw: Draws who goes on.
        now: Seconds since 1970.
        is_killed: Whether the process is gone: each task ends where it waits.
    """

    draw: random.Random
    now: float
    is_killed: bool = False
    is_stuck: bool = False
    tasks: list[Task] = field(default_factory=list)
    current: Task = field(init=False)

    def begin(self) -> None:
        """Make the calling thread the main thread of a new process."""
        baton = threading.Lock()
        baton.acquire()
        self.current = Task(baton)
        self.tasks, self.is_killed, self.is_stuck = [self.current], False, False

    def end(self) -> None:
        """End all other tasks of the process, as the end of its main thread does."""
        self.is_killed, main = True, self.tasks[0]
        while len(self.tasks) > 1:
            self.current = self.tasks[-1]
            self.current.baton.release()
            main.baton.acquire()
        self.current = main

    def spawn(self, target: Callable[[], object]) -> Task:
        """Add a task, which begins when it is drawn."""
        carrier = Carrier.take()
        task = Task(carrier.baton, carrier=carrier)
        carrier.job = lambda: self._carried(task, target)
        self.tasks.append(task)
        return task

    def _carried(self, task: Task, target: Callable[[], object]) -> None:
        with contextlib.suppress(Killed):
            if not self.is_killed:
                target()
        self.tasks.remove(task)
        if task.carrier:
            Carrier.idle.append(task.carrier)
        self.current = self.tasks[0] if self.is_killed else self._next()
        self.current.baton.release()

    def wait(self, ready: Callable[[], bool] | None = None, until: float | None = None) -> bool:
        """Hand the baton over until something is ready or a time has come; return whether it is ready."""
        self._check()
        me = self.current
        me.ready, me.until = ready, until
        if (following := self._next()) is not me:
            self.current = following
            following.baton.release()
            me.baton.acquire()
        self._check()
        return ready is None or ready()

    def sleep(self, seconds: float) -> None:
        """Wait for some seconds; 0 lets others go first."""
        self.wait(until=self.now + seconds)

    def kill(self) -> None:
        """End the process here.

        Raises:
            Killed: Always.
        """
        self.is_killed = True
        raise Killed

    def _check(self) -> None:
        if self.is_killed:
            raise Deadlock if self.is_stuck and self.current is self.tasks[0] else Killed

    def _next(self) -> Task:
        able = [task for task in self.tasks if self._is_able(task)]
        if not able:
            times = [task.until for task in self.tasks if task.until is not None]
            if not times:
                self.is_killed = self.is_stuck = True
                return self.tasks[0]
            self.now = max(self.now, min(times))
            able = [task for task in self.tasks if self._is_able(task)]
        return able[0] if len(able) == 1 else self.draw.choice(able)

    def _is_able(self, task: Task) -> bool:
        return (task.until is not None and task.until <= self.now) or (task.ready is not None and task.ready())


class Clock:
    """The clock of the simulated machine; takes the place of `SystemClock`."""

    def __init__(self, scheduler: Scheduler, now: Callable[[], Any], ending: Callable[[], Exception]) -> None:
        self.stop = Event(scheduler)
        self.now = now
        self._scheduler, self._ending = scheduler, ending

    def monotonic(self) -> float:
        return self._scheduler.now

    def sleep(self, seconds: float) -> None:
        if self.stop.wait(max(0.0, seconds)):
            raise self._ending()


class Event:
    """Takes the place of `threading.Event`."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler, self._is_set = scheduler, False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True

    def wait(self, timeout: float | None = None) -> bool:
        until = None if timeout is None else self._scheduler.now + timeout
        return self._is_set or self._scheduler.wait(self.is_set, until)


class Lock:
    """Takes the place of a lock or a semaphore of `threading`."""

    def __init__(self, scheduler: Scheduler, count: int = 1) -> None:
        self._scheduler, self._left = scheduler, count

    def __enter__(self) -> None:
        while not self._left:
            self._scheduler.wait(lambda: self._left > 0)
        self._left -= 1

    def __exit__(self, *raised: object) -> None:
        self._left += 1


class Queue:
    """Takes the place of the queues of `queue`."""

    def __init__(self, scheduler: Scheduler, size: int = 0) -> None:
        self._scheduler, self._size = scheduler, size
        self._items: deque[Any] = deque()

    def empty(self) -> bool:
        return not self._items

    def put(self, item: object) -> None:
        while self._size and len(self._items) >= self._size:
            self._scheduler.wait(lambda: len(self._items) < self._size)
        self._items.append(item)

    def get(self, timeout: float | None = None) -> Any:  # noqa: ANN401 - as the queue's items
        until = None if timeout is None else self._scheduler.now + timeout
        while not self._items:
            if not self._scheduler.wait(lambda: bool(self._items), until) and timeout is not None:
                raise queue.Empty
        return self._items.popleft()


class Thread:
    """Takes the place of `threading.Thread`."""

    def __init__(self, scheduler: Scheduler, target: Callable[..., object], args: tuple[Any, ...] = ()) -> None:
        self._scheduler, self._target, self._args = scheduler, target, args
        self._task: Task | None = None

    def start(self) -> None:
        self._task = self._scheduler.spawn(lambda: self._target(*self._args))

    def is_alive(self) -> bool:
        return self._task in self._scheduler.tasks

    def join(self) -> None:
        while self.is_alive():
            self._scheduler.wait(lambda: not self.is_alive())


class Module:
    """A module some of whose names have stand-ins."""

    def __init__(self, real: object, **names: object) -> None:
        self.__dict__.update(names)
        self._real = real

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the module holds
        return getattr(self._real, name)


def stand_ins(scheduler: Scheduler) -> dict[int, object]:
    """Return what takes the place of what, by the identity of the real thing."""

    class Promise(Future[Any]):
        """A future whose readers hand the baton over."""

        def result(self, timeout: float | None = None) -> Any:  # noqa: ANN401 - as the future's value
            while not self.done():
                scheduler.wait(self.done)
            return super().result(timeout)

        def exception(self, timeout: float | None = None) -> BaseException | None:
            while not self.done():
                scheduler.wait(self.done)
            return super().exception(timeout)

    threads = Module(
        threading,
        Event=lambda: Event(scheduler),
        Lock=lambda: Lock(scheduler),
        BoundedSemaphore=lambda count: Lock(scheduler, count),
        Semaphore=lambda count: Lock(scheduler, count),
        Thread=lambda target, args=(), **_names: Thread(scheduler, target, args),
    )
    queues = Module(
        queue, SimpleQueue=lambda: Queue(scheduler), Queue=lambda size=0: Queue(scheduler, size), Empty=queue.Empty
    )
    times = Module(time, monotonic=lambda: scheduler.now, sleep=scheduler.sleep)
    dice = Module(random, Random=lambda: random.Random(scheduler.draw.random()))  # noqa: S311 - a drawn history
    return {id(threading): threads, id(queue): queues, id(time): times, id(random): dice, id(Future): Promise}


@contextlib.contextmanager
def replaced(stands: Mapping[int, object]) -> Iterator[None]:
    """Put stand-ins into every module of the package for as long as the context lasts."""
    places = [(module, name, stands[id(real)]) for module, name, real in _names() if id(real) in stands]
    before = [getattr(module, name) for module, name, _ in places]
    for module, name, stand in places:
        setattr(module, name, stand)
    try:
        yield
    finally:
        for (module, name, _), real in zip(places, before, strict=True):
            setattr(module, name, real)


_FOUND: list[tuple[Any, str, object]] = []


def _names() -> list[tuple[Any, str, object]]:
    """Return every name that a module of the package holds at its top, all of them imported."""
    if not _FOUND:
        for info in pkgutil.walk_packages(tap_exports.__path__, "tap_exports."):
            if "sandbox" not in info.name and not info.name.endswith("__main__"):
                importlib.import_module(info.name)
        modules = [module for name, module in sys.modules.items() if name.startswith("tap_exports.")]
        _FOUND.extend((module, name, value) for module in modules for name, value in vars(module).items())
    return _FOUND
