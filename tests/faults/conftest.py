from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.witness import Witness


@pytest.fixture
def witness() -> Iterator[Any]:
    """Start a watched sandbox per call: `witness({"faults": […]}, job_seconds=0)`."""
    running: list[Witness] = []

    def start(faults: dict[str, Any] | None = None, **options: Any) -> Witness:  # noqa: ANN401 - those of SandboxOptions
        running.append(Witness.start(faults, **options))
        return running[-1]

    yield start
    for watched in running:
        watched.box.stop()
