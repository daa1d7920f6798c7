"""Markdown for generated documents."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from textwrap import indent

Cells = Iterable[object]


def table(head: Cells, rows: Iterable[Cells]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(list(head)), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '&#124;') for cell in line)} |" for line in lines)


def part(text: str, name: str) -> str:
    """Return what stands between the markers of a generated part of a Markdown text; empty where it is missing."""
    found = re.search(rf"^<!-- {name}: generated -->\n(.*?)^<!-- {name}: end -->$", text, re.DOTALL | re.MULTILINE)
    return found[1] if found else ""


def with_part(text: str, path: Path, name: str, body: str) -> str:
    """Return a text with a generated part made anew.

    Args:
        text: Of a file.
        path: Its path; the suffix says how comments are written there.
        name: Of the part.
        body: What it holds.

    Raises:
        ValueError: A marker is missing.
    """
    markdown = path.suffix == ".md"
    begin, end = ("<!-- ", " -->") if markdown else ("# ", "")
    first, last = f"{begin}{name}: generated{end}", f"{begin}{name}: end{end}"
    marked = re.compile(rf"^( *){re.escape(first)}\n.*?^ *{re.escape(last)}$", re.DOTALL | re.MULTILINE)
    inner = f"\n{body}\n\n" if markdown else f"{body}\n"
    made, count = marked.subn(lambda m: indent(f"{first}\n{inner}{last}", m[1]), text)
    if count != 1:
        msg = f"{path}: the lines {first!r} and {last!r} are not there exactly once"
        raise ValueError(msg)
    return made
