"""A changed STATE: where it goes, and how it gets to the next run."""

from __future__ import annotations

import copy
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from tap_exports.engine.ledger import Entry, StreamState, check_state
from tap_exports.engine.ledger.partitions import accounts_in, folded
from tap_exports.errors import StateError
from tap_exports.operator.loading import Given, bookmarks, selected
from tap_exports.singer.streams.durable import drop_from_ledger
from tap_exports.tap import TapExports

F = TypeVar("F", bound=Callable[..., Any])
ENVELOPE = "singer_state"


class NothingError(StateError):
    """STATE does not hold what was named."""


def output_options(function: F) -> F:
    """Add `--output` and `--meltano`."""
    wrap = "Write STATE as `meltano state set` takes it; default where it came so"
    wrapped = click.option("--meltano", "meltano", is_flag=True, help=wrap)(function)
    about = "Where to write the changed STATE; default: standard output"
    return click.option("--output", "output", metavar="FILE", help=about)(wrapped)


def stream_state(given: Given, stream: str) -> tuple[dict[str, Any], StreamState]:
    """Return a copy of the whole STATE, and one stream's part of the copy, whose changes change the copy.

    Raises:
        StateError: The STATE is malformed, or written by a newer version.
    """
    state = copy.deepcopy(given.state)
    check_state(state)
    bookmark = state.setdefault("bookmarks", {}).setdefault(stream, {})
    return state, StreamState.detached(stream, bookmark)


def require_stream(given: Given, stream: str) -> None:
    """Refuse a stream that is not in a STATE.

    Raises:
        NothingError: It is not there; the message names those that are.
        StateError: The STATE is malformed.
    """
    check_state(given.state)
    known = sorted(bookmarks(given.state))
    if stream not in known:
        accounts = accounts_in(known, stream)
        if accounts:
            raise NothingError(f"{stream} is in the STATE per account: give --account, of {', '.join(accounts)}")
        raise NothingError(f"{stream} is not in the STATE; it has {', '.join(known) or 'no stream'}")


def drop_from_own_ledger(tap: TapExports, stream: str, chosen: Callable[[Entry], bool]) -> list[str]:
    """Drop entries of a stream from the tap's own durable ledger, which would bring them back; return what was done.

    Raises:
        LedgerError: A run has it, or it cannot be written; STATE was not written either.
    """
    dropped = drop_from_ledger(tap, selected(tap), tap.config_jsonschema, stream, chosen)
    return [f"{dropped} {'entry' if dropped == 1 else 'entries'} dropped from the tap's own ledger"] if dropped else []


def hand_over(state: dict[str, Any], given: Given, output: str | None, told: Sequence[str], *, meltano: bool) -> int:
    """Write a changed STATE to a file or to standard output, and tell on standard error what changed and what to do.

    Raises:
        StateError: The file cannot be written; nothing was.
    """
    wrapped = meltano or given.wrapped or given.state_id is not None
    state = folded(state)
    text = json.dumps({ENVELOPE: state} if wrapped else state, ensure_ascii=False) + "\n"
    if output:
        _replace(Path(output), text)
    else:
        sys.stdout.write(text)
        sys.stdout.flush()
    for line in [*told, _advice(given, output or "FILE", wrapped=wrapped)]:
        click.echo(line, err=True)
    return 0


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner only."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError as error:
        raise StateError(f"--output: {path} cannot be written: {(error.strerror or str(error)).lower()}") from None


def _advice(given: Given, path: str, *, wrapped: bool) -> str:
    name = given.state_id or "STATE-ID"
    if wrapped:
        return f"For Meltano: meltano state set --force --input-file {path} {name}"
    return f"For the next run: --state {path}; for Meltano, add --meltano to this command and use meltano state set"
