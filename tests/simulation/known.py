"""What is known to be wrong and not mended yet: the world leaves it out, by name, so that the tests stay green.

Who mends an issue removes its entry here; from then on the world holds it. The names begin with the issue's number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from tests.simulation.story import Story

Leave = Callable[[Story], Story]


def _with_keys(story: Story) -> Story:
    """Return a story that collects exports with keys of their own: exports of others hold the same rows again."""
    block = story.config[story.provider]
    entries = block.get("exports", [])
    if not any(entry.get("mode") == "collect" for entry in entries):
        return story
    keyed = [{"primary_keys": ["number" if story.provider == "exelensia" else "id"], **entry} for entry in entries]
    return replace(story, config={**story.config, story.provider: {**block, "exports": keyed}})


OPEN: dict[str, Leave] = {
    "13.3: rows of jobs of others that overlap have a key for each job": _with_keys,
}


def closed(story: Story, names: Iterable[str]) -> Story:
    """Return a story without what the named entries leave out."""
    for name in names:
        story = OPEN[name](story)
    return story


# Names in `stories.STORIES` that are found on the code as it stands; their tests must fail until the mend.
OPEN_STORIES: frozenset[str] = frozenset()
