"""A sample of the crashes that `make crash` goes through in full."""

from __future__ import annotations

import random
from functools import partial

import pytest

from tests.crash.conftest import Calm
from tests.crash.drill import catalog_of, tell
from tests.crash.points import AFTER, INSIDE, LINE, WAYS, Place, Strike
from tests.crash.scenarios import SCENARIOS
from tests.crash.verdict import faults_of
from tests.crash.victim import Nursery
from tests.tap.harness import arguments_of

SINGLES = 2
LOAD, ROWS, STRUCK_AT = "RECORD exelensia_export_load", 25_000, 17_500
ROWS_PER_CHECKPOINT = 10_000


def sample(provider: str, places: list[Place]) -> list[tuple[Strike, ...]]:
    """Return the crash that matters most, a few others, and three in a row."""
    draw = random.Random(provider)  # noqa: S311 - a sample, not a secret
    method, path = SCENARIOS[provider].creation
    creation = next(p for p in places if p.kind == AFTER and p.what.startswith(f"api {method} {path}"))
    kinds = [[p for p in places if p.kind == kind] for kind in (INSIDE, LINE)]
    chosen = [creation, *(draw.choice(kind) for kind in kinds if kind), *draw.sample(places, SINGLES)]
    singles = [(Strike(place, WAYS[number % len(WAYS)]),) for number, place in enumerate(chosen)]
    return [*singles, tuple(Strike(place, draw.choice(WAYS)) for place in draw.sample(places, 3))]


@pytest.mark.parametrize("provider", SCENARIOS)
def test_sample_of_crashes(provider: str, calm: Calm, nursery: Nursery) -> None:
    """Whatever ends the tap: all rows, once; no job and no credit twice; nobody else's job (P1, P2, P4)."""
    undisturbed = calm.story(provider)
    stories = {chain: tell(SCENARIOS[provider], chain, nursery) for chain in sample(provider, calm.places(provider))}
    broken = {" | ".join(map(str, chain)): faults_of(story, undisturbed) for chain, story in stories.items()}
    assert {chain: faults for chain, faults in broken.items() if faults} == {}
    assert sum(story.reached for story in stories.values()) >= len(stories)


@pytest.mark.parametrize("provider", SCENARIOS)
def test_a_loader_that_dies_with_the_tap(provider: str, calm: Calm, nursery: Nursery) -> None:
    """Nothing of the run is kept, no row and no STATE: the next one reads the same jobs, by the durable ledger (P2)."""
    undisturbed, places = calm.story(provider), calm.places(provider)
    rows = [p for p in places if p.kind == LINE and p.what.startswith(f"RECORD {provider}_export")]
    method, path = SCENARIOS[provider].creation
    created = next(p for p in places if p.kind == AFTER and p.what.startswith(f"api {method} {path}"))
    chains = [(Strike(created, "SIGKILL"), Strike(rows[0], "SIGTERM")), (Strike(rows[-1], "SIGKILL"),)]
    stories = {chain: tell(SCENARIOS[provider], chain, nursery, loses=True) for chain in chains}
    broken = {" | ".join(map(str, chain)): faults_of(story, undisturbed) for chain, story in stories.items()}
    assert {chain: faults for chain, faults in broken.items() if faults} == {}
    assert [story.reached for story in stories.values()] == [2, 1]


def test_without_a_ledger_a_loader_that_dies_costs_jobs(calm: Calm, nursery: Nursery) -> None:
    """The verdict sees what the ledger is for."""
    last = [p for p in calm.places("exelensia") if p.kind == LINE and p.what == "STATE"][-1]
    story = tell(
        SCENARIOS["exelensia"], (Strike(last, "SIGKILL"),), nursery, loses=True, ledger="none", job_reuse_seconds=0
    )
    faults = faults_of(story, calm.story("exelensia"))
    assert faults
    assert all("created 2 times" in fault or "spent" in fault for fault in faults)


@pytest.mark.parametrize("provider", SCENARIOS)
def test_points_cover_a_jobs_life(provider: str, calm: Calm) -> None:
    """Every request is struck before and after, every STATE and every batch once."""
    places, story = calm.places(provider), calm.story(provider)
    kinds = [place.kind for place in places]
    states = sum(message["type"] == "STATE" for message in story.runs[0].messages)
    assert (kinds.count("before"), len(set(places))) == (kinds.count("after"), len(places))
    assert sum(place.kind == LINE and place.what == "STATE" for place in places) == states > 0


def test_verdict_sees_what_is_wrong(calm: Calm, nursery: Nursery) -> None:
    """Rows lost, rows repeated and a job created twice are told, each by its name."""
    undisturbed, story = calm.story("exelensia"), tell(SCENARIOS["exelensia"], (), nursery)
    assert faults_of(story, undisturbed) == []
    story.created.update(list(story.created)[:1])
    story.spent = {"jobs_created": 9, "credits": 1}
    story.deleted = ["/v1/exports/foreign"]
    story.unheard = 1
    lines = [m for m in story.runs[0].messages if m["type"] == "RECORD" and m["stream"] == "exelensia_export_companies"]
    story.target._tables["exelensia_export_companies"].popitem()
    story.target.take(lines[:1])
    told = "\n".join(faults_of(story, undisturbed))
    for words in ("1 rows lost", "created 2 times", "foreign was deleted", "STATE covers it", "spent", "went on"):
        assert words in told


@pytest.mark.parametrize("way", WAYS)
def test_a_crash_inside_a_file_repeats_at_most_10_000_rows(way: str, nursery: Nursery) -> None:
    """The second run begins where the last STATE inside the file stands (P3)."""
    scenario = SCENARIOS["exelensia"]
    with scenario.sandbox(rows=ROWS) as box:
        config = scenario.config(box)
        load = {"schema_id": "019760a0-0001-7000-8000-000000000009", "name": "load", "max_window_days": 10_000}
        config["exelensia"]["exports"] = [load]
        catalog = catalog_of(nursery, config, LOAD.endswith)
        arguments = partial(arguments_of, nursery.folder, config, catalog=catalog)
        first = nursery.start(arguments(), Strike(Place(LINE, LOAD, STRUCK_AT), way)).wait()
        second = nursery.start(arguments(state=first.states[-1])).wait().succeeded()
    done, again = ([r["_sdc_row"] for r in ran.records[LOAD.split()[1]]] for ran in (first, second))
    assert again == list(range(again[0], ROWS + 1))
    assert 0 < done[-1] - again[0] + 1 <= ROWS_PER_CHECKPOINT
