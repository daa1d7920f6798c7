"""Short waits: the only thing that the duel changes in a peer."""

from __future__ import annotations

import time

SECONDS = 0.05
JOB_SECONDS = 10  # a job that takes longer is given up


def shorten() -> None:
    """Cut every sleep of this process; call it before the peer is imported."""
    sleep = time.sleep

    def short(seconds: float) -> None:
        sleep(min(seconds, SECONDS))

    time.sleep = short  # type: ignore[assignment] # takes fewer kinds of numbers
