"""STATE that was made with other settings: the stream stops, begins anew, or goes on, as `state_mismatch` says.

A bookmark says up to where rows were read: of one API, one account, one definition. Taken over for another it would
skip rows in silence (P1).
"""

from __future__ import annotations

import logging

from tap_exports.engine.ledger import StreamState
from tap_exports.errors import StateError

LOGGER = logging.getLogger("tap-exports.run")
STOP, RESTART, KEEP = "stop", "restart", "keep"


def settle(stream: str, state: StreamState, policy: str, *, keeps_jobs: bool) -> None:
    """Hold the STATE of a stream against its settings; call it before the run reads anything of it.

    Without a bookmark nothing can be skipped, so the stream begins anew by itself, unless that would drop such jobs.

    Args:
        stream: The stream's name.
        state: Its bookmark and ledger, with the basis of the configuration.
        policy: The setting `state_mismatch`.
        keeps_jobs: Whether open jobs are dropped by `restart` only: they cost money, or another stream created them.

    Raises:
        StateError: They differ, and `policy` is `stop`.
    """
    found = state.differences
    if not found:
        return
    what = "; ".join(map(str, found))
    nothing_to_skip = not state.has_bookmark and not (keeps_jobs and state.entries)
    if policy == KEEP:
        LOGGER.warning("%s: STATE was made with other settings: %s; it is kept (state_mismatch: keep)", stream, what)
        state.take_over()
    elif policy == RESTART or nothing_to_skip:
        why = "nothing was proven with them" if nothing_to_skip else f"state_mismatch: {RESTART}"
        jobs = ", ".join(entry.id or "one that got no reply" for entry in state.entries)
        dropped = f", jobs that are no longer read: {jobs}" if jobs else ""
        LOGGER.warning("%s: STATE was made with other settings: %s; begins anew (%s)%s", stream, what, why, dropped)
        state.begin_anew()
    else:
        raise StateError(
            f"{stream}: STATE was made with other settings: {what}; to go on from it would skip rows. "
            f"`state_mismatch: {RESTART}` reads everything again, `state_mismatch: {KEEP}` goes on where it stands; "
            "or give the stream another name. See docs/state.md"
        )
