"""The one place that writes the results of subcommands to standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tap_exports.engine.secrets import json_line
from tap_exports.operator.report import Report, Table
from tap_exports.tap import TapExports

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

PIPE_WIDTH = 160
ANY_WIDTH = 10_000
NOT_WELL = 3  # what was asked about failed, is not finished, or needs a hand; 1: the command itself failed


def show(report: Report, form: str | None) -> int:
    """Write a report to standard output, secrets removed, and return the exit code.

    Args:
        report: The result.
        form: `text` or `json`; None: text on a terminal, else JSON.
    """
    if (form or ("text" if sys.stdout.isatty() else "json")) == "json":
        sys.stdout.write(TapExports.redactor.cut(json_line(report.data)) + "\n")
    else:
        _print(report)
    sys.stdout.flush()
    return 0 if report.is_well else NOT_WELL


def _clean(text: str) -> str:
    return TapExports.redactor.clean(text)


def _print(report: Report) -> None:
    from rich.console import Console  # noqa: PLC0415 - JSON does without it

    width = None if sys.stdout.isatty() else PIPE_WIDTH
    console = Console(width=width, color_system=None, highlight=False, markup=False, emoji=False)
    for table in report.tables:
        filled = _filled(table)
        least = [_longest(word for cell in cells for word in cell.split()) for cells in _columns(filled)]
        spare = console.width - _wide(console, _table(filled, least))
        if spare < 0:
            console.print(_blocks(table), soft_wrap=True)
        else:
            console.print(_table(filled, _widths(filled, least, spare)))
    for note in report.notes:
        console.print(_clean(note), soft_wrap=True)


def _wide(console: Console, table: RenderableType) -> int:
    from rich.measure import Measurement  # noqa: PLC0415 - JSON does without it

    return Measurement.get(console, console.options.update(width=ANY_WIDTH), table).maximum


def _columns(table: Table) -> list[list[str]]:
    """Return the cells of each column, its title first."""
    return [[_clean(cell) for cell in column] for column in zip(table.columns, *table.rows, strict=True)]


def _longest(texts: Iterable[str]) -> int:
    return max(map(len, texts), default=0)


def _widths(table: Table, least: Sequence[int], spare: int) -> list[int]:
    """Return the widths of columns: words stay whole, and those that need least for cells of one line get it."""
    wanted = [_longest(cells) - width for cells, width in zip(_columns(table), least, strict=True)]
    widths = list(least)
    for left, index in zip(range(len(wanted), 0, -1), sorted(range(len(wanted)), key=wanted.__getitem__), strict=True):
        given = min(wanted[index], spare // left)
        widths[index], spare = widths[index] + given, spare - given
    return widths


def _filled(table: Table) -> Table:
    """Return a table without the columns that are empty in all rows."""
    kept = [index for index in range(len(table.columns)) if any(row[index] for row in table.rows)]
    rows = [[row[index] for index in kept] for row in table.rows]
    return Table([table.columns[index] for index in kept], rows, table.title)


def _table(table: Table, widths: Sequence[int]) -> RenderableType:
    from rich import box  # noqa: PLC0415 - JSON does without it
    from rich.table import Table as RichTable  # noqa: PLC0415 - JSON does without it
    from rich.text import Text  # noqa: PLC0415 - JSON does without it

    title = Text(table.title) if table.title else None
    made = RichTable(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column, width in zip(table.columns, widths, strict=True):
        made.add_column(column, width=width, overflow="fold")
    for row in table.rows:
        made.add_row(*(Text(_clean(cell)) for cell in row))
    return made


def _blocks(table: Table) -> str:
    """Return a table that is too wide for the terminal: a block of lines per row, so that ids stay whole."""
    width = max(map(len, table.columns))
    blocks = [
        "\n".join(f"  {name:<{width}}  {_clean(cell)}" for name, cell in zip(table.columns, row, strict=True) if cell)
        for row in table.rows
    ]
    return "\n\n".join([*([table.title] if table.title else []), *blocks, ""])
