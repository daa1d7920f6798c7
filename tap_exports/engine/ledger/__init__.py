"""Bookmarks and open jobs in STATE; `docs/state.md` describes the shape for users."""

from tap_exports.engine.ledger.basis import Basis, basis_of
from tap_exports.engine.ledger.checks import check, check_state
from tap_exports.engine.ledger.entries import VERSION, Closed, Entry, Progress
from tap_exports.engine.ledger.state import CLOSED_KEPT, StreamState

__all__ = [
    "CLOSED_KEPT",
    "VERSION",
    "Basis",
    "Closed",
    "Entry",
    "Progress",
    "StreamState",
    "basis_of",
    "check",
    "check_state",
]
