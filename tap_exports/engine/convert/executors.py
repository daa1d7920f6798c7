"""The setting `executor`: who downloads and converts in batch mode."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from tap_exports.engine.convert.bounds import Bounds
from tap_exports.engine.convert.harmless import secret_names
from tap_exports.engine.convert.pool import Pool
from tap_exports.engine.convert.task import Host, Result, Task
from tap_exports.errors import ConfigError

if TYPE_CHECKING:
    from tap_exports.engine.convert.engines import Engine
    from tap_exports.engine.publish.storage import Storage

MOST_THREADS = 64
_FORMS = "threads:N, dask:ADDRESS or module:factory"


class Executor(Protocol):
    """Converts files, in threads of this process or elsewhere; one for all streams of a run.

    Attributes:
        label: What it is, for messages.
        is_here: Whether it runs in this process, so that it can get a `Host` and credentials.
        most: Most files that it ever takes at once.
        pool: The threads of this process that convert files, or wait for who does.
    """

    @property
    def label(self) -> str: ...  # noqa: D102 - see above
    @property
    def is_here(self) -> bool: ...  # noqa: D102 - see above
    @property
    def most(self) -> int: ...  # noqa: D102 - see above
    @property
    def pool(self) -> Pool: ...  # noqa: D102 - see above

    def open(self, place: Mapping[str, Any], storage: Storage) -> None:
        """Make sure that work can be done, before a job is created for it; later calls are quick."""

    def size(self) -> int:
        """Return how many files it takes at once, as it is now."""

    def slot(self, ended: Callable[[], bool]) -> AbstractContextManager[None]:
        """Return a context that begins once another file can be begun."""

    def work(self, task: Task, host: Host) -> Result:
        """Convert a file; blocks until it is done."""

    def check(self, part: Mapping[str, Any]) -> None:
        """Look at a part in the storage, before anything is said of it."""

    def close(self) -> None:
        """End everything that was made for it."""


@dataclass(frozen=True, slots=True)
class Threads:
    """Converts files in threads of this process.

    Attributes:
        most: How many.
        pool: The threads.
    """

    most: int
    pool: Pool = field(init=False, repr=False, compare=False)
    is_here: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Start no thread yet."""
        object.__setattr__(self, "pool", Pool(self.size))

    @property
    def label(self) -> str:
        """Return the setting."""
        return f"threads:{self.most}"

    def open(self, place: Mapping[str, Any], storage: Storage) -> None:
        """Do nothing: threads start with the first file."""

    def size(self) -> int:
        """Return how many there are."""
        return self.most

    def slot(self, ended: Callable[[], bool]) -> AbstractContextManager[None]:
        """Return an empty context: a thread that asks is free."""
        del ended
        return nullcontext()

    def work(self, task: Task, host: Host) -> Result:
        """Do the work."""
        from tap_exports.engine.convert.work import work  # noqa: PLC0415 - RECORD messages do without it

        return work(task, host)

    def check(self, part: Mapping[str, Any]) -> None:
        """Do nothing: this process wrote it."""

    def close(self) -> None:
        """Do nothing: threads end with the process."""


def executor_of(text: str, bounds: Bounds) -> Executor:
    """Return what the setting `executor` names; nothing is connected yet.

    Raises:
        ConfigError: It has none of the three forms, or names what is not installed or cannot be called.
    """
    kind, _, rest = text.partition(":")
    if kind == "threads":
        return Threads(_threads(rest))
    if kind == "dask" and rest:
        return _elsewhere(f"Dask at {rest}", _dask(rest, bounds.connect_seconds), bounds)
    if re.fullmatch(r"[\w.]+", kind) and rest.isidentifier():
        return _elsewhere(text, _own(kind, rest), bounds)
    raise ConfigError(f'config: "executor" must be one of {_FORMS}')


def refuse_secrets(executor: Executor, options: Mapping[str, Any]) -> None:
    """Refuse arguments of the storage that workers elsewhere need and cannot get.

    Raises:
        ConfigError: Names them.
    """
    names = [] if executor.is_here else list(secret_names(options))
    if names:
        shown = ", ".join(f"`{name}`" for name in names)
        raise ConfigError(
            f"config: batch_config.storage.params: {shown} may be a secret, and the workers of {executor.label} get "
            "none: let tap and workers take it from their environment, such as AWS_ACCESS_KEY_ID, and remove it here"
        )


def _elsewhere(label: str, connect: Callable[[], Engine], bounds: Bounds) -> Executor:
    from tap_exports.engine.convert.elsewhere import Elsewhere  # noqa: PLC0415 - threads do without it

    return Elsewhere(label, connect, bounds)


def _threads(number: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", number) or not 1 <= int(number) <= MOST_THREADS:
        raise ConfigError(f'config: "executor": threads:N takes a number from 1 to {MOST_THREADS}')
    return int(number)


def _own(module: str, name: str) -> Callable[[], Engine]:
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        msg = f'config: "executor": {module}:{name} cannot be imported: {type(error).__name__}'
        raise ConfigError(msg) from error
    if not callable(found):
        raise ConfigError(f'config: "executor": {module}:{name} cannot be called')
    from tap_exports.engine.convert.engines import OwnEngine  # noqa: PLC0415 - as above

    return partial(OwnEngine, f"{module}:{name}", found)


def _dask(address: str, seconds: float) -> Callable[[], Engine]:
    if importlib.util.find_spec("distributed") is None:
        raise ConfigError('config: "executor": dask:ADDRESS needs the extra tap-exports[dask]')
    from tap_exports.engine.convert.engines import DaskEngine  # noqa: PLC0415 - as above

    return partial(DaskEngine, address, seconds)
