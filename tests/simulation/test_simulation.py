from __future__ import annotations

from datetime import datetime

import pytest

from tap_exports.engine.clock import to_text
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Job, Request
from tests.simulation import history
from tests.simulation.history import play
from tests.simulation.known import OPEN, OPEN_STORIES, closed
from tests.simulation.mutations import MUTATIONS
from tests.simulation.oracle import judge
from tests.simulation.shrink import shrink
from tests.simulation.stories import STORIES, exelensia
from tests.simulation.story import draw
from tests.simulation.world import Trouble

HISTORIES, PART = 2000, 50


@pytest.mark.parametrize("first", range(0, HISTORIES, PART))
def test_drawn_histories_keep_the_promises(first: int) -> None:
    """Whatever order of events a seed draws, the target equals the provider in the end; what is open is left out."""
    found = {seed: [str(f) for f in judge(play(closed(draw(seed), OPEN)))] for seed in range(first, first + PART)}
    assert {seed: findings for seed, findings in found.items() if findings} == {}


@pytest.mark.parametrize("name", STORIES)
def test_told_stories_keep_the_promises(name: str, request: pytest.FixtureRequest) -> None:
    """A story that was found once stays told; one that is open must be found, until its mend removes its entry."""
    if name in OPEN_STORIES:
        request.applymarker(pytest.mark.xfail(reason=f"open: {name}", strict=True, raises=AssertionError))
    assert [str(finding) for finding in judge(play(STORIES[name]))] == []


@pytest.mark.parametrize("name", MUTATIONS)
def test_what_was_mended_is_found_when_it_is_put_back(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A told story sees what it is about: with the old behaviour it breaks its promise."""
    mutation = MUTATIONS[name]
    monkeypatch.setattr(history, "_CATALOGS", {})
    mutation.apply(monkeypatch)
    assert mutation.finds & {finding.kind for finding in judge(play(STORIES[mutation.story]))}


def test_one_seed_is_one_history() -> None:
    """The same seed gives the same events at the same times, and the same STATE."""
    one, other = play(draw(5)), play(draw(5))
    assert one.world.log == other.world.log
    assert [side.target.states for side in one.sides] == [side.target.states for side in other.sides]


def test_a_bookmark_beyond_the_rows_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a window counts as proven once its job is open, its STATE is found, and a process that dies loses rows."""
    dies = Trouble("kill", 1, ("message", 2))
    story = exelensia(Trouble("error 503 at request", 2), dies, Trouble("job", 1, "is slow"))
    assert judge(play(story)) == []
    opened = StreamState.opened

    def proves_at_once(self: StreamState, request: Request, job: Job, at: datetime, *, adopted: bool = False) -> None:
        opened(self, request, job, at, adopted=adopted)
        if request.window:
            self.advance("created_at", to_text(request.window.end))

    monkeypatch.setattr(StreamState, "opened", proves_at_once)
    found = {finding.kind: finding for finding in judge(play(story))}
    assert found.keys() == {"bookmark beyond the target", "lost"}
    assert shrink(story, found["bookmark beyond the target"]).troubles == ()  # seen at the first STATE that says so
    assert shrink(story, found["lost"]).troubles == (dies,)
