"""The setting `executor`: who downloads and converts in batch mode."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from tap_exports.engine.convert.task import Host, Result, Task, Work
from tap_exports.errors import ConfigError

if TYPE_CHECKING:
    from concurrent.futures import Future

MOST_THREADS = 64
TASKS_ELSEWHERE = 4  # in flight: the executor protocol does not say how many workers there are
_FORMS = "threads:N, dask:ADDRESS or module:factory"


class Submits(Protocol):
    """An executor with the `submit` of `concurrent.futures`."""

    def submit(self, work: Callable[[Task], Result], task: Task) -> Future[Result]:
        """Schedule the work and return its future."""


@dataclass(frozen=True, slots=True)
class ExecutorSetting:
    """The parsed setting.

    Attributes:
        size: Most files in flight.
        factory: Returns the executor, or None for threads of this process.
    """

    size: int
    factory: Callable[[], Submits] | None = None

    def work(self) -> Work:
        """Return the callable that converts one file; an external executor is created at the first file.

        Only threads of this process get a `Host` beside the task.
        """
        from tap_exports.engine.convert.work import work  # noqa: PLC0415 - RECORD messages do without it

        return _Elsewhere(self.factory) if self.factory else work


class _Elsewhere:
    """Runs the work on an external executor, which gets the task and nothing else."""

    def __init__(self, factory: Callable[[], Submits]) -> None:
        """Keep the factory; it is called at the first file."""
        self._factory, self._made = factory, list[Submits]()

    def __call__(self, task: Task, host: Host) -> Result:
        del host
        from tap_exports.engine.convert.work import do_work  # noqa: PLC0415 - as above

        return self._executor().submit(do_work, task).result()

    def _executor(self) -> Submits:
        if not self._made:
            made = self._factory()
            if not callable(getattr(made, "submit", None)):
                raise ConfigError(f'config: "executor": the factory returned a {type(made).__name__} without submit()')
            self._made.append(made)
        return self._made[0]


def executor_setting(text: str) -> ExecutorSetting:
    """Return the setting `executor`.

    Raises:
        ConfigError: It has none of the three forms, or names what is not installed or cannot be called.
    """
    kind, _, rest = text.partition(":")
    if kind == "threads":
        return ExecutorSetting(_threads(rest))
    if kind == "dask" and rest:
        return ExecutorSetting(TASKS_ELSEWHERE, _dask(rest))
    if re.fullmatch(r"[\w.]+", kind) and rest.isidentifier():
        return ExecutorSetting(TASKS_ELSEWHERE, _factory(kind, rest))
    raise ConfigError(f'config: "executor" must be one of {_FORMS}')


def _threads(number: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", number) or not 1 <= int(number) <= MOST_THREADS:
        raise ConfigError(f'config: "executor": threads:N takes a number from 1 to {MOST_THREADS}')
    return int(number)


def _factory(module: str, name: str) -> Callable[[], Submits]:
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        msg = f'config: "executor": {module}:{name} cannot be imported: {type(error).__name__}'
        raise ConfigError(msg) from error
    if not callable(found):
        raise ConfigError(f'config: "executor": {module}:{name} cannot be called')
    factory: Callable[[], Submits] = found
    return factory


def _dask(address: str) -> Callable[[], Submits]:
    if importlib.util.find_spec("distributed") is None:
        raise ConfigError('config: "executor": dask:ADDRESS needs the extra tap-exports[dask]')
    return partial(_dask_executor, address)


def _dask_executor(address: str) -> Submits:
    try:
        client: Any = importlib.import_module("distributed").Client(address)
    except (OSError, ValueError) as error:
        msg = f'config: "executor": no scheduler answers at {address}: {error}'
        raise ConfigError(msg) from error
    executor: Submits = client.get_executor()
    return executor
