"""The one place that writes the results of subcommands to standard output."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from tap_exports.operator.report import Report, Table
from tap_exports.tap import TapExports

if TYPE_CHECKING:
    from rich.console import RenderableType

PIPE_WIDTH = 160
NOT_WELL = 3  # what was asked about failed, is not finished, or needs a hand; 1: the command itself failed


def show(report: Report, form: str | None) -> int:
    """Write a report to standard output, secrets removed, and return the exit code.

    Args:
        report: The result.
        form: `text` or `json`; None: text on a terminal, else JSON.
    """
    if (form or ("text" if sys.stdout.isatty() else "json")) == "json":
        sys.stdout.write(_clean(json.dumps(report.data, ensure_ascii=False)) + "\n")
    else:
        _print(report)
    sys.stdout.flush()
    return 0 if report.is_well else NOT_WELL


def _clean(text: str) -> str:
    return TapExports.redactor.clean(text)


def _print(report: Report) -> None:
    from rich.console import Console  # noqa: PLC0415 - JSON does without it

    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False, markup=False, emoji=False)
    for table in report.tables:
        console.print(_table(table))
    for note in report.notes:
        console.print(_clean(note), soft_wrap=True)


def _table(table: Table) -> RenderableType:
    from rich import box  # noqa: PLC0415 - JSON does without it
    from rich.table import Table as RichTable  # noqa: PLC0415 - JSON does without it
    from rich.text import Text  # noqa: PLC0415 - JSON does without it

    title = Text(table.title, style="bold") if table.title else None
    made = RichTable(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in table.columns:
        made.add_column(column, overflow="fold")
    for row in table.rows:
        made.add_row(*(Text(_clean(cell)) for cell in row))
    return made
