"""What a worker elsewhere runs: `greet` before anything is created, then `perform` for each file. Values in and out.

Neither raises: an engine may log the arguments of what raises, and a task holds a signed URL.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import cache
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess

from tap_exports import __version__
from tap_exports.engine.convert.task import Result, Task
from tap_exports.engine.convert.work import do_work
from tap_exports.engine.publish.storage import Storage
from tap_exports.errors import StopError, TapError

GREETING = "greeting"  # name of the object that shows whether a worker reaches the tap's own storage


def perform(task: Task) -> Result:
    """Do the work on one file.

    Returns:
        `version` of the package here; `result` of the work; `defect`, set where code failed; `seconds` that it took.
    """
    return _answer(task, do_work)


def greet(task: Task) -> Result:
    """Write an object to the storage, as the work will: it is the tap that looks for it and removes it.

    Returns:
        As `perform`; the result has the `url` and the `size` of the object, or an `error`.
    """
    return _answer(task, _greeting)


def _greeting(task: Task) -> Result:
    try:
        storage = Storage(task["storage"]["root"], task["storage"]["prefix"], task["storage"]["options"])
        draft = storage.draft(GREETING, "")
        draft.write(GREETING.encode())
        return {"url": draft.keep(), "size": len(GREETING), "error": None}
    except TapError as error:
        return {"url": None, "size": 0, "error": error.message}


def _answer(task: Task, work: Callable[[Task], Result]) -> Result:
    began = time.monotonic()
    end_with_parent()
    answer: Result = {"version": __version__, "result": None, "defect": None}
    if task["version"] == __version__:
        try:
            answer["result"] = work(task)
        except Exception as error:  # noqa: BLE001 - the tap raises it, without the arguments
            answer["defect"] = f"{type(error).__name__}: {error}"
    return {**answer, "seconds": time.monotonic() - began}


@cache
def end_with_parent() -> None:
    """End this process when the one that made it has gone, if it is the child of a pool.

    Python's pools do not see that their owner was killed: their processes would wait for work for ever.
    """
    if parent := parent_process():
        threading.Thread(target=_follow, args=(parent,), name="parent", daemon=True).start()


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def opened(answer: Result, label: str) -> Result:
    """Return the result in an answer.

    Raises:
        StopError: The worker has another version of this package.
        RuntimeError: Code failed there.
    """
    if answer["version"] != __version__:
        raise StopError(f"a worker of {label} has tap-exports {answer['version']}, and the tap is {__version__}")
    if answer["defect"]:
        msg = f"on a worker of {label}: {answer['defect']}"
        raise RuntimeError(msg)
    result: Result = answer["result"]
    return result
