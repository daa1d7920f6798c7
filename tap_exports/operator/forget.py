"""`tap-exports forget`: drop open jobs, lost replies or everything of a stream from STATE; no provider is asked."""

from __future__ import annotations

from collections.abc import Callable

import click

from tap_exports.engine.ledger import Entry, StreamState
from tap_exports.errors import StateError
from tap_exports.operator.changed import drop_from_own_ledger, hand_over, output_options, require_stream, stream_state
from tap_exports.operator.loading import config_option, load, read_state, state_options
from tap_exports.operator.ranges import overlapping, window_of

NO_LEDGER = "without --config the tap's own ledger stays: the next run may take the job over from it"


@click.command("forget")
@click.argument("stream")
@click.option("--job", metavar="ID", help="Only this job: the next run requests its window again")
@click.option("--window", metavar="START/END", help="Only jobs and lost replies of windows that overlap this one")
@click.option("--lost-reply", "lost", is_flag=True, help="Only creations that got no reply: no job was created")
@config_option
@state_options
@output_options
def command(  # noqa: PLR0913, PLR0917 - the options
    stream: str,
    job: str | None,
    window: str | None,
    lost: bool,  # noqa: FBT001 - a flag
    config: tuple[str, ...],
    state: str | None,
    state_id: str | None,
    output: str | None,
    meltano: bool,  # noqa: FBT001 - a flag
) -> int:
    """Write a STATE that has forgotten a job, a window, a lost reply, or the whole STREAM.

    Without an option all of the stream is dropped: the next run begins at start_date. Jobs at the provider stay.
    """
    if sum(map(bool, (job, window, lost))) > 1:
        raise click.UsageError("give one of --job, --window and --lost-reply")
    given = read_state(state, state_id, required=True)
    require_stream(given, stream)
    changed, own = stream_state(given, stream)
    chosen = choice(job, window, lost=lost)
    if job:
        told = forget_job(own, job)
    elif window or lost:
        told = forget_entries(own, chosen)
    else:
        del changed["bookmarks"][stream]
        told = ["dropped whole: the next run begins at start_date"]
    told += drop_from_own_ledger(load(config, given), stream, chosen) if config else [NO_LEDGER]
    return hand_over(changed, given, output, [f"{stream}: {line}" for line in told], meltano=meltano)


def choice(job: str | None, window: str | None, *, lost: bool) -> Callable[[Entry], bool]:
    """Return what tells the entries that options name; all of them without any option."""
    if job:
        return lambda entry: entry.id == job
    if window:
        return overlapping(window_of(window))
    return is_lost if lost else lambda _: True


def is_lost(entry: Entry) -> bool:
    """Return whether a creation got no reply."""
    return entry.id is None


def forget_job(state: StreamState, job_id: str) -> list[str]:
    """Drop a job from the ledger and from the scheduled deletions; return what was done.

    Raises:
        StateError: It is in neither.
    """
    told = []
    if job_id in state.deletions:
        state.deleted(job_id)
        told = [f"job {job_id} will not be deleted at the provider"]
    if any(entry.id == job_id for entry in state.entries):
        return told + forget_entries(state, lambda entry: entry.id == job_id)
    if not told:
        open_ids = ", ".join(str(entry.id) for entry in state.entries if entry.id) or "none"
        raise StateError(f"job {job_id} is not in the ledger of the stream; its open jobs: {open_ids}")
    return told


def forget_entries(state: StreamState, chosen: Callable[[Entry], bool]) -> list[str]:
    """Drop entries of the ledger; return what was done.

    Raises:
        StateError: There are none.
    """
    found = [entry for entry in state.entries if chosen(entry)]
    if not found:
        raise StateError("the ledger of the stream holds nothing of that kind; nothing is changed")
    for entry in found:
        state.forget(entry.fingerprint)
    return [
        f"{f'job {entry.id}' if entry.id else 'a creation without a reply'} dropped; "
        f"the next run requests {entry.window or 'it'} again"
        for entry in found
    ]
