"""The figures of all rows, kept as JSON so that a row can be measured again without the others."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.process import Ran

FIGURES = ("wall", "cpu", "peak_mb", "first", "lines", "size")


@dataclass
class Row:
    """What was measured for one row of the table.

    Attributes:
        work: What both sides did, in words.
        sides: Per side its runs, each `{wall, cpu, peak_mb, first, lines, size}`.
        facts: Further figures, by name.
        missing: Why a side is not there.
        commands: The command of each side.
        at: When, as an instant.
        quick: Whether it was a trial at a fraction of the size.
    """

    work: str
    at: str
    quick: bool
    sides: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    commands: dict[str, str] = field(default_factory=dict)

    def add(self, side: str, ran: Ran) -> None:
        """Add a run."""
        self.sides.setdefault(side, []).append({name: getattr(ran, name) for name in FIGURES})

    def median(self, side: str, figure: str = "wall") -> float:
        """Return the median over a side's runs.

        Raises:
            KeyError: It was not measured.
        """
        return median(self.all(side, figure))

    def all(self, side: str, figure: str = "wall") -> list[float]:
        """Return a figure of all runs of a side."""
        return [run[figure] for run in self.sides[side]]

    def spread(self, side: str, figure: str = "wall") -> tuple[float, float]:
        """Return the least and the greatest."""
        found = self.all(side, figure)
        return min(found), max(found)

    def ratio(self, more: str, less: str, figure: str = "wall") -> float:
        """Return how many times one side takes what another takes."""
        return self.median(more, figure) / self.median(less, figure)


class Results:
    """All rows by name, in a file."""

    def __init__(self, path: Path) -> None:
        """Read what is there."""
        self.path = path
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.rows = {name: Row(**row) for name, row in known.get("rows", {}).items()}
        self.machine: dict[str, str] = known.get("machine", {})

    def keep(self, name: str, row: Row) -> None:
        """Put a row in the place of an older one and write the file."""
        self.rows[name] = row
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = {"machine": self.machine, "rows": {key: asdict(each) for key, each in self.rows.items()}}
        self.path.write_text(json.dumps(content, indent=1), encoding="utf-8")
