"""What an error of an engine says, what it asks for, and whether a new connection may help."""

from __future__ import annotations

import re

from tap_exports import __version__

_QUERY = re.compile(r"\?[^\s\"')>]*")
_LONGEST = 200
_KILLED = frozenset({"BrokenProcessPool", "KilledWorker", "OutOfMemoryError", "WorkerCrashedError"})
VERSION_REMEDY = f"install tap-exports=={__version__} on all workers, with the extra of the storage"
MEMORY_REMEDY = "a file takes about 170 MB of a worker's memory; what its log says tells more"


def may_pass(error: Exception) -> bool:
    """Return whether a new connection may help: not where code is missing, or where the work itself kills workers."""
    return not _is_missing(error) and type(error).__name__ != "KilledWorker"


def remedy_of(error: BaseException) -> str:
    """Return what to do about an error."""
    if _is_missing(error):
        return VERSION_REMEDY
    if type(error).__name__ in _KILLED:
        return MEMORY_REMEDY
    return "see that it runs, and what its log says"


def _is_missing(error: BaseException) -> bool:
    """Return whether a worker lacks a package; engines that cannot send an error whole send its text."""
    return isinstance(error, ImportError) or "ModuleNotFoundError" in str(error)


def cause_of(error: BaseException) -> str:
    """Return what an engine's error says, without the queries of URLs."""
    text = _QUERY.sub("", " ".join(str(error).split()))[:_LONGEST]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
