"""Bookmarks and open jobs, in STATE and in a durable ledger beside it; `docs/state.md` describes both for users."""

from tap_exports.engine.ledger.basis import CELLS, Basis, basis_of
from tap_exports.engine.ledger.checks import check, check_state, malformed, remedy
from tap_exports.engine.ledger.entries import CLOCK_SKEW, VERSION, Closed, Entry, Progress, Sized
from tap_exports.engine.ledger.state import CLOSED_AT_ONE_INSTANT, CLOSED_KEPT, StreamState

__all__ = [
    "CELLS",
    "CLOCK_SKEW",
    "CLOSED_AT_ONE_INSTANT",
    "CLOSED_KEPT",
    "VERSION",
    "Basis",
    "Closed",
    "Entry",
    "Progress",
    "Sized",
    "StreamState",
    "basis_of",
    "check",
    "check_state",
    "malformed",
    "remedy",
]
