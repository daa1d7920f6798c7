from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tap_exports.sandbox import Sandbox, SandboxOptions


@pytest.fixture
def sandbox() -> Iterator[Any]:
    """Start a sandbox per call: `sandbox(faults={…}, job_seconds=0)`."""
    running: list[Sandbox] = []

    def start(*, faults: dict[str, Any] | None = None, **options: Any) -> Sandbox:  # noqa: ANN401 - those of SandboxOptions
        box = Sandbox(SandboxOptions(**{"job_seconds": 0, **options}), faults=faults)
        box.start()
        running.append(box)
        return box

    yield start
    for box in running:
        box.stop()
