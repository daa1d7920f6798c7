"""Lifecycle of a job: intent, submission, ledger, polling; in steps on few threads; the main thread owns STATE."""

from tap_exports.engine.jobs.absence import Absence
from tap_exports.engine.jobs.journal import Journal
from tap_exports.engine.jobs.lifecycle import Lifecycle, looking_on
from tap_exports.engine.jobs.outcome import LOST, STALLED, JobSettings, Outcome, describe
from tap_exports.engine.jobs.poller import Poller
from tap_exports.engine.jobs.statuses import Statuses
from tap_exports.engine.jobs.steps import Change
from tap_exports.engine.ledger import CLOCK_SKEW

__all__ = [
    "CLOCK_SKEW",
    "LOST",
    "STALLED",
    "Absence",
    "Change",
    "JobSettings",
    "Journal",
    "Lifecycle",
    "Outcome",
    "Poller",
    "Statuses",
    "describe",
    "looking_on",
]
