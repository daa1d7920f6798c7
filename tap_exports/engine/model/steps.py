"""What a run is going to do, step by step, before it does any of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tap_exports.engine.model.jobs import Window


class Action(Enum):
    """What a run does with a window, a job or a list."""

    CREATE = "create"
    ATTACH = "attach"
    FIND = "find"
    COLLECT = "collect"
    LIST = "list"
    DELETE = "delete"
    DROP = "drop"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run.

    Attributes:
        action: `create` a job, re-`attach` to an open one, `find` the one whose creation got no reply, `collect` the
            rows of an existing one, read a `list`, `delete` a job at the provider, `drop` an entry of the ledger, or
            `skip`.
        window: The window that it covers, or None.
        job: The id of the job, or None where there is none yet.
        note: Why it is skipped, or what else there is to know.
    """

    action: Action
    window: Window | None = None
    job: str | None = None
    note: str = ""
