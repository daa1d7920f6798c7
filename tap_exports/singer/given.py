"""What the command line gives a tap: options, and files in any form whose meaning is clear."""

from __future__ import annotations

import io
import json
from abc import abstractmethod
from typing import IO, Any, ClassVar

import click
from singer_sdk import Tap
from singer_sdk.helpers.capabilities import CapabilitiesEnum, TapCapabilities

from tap_exports.singer import inputs
from tap_exports.singer.definition import MeltanoFormatter
from tap_exports.subcommands import SUBCOMMANDS


class GivenTap(Tap):
    """A tap as the command line sees it."""

    capabilities: ClassVar[list[CapabilitiesEnum]] = [*Tap.capabilities, TapCapabilities.TEST]
    current: ClassVar[GivenTap | None] = None
    report_file: ClassVar[str | None] = None

    @abstractmethod
    def account(self) -> None:
        """Account for every stream; called after the sync."""

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:  # noqa: ANN401 - the SDK's own type
        """Read the configuration files.

        Raises:
            ConfigError: One cannot be read; names it.
        """
        given = super().cb_config(ctx, param, tuple(path for path in value if path == "ENV"))
        for path in value:
            given.config |= {} if path == "ENV" else inputs.read_file(path, "--config")
        return given

    @classmethod
    def invoke(  # noqa: D417 - the others are the SDK's
        cls,
        *,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
        report: str | None = None,
        **options: Any,  # noqa: ANN401 - handed on
    ) -> None:
        """Sync, with STATE and catalog from files in any form whose meaning is clear, and account for every stream.

        Args:
            report: File for the run report; goes before the setting `report`.

        Raises:
            ConfigError: The catalog cannot be read.
            StateError: The STATE cannot be read.
        """
        GivenTap.report_file = report
        if state is not None:
            state = io.StringIO(json.dumps(inputs.read_state(_bytes(state), state.name)))
        if catalog is not None:
            catalog = io.StringIO(json.dumps(inputs.read_catalog(_bytes(catalog), catalog.name)))
        super().invoke(state=state, catalog=catalog, **options)
        if GivenTap.current:
            GivenTap.current.account()

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Return the SDK's command with `--report`, the format `meltano` of `--about`, and subcommands in its help."""
        command = super().get_singer_command()
        listed = "\n".join(f"  {name:<10} {text}" for name, text in SUBCOMMANDS.items())
        command.epilog = f"\b\nSubcommands, as the first argument; each has --help:\n{listed}"
        about = next(param for param in command.params if param.name == "about_format")
        about.type = click.Choice(sorted(MeltanoFormatter.formats.keys() - {"text"}), case_sensitive=False)
        command.params.append(
            click.Option(["--report"], help="Write the run report to this file, as HTML.", metavar="FILE")
        )
        return command


def _bytes(opened: IO[str]) -> bytes:
    """Return what an opened file holds before any decoding."""
    raw: bytes = opened.buffer.read()  # type: ignore[attr-defined] # click opens files, and stdin, as text over bytes
    return raw
