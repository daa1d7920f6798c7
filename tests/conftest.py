from __future__ import annotations

from collections.abc import Iterator

import pytest

from tap_exports.singer.tap import BaseTap
from tests.process.mark import MARK, Guard, starts_processes


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """Take back the redaction that a tap within this process has put over all logs."""
    yield
    _restore()


def pytest_configure(config: pytest.Config) -> None:
    """Hold tests that are not known to start processes to starting none."""
    config.addinivalue_line("markers", f"{MARK}: starts processes; given to tests by what they use")
    config.pluginmanager.register(Guard())


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests that start processes."""
    if isinstance(item, pytest.Function) and starts_processes(item):
        item.add_marker(MARK)


def pytest_collection_finish() -> None:
    """Do so too after collection: the SDK's test factory makes taps then."""
    _restore()


def _restore() -> None:
    if BaseTap.stop_redacting is not None:
        BaseTap.stop_redacting()
        BaseTap.stop_redacting = None
