"""What runs work elsewhere: a Dask cluster, or whatever a factory of the user's returns."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from tap_exports.engine.convert.apart import apart
from tap_exports.engine.convert.task import Result, Task
from tap_exports.errors import ConfigError

T = TypeVar("T")
Function = Callable[[Task], Result]
MOST_GREETED = 64
LOOK_SECONDS = 0.2
ENDING_SECONDS = 2.0  # for children and connections, before they are ended by force or left alone


class Submits(Protocol):
    """An executor with the `submit` of `concurrent.futures`.

    It may also have `size`, a number or a method that returns one: how much work it does at once; and `shutdown`.
    """

    def submit(self, work: Function, task: Task) -> Future[Result]:
        """Schedule the work and return its future."""


class Engine(Protocol):
    """A connection to what runs work."""

    def submit(self, work: Function, task: Task) -> Future[Result]:
        """Schedule the work and return its future."""

    def greet(self, work: Function, task: Task, seconds: float) -> Sequence[Result]:
        """Return what several workers answer to some short work, all of them where they can be told apart.

        Raises:
            TimeoutError: There is no worker, or one does not answer in time.
        """

    def size(self) -> int | None:
        """Return how much work runs at once, as it is now; None where that is not known."""

    def close(self) -> None:
        """End it, with everything that was made for it; takes a few seconds at most."""


class OwnEngine:
    """What a factory returned."""

    def __init__(self, name: str, factory: Callable[[], Any]) -> None:
        """Call the factory.

        Raises:
            ConfigError: It returned something that takes no work.
        """
        self._strangers = set(multiprocessing.active_children())
        self._made = factory()
        if not callable(getattr(self._made, "submit", None)):
            kind = type(self._made).__name__
            raise ConfigError(f'config: "executor": {name}: the factory returned a {kind} without submit()')

    def submit(self, work: Function, task: Task) -> Future[Result]:
        """Schedule the work and return its future."""
        future: Future[Result] = self._made.submit(work, task)
        return future

    def greet(self, work: Function, task: Task, seconds: float) -> Sequence[Result]:
        """Return what one worker answers."""
        return [self.submit(work, task).result(seconds)]

    def size(self) -> int | None:
        """Return what the executor tells of itself; Python's own pools know it too."""
        told = getattr(self._made, "size", None) or getattr(self._made, "_max_workers", None)
        number = told() if callable(told) else told
        return number if isinstance(number, int) else None

    def close(self) -> None:
        """Shut the executor down, then end the processes that it has made in this one."""
        with contextlib.suppress(Exception):
            _shut_down(self._made)
        children = [child for child in multiprocessing.active_children() if child not in self._strangers]
        for child in children:
            child.terminate()
        deadline = time.monotonic() + ENDING_SECONDS
        for child in children:
            child.join(max(0.0, deadline - time.monotonic()))
            if child.is_alive():
                child.kill()


def _shut_down(made: Any) -> None:  # noqa: ANN401 - of any type
    shutdown = getattr(made, "shutdown", None)
    if shutdown is None:
        return
    try:
        shutdown(wait=False, cancel_futures=True)
    except TypeError:
        shutdown()


class DaskEngine:
    """The workers of a Dask scheduler; certificates and waits are set by Dask's own configuration."""

    def __init__(self, address: str, seconds: float) -> None:
        """Connect to the scheduler.

        Raises:
            OSError: It does not answer.
            ValueError: The address cannot be read.
        """
        distributed = importlib.import_module("distributed")
        self._client: Any = distributed.Client(address, timeout=seconds, set_as_default=False)
        # Not pure: repeated work is new work. No retries: the scheduler repeats work only where its worker died.
        self._executor: Submits = self._client.get_executor(pure=False, retries=0)

    def submit(self, work: Function, task: Task) -> Future[Result]:
        """Schedule the work and return its future."""
        return self._executor.submit(work, task)

    def greet(self, work: Function, task: Task, seconds: float) -> Sequence[Result]:
        """Return what all workers answer, beside whatever they are doing."""
        deadline = time.monotonic() + seconds
        while not (workers := list(self._client.nthreads())):
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(LOOK_SECONDS)
        workers, left = workers[:MOST_GREETED], max(1.0, deadline - time.monotonic())
        named = (work.__module__, work.__qualname__, task)
        answers = within(left, lambda: self._client.run(apart, *named, workers=workers, on_error="return"))
        for answer in answers.values():
            if isinstance(answer, BaseException):
                raise answer
        return list(answers.values())

    def size(self) -> int | None:
        """Return the threads of all workers."""
        threads: dict[str, int] = within(ENDING_SECONDS, self._client.nthreads)
        return sum(threads.values())

    def close(self) -> None:
        """Close the client; what runs for it on the workers is given up."""
        with contextlib.suppress(Exception):
            within(ENDING_SECONDS, lambda: self._client.close(timeout=ENDING_SECONDS))


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what a call returns, if it does so in time; else it is left alone.

    Raises:
        TimeoutError: It did not.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised to the caller
            future.set_exception(error)

    threading.Thread(target=run, name="within", daemon=True).start()
    return future.result(seconds)
