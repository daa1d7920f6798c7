"""Status words that the configuration explains (`<provider>.statuses`), beside those that the api module knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tap_exports.engine.model import Job, Status


@dataclass(frozen=True, slots=True)
class Statuses:
    """Meanings of status words; words are compared without case, and win over the provider's own table.

    Attributes:
        words: Status by word in `casefold` form.
    """

    words: Mapping[str, Status] = field(default_factory=dict)

    @classmethod
    def configured(cls, words: Mapping[str, str] | None) -> Statuses:
        """Return the statuses of a setting: `pending`, `running`, `completed`, … by the provider's word."""
        return cls({word.casefold(): Status(status) for word, status in (words or {}).items()})

    def of(self, word: object, otherwise: Status) -> Status:
        """Return the configured meaning of a word, else what the provider's own table says."""
        return self.words.get(str(word).casefold(), otherwise)

    def applied(self, job: Job) -> Job:
        """Return a job with the configured meaning of its status word."""
        status = self.of(job.raw_status, job.status)
        return job if status is job.status else replace(job, status=status)
