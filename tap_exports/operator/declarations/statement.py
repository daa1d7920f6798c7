"""One statement of a declaration and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """What is known of a statement; only `contradicted` and `failed` change the exit code.

    `said` is what the file says by itself, `seen` what replies bear out; `not asked` would take more than a GET.
    """

    SAID = "said"
    SEEN = "seen"
    CONTRADICTED = "contradicted"
    NOT_SEEN = "not seen"
    NOT_ASKED = "not asked"
    FAILED = "failed"

    @property
    def is_well(self) -> bool:
        """Return whether nothing speaks against the statement."""
        return self not in {Verdict.CONTRADICTED, Verdict.FAILED}


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement and its verdict.

    Attributes:
        where: File, line and key.
        words: What the declaration says there.
        verdict: What is known.
        detail: What was seen, in a few words.
    """

    where: str
    words: str
    verdict: Verdict
    detail: str = ""
