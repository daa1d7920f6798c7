"""What is known to be wrong and not mended yet: the world leaves it out, by name, so that the tests stay green.

Who mends an issue removes its entry here; from then on the world holds it. The names begin with the issue's number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from tests.simulation.story import Story
from tests.simulation.world import Trouble

Leave = Callable[[Story], Story]


def _no(matches: Callable[[Trouble], bool]) -> Leave:
    """Return what takes the troubles that match out of a story."""
    return lambda story: replace(story, troubles=tuple(t for t in story.troubles if not matches(t)))


OPEN: dict[str, Leave] = {}


def closed(story: Story, names: Iterable[str]) -> Story:
    """Return a story without what the named entries leave out."""
    for name in names:
        story = OPEN[name](story)
    return story


# Names in `stories.STORIES` that are found on the code as it stands; their tests must fail until the mend.
OPEN_STORIES: frozenset[str] = frozenset()
