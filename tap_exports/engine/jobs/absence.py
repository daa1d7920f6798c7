"""When a job that the provider does not show counts as gone."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_MISSES = 3
SHARE_OF_GRACE = 0.1  # over which misses of a job spread that this run has not polled successfully


@dataclass(slots=True)
class Absence:
    """Misses in a row of one job; replicas may disagree, so that one miss tells nothing. Times are monotonic seconds.

    Attributes:
        grace_seconds: As in `JobSettings`.
        created: When its creation began: it is not gone before the grace has passed since; None without a grace.
        share: Over which share of the grace the misses must spread; all of it once the job was seen.
        misses: Their number.
    """

    grace_seconds: float
    created: float | None
    share: float = SHARE_OF_GRACE
    misses: int = 0
    _gone_at: float = 0.0

    def seen(self) -> None:
        """Begin again: the job is there."""
        self.share, self.misses = 1.0, 0

    def is_gone(self, now: float) -> bool:
        """Count a miss; return whether the job counts as gone."""
        if not self.misses:
            self._gone_at = now + self.grace_seconds * self.share
            if self.created is not None:
                self._gone_at = max(self._gone_at, self.created + self.grace_seconds)
        self.misses += 1
        return self.misses >= LEAST_MISSES and now >= self._gone_at
