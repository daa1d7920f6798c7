"""Tests that start processes are known before they run."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from tests.process.child import Child
from tests.process.mark import MARK
from tests.tap import harness


def shown() -> bytes:
    return Child(["--version"]).communicate(60)[0]


class Shower:
    def show(self) -> bytes:
        return shown()


@pytest.fixture
def shower() -> Shower:
    return Shower()


def is_marked(request: pytest.FixtureRequest) -> bool:
    return request.node.get_closest_marker(MARK) is not None


def test_by_what_it_calls(request: pytest.FixtureRequest) -> None:
    """A function that starts a process, by way of others too, marks the tests that call it."""
    assert is_marked(request)
    assert b"tap-exports" in shown()


def test_by_what_its_fixtures_are(request: pytest.FixtureRequest, shower: Any) -> None:  # noqa: ANN401 - as other tests
    """A fixture's class marks the tests that use the fixture."""
    assert is_marked(request)
    assert b"tap-exports" in shower.show()


def test_not_by_what_stands_beside_it(request: pytest.FixtureRequest) -> None:
    """What a test does not use does not mark it."""
    assert harness.PROVIDERS
    assert not is_marked(request)


@pytest.mark.parametrize("start", ["subprocess:run", "os:system", "os:posix_spawn"])
def test_unforeseen_starts_are_refused(request: pytest.FixtureRequest, start: str) -> None:
    """A start that was hidden from the search fails the test and starts nothing."""
    assert not is_marked(request)
    module, _, name = start.partition(":")
    arguments: list[Any] = [["/bin/true"]] if module == "subprocess" else ["/bin/true"]
    arguments += [["/bin/true"], {}] if name == "posix_spawn" else []
    with pytest.raises(RuntimeError, match=r"starts a process unforeseen: give it @pytest.mark.process"):
        getattr(import_module(module), name)(*arguments)
