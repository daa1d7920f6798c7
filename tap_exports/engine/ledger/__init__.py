"""Bookmarks and open jobs in STATE; `docs/state.md` describes the shape for users."""

from tap_exports.engine.ledger.checks import check, check_state
from tap_exports.engine.ledger.entries import VERSION, Closed, Entry
from tap_exports.engine.ledger.state import CLOSED_KEPT, StreamState

__all__ = ["CLOSED_KEPT", "VERSION", "Closed", "Entry", "StreamState", "check", "check_state"]
