"""Lines of CSV, written by hand: the csv module cannot tell an empty text from null."""

from __future__ import annotations

from collections.abc import Iterable

_SPECIAL = frozenset(',"\r\n')


def csv_line(cells: Iterable[str | None]) -> str:
    """Return one line without its end; an empty text is `""`, null is nothing."""
    return ",".join([_quoted(cell) for cell in cells])


def _quoted(cell: str | None) -> str:
    if cell is None:
        return ""
    if not cell or not _SPECIAL.isdisjoint(cell):
        return '"' + cell.replace('"', '""') + '"'
    return cell
