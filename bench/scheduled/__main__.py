"""Simulates a cluster that reads 100,000 files of 40 accounts, with the scheduler of the tap itself on a fake clock.

`python -m bench.scheduled` prints the table of docs/performance.md. Real are the heap of due times, the lines for
slots, the cadence of polls, the journal with its allowance of STATE, the ledger in STATE, the size of the executor, and
the loop that signs URLs late. Played are the provider, the workers and time; what takes a thread in the tap is an entry
here.
"""

from __future__ import annotations

import argparse

from bench.scheduled.played import FILE_SECONDS, JOB_SECONDS
from bench.scheduled.run import ACCOUNTS, SLOTS, Run

ORDERS = ("in turn", "side by side")


def ideal(files: int, workers: int) -> float:
    """Return the shortest time: either all slots of the provider or all workers are always busy."""
    return max(files * JOB_SECONDS / (ACCOUNTS * SLOTS), files * FILE_SECONDS / workers)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.scheduled", description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--workers", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--orders", nargs="*", default=ORDERS, choices=ORDERS)
    asked = parser.parse_args()
    print("| workers | ideal | streams | makespan | × ideal | calls a file | re-signed | STATE: greatest, in all |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for workers in asked.workers:
        for order in asked.orders:
            run, best = Run(asked.files, workers, side_by_side=order == ORDERS[1]), ideal(asked.files, workers)
            took = run.play()
            state = f"{run.greatest / 1e3:.0f} kB, {run.written / 1e6:.0f} MB in {run.messages:,}"
            again = f"{run.signed - asked.files:,}"
            figures = f"{took / 3600:.1f} h | {took / best:.2f} | {run.calls / asked.files:.1f} | {again} | {state}"
            print(f"| {workers:,} | {best / 3600:.1f} h | {order} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
