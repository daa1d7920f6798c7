from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import settings

from tap_exports.singer.tap import BaseTap
from tests.process.mark import MARK, Guard, starts_processes

STATE = tempfile.TemporaryDirectory(prefix="tap-exports-state-", ignore_cleanup_errors=True)
_NUMBERS = count()


@pytest.fixture(autouse=True)
def own_ledgers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the durable ledgers of each test in a place of its own, which is made if a tap uses it."""
    monkeypatch.setenv("XDG_STATE_HOME", f"{STATE.name}/{next(_NUMBERS)}")


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """Take back the redaction that a tap within this process has put over all logs."""
    yield
    _restore()


def pytest_configure(config: pytest.Config) -> None:
    """Hold tests that are not known to start processes to starting none, and no drawn case to a time."""
    settings.register_profile("shared machines", settings(), deadline=None)
    settings.load_profile("shared machines")
    os.environ["XDG_STATE_HOME"] = f"{STATE.name}/session"
    config.addinivalue_line("markers", f"{MARK}: starts processes; given to tests by what they use")
    config.pluginmanager.register(Guard())


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests that start processes."""
    if isinstance(item, pytest.Function) and starts_processes(item):
        item.add_marker(MARK)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that may take longest: at the end, the other workers would wait for them."""
    items.sort(key=_seconds_allowed, reverse=True)


def _seconds_allowed(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Have three times as many workers as cores: tests that start processes wait more than they compute."""
    cores = os.cpu_count() or 1
    return cores if config.option.numprocesses == "logical" else 3 * cores


def pytest_collection_finish() -> None:
    """Do so too after collection: the SDK's test factory makes taps then."""
    _restore()


def _restore() -> None:
    if BaseTap.stop_redacting is not None:
        BaseTap.stop_redacting()
        BaseTap.stop_redacting = None
