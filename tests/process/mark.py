"""Marks the tests that start processes, so that they can be left out, and holds the others to starting none.

A test is known by what its code refers to, and that of its fixtures and of the functions and classes of the tests that
they use. A start that this did not foresee is refused, and the test fails: what is not marked starts nothing.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

from tests.process.child import STARTED, Child

MARK = "process"
STARTS = frozenset({STARTED, "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen"})
SEARCHED = tuple(str(Path(__file__).parents[2] / folder) for folder in ("tests", "tools", "tap_exports/testing"))


def starts_processes(item: pytest.Function) -> bool:
    """Return whether a test's code or that of its fixtures leads to a start of a process."""
    fixtures = [each.func for given in item._fixtureinfo.name2fixturedefs.values() for each in given]
    return any(map(_leads_to_a_start, [item.function, *fixtures]))


@cache
def _leads_to_a_start(function: object) -> bool:
    waiting, seen = [function], set[int]()
    while waiting:
        current = waiting.pop()
        if current in (subprocess, Child):
            return True
        if id(current) not in seen:
            seen.add(id(current))
            waiting += _used_by(current)
    return False


def _used_by(thing: Any) -> Iterator[object]:  # noqa: ANN401 - whatever a name stands for
    """Yield what a function refers to by name, and what a class consists of; nothing of others' code."""
    thing = getattr(thing, "__wrapped__", thing)
    if isinstance(thing, type) and thing.__module__.startswith("tests."):
        yield from vars(thing).values()
    if isinstance(thing, property):
        yield thing.fget
    if isinstance(thing, (classmethod, staticmethod)):
        yield thing.__func__
    if isinstance(thing, FunctionType) and thing.__code__.co_filename.startswith(SEARCHED):
        yield from (thing.__globals__[name] for name in _names(thing.__code__) if name in thing.__globals__)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


class Guard:
    """Refuses starts of processes by tests without the mark."""

    def __init__(self) -> None:
        """Listen from now on."""
        self._item: pytest.Item | None = None
        sys.addaudithook(self._hear)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Know which test runs."""
        self._item = item
        try:
            return (yield)
        finally:
            self._item = None

    def _hear(self, event: str, _arguments: tuple[object, ...]) -> None:
        if event in STARTS and self._item and not self._item.get_closest_marker(MARK):
            message = f"{self._item.nodeid} starts a process unforeseen: give it @pytest.mark.{MARK}"
            raise RuntimeError(message)
