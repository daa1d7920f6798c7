"""What `replay` and `backfill` share: a range is opened again in STATE, by the kind of the stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any

import click

from tap_exports.engine.clock import to_text
from tap_exports.engine.ledger import Entry, StreamState
from tap_exports.engine.model import Progress, Window
from tap_exports.engine.model.accounts import with_account
from tap_exports.engine.run.reopened import reopen_runs, reopen_since, reopen_since_number, reopen_window
from tap_exports.errors import ConfigError, StateError
from tap_exports.operator import ranges
from tap_exports.operator.changed import drop_from_own_ledger, hand_over, output_options, stream_state
from tap_exports.operator.loading import account_option, catalog_option, config_option, load, read_state, state_options
from tap_exports.operator.report import window_cells
from tap_exports.singer.streams.stream import EventStream
from tap_exports.tap import TapExports


@dataclass(frozen=True, slots=True)
class Range:
    """What the options ask for; `first` and `last` as text: instants or run numbers."""

    stream: str
    first: str
    last: str
    config: tuple[str, ...]
    catalog: str | None
    state: str | None
    state_id: str | None
    output: str | None
    meltano: bool


def range_options(function: Callable[[Range], int]) -> Callable[..., int]:
    """Add the options that `Range` holds, and hand them over as one."""

    @wraps(function)
    def called(**options: Any) -> int:  # noqa: ANN401 - what the options hold
        account, name = options.pop("account"), options.pop("stream")
        return function(Range(stream=with_account(name, account), **options))

    stream = click.argument("stream")
    first = click.option("--from", "first", required=True, metavar="START", help="Date, date-time, or run number")
    last = click.option("--to", "last", required=True, metavar="END", help="The same; a date means its whole day")
    return stream(first(last(account_option(config_option(catalog_option(state_options(output_options(called))))))))


def reopen(asked: Range, *, before_start: bool) -> int:
    """Write the STATE with which the next run reads a range of a stream.

    Args:
        asked: The options.
        before_start: Whether the range lies before the first window; else it was read before.

    Raises:
        StateError: There is nothing to read again.
        ConfigError: The range is not one of the stream's kind, or each run reads everything anyway.
    """
    given = read_state(asked.state, asked.state_id, asked.config, required=not before_start)
    tap = load(asked.config, given, asked.catalog)
    stream = tap.by_name.get(asked.stream)
    if stream is None and asked.stream in tap.streams:
        raise ConfigError(f"{asked.stream}: its provider has accounts: give --account")
    if not isinstance(stream, EventStream):
        raise ConfigError(f"{asked.stream} is not a stream of the configuration; plan lists them")
    changed, state = stream_state(given, asked.stream)
    told = [_reopen(tap, stream, state, asked, before_start=before_start)]
    told += drop_from_own_ledger(tap, asked.stream, _old_jobs(stream, asked))
    return hand_over(changed, given, asked.output, [f"{asked.stream}: {line}" for line in told], meltano=asked.meltano)


def _old_jobs(stream: EventStream, asked: Range) -> Callable[[Entry], bool]:
    """Return what tells the jobs of the tap's own ledger that the range is not to be read from once more."""
    if stream.remembers is Progress.WINDOWS:
        return ranges.overlapping(ranges.window(asked.first, asked.last))
    return lambda _: False


def _reopen(tap: TapExports, stream: EventStream, state: StreamState, asked: Range, *, before_start: bool) -> str:
    key, kind = stream.replication_key or "", stream.remembers
    if kind is Progress.WINDOWS:
        window = ranges.window(asked.first, asked.last)
        return _reopen_window(tap, state, key, window, before_start=before_start)
    if kind is Progress.RUNS:
        numbers = ranges.numbers(asked.first, asked.last)
        if again := reopen_runs(state, key, numbers, getattr(stream, "numbers", ())):
            return f"the next run reads {', '.join(map(str, again))} again"
        raise StateError(f"{stream.name}: no run of operation_ids in that range is proven; add those that are missing")
    if kind is Progress.NUMBER:
        return _reopen_numbers(stream, state, key, asked)
    if kind is Progress.INSTANT:
        start = ranges.instant("--from", asked.first)
        if reopen_since(state, key, start):
            return f"the next run reads everything since {to_text(start)} again: the end of the range cannot be kept"
        raise StateError(f"{stream.name}: the bookmark is not past {to_text(start)}; the next run reads it anyway")
    leader = "its rows come with the jobs of the stream without _errors or _sanitized; name that one"
    raise ConfigError(f"{stream.name}: {leader if kind is Progress.LEADER else 'each run reads everything anyway'}")


def _reopen_numbers(stream: EventStream, state: StreamState, key: str, asked: Range) -> str:
    first = ranges.numbers(asked.first, asked.last).start
    if reopen_since_number(state, key, first):
        return f"the next run reads every record from {first} on again: the end of the range cannot be kept"
    raise StateError(f"{stream.name}: the bookmark is below {first}; the next run reads it anyway")


def _reopen_window(tap: TapExports, state: StreamState, key: str, window: Window, *, before_start: bool) -> str:
    start, until = tap.date_range.start, tap.date_range.until
    if before_start:
        window = _before(window, start)
    elif start and window.start and window.start < start and state.value is not None:
        raise ConfigError(f"--from is before start_date {to_text(start)}: backfill reads what lies before it")
    if not reopen_window(state, key, window, since=start):
        raise StateError(f"nothing of {window} is proven: the next run reads it anyway")
    late = f"; end_date {to_text(until)} keeps it from being read" if until and window.end > until else ""
    span = " to ".join(window_cells(window))
    return f"the next run reads {span}{'' if before_start else ' again'}, and nothing else that is proven{late}"


def _before(window: Window, start: datetime | None) -> Window:
    """Return the part of a range that lies before the first window."""
    if start is None:
        raise ConfigError("without start_date the first window begins with the oldest data: there is nothing before it")
    if window.start is None or window.start >= start:
        raise ConfigError(f"--from is not before start_date {to_text(start)}: replay reads again what was read")
    return Window(window.start, min(window.end, start))
