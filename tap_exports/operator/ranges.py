"""Ranges of instants and of run numbers, as options give them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from tap_exports.engine.clock import from_text
from tap_exports.engine.ledger import Entry
from tap_exports.engine.model import Window
from tap_exports.errors import ConfigError
from tap_exports.settings import is_day

SEPARATOR = "/"  # of the ISO 8601 notation for intervals


def instant(option: str, text: str, *, ends: bool = False) -> datetime:
    """Return the instant that an option names.

    Args:
        option: Its name, for the message.
        text: ISO 8601; a date alone is its midnight in UTC.
        ends: Whether a date alone means its whole day, up to and with the next midnight.

    Raises:
        ConfigError: It is something else.
    """
    try:
        found = from_text(text)
    except ValueError:
        raise ConfigError(f'{option} "{text}" is not an ISO 8601 date-time, such as 2026-03-01') from None
    return found + timedelta(days=1) if ends and is_day(text) else found


def window(first: str, last: str) -> Window:
    """Return the range that `--from` and `--to` name.

    Raises:
        ConfigError: One is no date-time, or they are not in order.
    """
    made = Window(instant("--from", first), instant("--to", last, ends=True))
    return _ordered(made, "--from must be before --to")


def window_of(text: str) -> Window:
    """Return the range that `START/END` names.

    Raises:
        ConfigError: It is not written so.
    """
    first, separator, last = text.partition(SEPARATOR)
    if not separator:
        raise ConfigError(f'--window "{text}" is not START/END, such as 2026-03-01/2026-03-31')
    made = Window(instant("--window", first), instant("--window", last, ends=True))
    return _ordered(made, "--window: START must be before END")


def _ordered(made: Window, message: str) -> Window:
    if made.start is None or made.start >= made.end:
        raise ConfigError(message)
    return made


def overlapping(window: Window) -> Callable[[Entry], bool]:
    """Return what tells whether the window of an entry overlaps another."""

    def overlaps(entry: Entry) -> bool:
        own = entry.window
        if own is None:
            return False
        starts_before = own.start is None or own.start < window.end
        return starts_before and (window.start is None or own.end > window.start)

    return overlaps


def numbers(first: str, last: str) -> range:
    """Return the run numbers that `--from` and `--to` name, both included.

    Raises:
        ConfigError: They are not whole numbers in order.
    """
    if not (first.isdecimal() and last.isdecimal()) or int(first) > int(last):
        raise ConfigError("this stream counts runs: give --from and --to as run numbers, the lower one first")
    return range(int(first), int(last) + 1)
