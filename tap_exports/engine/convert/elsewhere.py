"""Work on files by an engine elsewhere: connected before the first job, sized as it grows, tried twice, checked."""

from __future__ import annotations

import concurrent.futures
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tap_exports import __version__
from tap_exports.engine.convert.bounds import Bounds
from tap_exports.engine.convert.causes import VERSION_REMEDY, cause_of, may_pass, remedy_of
from tap_exports.engine.convert.engines import Engine
from tap_exports.engine.convert.pool import Pool
from tap_exports.engine.convert.task import Host, Result, Task
from tap_exports.engine.convert.worker import greet, opened, perform
from tap_exports.engine.publish.storage import Storage
from tap_exports.errors import ConfigError, ExecutorError, RunEndingError, StopError, TapError

LOGGER = logging.getLogger("tap-exports.executor")
MOST_AT_ONCE = 1024  # each is a thread that waits
IN_LINE = 2  # threads beyond, which see that there is room for more
SIZE_UNTOLD = 4
SIZE_SECONDS = 2.0  # for which a size that was told stays true
LOOK_SECONDS = 0.5
PAUSES = (0.5, 1.0, 2.0)  # between looks at an object that is not there yet
_TIMEOUTS = (TimeoutError, concurrent.futures.TimeoutError)  # one class since Python 3.11


