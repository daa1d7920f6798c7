from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from tests.crash.drill import Story, recorded
from tests.crash.points import Place
from tests.crash.scenarios import ALL
from tests.crash.victim import Nursery


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("nursery")) as running:
        yield running


class Calm:
    """Undisturbed runs, each made once."""

    def __init__(self, nursery: Nursery) -> None:
        self.of = cache(lambda provider: recorded(ALL[provider], nursery))

    def story(self, provider: str) -> Story:
        return self.of(provider)[0]

    def places(self, provider: str) -> list[Place]:
        return self.of(provider)[1]


@pytest.fixture(scope="session")
def calm(nursery: Nursery) -> Calm:
    return Calm(nursery)
