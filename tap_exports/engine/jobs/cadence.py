"""When a job is looked at next."""

from __future__ import annotations

import random

from tap_exports.engine.clock import Clock
from tap_exports.engine.jobs.outcome import JobSettings

SHARE_OF_AGE = 0.1  # how late the end of a job may be seen, beside `poll_interval_seconds`
STEPS = 6  # looks in the span in which the job before ended
STEPS_BEYOND = 3  # as close behind it: no two jobs take equally long
CLOSEST = 0.1  # of `poll_interval_seconds`, between two looks there
GLANCES = 4  # within a wait, at whether another job ended
JITTER = 0.2
SHORTEST_WAIT_SECONDS = 0.05


class Cadence:
    """The waits between the looks at a provider's jobs.

    They grow with the age of a job, so that its end is seen at most a tenth of its duration late; where the job of the
    same stream before ended, or of any where the stream had none, looks are closer. Safe to use from several threads.

    Args:
        settings: First wait and ceiling.
    """

    def __init__(self, settings: JobSettings) -> None:
        """Know nothing of earlier jobs."""
        self._settings = settings
        self._ends: dict[str, tuple[float, float]] = {}
        self._last = (0.0, 0.0)
        self._ended = 0
        self._random = random.Random()  # noqa: S311 - jitter, not a secret

    def wait(self, stream: str, age: float) -> float:
        """Return the seconds until the next look.

        Args:
            stream: Whose job it is.
            age: Seconds since the job was created, or re-attached to.
        """
        first, ceiling = self._settings.poll_interval_seconds, self._settings.poll_interval_max_seconds
        wait = min(max(first, age * SHARE_OF_AGE) * self._random.uniform(1 - JITTER, 1 + JITTER), ceiling)
        before, after = self._ends.get(stream, self._last)
        step = max((after - before) / STEPS, first * CLOSEST)
        if age < before:
            wait = min(wait, before - age)
        elif after and age < after + STEPS_BEYOND * step:
            wait = min(wait, step)
        return max(wait, SHORTEST_WAIT_SECONDS)

    def rest(self, clock: Clock, stream: str, began: float, most: float) -> None:
        """Wait until the next look is due; where another job ends meanwhile, this one may be about to.

        Args:
            clock: Time and waiting.
            stream: Whose job it is.
            began: When the job was created, or re-attached to, by that clock.
            most: Seconds that the wait may last.
        """
        now, ended = clock.monotonic(), self._ended
        wait = max(SHORTEST_WAIT_SECONDS, min(self.wait(stream, now - began), most))
        glance, until = max(wait, self._settings.poll_interval_seconds) / GLANCES, now + wait
        while now < until:
            clock.sleep(min(glance, until - now))
            now = clock.monotonic()
            if self._ended != ended:
                ended, until = self._ended, min(until, now + self.wait(stream, now - began))

    def ended(self, stream: str, before: float, after: float) -> None:
        """Note between which two ages a job ended: the last look at which it ran, and the one at which it did not."""
        self._ends[stream] = self._last = (before, after)
        self._ended += 1
