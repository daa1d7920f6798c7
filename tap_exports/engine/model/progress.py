"""How a stream remembers what it has read."""

from __future__ import annotations

from enum import Enum


class Progress(Enum):
    """What the bookmark of a stream says; it decides what can be read again.

    WINDOWS: up to which instant windows are proven, and which ones beyond it.
    RUNS: up to which number runs are proven, and which ones beyond it.
    INSTANT: up to which instant records were read.
    NUMBER: up to which number records were read.
    LEADER: nothing of its own; the stream reads what the jobs of another one bring.
    NONE: each run reads everything.
    """

    WINDOWS = "windows"
    RUNS = "runs"
    INSTANT = "instant"
    NUMBER = "number"
    LEADER = "leader"
    NONE = "none"