class Elsewhere:
    """Converts files on an engine elsewhere, which gets tasks and nothing else.

    Args:
        label: The engine and its address, for messages.
        connect: Connects to the engine.
        bounds: Its settings.
    """

    is_here = False
    most = MOST_AT_ONCE

    def __init__(self, label: str, connect: Callable[[], Engine], bounds: Bounds) -> None:
        """Connect to nothing yet."""
        self.label, self._connect, self._bounds = label, connect, bounds
        self._engine: Engine | None = None
        self._error: TapError | None = None
        self._lock = threading.RLock()
        self._free = threading.Condition()
        self._taken = 0
        self._line: deque[object] = deque()
        self._lost_at: float | None = None
        self._told = (0, float("-inf"))
        self._storage: Storage | None = None
        self.pool = Pool(lambda: min(self._bounds.size or self._told[0], MOST_AT_ONCE) + IN_LINE)
        self._place: Mapping[str, Any] = {}

    def open(self, place: Mapping[str, Any], storage: Storage) -> None:
        """Connect and have the workers show that they can do the work; once, whatever comes of it.

        Args:
            place: The part `storage` of the tasks.
            storage: The same storage, as the tap sees it.

        Raises:
            ExecutorError: There is no worker, or what they can do is not enough.
        """
        with self._lock:
            self._storage, self._place = storage, place
            self._opened()

    def _opened(self) -> Engine:
        with self._lock:
            if self._error:
                raise self._error
            if self._engine is None:
                try:
                    self._engine = self._connected()
                except TapError as error:
                    self._error = error
                    raise
            return self._engine

    def _connected(self) -> Engine:
        seconds = self._bounds.connect_seconds
        LOGGER.info("executor: connecting to %s, for %g s at most", self.label, seconds)
        try:
            engine = self._connect()
        except ConfigError:
            raise
        except Exception as error:
            raise self._failed(error, "see that it runs and that the address is right") from error
        try:
            self._greet(engine, seconds)
        except BaseException:
            engine.close()
            raise
        self._ask_size(engine)
        LOGGER.info("executor: %s answers; up to %d files at once now", self.label, self.size())
        return engine

    def _greet(self, engine: Engine, seconds: float) -> None:
        try:
            for answer in engine.greet(greet, {"storage": self._place, "version": __version__}, seconds):
                self._greeted(self._opened_answer(answer))
        except _TIMEOUTS as error:
            remedy = "start one, or raise executor_connect_seconds"
            raise self._error_of(f"no worker answers within {seconds:g} s", remedy) from error
        except Exception as error:
            raise self._failed(error) from error

    def _greeted(self, greeting: Result) -> None:
        """Look for the object that a worker has written to the storage, then remove it.

        Raises:
            ExecutorError: It could not write one, or wrote it to another storage.
        """
        remedy = "give the workers their own credentials, and storage.params without secrets to all"
        if greeting["error"]:
            raise self._error_of(f"a worker says: {greeting['error']}", remedy)
        try:
            self.check({**greeting, "digest": None})
        finally:
            if self._storage:
                self._storage.remove(greeting["url"])

    def size(self) -> int:
        """Return how many files the engine converts at once, as it told within the last seconds."""
        if self._bounds.size:
            return min(self._bounds.size, MOST_AT_ONCE)
        if self._engine and time.monotonic() - self._told[1] > SIZE_SECONDS:
            self._ask_size(self._engine)
        return min(self._told[0], MOST_AT_ONCE)

    def _ask_size(self, engine: Engine) -> None:
        size = self._told[0]
        try:
            told = engine.size()
            size = SIZE_UNTOLD if told is None else told
        except Exception as error:  # work in flight will tell what is wrong
            LOGGER.debug("executor: %s does not tell its size", self.label, exc_info=error)
        self._told = (size, time.monotonic())

    @contextmanager
    def slot(self, ended: Callable[[], bool]) -> Iterator[None]:
        """Wait until the engine can begin another file: what its URL is signed for begins at once.

        Raises:
            RunEndingError: The run is ending.
            ExecutorError: No worker was there for long.
        """
        self._take(ended)
        try:
            yield
        finally:
            with self._free:
                self._taken -= 1
                self._free.notify_all()

    def _take(self, ended: Callable[[], bool]) -> None:
        ticket = object()
        with self._free:
            self._line.append(ticket)
        try:
            while not ended():
                size = self.size()
                with self._free:
                    is_first = self._line[0] is ticket
                    if is_first and self._taken < size:
                        self._taken += 1
                        return
                    self._free.wait(LOOK_SECONDS)
                if is_first:
                    self._watch(size)
        finally:
            with self._free:
                self._line.remove(ticket)
                self._free.notify_all()
        raise RunEndingError("the run is ending")

    def _watch(self, size: int) -> None:
        """Say at once that no worker is left; after a while that is an error."""
        if size:
            self._lost_at = None
        elif self._lost_at is None:
            self._lost_at = time.monotonic()
            LOGGER.warning("executor: %s has no worker any more; waiting for one", self.label)
        elif time.monotonic() - self._lost_at > self._bounds.connect_seconds:
            remedy = "start one, or raise executor_connect_seconds"
            raise self._error_of(f"no worker was there for {self._bounds.connect_seconds:g} s", remedy)

    def work(self, task: Task, host: Host) -> Result:
        """Have a worker do the work, twice where the engine fails; `queued` in the result is how long it waited.

        Raises:
            ExecutorError: The engine failed again, or took too long.
        """
        task, began = {**task, "version": __version__}, time.monotonic()
        engine = self._opened()
        try:
            answer = self._answer(engine, task, host)
        except TapError:
            raise
        except Exception as error:
            if host.ended() or not may_pass(error):
                raise self._failed(error) from error
            LOGGER.warning("executor: %s: %s; trying once more, connected anew", self.label, cause_of(error))
            began = time.monotonic()
            answer = self._again(self._renewed(engine), task, host)
        result = self._opened_answer(answer)
        return {**result, "queued": max(0.0, time.monotonic() - began - answer["seconds"])}

    def _again(self, engine: Engine, task: Task, host: Host) -> Result:
        try:
            return self._answer(engine, task, host)
        except TapError:
            raise
        except Exception as error:
            raise self._failed(error) from error

    def _answer(self, engine: Engine, task: Task, host: Host) -> Result:
        future, seconds = engine.submit(perform, task), self._bounds.task_seconds
        deadline = time.monotonic() + seconds
        while not future.done():
            concurrent.futures.wait([future], LOOK_SECONDS)
            if host.ended():
                future.cancel()
                raise RunEndingError("the run is ending")
            if time.monotonic() > deadline and not future.done():
                future.cancel()
                remedy = "look at its workers, or raise executor_task_seconds"
                raise self._error_of(f"{task['file']['name']} took longer than {seconds:g} s", remedy)
        return future.result()

    def _opened_answer(self, answer: Result) -> Result:
        try:
            return opened(answer, self.label)
        except StopError as error:
            raise self._error_of(error.message, VERSION_REMEDY) from error

    def _renewed(self, broken: Engine) -> Engine:
        """Return a new connection in place of one that failed; one for all threads that saw it fail."""
        with self._lock:
            if self._engine is broken:
                broken.close()
                self._engine = None
            return self._opened()

    def check(self, part: Mapping[str, Any]) -> None:
        """Look at the object of a part in the storage, before anything is said of it.

        Raises:
            ExecutorError: It is not there, or is another one than the worker wrote.
        """
        if self._storage is None:
            return
        seen = self._storage.look(part["url"])
        for pause in PAUSES:
            if seen is not None:
                break
            time.sleep(pause)
            seen = self._storage.look(part["url"])
        digests = {part["digest"], seen.digest if seen else None} - {None}
        if seen is None or seen.size != part["size"] or len(digests) > 1:
            there = "it is not there" if seen is None else f"it is another one there, of {seen.size} bytes"
            remedy = "workers and tap need the same storage: endpoint, region, folder"
            raise self._error_of(f"a worker wrote {part['url']}, {part['size']} bytes, and {there}", remedy)

    def close(self) -> None:
        """End the engine with everything that was made for it; takes a few seconds at most."""
        self._error = self._error or RunEndingError("the run is ending")
        engine, self._engine = self._engine, None
        if engine:
            engine.close()

    def _failed(self, error: Exception, remedy: str = "") -> TapError:
        if isinstance(error, TapError):
            return error
        return self._error_of(cause_of(error), remedy or remedy_of(error))

    def _error_of(self, cause: str, remedy: str) -> ExecutorError:
        return ExecutorError(f"executor: {self.label}: {cause.removesuffix('.')}; {remedy}")
