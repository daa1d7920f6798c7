"""Providers that misbehave throughout: lag, lists in changing order, clocks that are off."""

from __future__ import annotations

import pytest

from tests.crash.conftest import Calm
from tests.crash.drill import tell
from tests.crash.points import AFTER, Strike
from tests.crash.scenarios import SCENARIOS
from tests.crash.verdict import faults_of
from tests.crash.victim import Nursery
from tests.crash.worlds import WORLDS


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("provider", SCENARIOS)
def test_a_world_that_misbehaves(provider: str, world: str, calm: Calm, nursery: Nursery) -> None:
    """The rows of the provider land at the target, and no job is created twice (P1, P2, P4)."""
    story = tell(SCENARIOS[provider], (), nursery, world=WORLDS[world])
    assert faults_of(story, calm.story(provider)) == []


@pytest.mark.parametrize("world", ["lag", "all"])
@pytest.mark.parametrize("provider", SCENARIOS)
def test_a_crash_behind_the_creation(provider: str, world: str, calm: Calm, nursery: Nursery) -> None:
    """A job whose reply nobody heard is found although it is not readable at once (P2)."""
    method, path = SCENARIOS[provider].creation
    places = [p for p in calm.places(provider) if p.kind == AFTER and p.what.startswith(f"api {method} {path}")]
    story = tell(SCENARIOS[provider], (Strike(places[0], "SIGKILL"),), nursery, world=WORLDS[world])
    assert (faults_of(story, calm.story(provider)), story.reached) == ([], 1)
