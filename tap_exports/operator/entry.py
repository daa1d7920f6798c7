"""The command line of the subcommands: each is imported when it is called; exit codes are the tap's."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

import click

from tap_exports.subcommands import SUBCOMMANDS


class Subcommands(click.Group):
    """The subcommands by name; the module of one is imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names."""
        del ctx
        return list(SUBCOMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the subcommand and what follows it.

        Raises:
            UsageError: There is none of this name; names the nearest one, or all.
        """
        name = args[0]
        if name not in SUBCOMMANDS:
            near = get_close_matches(name, SUBCOMMANDS, 1)
            which = f"the nearest is `{near[0]}`" if near else f"there are {', '.join(SUBCOMMANDS)}"
            raise click.UsageError(f"there is no subcommand `{name}`; {which}", ctx)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a subcommand, None for any other name."""
        del ctx
        if cmd_name not in SUBCOMMANDS:
            return None
        found: click.Command = import_module(f"tap_exports.operator.{cmd_name}").command
        return found


def operate() -> int:
    """Set up logs and run the subcommand that the process was called with; see `call`."""
    level = os.environ.get("LOGLEVEL", "WARNING").upper()
    logging.basicConfig(level=level, format="%(levelname)s %(message)s", force=True)
    return call(None)


def call(arguments: Sequence[str] | None) -> int:
    """Run a subcommand and return its exit code.

    Args:
        arguments: The subcommand and what follows; None: those of the process.

    Raises:
        TapError: It failed.
        ClickException: It was called wrongly.
    """
    group = Subcommands("tap-exports", help="Plan, see and steer the runs of tap-exports.")
    code = group.main(arguments, prog_name="tap-exports", standalone_mode=False)
    return code if isinstance(code, int) else 0
