"""The settings of work elsewhere."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Settings of work elsewhere.

    Attributes:
        size: Most files at once; None: as many as the engine tells.
        connect_seconds: Longest wait for the engine and its first worker.
        task_seconds: Longest time for one file, waiting for a worker included.
    """

    size: int | None = None
    connect_seconds: float = 60
    task_seconds: float = 3600
