"""What one check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """How a check ended; only `fail` changes the exit code."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found.

    Attributes:
        about: A provider, or `machine`.
        name: What was checked.
        verdict: How it ended.
        detail: What was seen.
        remedy: What to do; empty where nothing is wrong.
    """

    about: str
    name: str
    verdict: Verdict
    detail: str
    remedy: str = ""


MACHINE = "machine"
