from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tap_exports.sandbox import Sandbox, SandboxOptions
from tests.sandbox.client import HEADERS, Client, Clients


@pytest.fixture
def clients() -> Iterator[Clients]:
    """Start a sandbox per call and return its client: `clients("cension", job_seconds=0)`."""
    running: list[Client] = []

    def start(name: str, *, faults: dict[str, Any] | None = None, **options: Any) -> Client:  # noqa: ANN401 - SandboxOptions'
        box = Sandbox(SandboxOptions(**options), faults=faults)
        box.start()
        session = requests.Session()
        header, prefix = HEADERS[name]
        session.headers[header] = prefix + box.key(name)
        running.append(Client(box, name, session))
        return running[-1]

    yield start
    for client in running:
        client.session.close()
        client.box.stop()
