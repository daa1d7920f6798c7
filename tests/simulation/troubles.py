"""The troubles among which a story picks, drawn for its provider and its runs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from tests.simulation.files import CHANGES
from tests.simulation.world import Json, Trouble

FATES = ("fails", "hangs", "vanishes", "ends odd", "is odd for a while", "is slow")
LONGEST = "hours that an export covers at most"
DOWNLOADS = ("is cut", "is a page", "is gone", "is one line of error", *CHANGES)
KILLED_LOADER = "the loader is killed before it keeps anything of run"
LISTS = {
    "cension": ("query",),
    "closient": (),
    "cornect": ("search",),
    "exelensia": ("results",),
    "packagex": (),
}
Draw = random.Random


def troubles(chance: Draw, provider: str, runs: Sequence[int], config: Json) -> Iterator[Trouble]:
    """Yield the troubles; `runs` are the numbers of the runs, those of a second tap among them."""
    yield from _of_network(chance)
    yield from _of_jobs(chance, provider)
    yield from _of_lists(chance, provider)
    yield from _of_clocks(chance)
    yield from _of_processes(chance, runs)
    if special := SPECIAL.get(provider):
        yield from special(chance, runs, config)


def _of_network(chance: Draw) -> Iterator[Trouble]:
    for kind in ("replicas lag by", "one of the replicas lags by"):
        yield Trouble(kind, 0, chance.choice((0.5, 3.0, 15.0)))
    for _ in range(2):
        yield Trouble("lose the reply to creation", chance.randint(1, 3), chance.choice(("before", "after")))
    yield Trouble("error 503 at request", chance.randint(1, 20))
    yield Trouble("no connection at request", chance.randint(1, 20))
    yield Trouble("a passing 404 at request", chance.randint(1, 20))
    yield Trouble("error 429 at request", chance.randint(1, 20), chance.choice((None, 0, 7, 400)))
    quota = chance.choice(((5, 20), (20, 60), (30, 3_600), (12, 86_400)))
    yield Trouble("quota of requests in seconds", 0, quota)


def _of_jobs(chance: Draw, provider: str) -> Iterator[Trouble]:
    for _ in range(2):
        yield Trouble("job", chance.randint(1, 4), chance.choice(FATES))
        if provider != "cension":
            yield Trouble("download", chance.randint(1, 4), chance.choice(DOWNLOADS))


def _of_lists(chance: Draw, provider: str) -> Iterator[Trouble]:
    yield Trouble("ties in any order")
    yield Trouble("totals", 0, chance.choice(("zero", "absent", "low", "high")))
    for name in LISTS[provider]:
        yield Trouble("a record is deleted after page", chance.randint(1, 3), name)


def _of_clocks(chance: Draw) -> Iterator[Trouble]:
    yield Trouble("provider's clock ahead by", 0, chance.choice((-600.0, -90.0, -2.0, 2.0, 90.0, 600.0)))
    yield Trouble("provider's clock gains a day", 0, chance.choice((-30.0, -1.0, 1.0, 30.0)))


def _of_processes(chance: Draw, runs: Sequence[int]) -> Iterator[Trouble]:
    for _ in range(2):
        point = chance.choice(("request", "message", "state"))
        yield Trouble("kill", chance.choice(runs), (point, chance.randint(1, 15)))
    yield Trouble("SIGTERM", chance.choice(runs), chance.randint(1, 20))
    yield Trouble("target dies", chance.choice(runs), chance.randint(1, 20))
    yield Trouble("older STATE", chance.choice(runs), chance.randint(1, 4))
    yield Trouble(KILLED_LOADER, chance.choice(runs))


def _of_others(chance: Draw, provider: str, runs: Sequence[int], config: Json) -> Iterator[Trouble]:
    """Yield jobs that others make."""
    for number in runs:
        if chance.random() < (0.9 if config[provider]["exports"][0]["mode"] == "collect" else 0.2):
            yield Trouble("foreign", number, chance.choice((*FATES, *["completes"] * 6)))


def _of_sizes(chance: Draw, config: Json, provider: str) -> Iterator[Trouble]:
    """Yield a limit of the provider, where windows may size themselves; detached runs take few windows each."""
    entry, detaches = config[provider]["exports"][0], config["job_wait"] == "detach"
    if entry.get("window_size") and not (detaches and entry.get("lookback")):
        hours = 30 if detaches else chance.choice((2, 12, 30))
        yield from [Trouble(LONGEST, 0, hours)] * 3  # as often as three others


def _exelensia(chance: Draw, runs: Sequence[int], config: Json) -> Iterator[Trouble]:
    yield from _of_others(chance, "exelensia", runs, config)
    yield from _of_sizes(chance, config, "exelensia")
    if len(runs) > 1:
        change = chance.choice(({"schema_id": "s2"}, {"mode": "create"}, {"max_window_days": 2}))
        yield Trouble("settings", chance.choice(runs[1:]), change)


def _packagex(chance: Draw, runs: Sequence[int], config: Json) -> Iterator[Trouble]:
    yield from _of_others(chance, "packagex", runs, config)
    yield from _of_sizes(chance, config, "packagex")
    if len(runs) > 1:
        change = chance.choice(({"mode": "create"}, {"format": "csv"}))
        yield Trouble("settings", chance.choice(runs[1:]), change)


def _closient(chance: Draw, runs: Sequence[int], config: Json) -> Iterator[Trouble]:
    yield Trouble("a section fails in job", chance.randint(1, 4))


def _cension(chance: Draw, runs: Sequence[int], config: Json) -> Iterator[Trouble]:
    yield Trouble("run", chance.randint(1, 3), chance.choice(FATES))


SPECIAL: dict[str, Callable[[Draw, Sequence[int], Json], Iterator[Trouble]]] = {
    "cension": _cension,
    "closient": _closient,
    "exelensia": _exelensia,
    "packagex": _packagex,
}
