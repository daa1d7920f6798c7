"""`tap-exports prove`: holds a declaration against a sandbox made from it."""

from __future__ import annotations

import os

import click

from tap_exports.providers.declared.streams import path_of
from tap_exports.proving.command import prove


@click.command("prove")
@click.argument("declaration")
@click.option("--rows", type=click.IntRange(0, 100_000), default=200, show_default=True, help="Rows at the source")
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=os.cpu_count() or 2, show_default=True, help="Cases at once"
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(declaration: str, rows: int, jobs: int, form: str) -> int:
    """Play faults and crashes against a sandbox made from a DECLARATION, a file or the name of a shipped one.

    Exit code 0 if no row was lost or invented, no job made twice and no secret shown; 1 otherwise.
    """
    return prove(path_of(declaration), rows, jobs, form)
