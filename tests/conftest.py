from __future__ import annotations

from collections.abc import Iterator

import pytest

from tap_exports.singer.tap import BaseTap


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """Take back the redaction that a tap within this process has put over all logs."""
    yield
    _restore()


def pytest_collection_finish() -> None:
    """Do so too after collection: the SDK's test factory makes taps then."""
    _restore()


def _restore() -> None:
    if BaseTap.stop_redacting is not None:
        BaseTap.stop_redacting()
        BaseTap.stop_redacting = None
