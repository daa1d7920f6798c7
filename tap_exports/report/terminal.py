"""The report on a terminal."""

from __future__ import annotations

import os
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tap_exports.engine.activity import Phase, span_text
from tap_exports.report.figures import plain, size
from tap_exports.report.model import RunReport

_FALLBACK_COLUMNS = 100
_STYLES = {"complete": "green", "failed": "bold red", "open": "yellow", "not run": "yellow"}
_HEADS = (("stream", "left"), ("outcome", "left"), ("rows", "right"), ("rejects", "right"), ("bytes", "right"))


def console(file: IO[str], *, force: bool = False) -> Console:
    """Return a console for a terminal; one that reports no width, as some pseudo-terminals do, gets 100 columns."""
    try:
        columns = os.get_terminal_size(file.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    return Console(
        file=file, width=columns or _FALLBACK_COLUMNS, force_terminal=force or None, highlight=False, markup=False
    )


def show(report: RunReport, to: Console) -> None:
    """Print the streams as a table, then what is open and what to do next."""
    to.print(_streams(report))
    for window in report.windows:
        job = f", job {window.job_id}" if window.job_id else ""
        to.print(Text(f"open: {window.stream} {window.window or 'full export'}{job}: {window.why}", style="yellow"))
    for provider in report.providers:
        if provider.retries:
            to.print(
                f"{provider.name}: {provider.retries} retries, {span_text(provider.retry_seconds)} of waiting, "
                f"{span_text(provider.throttled_seconds)} after 429"
            )
    for number, advice in enumerate(report.advice, 1):
        to.print(Text(f"next {number}: {advice}"))


def _streams(report: RunReport) -> Table:
    table = Table(title=f"{report.ending} in {span_text(report.seconds)}", title_justify="left")
    for name, side in (*_HEADS, ("jobs", "right"), ("waited", "right"), ("read", "right")):
        table.add_column(name, justify="right" if side == "right" else "left", no_wrap=name != "stream")
    for stream in report.streams:
        jobs = [job for job in report.jobs if job.stream == stream.name]
        waited = sum(job.seconds_in(Phase.QUEUED) + job.seconds_in(Phase.RUNNING) for job in jobs)
        read = sum(job.seconds_in(Phase.READING) for job in jobs)
        table.add_row(
            Text(stream.name),
            Text(stream.outcome, style=_STYLES.get(stream.outcome, "")),
            plain(stream.rows),
            plain(stream.rejects),
            size(stream.bytes),
            str(len(jobs)) if jobs else "",
            span_text(waited) if jobs else "",
            span_text(read) if jobs else "",
        )
    return table
