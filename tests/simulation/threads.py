"""Stand-ins for threads and what they wait for: each wait hands the baton to the scheduler.

They take the place of `threading`, `queue`, `time`, `random` and `Future` in every module of `tap_exports` while a
history is played, so that one seed is one order of events.
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
from functools import cache, cached_property
from typing import Any

import tap_exports
from tests.simulation.scheduler import Scheduler, Task


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

    def wait(self, woken: Event, seconds: float | None) -> None:
        woken.wait(seconds)


class Event:
    """Takes the place of `threading.Event`."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler, self._is_set = scheduler, False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True

    def clear(self) -> None:
        self._is_set = False

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
    places = [(module, name, stands[id(real)]) for module, name, real in _places(frozenset(stands))]
    before = [getattr(module, name) for module, name, _ in places]
    locks = [(kept, kept.lock) for kept in _cached() if hasattr(kept, "lock")]
    for module, name, stand in places:
        setattr(module, name, stand)
    for kept, _ in locks:
        kept.lock = contextlib.nullcontext()
    try:
        yield
    finally:
        for (module, name, _), real in zip(places, before, strict=True):
            setattr(module, name, real)
        for kept, lock in locks:
            kept.lock = lock


@cache
def _places(reals: frozenset[int]) -> list[tuple[Any, str, object]]:
    """Return the names of what has a stand-in, told by its identity."""
    return [place for place in _names() if id(place[2]) in reals]


@cache
def _cached() -> list[Any]:
    """Return the cached properties of all classes: up to Python 3.11 each holds a lock, across all instances."""
    classes = {base for _, _, value in _names() if isinstance(value, type) for base in value.__mro__}
    return [kept for one in classes for kept in vars(one).values() if isinstance(kept, cached_property)]


@cache
def _names() -> list[tuple[Any, str, object]]:
    """Return every name that a module of the package holds at its top, all of them imported."""
    for info in pkgutil.walk_packages(tap_exports.__path__, "tap_exports."):
        if "sandbox" not in info.name and not info.name.endswith("__main__"):
            importlib.import_module(info.name)
    modules = [module for name, module in sys.modules.items() if name.startswith("tap_exports.")]
    return [(module, name, value) for module in modules for name, value in vars(module).items()]
