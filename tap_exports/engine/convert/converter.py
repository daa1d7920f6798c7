"""What converts the files of a stream, and how one file is converted: with a URL that is signed when work can begin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tap_exports.engine.clock import Clock
from tap_exports.engine.convert.executors import Executor
from tap_exports.engine.convert.task import Host, Result, Task
from tap_exports.engine.http import HttpSettings
from tap_exports.engine.model import RemoteFile
from tap_exports.errors import StopError, UrlExpiredError

MAX_RENEWALS = 3
MAX_SIGNATURES = 50  # of one file, those included that were refused because the work began late
LATE_SECONDS = 1.0  # in a queue, after which a refused URL says nothing about the next one


@dataclass(frozen=True, slots=True)
class Converter:
    """What converts files, and the settings that each task needs beside the stream's shape.

    Attributes:
        executor: Converts files.
        http: Settings of the download.
        spool: `folder` and `max_mb` of the workers' spools.
        options: Arguments of fsspec's file system; never in a task.
        has_room: Returns whether the spool takes another file ahead of its turn.
        samples: Whether unknown columns get their types from a sample of the file.
        noted: Returns what STATE says of the files of a job; thread-safe.
    """

    executor: Executor
    http: HttpSettings
    spool: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    has_room: Callable[[], bool] = lambda: True
    samples: bool = False
    noted: Callable[[str], Mapping[str, Any]] = lambda _: {}

    def convert(
        self,
        remote: RemoteFile,
        task: Callable[[RemoteFile], Task],
        renew: Callable[[], RemoteFile],
        ended: Callable[[], bool],
        clock: Clock,
    ) -> Result:
        """Convert a file, with a new URL where one is refused; one that came late to a worker counts as none.

        Args:
            remote: The file.
            task: Returns the task for the file, with the URL that it is given.
            renew: Returns the file with a new URL.
            ended: Returns whether the run is ending.
            clock: Measures and waits.
        """
        host, renewals = Host(self.options, renew, ended, clock), 0
        for number in count(1):
            result = self.executor.work(task(remote), host)
            is_refused = result["error"] and result["error"]["kind"] == UrlExpiredError.__name__
            renewals += result.get("queued", 0.0) < LATE_SECONDS
            if not is_refused or renewals > MAX_RENEWALS or number == MAX_SIGNATURES:
                return result
            remote = renew()
        raise AssertionError


def refuse_missing(result: Result, name: str) -> None:
    """Refuse a result whose parts do not hold the rows that were read.

    Raises:
        StopError: They do not.
    """
    if (there := sum(part["rows"] for part in result["parts"])) != result["rows"]:
        raise StopError(f"{name}: {result['rows']} rows were read, its parts hold {there}; the window stays open")
