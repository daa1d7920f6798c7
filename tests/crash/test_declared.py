"""A sample of the crashes at declared providers that `make crash` goes through in full: no id of a job is lost."""

from __future__ import annotations

import random

import pytest

from tests.crash.conftest import Calm
from tests.crash.drill import tell
from tests.crash.points import AFTER, INSIDE, LINE, Place, Strike
from tests.crash.scenarios import DECLARED
from tests.crash.verdict import faults_of
from tests.crash.victim import Nursery

KILL = "SIGKILL"


def sample(provider: str, places: list[Place]) -> list[tuple[Strike, ...]]:
    """Return a kill behind the first creation, one within or behind a file, one at a line, and three in a row."""
    draw = random.Random(provider)  # noqa: S311 - a sample, not a secret
    method, path = DECLARED[provider].creation
    creation = next(p for p in places if p.kind == AFTER and p.what == f"api {method} {path}")
    kinds = [[p for p in places if p.kind == kind] for kind in (INSIDE, LINE)]
    chosen = [creation, *(draw.choice(kind) for kind in kinds if kind)]
    return [*((Strike(place, KILL),) for place in chosen), tuple(Strike(p, KILL) for p in draw.sample(places, 3))]


@pytest.mark.parametrize("provider", DECLARED)
def test_sample_of_kills(provider: str, calm: Calm, nursery: Nursery) -> None:
    """All rows, once; no job twice, but where a second one is declared to cost nothing (P1, P2, P4)."""
    undisturbed = calm.story(provider)
    stories = {chain: tell(DECLARED[provider], chain, nursery) for chain in sample(provider, calm.places(provider))}
    broken = {" | ".join(map(str, chain)): faults_of(story, undisturbed) for chain, story in stories.items()}
    assert {chain: faults for chain, faults in broken.items() if faults} == {}
    assert sum(story.reached for story in stories.values()) >= len(stories)


@pytest.mark.parametrize("provider", DECLARED)
def test_a_loader_that_dies_with_the_tap(provider: str, calm: Calm, nursery: Nursery) -> None:
    """Nothing of the run is kept, no row and no STATE: the next one reads the same jobs, by the durable ledger (P2)."""
    undisturbed, places = calm.story(provider), calm.places(provider)
    rows = [p for p in places if p.kind == LINE and p.what == f"RECORD {provider}_export_rows"]
    story = tell(DECLARED[provider], (Strike(rows[-1], KILL),), nursery, loses=True)
    assert (faults_of(story, undisturbed), story.reached) == ([], 1)


@pytest.mark.parametrize("provider", DECLARED)
def test_points_cover_the_life_of_declared_jobs(provider: str, calm: Calm) -> None:
    """Every request is struck before and after, every STATE once."""
    places, story = calm.places(provider), calm.story(provider)
    kinds = [place.kind for place in places]
    states = sum(message["type"] == "STATE" for message in story.runs[0].messages)
    method, path = DECLARED[provider].creation
    created = [p for p in places if p.kind == AFTER and p.what == f"api {method} {path}"]
    assert (kinds.count("before"), len(set(places)), len(created)) == (kinds.count("after"), len(places), 3)
    assert sum(place.kind == LINE and place.what == "STATE" for place in places) == states > 0
