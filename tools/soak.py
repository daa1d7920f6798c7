"""Reads thousands of jobs from all providers while one request in twenty goes wrong, and watches the process.

Waits pass faster than in life, since no provider lets anybody create thousands of jobs within minutes; requests, files
and rows are as always. A run that a fault has stopped is begun again where its STATE stands, as a scheduler would. The
exit code is 1 when a row is lost or invented, or when memory, files or threads of the tap grow.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.crash.victim import Nursery
from tests.soak.parts import PARTS, Part
from tests.soak.story import Tale, soak

JOBS = 10_000


def main() -> int:
    """Return 1 when something was lost, invented or leaked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends at once, without a traceback; the taps go with their pipes
    began = time.monotonic()
    parts = sorted(PARTS, key=lambda part: -part.share)
    with ThreadPoolExecutor(options.workers) as pool:
        tales = list(pool.map(lambda part: _soak(part, options.jobs, options.seed), parts))
    print(
        f"{sum(t.jobs for t in tales)} jobs, {sum(t.requests for t in tales)} requests, {sum(t.faulty for t in tales)} "
        f"of them faulty, {time.monotonic() - began:.0f} s"
    )
    return int(_wrong(tales))


def _soak(part: Part, jobs: int, seed: int) -> Tale:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Nursery(Path(folder)) as nursery:
        tale = soak(part, nursery, round(jobs * part.share), seed)
    print(f"{part.provider}: {tale}, {time.monotonic() - began:.0f} s", flush=True)
    for complaint in tale.complaints():
        print(f"  {complaint}", flush=True)
    return tale


def _wrong(tales: Sequence[Tale]) -> bool:
    return any(tale.complaints() for tale in tales)


if __name__ == "__main__":
    sys.exit(main())
