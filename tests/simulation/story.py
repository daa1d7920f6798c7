"""A history before it is played: settings, records, runs, and the troubles that strike them; all drawn from a seed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.simulation.world import Json, Trouble

HOUR, DAY = 3_600.0, 86_400.0
PROVIDERS = ("exelensia", "cornect")
FATES = ("fails", "hangs", "vanishes", "ends odd", "is odd for a while", "is slow")
DOWNLOADS = ("is cut", "is a page", "is gone", "is one line of error")
KILLED_LOADER = "the loader is killed before it keeps anything of run"
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
    """

    seed: int
    provider: str
    config: Json
    streams: tuple[str, ...]
    records: tuple[tuple[float, float, str], ...]
    gaps: tuple[float, ...]
    page: int
    troubles: tuple[Trouble, ...]

    def lines(self) -> Iterator[str]:
        """Yield what is told of the story before it is played."""
        yield f"{self.provider}, seed {self.seed}: {len(self.records)} records, {len(self.gaps)} runs and 3 calm ones"
        yield f"  settings {_flat(self.config)}"
        yield f"  streams {', '.join(self.streams)}; {self.page} records in a page"
        yield from (f"  trouble: {trouble}" for trouble in self.troubles)


def draw(seed: int) -> Story:
    """Return the story of a seed."""
    chance = random.Random(f"{seed}/story")  # noqa: S311 - a drawn history, not a secret
    provider = chance.choice(PROVIDERS)
    gaps = tuple(chance.choice((60.0, HOUR, DAY, 2 * DAY)) for _ in range(chance.randint(1, 4)))
    count = chance.randint(3, MOST_RECORDS)
    times = _times(chance, gaps, count)
    late = chance.choice((0.0, 20.0, 50.0))
    kinds = [chance.choice(("s1", "s1", "s2")) for _ in times]
    records = tuple((round(at, 3), chance.uniform(0, late), kind) for at, kind in zip(times, kinds, strict=True))
    settings, streams = _exelensia(chance) if provider == "exelensia" else _cornect(chance, count)
    kinds_of_trouble = _troubles(chance, provider, len(gaps), settings)
    picked = tuple(t for t in kinds_of_trouble if chance.random() < 0.25) + _of_loaders(seed, len(gaps))
    return Story(seed, provider, settings, streams, records, gaps, chance.choice((3, 5, 10, 100)), picked)


def _times(chance: random.Random, gaps: tuple[float, ...], count: int) -> list[float]:
    """Draw when records are created: before and between the runs, many at one instant, some just before a run."""
    runs = list(itertools.accumulate(gaps))
    moments = [chance.uniform(-2 * DAY, runs[-1]) for _ in range(max(1, count // 2))]
    moments += [run - chance.uniform(0, 150) for run in runs]
    return [chance.choice(moments) + (chance.random() if chance.random() < 0.5 else 0.0) for _ in range(count)]


def _shared(chance: random.Random) -> Json:
    return {
        "start_date": "2026-05-29T00:00:00Z",
        "settling_seconds": 60,
        "job_stall_timeout_seconds": chance.choice((120, 600)),
        "job_wait": chance.choice(("wait", "wait", "detach")),
        "max_concurrent_jobs": chance.choice((1, 2, 4)),
        "max_concurrent_requests": chance.choice((1, 4)),
        "poll_interval_seconds": chance.choice((0.2, 2, 10)),
        "max_attempts": chance.choice((3, 6)),
        "progress": "never",
    }


def _exelensia(chance: random.Random) -> tuple[Json, tuple[str, ...]]:
    entry = {
        "schema_id": "s1",
        "name": "rows",
        "mode": chance.choice(("create", "create", "collect")),
        "max_window_days": chance.choice((1, 2, 31)),
        "delete_after_load": chance.choice((False, False, True)),
        "primary_keys": ["number"],
    }
    names = ("exelensia_export_rows", "exelensia_exports", "exelensia_results")
    streams = tuple(name for name in names if name.endswith("rows") or chance.random() < 0.5)
    return {**_shared(chance), "exelensia": {"api_key": "key-of-a-test", "exports": [entry]}}, streams


def _cornect(chance: random.Random, count: int) -> tuple[Json, tuple[str, ...]]:
    filters = {"countries": ["Norway"]}
    block = {
        "api_token": "token-of-a-test",
        "max_credits": chance.choice((count // 2, count, count * 3 // 2)),
        "exports": [{"name": "rows", "search_filters": filters, "primary_keys": ["id"]}],
        "searches": [{"name": "north", "search_filters": filters}],
    }
    streams = tuple(
        chance.choice((("cornect_export_rows",), ("cornect_companies",), ("cornect_export_rows", "cornect_companies")))
    )
    return {**_shared(chance), "cornect": block}, streams


def _troubles(chance: random.Random, provider: str, runs: int, config: Json) -> Iterator[Trouble]:
    """Yield the troubles among which a story picks."""
    for kind in ("replicas lag by", "one of the replicas lags by"):
        yield Trouble(kind, 0, chance.choice((0.5, 3.0, 15.0)))
    yield Trouble("lose the reply to creation", chance.randint(1, 3), chance.choice(("before", "after")))
    yield Trouble("lose the reply to creation", chance.randint(1, 3), chance.choice(("before", "after")))
    yield Trouble("error 503 at request", chance.randint(1, 20))
    yield Trouble("no connection at request", chance.randint(1, 20))
    yield Trouble("job", chance.randint(1, 4), chance.choice(FATES))
    yield Trouble("job", chance.randint(1, 4), chance.choice(FATES))
    yield Trouble("download", chance.randint(1, 4), chance.choice(DOWNLOADS))
    yield Trouble("ties in any order")
    yield Trouble("totals", 0, chance.choice(("zero", "absent", "low")))
    yield Trouble(
        "a record is deleted after page", chance.randint(1, 3), "search" if provider == "cornect" else "results"
    )
    yield Trouble(
        "kill", chance.randint(1, runs), (chance.choice(("request", "message", "state")), chance.randint(1, 15))
    )
    yield Trouble(
        "kill", chance.randint(1, runs), (chance.choice(("request", "message", "state")), chance.randint(1, 15))
    )
    yield Trouble("SIGTERM", chance.randint(1, runs), chance.randint(1, 20))
    yield Trouble("older STATE", chance.randint(1, runs), chance.randint(1, 4))
    if provider == "exelensia":
        yield Trouble("provider's clock ahead by", 0, chance.choice((-600.0, -90.0, -2.0, 2.0, 90.0, 600.0)))
        yield from _of_others(chance, runs, config)


def _of_loaders(seed: int, runs: int) -> tuple[Trouble, ...]:
    """Return the runs whose loader was killed before it kept anything; drawn apart from the other troubles."""
    chance = random.Random(f"{seed}/loader")  # noqa: S311 - a drawn history, not a secret
    return tuple(Trouble(KILLED_LOADER, n) for n in range(1, runs + 1) if chance.random() < 0.15)


def _of_others(chance: random.Random, runs: int, config: Json) -> Iterator[Trouble]:
    """Yield jobs that others make, and changes of settings."""
    for number in range(1, runs + 1):
        if chance.random() < (0.9 if config["exelensia"]["exports"][0]["mode"] == "collect" else 0.2):
            yield Trouble("foreign", number, chance.choice((*FATES, *["completes"] * 6)))
    if runs > 1:
        change = chance.choice(({"schema_id": "s2"}, {"mode": "create"}, {"max_window_days": 2}))
        yield Trouble("settings", chance.randint(2, runs), change)


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
