"""What a reader has to know of the catalog, what it answers with, and how names in a file become property names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from tap_exports.engine.model import (
    EXTRA,
    FILE,
    JOB_ID,
    OPERATION_ID,
    ROW,
    WINDOW_END,
    WINDOW_START,
    Column,
    Contract,
    NewColumns,
    Reject,
    Rows,
)
from tap_exports.errors import StopError

Decoded = Rows | NewColumns | Reject

RAW_LIMIT = 10_000  # characters of a rejected row that are kept
RESERVED = frozenset({JOB_ID, FILE, ROW, EXTRA, OPERATION_ID, WINDOW_START, WINDOW_END})


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of one file are to be read.

    Attributes:
        columns: The data columns that the catalog declares, by property name; no `_sdc_` columns.
        deselected: Property names that are never built.
        aliases: Name in the file to property name; applied where the property name itself is not in the file.
        contract: What happens with a column that is in the file and not in `columns`.
        encoding: A codec's name, or None: a byte order mark decides (UTF-8, UTF-16), else UTF-8.
        skip_rows: Ordinals up to this one were delivered before: neither their rows nor their rejects are yielded.
        delimiter: What separates the fields of a CSV file, or None: a comma, unless the header has none and holds
            semicolons or tabs.
        instants: Properties of JSON rows that hold seconds since 1970 and are written as ISO 8601.
        optional: Declared names that a file may well lack: no warning says so.
        numbered: Whether rows of pages get their ordinal as `_sdc_row`.
        cast: Whether integers, dates and date-times of CSV files come as such where that loses nothing, not as text.
    """

    columns: Mapping[str, Column] = field(default_factory=dict)
    deselected: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = field(default_factory=dict)
    contract: Contract = Contract.EVOLVE
    encoding: str | None = None
    skip_rows: int = 0
    delimiter: str | None = None
    instants: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    numbered: bool = True
    cast: bool = False

    def knows(self, name: str) -> bool:
        """Return whether the catalog declares or deselects a property."""
        return name in self.columns or name in self.deselected

    def extended(self, columns: Iterable[Column]) -> Layout:
        """Return this layout with further declared columns."""
        return replace(self, columns={**self.columns, **{column.name: column for column in columns}})

    def refuse_unknown(self, names: Sequence[str], file: str) -> None:
        """Stop where the contract is `freeze` and there are unknown columns.

        Raises:
            StopError: Names the file, the column and the setting.
        """
        if names and self.contract is Contract.FREEZE:
            message = f'{file}: column "{names[0]}" is not in the catalog and schema_contract is "freeze"'
            raise StopError(f"{message}: discover again, or set schema_contract to evolve or discard")


def property_names(header: Sequence[str], layout: Layout) -> list[str]:
    """Return one property name for each column of a file, all different.

    An empty name becomes `column_<position>`, a repeated one (or one that the lineage columns use) gets `_2`, `_3`, …:
    the first number that makes it differ from every name in the header. Aliases apply last.
    """
    names: list[str] = []
    taken, spelt = set(RESERVED), frozenset(header)
    numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(2))  # none is tried twice
    for position, name in enumerate(header, 1):
        plain = name or f"column_{position}"
        names.append(free_name(plain, taken, spelt, numbers[plain]))
        taken.add(names[-1])
    return _aliased(names, layout.aliases)


def free_name(
    name: str, taken: Collection[str], header: Collection[str] = (), numbers: Iterator[int] | None = None
) -> str:
    """Return a name, or its first numbered form, from 2 on, that is neither taken nor spelt out in the header."""
    if name not in taken:
        return name
    forms = (f"{name}_{number}" for number in numbers or count(2))
    return next(form for form in forms if form not in taken and form not in header)


def _aliased(names: list[str], aliases: Mapping[str, str]) -> list[str]:
    """Replace names by their aliases' properties, each property once."""
    taken = set(names)
    for index, name in enumerate(names):
        target = aliases.get(name)
        if target is not None and target not in taken:
            names[index] = target
            taken.add(target)
    return names


def excerpt(text: str, limit: int = 80) -> str:
    """Return text on one line, cut after some characters, for messages."""
    line = text[: limit + 1].replace("\r", "\\r").replace("\n", "\\n")
    return line if len(line) <= limit else line[: limit - 1] + "…"
