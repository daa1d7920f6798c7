"""Strikes the tap at every point of its life at every provider, and holds what it leaves against the promises.

First at each recorded point alone, in each of three ways; then in rows of two and three crashes, drawn from the same
points; then in rows of one to three at a provider that misbehaves throughout (`tests/crash/worlds.py`): its jobs lag,
its lists come in changing order, its clock is off; then all of it again with a loader that dies with the tap, before it
has kept anything. Prints one line a provider, and every promise that was broken; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from tests.crash.drill import Story, recorded, tell
from tests.crash.points import WAYS, Place, Strike
from tests.crash.scenarios import ALL, Scenario
from tests.crash.verdict import faults_of
from tests.crash.victim import Nursery
from tests.crash.worlds import WORLDS, World

Chain = tuple[Strike, ...]
CALM = World()
T = TypeVar("T")
LEAST_REACHED = 0.95  # of the points: requests that overlap do not come in one order, so a few are not met


@dataclass(slots=True)
class Result:
    """What the stories of one provider came to."""

    stories: int = 0
    strikes: int = 0
    reached: int = 0
    broken: int = 0
    slowest: float = 0.0

    def add(self, chain: Chain, world: str, story: Story, faults: Sequence[str]) -> None:
        """Count a story."""
        self.stories += 1
        self.strikes += len(chain)
        self.reached += story.reached
        self.broken += bool(faults)
        self.slowest = max(self.slowest, story.slowest)
        for fault in faults:
            print(f"  {' | '.join(map(str, chain))}{world and f' ({world})'}: {fault}", flush=True)


def chains(places: Sequence[Place], rows: int, seed: int) -> Iterator[tuple[Chain, str]]:
    """Yield each point in each way alone, rows of two and three crashes in turn, and as many in misbehaving worlds."""
    single = [Strike(place, way) for place in places for way in WAYS]
    yield from (((strike,), "") for strike in single)
    draw = random.Random(seed)  # noqa: S311 - a sample, not a secret
    for number in range(rows):
        yield tuple(draw.choices(single, k=2 + number % 2)), ""
    worlds = list(WORLDS)
    for number in range(rows):
        yield tuple(draw.choices(single, k=1 + number % 3)), worlds[number % len(worlds)]


def drill(scenario: Scenario, workers: int, rows: int, seed: int) -> Result:
    """Tell all stories of one provider."""
    began, result = time.monotonic(), Result()
    with ExitStack() as stack:
        nurseries = SimpleQueue[Nursery]()
        for _ in range(workers):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            nurseries.put(stack.enter_context(Nursery(folder)))
        calm, places = _with(nurseries, partial(recorded, scenario))
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        told = {
            pool.submit(_with, nurseries, partial(tell, scenario, chain, world=WORLDS.get(world, CALM), loses=loses)): (
                chain,
                world,
            )
            for loses in (False, True)
            for chain, world in chains(places, rows, seed)
        }
        for future in as_completed(list(told)):
            story, (chain, world) = future.result(), told.pop(future)
            result.add(chain, world, story, faults_of(story, calm))
    print(
        f"{scenario.provider}: {len(places)} points, {result.stories} stories, {result.reached} of {result.strikes} "
        f"strikes reached, {result.broken} broken, at most {result.slowest:.1f} s to end, "
        f"{time.monotonic() - began:.0f} s",
        flush=True,
    )
    return result


def _with(nurseries: SimpleQueue[Nursery], task: Callable[[Nursery], T]) -> T:
    nursery = nurseries.get()
    try:
        return task(nursery)
    finally:
        nurseries.put(nursery)


def main() -> int:
    """Return 1 when a promise was broken, or when too few points were met to say so."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument(
        "providers", nargs="*", default=list(ALL), help="default: the built-in ones, and three declared ones"
    )
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument(
        "--rows", type=int, default=60, help="of crashes, per provider, and as many at a provider that misbehaves"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends at once, without a traceback; the taps go with their pipes
    results = [drill(ALL[name], options.workers, options.rows, options.seed) for name in options.providers]
    reached, strikes = (sum(getattr(result, name) for result in results) for name in ("reached", "strikes"))
    singles_met = reached >= LEAST_REACHED * (strikes - 2 * options.rows * len(results))
    return int(any(result.broken for result in results) or not singles_met)


if __name__ == "__main__":
    sys.exit(main())
