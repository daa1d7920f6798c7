"""Configuration, catalog and STATE of a subcommand, as options, as files, or as Meltano has them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from tap_exports.errors import ConfigError, StateError
from tap_exports.settings import slug
from tap_exports.singer import inputs
from tap_exports.singer.streams.stream import EventStream
from tap_exports.singer.tap import LAST
from tap_exports.tap import TapExports

F = TypeVar("F", bound=Callable[..., Any])
MELTANO = "MELTANO"  # as `--config`: the file that Meltano wrote for this plugin
MELTANO_LOGS = "SINGER_SDK_LOG_CONFIG"  # Meltano sets it to a file beside that one
MELTANO_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Given:
    """A STATE as it was given.

    Attributes:
        state: The STATE itself; empty where none was given.
        wrapped: Whether it came as Meltano keeps it, in `singer_state`.
        state_id: Meltano's id of it, or None.
    """

    state: dict[str, Any]
    wrapped: bool = False
    state_id: str | None = None


def config_option(function: F) -> F:
    """Add `--config`."""
    about = "Configuration file; repeatable, merged. ENV: the environment. MELTANO: what Meltano wrote for the plugin"
    return click.option("--config", "config", multiple=True, metavar="FILE|ENV|MELTANO", help=about)(function)


def catalog_option(function: F) -> F:
    """Add `--catalog`."""
    about = "Catalog of the runs: its selection names the streams, and so the default ledger; default: all streams"
    return click.option("--catalog", metavar="FILE", help=about)(function)


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
        catalog = _meltano_catalog()
    if not config:
        raise ConfigError("no configuration: give --config FILE, or --config ENV for the environment")
    paths = tuple(_meltano_config() if path == MELTANO else path for path in config)
    option = click.Option(["--config"])
    settings = TapExports.cb_config(click.Context(click.Command("tap-exports")), option, paths)
    return TapExports(
        config=settings.config,
        state=given.state if given else None,
        catalog=inputs.read_file(catalog, "--catalog") if catalog else None,
        parse_env_config=settings.parse_env,
        setup_mapper=False,
    )


def _meltano_config() -> str:
    """Return the path of the configuration that Meltano wrote for the plugin that it invokes.

    Raises:
        ConfigError: Meltano did not start this process, or left no file.
    """
    logs = os.environ.get(MELTANO_LOGS)
    if not logs:
        raise ConfigError("--config MELTANO: Meltano did not start this command; give --config FILE")
    written = sorted(Path(logs).parent.glob("tap.*.config.json"), key=lambda path: path.stat().st_mtime)
    if not written:
        raise ConfigError("--config MELTANO: Meltano left no configuration; give --config FILE")
    return str(written[-1])


def _meltano_catalog() -> str | None:
    """Return the path of the catalog of the last run that Meltano left, which holds its selection; None without one."""
    path = Path(os.environ.get(MELTANO_LOGS, "")).parent / "tap.properties.json"
    return str(path) if os.environ.get(MELTANO_LOGS) and path.is_file() else None


def read_state(state: str | None, state_id: str | None, *, required: bool = False) -> Given:
    """Return the STATE that options name.

    Raises:
        StateError: It cannot be read, or is missing.
        ConfigError: Both options are given.
    """
    if state and state_id:
        raise ConfigError("--state and --state-id: give one of them")
    if state_id:
        raw, source = _meltano_state(state_id), f"the STATE {state_id} of Meltano"
    elif state:
        raw, source = _bytes(state), "standard input" if state == "-" else state
    elif required:
        raise StateError("no STATE: give --state FILE, or --state-id ID for one that Meltano keeps")
    else:
        return Given({})
    return Given(inputs.read_state(raw, source), inputs.is_wrapped(raw), state_id)


def _bytes(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StateError(f"--state: {path} cannot be read: {reason}") from None


def _meltano_state(state_id: str) -> bytes:
    """Return what Meltano keeps under an id.

    Raises:
        StateError: Meltano cannot be run, or has no such STATE.
    """
    command, home = (
        ["meltano", "--log-level", "error", "state", "get", state_id],
        os.environ.get("MELTANO_PROJECT_ROOT"),
    )
    try:
        done = subprocess.run(command, check=True, capture_output=True, timeout=MELTANO_SECONDS, cwd=home)  # noqa: S603 - no shell
    except FileNotFoundError:
        raise StateError("--state-id: there is no command `meltano` on PATH; give --state FILE") from None
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        advice = "`meltano state list` shows the ids"
        raise StateError(f"--state-id: `meltano state get {state_id}` failed; {advice}") from None
    return done.stdout


def streams_of(tap: TapExports) -> Iterator[tuple[str, EventStream]]:
    """Yield provider and stream of each stream but those about the run."""
    for stream in tap.streams.values():
        if isinstance(stream, EventStream) and stream.name not in LAST:
            yield stream.provider_name, stream


def selected(tap: TapExports) -> list[EventStream]:
    """Return the streams that a run reads, but those about the run."""
    return [stream for _, stream in streams_of(tap) if is_selected(tap, stream)]


def is_selected(tap: TapExports, stream: EventStream) -> bool:
    """Return whether a run reads a stream: without a catalog every stream is selected."""
    if tap.input_catalog is None:
        return True
    return tap.input_catalog.get_stream(stream.name) is not None and stream.selected


def provider_of(stream: str) -> str | None:
    """Return the provider whose stream a name in STATE is, or None for those about the run."""
    if stream in LAST:
        return None
    before, of_export, _ = stream.partition("_export_")
    return before if of_export else stream.partition("_")[0]


def block_of(tap: TapExports, provider: str) -> Mapping[str, Any]:
    """Return the configuration of a provider, a declared one too; empty where there is none."""
    declared = {slug(each.get("name") or ""): each for each in tap.config.get("declared") or ()}
    found: Mapping[str, Any] = tap.config.get(provider) or declared.get(provider) or {}
    return found


def bookmarks(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the bookmarks of a STATE by stream."""
    found: Mapping[str, Any] = state.get("bookmarks") or {}
    return found
