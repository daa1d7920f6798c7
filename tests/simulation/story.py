"""A history before it is played: settings, records, runs, and the troubles that strike them; all drawn from a seed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.simulation.drawn import settings
from tests.simulation.jobs import DAY, TWIN
from tests.simulation.troubles import troubles
from tests.simulation.world import Json, Trouble

HOUR = 3_600.0
PROVIDERS = ("cension", "closient", "cornect", "exelensia", "packagex")  # each has the seeds of its remainder
KINDS = {
    "cension": ("s1", "s2", "s3"),
    "closient": ("s1", "s2", "s3"),
    "cornect": ("s1",),
    "exelensia": ("s1", "s1", "s2"),
    "packagex": ("s1", "s1", "s1", "s2", "s3"),
}
TWINS, PICKED = 0.2, 0.2  # shares of stories with two taps, and of troubles that a story has
MOST_RECORDS = 40
PLAIN = {"job_wait": "wait", "max_concurrent_jobs": 4, "max_concurrent_requests": 1, "poll_interval_seconds": 2}


@dataclass(frozen=True)
class Story:
    """A history before it is played.

    Attributes:
        seed: Draws the turns and the chance of the world.
        provider: Which model.
        config: Settings of the first run.
        streams: Selected streams.
        records: Of each: seconds after the beginning, seconds until it is visible, kind.
        gaps: Seconds before each run in trouble.
        page: Records in a page.
        troubles: What goes wrong.
        twin: Seconds before each run in trouble of a second tap on the same account, or none for no second tap.
        excused: Kinds of findings that are known to be open for it.
    """

    seed: int
    provider: str
    config: Json
    streams: tuple[str, ...]
    records: tuple[tuple[float, float, str], ...]
    gaps: tuple[float, ...]
    page: int
    troubles: tuple[Trouble, ...]
    twin: tuple[float, ...] = ()
    excused: frozenset[str] = frozenset()

    def lines(self) -> Iterator[str]:
        """Yield what is told of the story before it is played."""
        yield f"{self.provider}, seed {self.seed}: {len(self.records)} records, {len(self.gaps)} runs and 3 calm ones"
        if self.twin:
            yield f"  a second tap with the same settings, a target of its own: {len(self.twin)} runs from {TWIN} on"
        yield f"  settings {_flat(self.config)}"
        yield f"  streams {', '.join(self.streams)}; {self.page} records in a page"
        yield from (f"  trouble: {trouble}" for trouble in self.troubles)


def draw(seed: int) -> Story:
    """Return the story of a seed."""
    chance = random.Random(f"{seed}/story")  # noqa: S311 - a drawn history, not a secret
    provider = PROVIDERS[seed % len(PROVIDERS)]
    gaps = _gaps(chance)
    count = chance.randint(3, MOST_RECORDS)
    times = _times(chance, gaps, count)
    late = chance.choice((0.0, 20.0, 40.0))
    kinds = [chance.choice(KINDS[provider]) for _ in times]
    records = tuple((round(at, 3), chance.uniform(0, late), kind) for at, kind in zip(times, kinds, strict=True))
    config, streams = settings(chance, provider, count)
    begins = "start" in config[provider].get("exports", [{}])[0]  # the runs that a tap begins are its own
    twin = _gaps(chance) if chance.random() < TWINS and not begins else ()
    runs = [*range(1, len(gaps) + 1), *range(TWIN, TWIN + len(twin))]
    picked = tuple(t for t in troubles(chance, provider, runs, config) if chance.random() < PICKED)
    return Story(seed, provider, config, streams, records, gaps, chance.choice((3, 5, 10, 100)), picked, twin)


def _gaps(chance: random.Random) -> tuple[float, ...]:
    return tuple(chance.choice((60.0, HOUR, DAY, 2 * DAY)) for _ in range(chance.randint(1, 4)))


def _times(chance: random.Random, gaps: tuple[float, ...], count: int) -> list[float]:
    """Draw when records are created: before and between the runs, many at one instant, some just before a run."""
    runs = list(itertools.accumulate(gaps))
    moments = [chance.uniform(-2 * DAY, runs[-1]) for _ in range(max(1, count // 2))]
    moments += [run - chance.uniform(0, 150) for run in runs]
    return [chance.choice(moments) + (chance.random() if chance.random() < 0.5 else 0.0) for _ in range(count)]


def without(story: Story, trouble: Trouble) -> Story:
    """Return a story without one of its troubles."""
    return replace(story, troubles=tuple(t for t in story.troubles if t is not trouble))


def _flat(config: object, path: str = "") -> str:
    if isinstance(config, dict):
        parts = (_flat(value, f"{path}{name}.") for name, value in config.items())
        return ", ".join(part for part in parts if part)
    if isinstance(config, list) and config and isinstance(config[0], dict):
        return _flat(config[0], path)
    hidden = {"start_date", "progress", "api_key", "api_token", "name", "primary_keys"} & set(
        path.strip(".").split(".")
    )
    return "" if hidden else f"{path.rstrip('.').rpartition('.')[2]} {config}"
