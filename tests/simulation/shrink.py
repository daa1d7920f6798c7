"""Makes a failing story short: what is not needed for the finding is left out, one thing after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.simulation.history import play, shorter
from tests.simulation.oracle import judge
from tests.simulation.played import Finding
from tests.simulation.story import PLAIN, Story, without

MOST_PLAYS = 120


def shrink(story: Story, finding: Finding) -> Story:
    """Return the shortest story found that still breaks the same promise."""
    plays, changed = 0, True
    while changed and plays < MOST_PLAYS:
        changed = False
        for candidate in _shorter(story):
            plays += 1
            if any(f.kind == finding.kind and f.stream == finding.stream for f in judge(play(candidate))):
                story, changed = candidate, True
                break
    return story


def _shorter(story: Story) -> Iterator[Story]:
    """Yield stories that are a little shorter, those that save most first."""
    for trouble in story.troubles:
        yield without(story, trouble)
    if story.twin:
        yield replace(story, twin=())
        yield replace(story, twin=story.twin[:-1] or (60.0,))
    if len(story.gaps) > 1:
        yield shorter(story)
    if len(story.streams) > 1:
        yield from (replace(story, streams=tuple(s for s in story.streams if s != one)) for one in story.streams)
    for part in (2, 4, 8):
        count = len(story.records)
        if count // part:
            yield replace(story, records=story.records[: count - count // part])
    if any(late for _, late, _ in story.records):
        yield replace(story, records=tuple((at, 0.0, kind) for at, _, kind in story.records))
    for name, plain in PLAIN.items():
        if story.config[name] != plain:
            yield replace(story, config={**story.config, name: plain})
