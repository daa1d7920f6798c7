"""What a reader has to know of the catalog, and what it answers with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tap_exports.engine.decode.dialect import CsvDialect
from tap_exports.engine.model import Column, Contract, NewColumns, Reject, Row, Rows
from tap_exports.errors import StopError

Decoded = Rows | NewColumns | Reject

RAW_LIMIT = 10_000  # characters of a rejected row that are kept


class Ending(NamedTuple):
    """What a reader leaves to that of the next part: its first ordinal, and the names that it has to have or None."""

    next_row: int
    header: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of one file are to be read.

    Attributes:
        columns: The data columns that the catalog declares, by property name; no `_sdc_` columns.
        deselected: Property names that are never built.
        aliases: Name in the file to property name; applied where the property name itself is not in the file.
        contract: What happens with a column that is in the file and not in `columns`.
        csv: How CSV files are written; its encoding holds for JSON files too.
        skip_rows: Ordinals up to this one were delivered before: neither their rows nor their rejects are yielded.
        instants: Properties that may hold seconds since 1970 and are written as ISO 8601.
        optional: Declared names that a file may well lack: no warning says so.
        numbered: Whether rows of pages get their ordinal as `_sdc_row`.
        cast: Whether integers, dates and date-times of CSV files come as such where that loses nothing, not as text.
        recognised: Properties by which a file is recognised where `columns` are left out, as for samples.
        expected: Properties that the configuration expects in every file.
        keys: Properties without which a row is a reject.
        longest_name: Bytes of the longest property name, or None: any.
        first_row: The ordinal of the file's first row: of a zip's second part it is not 1.
        header: The names that the part before it shows, which this one has to have, or None.
        row: Returns the row to read instead of an object of a JSON file, or None: it is read as it is.
    """

    columns: Mapping[str, Column] = field(default_factory=dict)
    deselected: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = field(default_factory=dict)
    contract: Contract = Contract.EVOLVE
    csv: CsvDialect = field(default_factory=CsvDialect)
    skip_rows: int = 0
    instants: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    numbered: bool = True
    cast: bool = False
    recognised: frozenset[str] = frozenset()
    expected: frozenset[str] = frozenset()
    keys: tuple[str, ...] = ()
    longest_name: int | None = None
    first_row: int = 1
    header: frozenset[str] | None = None
    row: Callable[[Row], Row] | None = None

    def knows(self, name: str) -> bool:
        """Return whether the catalog declares or deselects a property."""
        return name in self.columns or name in self.deselected

    @property
    def own(self) -> frozenset[str]:
        """Return the properties that show that a file is this export's."""
        return self.recognised or frozenset({*self.columns, *self.deselected} - self.optional)

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


def excerpt(text: str, limit: int = 80) -> str:
    """Return text on one line, cut after some characters, for messages."""
    line = text[: limit + 1].replace("\r", "\\r").replace("\n", "\\n")
    return line if len(line) <= limit else line[: limit - 1] + "…"
