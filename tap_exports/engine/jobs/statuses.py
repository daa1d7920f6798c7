"""Status words that the configuration explains (`<provider>.statuses`), beside those that the api module knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tap_exports.engine.model import Job, Status
from tap_exports.errors import NotReadyError


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


def still_completed(job: Job, seen: Job, provider: str) -> Job:
    """Return a completed job as it is shown when its files are asked for; a replica that lags shows no file yet.

    Args:
        job: The job as it was when it completed.
        seen: The job as it is shown now; the word that it completed with is none to doubt, whatever it means elsewhere.
        provider: The provider's name.

    Raises:
        NotReadyError: It is shown as not completed: that it has no file is no proof that it has no rows.
    """
    if seen.status.is_terminal or seen.raw_status == job.raw_status:
        return seen
    raise NotReadyError(f"{provider}: job {job.id} was completed, and is shown as {seen.status.value} now")
