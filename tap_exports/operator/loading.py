"""Configuration, catalog and STATE of a subcommand, as options, as files, or as Meltano has them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from tap_exports.engine.ledger import check_state
from tap_exports.engine.ledger.partitions import unfolded
from tap_exports.engine.model.accounts import account_of, shared_name, with_account
from tap_exports.errors import ConfigError, NewerStateError, StateError
from tap_exports.operator import meltano
from tap_exports.settings import slug
from tap_exports.singer import inputs
from tap_exports.singer.accounts import blocks_of
from tap_exports.singer.streams.stream import EventStream
from tap_exports.singer.tap import LAST
from tap_exports.subcommands import MELTANO
from tap_exports.tap import TapExports

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Given:
    """A STATE as it was given.

    Attributes:
        state: The STATE itself, one bookmark per account; empty where none was given.
        wrapped: Whether it came as Meltano keeps it, in `singer_state`.
        state_id: Meltano's id of it, or None.
        is_spoilt: Whether a run refuses it; then all but the stream that is going to be dropped stays as it came.
    """

    state: dict[str, Any]
    wrapped: bool = False
    state_id: str | None = None
    is_spoilt: bool = False


def config_option(function: F) -> F:
    """Add `--config`."""
    about = "Configuration file; repeatable, merged. ENV: the environment. MELTANO: what Meltano wrote for the plugin"
    return click.option("--config", "config", multiple=True, metavar="FILE|ENV|MELTANO", help=about)(function)


def catalog_option(function: F) -> F:
    """Add `--catalog`."""
    about = "Catalog of the runs: its selection names the streams, and so the default ledger; default: all streams"
    return click.option("--catalog", metavar="FILE", help=about)(function)


def account_option(function: F) -> F:
    """Add `--account`."""
    about = "The account whose STREAM is meant, where the provider's block has `accounts`"
    return click.option("--account", "account", metavar="NAME", help=about)(function)


def state_options(function: F) -> F:
    """Add `--state` and `--state-id`."""
    file = click.option("--state", "state", metavar="FILE", help="STATE: a file, or - for standard input")
    own = click.option("--state-id", "state_id", metavar="ID", help="STATE: the one that Meltano keeps under this id")
    return own(file(function))


def format_option(function: F) -> F:
    """Add `--format`."""
    about = "text or json; default: text on a terminal, else json"
    return click.option("--format", "form", type=click.Choice(["text", "json"]), help=about)(function)


def load(config: tuple[str, ...], given: Given | None = None, catalog: str | None = None) -> TapExports:
    """Return the tap of a configuration; no stream is discovered, so no request is made.

    Raises:
        ConfigError: The configuration or the catalog is invalid or missing.
        StateError: The STATE is malformed.
    """
    if catalog is None and MELTANO in config:
        catalog = meltano.catalog_path()
    if not config:
        raise ConfigError("no configuration: give --config FILE, or --config ENV for the environment")
    paths = config_paths(config)
    option = click.Option(["--config"])
    settings = TapExports.cb_config(click.Context(click.Command("tap-exports")), option, paths)
    return TapExports(
        config=settings.config,
        state=given.state if given else None,
        catalog=inputs.read_file(catalog, "--catalog") if catalog else None,
        parse_env_config=settings.parse_env,
        setup_mapper=False,
    )


def config_paths(config: tuple[str, ...]) -> tuple[str, ...]:
    """Return what `--config` was given, with the file that Meltano wrote in place of `MELTANO`.

    Raises:
        ConfigError: Meltano did not start this process, or left no file.
    """
    return tuple(meltano.config_path() if path == MELTANO else path for path in config)


def read_state(
    state: str | None, state_id: str | None, config: Sequence[str] = (), *, required: bool = False, dropped: str = ""
) -> Given:
    """Return the STATE that options name, or the one that Meltano keeps of the plugin that it invokes.

    Args:
        state: A file, or `-`.
        state_id: An id of Meltano's.
        config: The options `--config`: with `MELTANO` among them and no other option Meltano is asked for the id.
        required: Whether there has to be one.
        dropped: A stream of which nothing is going to stay, so that it need not be sound.

    Raises:
        StateError: It cannot be read or used, or is missing.
        ConfigError: Both options are given.
    """
    if state and state_id:
        raise ConfigError("--state and --state-id: give one of them")
    if not state and not state_id and MELTANO in config:
        state_id = _state_id(required=required)
    if state_id:
        raw, source = meltano.state(state_id), f"the STATE {state_id} of Meltano"
    elif state:
        raw, source = _bytes(state), "standard input" if state == "-" else state
    elif required:
        raise StateError("no STATE: give --state FILE, or --state-id ID for one that Meltano keeps")
    else:
        return Given({})
    whole, is_wrapped = inputs.read_state(raw, source), inputs.is_wrapped(raw)
    try:
        whole = unfolded(whole)
        check_state(whole)
    except StateError as error:
        if isinstance(error, NewerStateError) or not dropped or dropped not in bookmarks(whole):
            raise
        return Given(whole, is_wrapped, state_id, is_spoilt=True)
    return Given(whole, is_wrapped, state_id)


def _state_id(*, required: bool) -> str | None:
    """Return the id of the STATE of the plugin that Meltano invokes, and say which, or that it is not known.

    Raises:
        StateError: There are several; or Meltano cannot be asked, and there has to be one.
    """
    try:
        found = meltano.state_id()
    except meltano.NoMeltanoError as error:
        if required:
            raise
        click.echo(f"without STATE: {error.message}", err=True)
        return None
    if found:
        click.echo(f"STATE: {found}, as Meltano keeps it", err=True)
    return found


def _bytes(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StateError(f"--state: {path} cannot be read: {reason}") from None


def streams_of(tap: TapExports) -> Iterator[tuple[str, EventStream]]:
    """Yield provider and stream of each stream but those about the run, with `accounts` as `<provider>@<account>`."""
    for stream in tap.by_name.values():
        if isinstance(stream, EventStream) and stream.name not in LAST:
            yield with_account(stream.provider_name, stream.account), stream


def selected(tap: TapExports) -> list[EventStream]:
    """Return the streams that a run reads, but those about the run."""
    return [stream for _, stream in streams_of(tap) if is_selected(tap, stream)]


def is_selected(tap: TapExports, stream: EventStream) -> bool:
    """Return whether a run reads a stream: without a catalog every stream is selected."""
    if tap.input_catalog is None:
        return True
    return tap.input_catalog.get_stream(stream.shared_name) is not None and stream.selected


def provider_of(stream: str) -> str | None:
    """Return the provider whose stream a name in STATE is, or None for those about the run."""
    name, account = shared_name(stream), account_of(stream)
    if name in LAST:
        return None
    before, of_export, _ = name.partition("_export_")
    return with_account(before if of_export else name.partition("_")[0], account)


def block_of(tap: TapExports, provider: str) -> Mapping[str, Any]:
    """Return the configuration of a provider, a declared one too; empty where there is none."""
    declared = {slug(each.get("name") or ""): each for each in tap.config.get("declared") or ()}
    name, account = shared_name(provider), account_of(provider)
    found: Mapping[str, Any] = tap.config.get(name) or declared.get(name) or {}
    return found if account is None else dict(blocks_of(found)).get(account, {})


def bookmarks(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the bookmarks of a STATE by stream."""
    found: Mapping[str, Any] = state.get("bookmarks") or {}
    return found
