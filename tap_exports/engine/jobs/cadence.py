"""Intervals between the polls of a job."""

from __future__ import annotations

import random

from tap_exports.engine.clock import Clock
from tap_exports.engine.jobs.outcome import JobSettings

SHARE_OF_AGE = 0.1  # seconds of wait per second of age; the end is seen that share late
STEPS = 6  # polls within the span of ages in which the previous job ended
STEPS_BEYOND = 3  # polls at the same step after that span, because durations vary
CLOSEST = 0.1  # shortest such step, as a share of `poll_interval_seconds`
GLANCES = 4  # checks per wait for whether another job ended; no requests
JITTER = 0.2
SHORTEST_WAIT_SECONDS = 0.05


class Cadence:
    """Waits between polls of one provider's jobs. Safe to use from several threads.

    A wait grows with the age of the job, so that its end is seen at most a tenth of its duration late. Around the age
    at which the previous job of the stream ended (of any stream, if the stream had none) polls are closer together.

    Args:
        settings: First wait and longest wait.
    """

    def __init__(self, settings: JobSettings) -> None:
        """Start without knowledge of earlier jobs."""
        self._settings = settings
        self._ends: dict[str, tuple[float, float]] = {}
        self._last = (0.0, 0.0)
        self._ended = 0
        self._random = random.Random()  # noqa: S311 - jitter, not a secret

    def wait(self, stream: str, age: float) -> float:
        """Return the seconds until the next poll.

        Args:
            stream: Stream of the job.
            age: Seconds since the job was created or re-attached to.
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
        """Sleep until the next poll; when another job ends meanwhile, shorten the wait, as this one may end soon.

        Args:
            clock: Time and waiting.
            stream: Stream of the job.
            began: When the job was created or re-attached to, as `clock.monotonic()`.
            most: Longest wait in seconds.
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
        """Record a job's ages in seconds at the last poll that saw it run and at the poll that saw its end."""
        self._ends[stream] = self._last = (before, after)
        self._ended += 1
