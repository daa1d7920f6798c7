"""`tap-exports forget`: drop open jobs, lost replies or everything of a stream from STATE; no provider is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from tap_exports.engine.ledger import Entry, StreamState
from tap_exports.engine.model.accounts import with_account
from tap_exports.errors import StateError
from tap_exports.operator.changed import (
    NothingError,
    drop_from_own_ledger,
    hand_over,
    output_options,
    require_stream,
    stream_state,
)
from tap_exports.operator.loading import (
    Given,
    account_option,
    catalog_option,
    config_option,
    load,
    read_state,
    state_options,
)
from tap_exports.operator.ranges import overlapping, window_of

DROPPED = "dropped whole: the next run begins at start_date"
NO_LEDGER = "without --config the tap's own ledger stays: the next run may take the job over from it"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options ask for; without any of `job`, `window` and `lost` the whole stream."""

    stream: str
    job: str | None
    window: str | None
    lost: bool
    config: tuple[str, ...]
    catalog: str | None
    state: str | None
    state_id: str | None
    output: str | None
    meltano: bool

    @property
    def named(self) -> int:
        """Return how many of the three were given."""
        return sum(map(bool, (self.job, self.window, self.lost)))

    @property
    def what(self) -> str:
        """Return what is to be dropped, for a message."""
        if self.job:
            return f"job {self.job} of {self.stream}"
        if self.window:
            return f"a job or lost reply of {self.stream} in window {self.window}"
        return f"{'a lost reply' if self.lost else 'anything'} of {self.stream}"


@click.command("forget")
@click.argument("stream")
@click.option("--job", metavar="ID", help="Only this job: the next run requests its window again")
@click.option("--window", metavar="START/END", help="Only jobs and lost replies of windows that overlap this one")
@click.option("--lost-reply", "lost", is_flag=True, help="Only creations that got no reply: no job was created")
@account_option
@config_option
@catalog_option
@state_options
@output_options
def command(**options: Any) -> int:  # noqa: ANN401 - what the options hold
    """Write a STATE that has forgotten a job, a window, a lost reply, or the whole STREAM.

    Without an option all of the stream is dropped: the next run begins at start_date. Jobs at the provider stay.
    With --config the same is dropped from the tap's own ledger; what only that holds needs no STATE.
    """
    account, stream = options.pop("account"), options.pop("stream")
    asked = Asked(stream=with_account(stream, account), **options)
    if asked.named > 1:
        raise click.UsageError("give one of --job, --window and --lost-reply")
    dropped = "" if asked.named else asked.stream
    given = read_state(asked.state, asked.state_id, asked.config, required=not asked.config, dropped=dropped)
    tap = load(asked.config, None if given.is_spoilt else given, asked.catalog) if asked.config else None
    changed, told = forgotten(given, asked, alone=tap is None)
    told += drop_from_own_ledger(tap, asked.stream, choice(asked)) if tap else [NO_LEDGER]
    if not told:
        raise StateError(f"neither the STATE nor the tap's own ledger holds {asked.what}; nothing is changed")
    told = [f"{asked.stream}: {line}" for line in told]
    if asked.state or given.state_id:
        return hand_over(changed, given, asked.output, told, meltano=asked.meltano)
    for line in told:
        click.echo(line, err=True)
    return 0


def forgotten(given: Given, asked: Asked, *, alone: bool) -> tuple[dict[str, Any], list[str]]:
    """Return STATE without what was asked for, and what was done.

    Args:
        given: The STATE.
        asked: The options.
        alone: Whether the ledger stays, so that it is an error if STATE holds nothing of the kind.

    Raises:
        StateError: As `alone` says; or STATE is malformed.
    """
    if given.is_spoilt:
        return without(given.state, asked.stream), [DROPPED]
    try:
        require_stream(given, asked.stream)
        changed, own = stream_state(given, asked.stream)
        if asked.job:
            return changed, forget_job(own, asked.job)
        if asked.named:
            return changed, forget_entries(own, choice(asked))
    except NothingError:
        if alone:
            raise
        return given.state, []
    return without(changed, asked.stream), [DROPPED]


def without(state: dict[str, Any], stream: str) -> dict[str, Any]:
    """Return a STATE that holds nothing of a stream."""
    return {**state, "bookmarks": {name: held for name, held in state["bookmarks"].items() if name != stream}}


def choice(asked: Asked) -> Callable[[Entry], bool]:
    """Return what tells the entries that options name; all of them without any option."""
    if asked.job:
        return lambda entry: entry.id == asked.job
    if asked.window:
        return overlapping(window_of(asked.window))
    return is_lost if asked.lost else lambda _: True


def is_lost(entry: Entry) -> bool:
    """Return whether a creation got no reply."""
    return entry.id is None


def forget_job(state: StreamState, job_id: str) -> list[str]:
    """Drop a job from the ledger and from the scheduled deletions; return what was done.

    Raises:
        NothingError: It is in neither.
    """
    told = []
    if job_id in state.deletions:
        state.deleted(job_id)
        told = [f"job {job_id} will not be deleted at the provider"]
    if any(entry.id == job_id for entry in state.entries):
        return told + forget_entries(state, lambda entry: entry.id == job_id)
    if not told:
        open_ids = ", ".join(str(entry.id) for entry in state.entries if entry.id) or "none"
        raise NothingError(f"job {job_id} is not in the ledger of the stream; its open jobs: {open_ids}")
    return told


def forget_entries(state: StreamState, chosen: Callable[[Entry], bool]) -> list[str]:
    """Drop entries of the ledger; return what was done.

    Raises:
        NothingError: There are none.
    """
    found = [entry for entry in state.entries if chosen(entry)]
    if not found:
        raise NothingError("the ledger of the stream holds nothing of that kind; nothing is changed")
    for entry in found:
        state.forget(entry.fingerprint)
    return [
        f"{f'job {entry.id}' if entry.id else 'a creation without a reply'} dropped; "
        f"the next run requests {entry.window or 'it'} again"
        for entry in found
    ]
