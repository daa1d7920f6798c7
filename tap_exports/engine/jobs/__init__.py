"""Lifecycle of a job: intent, submission, ledger, polling; in worker threads, while the main thread owns STATE."""

from tap_exports.engine.jobs.absence import Absence
from tap_exports.engine.jobs.journal import Journal
from tap_exports.engine.jobs.lifecycle import Lifecycle
from tap_exports.engine.jobs.outcome import LOST, STALLED, JobSettings, Outcome, describe
from tap_exports.engine.jobs.statuses import Statuses
from tap_exports.engine.ledger import CLOCK_SKEW

__all__ = [
    "CLOCK_SKEW",
    "LOST",
    "STALLED",
    "Absence",
    "JobSettings",
    "Journal",
    "Lifecycle",
    "Outcome",
    "Statuses",
    "describe",
]
