"""`tap-exports backfill`: have a range read that lies before the first window; no provider is asked."""

from __future__ import annotations

import click

from tap_exports.operator.again import Range, range_options, reopen


@click.command("backfill")
@range_options
def command(asked: Range) -> int:
    """Write a STATE with which the next run reads a range of STREAM that lies before start_date.

    What lies between the range and start_date is not read. At Cension: runs added to operation_ids below the bookmark.
    """
    return reopen(asked, before_start=True)
