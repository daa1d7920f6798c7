"""`tap-exports replay`: have a range that was read before read again; no provider is asked."""

from __future__ import annotations

import click

from tap_exports.operator.again import Range, range_options, reopen


@click.command("replay")
@range_options
def command(asked: Range) -> int:
    """Write a STATE with which the next run reads a range of STREAM again that earlier runs have read.

    All other proof stays: only the range is requested again. Rows keep their keys: an upserting target has them once.
    """
    return reopen(asked, before_start=False)
