"""What a subcommand shows: JSON for programs, tables and sentences for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tap_exports.engine.clock import to_text
from tap_exports.engine.model import Window


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under titles.

    Attributes:
        columns: The titles.
        rows: The cells of each row.
        title: What stands above it.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a subcommand.

    Attributes:
        data: The JSON form: a stable interface, see docs/commands.md.
        tables: For people.
        notes: Sentences below the tables.
        is_well: Whether the exit code is 0; else it is `NOT_WELL`.
    """

    data: Mapping[str, Any]
    tables: Sequence[Table] = ()
    notes: Sequence[str] = field(default=())
    is_well: bool = True


def window_cells(window: Window | None) -> tuple[str, str]:
    """Return the bounds of a window as people read them."""
    if window is None:
        return "", ""
    return short(to_text(window.start)) if window.start else "the beginning", short(to_text(window.end))


def short(instant: str) -> str:
    """Return an instant without the parts of its time that are zero."""
    return (
        instant.removesuffix("T00:00:00.000Z") if instant.endswith("T00:00:00.000Z") else instant.replace(".000Z", "Z")
    )


def window_cell(window: Window | None) -> str:
    """Return a window as tables show it; lines may be broken between its bounds, dates and times."""
    return " to ".join(filter(None, window_cells(window))).replace("T", " ")


def window_json(window: Window | None) -> list[str | None] | None:
    """Return the bounds of a window as JSON has them."""
    return [to_text(window.start) if window.start else None, to_text(window.end)] if window else None
