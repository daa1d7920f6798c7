"""Intervals between the polls of a job."""

from __future__ import annotations

import random
from dataclasses import dataclass

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

    Attributes:
        ends: Jobs that have ended.
    """

    def __init__(self, settings: JobSettings) -> None:
        """Start without knowledge of earlier jobs."""
        self._settings = settings
        self._ends: dict[str, tuple[float, float]] = {}
        self._last = (0.0, 0.0)
        self.ends = 0
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

    def rest(self, stream: str, began: float, now: float, most: float) -> Rest:
        """Return the wait until the next poll; another job that ends shortens it, as this one may end soon.

        Args:
            stream: Stream of the job.
            began: When the job was created or re-attached to, as `now`.
            now: Seconds of the monotonic clock.
            most: Longest wait in seconds.
        """
        wait = max(SHORTEST_WAIT_SECONDS, min(self.wait(stream, now - began), most))
        glance = max(wait, self._settings.poll_interval_seconds) / GLANCES
        return Rest(self, stream, began, now + wait, glance, self.ends)

    def ended(self, stream: str, before: float, after: float) -> None:
        """Record a job's ages in seconds at the last poll that saw it run and at the poll that saw its end."""
        self._ends[stream] = self._last = (before, after)
        self.ends += 1


@dataclass(slots=True, eq=False)
class Rest:
    """The wait until the next poll of a job; instants are of the monotonic clock.

    Attributes:
        cadence: Knows which jobs ended meanwhile.
        stream: Stream of the job.
        began: When the job was created or re-attached to.
        until: When the wait is over.
        glance: Seconds after which `left` is to be asked again.
        ends: Jobs that had ended when it was asked last.
    """

    cadence: Cadence
    stream: str
    began: float
    until: float
    glance: float
    ends: int

    def left(self, now: float) -> float:
        """Return the seconds after which to ask again; 0 or less once the wait is over."""
        if now < self.until and self.cadence.ends != self.ends:
            self.ends = self.cadence.ends
            self.until = min(self.until, now + self.cadence.wait(self.stream, now - self.began))
        return min(self.glance, self.until - now)
