"""Plays histories and prints each finding as a short story: `make simulate`, `make simulate SEEDS=17,42`.

With `MUTATE=key-by-job` a behaviour that was mended is put back first, and the seed that finds it is told.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.simulation.history import play
from tests.simulation.known import OPEN, closed
from tests.simulation.mutations import MUTATIONS, put_back
from tests.simulation.oracle import judge
from tests.simulation.played import Finding
from tests.simulation.shrink import shrink
from tests.simulation.story import Story, draw


def main() -> int:
    """Return 1 if a history broke a promise."""
    parser = argparse.ArgumentParser(description="Play histories of a simulated world")
    parser.add_argument("--seeds", default="0-999", help="such as 17,42 or 0-999")
    parser.add_argument("--open", action="store_true", help="play also what is known to be open")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--mutate", choices=MUTATIONS, help="put back a behaviour that was mended, until it is found")
    chosen = parser.parse_args()
    if chosen.mutate:
        return find(chosen.mutate, chosen.seeds)
    began, kinds, count = time.monotonic(), Counter[str](), 0
    tell = partial(story_of, names=() if chosen.open else tuple(OPEN))
    with ProcessPoolExecutor(chosen.processes) as pool:
        for kind, text in pool.map(tell, seeds(chosen.seeds), chunksize=8):
            count += 1
            if kind and not kinds[kind]:
                sys.stdout.write(f"{text}\n\n")
                sys.stdout.flush()
            kinds.update([kind] if kind else [])
    seconds = time.monotonic() - began
    told = ", ".join(f"{kind} {number}" for kind, number in kinds.most_common()) or "none"
    sys.stdout.write(f"{count} histories in {seconds:.0f} s, {60 * count / seconds:.0f} a minute; findings: {told}\n")
    return 1 if kinds else 0


def find(name: str, among: str) -> int:
    """Put a behaviour back, and return 1 if none of the seeds finds it."""
    put_back(name)
    for count, seed in enumerate(seeds(among), 1):
        story = closed(draw(seed), OPEN)
        found = next((each for each in judge(play(story)) if each.kind in MUTATIONS[name].finds), None)
        if found:
            sys.stdout.write("\n".join(told(shrink(story, found), found)))
            sys.stdout.write(f"\n{name} is found by seed {seed}, after {count} histories\n")
            return 0
    sys.stdout.write(f"{name} is not found\n")
    return 1


def seeds(text: str) -> Iterator[int]:
    """Yield the seeds that a text names."""
    for part in text.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def story_of(seed: int, names: Sequence[str]) -> tuple[str, str]:
    """Return the kind of a seed's finding and its story, made short; both empty where nothing was found."""
    story = closed(draw(seed), names)
    found = judge(play(story))
    if not found:
        return "", ""
    short = shrink(story, found[0])
    kinds = sorted({t.kind if t.kind not in {"job", "foreign"} else f"{t.kind} {t.value}" for t in short.troubles})
    return f"{found[0].kind} after {' + '.join(kinds) or 'nothing'}", "\n".join(told(short, found[0]))


def told(story: Story, finding: Finding) -> Iterator[str]:
    """Yield the lines of a story that ends in a finding."""
    history = play(story)
    yield from story.lines()
    yield from (f"  {line}" for line in history.world.log)
    yield from (f"  => {found}" for found in judge(history) if found.kind == finding.kind)
    yield f"  again: make simulate SEEDS={story.seed}"


if __name__ == "__main__":
    sys.exit(main())
