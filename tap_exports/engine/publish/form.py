"""What all parts of a stream have in common."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tap_exports.engine.model import Column, Rows
from tap_exports.engine.publish.columns import arrow_schema
from tap_exports.engine.publish.jsonl import JsonLinesPart
from tap_exports.engine.publish.storage import Storage

if TYPE_CHECKING:
    from tap_exports.engine.publish.parquet import ParquetPart

Part: TypeAlias = "JsonLinesPart | ParquetPart"


@dataclass(frozen=True, slots=True)
class PartForm:
    """The form of parts.

    Attributes:
        format: `jsonl` or `parquet`.
        compression: `gzip` or `none`; Parquet is never without one: `none` is zstd there.
        columns: The columns of Parquet, in order.
    """

    format: str
    compression: str
    columns: Sequence[Column] = ()

    @property
    def has_thread(self) -> bool:
        """Return whether a part encodes in a thread of its own, beside the one that adds to it."""
        return self.format == "parquet"

    def begin(self, storage: Storage, name: str) -> Part:
        """Return an empty part.

        Raises:
            StopError: The storage refuses.
        """
        if self.format == "parquet":
            from tap_exports.engine.publish.parquet import ParquetPart  # noqa: PLC0415 - lines do without its library

            return ParquetPart(storage, name, arrow_schema(self.columns), self.compression)
        return JsonLinesPart(storage, name, self.compression)


@dataclass(frozen=True, slots=True)
class Published(Rows):
    """Rows that are in a storage already: a whole part, to be announced in its turn.

    Attributes:
        url: The part.
        count: Its rows.
    """

    url: str = ""
    count: int = 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.count


def part_name(stream: str, scope: str, number: int) -> str:
    """Return what the names of a part begin with: stream, job and number, as far as they are safe in a name."""
    place = (_safe(stream), _safe(scope), f"{number:05d}")
    return "-".join(word for word in place if word)


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text)[:80]
