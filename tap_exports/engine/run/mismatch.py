"""STATE that was made with other settings: the stream stops, begins anew, or goes on, as `state_mismatch` says.

A bookmark says up to where rows were read: of one API, one account, one definition. Taken over for another it would
skip rows in silence (P1).
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from shlex import quote

from tap_exports.engine.clock import FIRST_YEAR, from_text
from tap_exports.engine.ledger import CELLS, StreamState, remedy
from tap_exports.errors import StateError

LOGGER = logging.getLogger("tap-exports.run")
STOP, RESTART, KEEP = "stop", "restart", "keep"
AHEAD = timedelta(days=1)  # by which a bookmark may be ahead, since clocks are set back


def settle_accounts(stream: str, policy: str, *, has: bool) -> None:
    """Settle STATE with accounts for a configuration without, or the other way round.

    Args:
        stream: The stream's name, that of the account where there are accounts.
        policy: The setting `state_mismatch`.
        has: Whether the configuration has accounts.

    Raises:
        StateError: `policy` is `stop`.
    """
    was, now = ("without", "with") if has else ("with", "without")
    what = f"{stream}: STATE was written {was} `accounts`, and the configuration is {now}"
    if policy == STOP:
        raise StateError(
            f"{what}: everything would be read again. `state_mismatch: {RESTART}` does so and keeps what stands there"
        )
    LOGGER.warning("%s: read from the beginning (state_mismatch: %s)", what, policy)


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
    found = [each for each in state.differences if each.name != CELLS]
    if not found:
        _settle_cells(stream, state)
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
            "or give the stream another name"
        )


def _settle_cells(stream: str, state: StreamState) -> None:
    """Warn where `lookback` reads rows again that came with windows cut elsewhere; no row is lost by that."""
    for cut in state.differences:
        if cut.now and state.has_bookmark:
            warn_of_cells(stream, cut)
        state.take_over()


def warn_of_cells(stream: str, why: object) -> None:
    """Warn that rows come under other keys than before; `why` says what is cut how."""
    LOGGER.warning(
        "%s: %s: windows are cut elsewhere, so rows that lookback reads again come under other keys, beside "
        "those at the target; see docs/streams.md (Keys)",
        stream,
        why,
    )


def check_bookmark(stream: str, state: StreamState, now: datetime) -> None:
    """Refuse a bookmark that no run can have left; one that is no date is left to what reads it.

    Raises:
        StateError: It lies ahead of now, so that nothing would be read until then, or before any data.
    """
    try:
        instant = from_text(state.value) if isinstance(state.value, str) else None
    except ValueError:
        return
    if instant is None or (instant.year >= FIRST_YEAR and instant - now <= AHEAD):
        return
    is_ahead = instant > now
    why = "no run would read anything until then" if is_ahead else f"it must not be before {FIRST_YEAR}"
    back = (
        f"`tap-exports replay {quote(stream)} --from DATE --to {state.value}` sets it back to a date, "
        if is_ahead
        else ""
    )
    raise StateError(
        f"STATE of {stream}: the bookmark {state.value} lies beyond what a run can have proven: {why}; look at the "
        f"clock of this machine; {back}{remedy(stream)}"
    )
