"""Format, compression and naming of the parts of a stream."""

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
    """Settings that all parts of a stream share.

    Attributes:
        format: `jsonl` or `parquet`.
        compression: `gzip` or `none`; in Parquet `none` means zstd.
        columns: The columns of Parquet, in order.
    """

    format: str
    compression: str
    columns: Sequence[Column] = ()

    @property
    def has_thread(self) -> bool:
        """Return whether a part encodes in a thread of its own, so that `add` returns before the rows are encoded."""
        return self.format == "parquet"

    def begin(self, storage: Storage, name: str) -> Part:
        """Return an empty part.

        Raises:
            StopError: The storage cannot be written.
        """
        if self.format == "parquet":
            from tap_exports.engine.publish.parquet import ParquetPart  # noqa: PLC0415 - JSON Lines needs no pyarrow.parquet

            return ParquetPart(storage, name, arrow_schema(self.columns), self.compression)
        return JsonLinesPart(storage, name, self.compression)


@dataclass(frozen=True, slots=True)
class Published(Rows):
    """Rows that are in a storage already: one complete part, still to be announced in a BATCH message.

    Attributes:
        url: URL of the part.
        count: Rows in the part.
    """

    url: str = ""
    count: int = 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.count


def part_name(stream: str, scope: str, number: int) -> str:
    """Return the prefix of a part's name: stream, job and number, other characters than `A-Za-z0-9_.-` replaced."""
    place = (_safe(stream), _safe(scope), f"{number:05d}")
    return "-".join(word for word in place if word)


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text)[:80]
