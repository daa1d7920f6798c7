"""Parts of Parquet."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import pyarrow as pa
import pyarrow.parquet as pq

from tap_exports.engine.publish.storage import Storage

if TYPE_CHECKING:
    from io import IOBase

GROUP_ROWS, GROUP_BYTES = 1 << 16, 32 << 20
DICTIONARY_BYTES = 1 << 16
SINK_BYTES = 1 << 20


class ParquetPart:
    """A part that grows by batches; at most one row group of them waits in memory.

    Args:
        storage: Where it goes.
        name: What its name begins with.
        schema: Of every batch.
        compression: `gzip`, else zstd is used.
    """

    def __init__(self, storage: Storage, name: str, schema: pa.Schema, compression: str = "none") -> None:
        """Create the draft."""
        self.rows = 0
        self._waiting: list[pa.RecordBatch] = []
        self._draft = storage.draft(name, ".parquet")
        # Python is called once per MiB, not for every page: each call has to wait for the interpreter's lock.
        self._sink = pa.BufferedOutputStream(pa.PythonFile(cast("IOBase", self._draft), mode="w"), SINK_BYTES)
        self._writer = pq.ParquetWriter(
            self._sink,
            schema,
            compression="gzip" if compression == "gzip" else "zstd",
            dictionary_pagesize_limit=DICTIONARY_BYTES,
        )

    def add(self, batch: pa.RecordBatch) -> None:
        """Append a batch.

        Raises:
            StopError: The storage refuses.
        """
        self.rows += batch.num_rows
        while batch.num_rows:
            room = GROUP_ROWS - sum(b.num_rows for b in self._waiting)
            self._waiting.append(batch[:room])
            batch = batch[room:]
            if sum(b.num_rows for b in self._waiting) == GROUP_ROWS or _bytes(self._waiting) >= GROUP_BYTES:
                self._write_group()

    def _write_group(self) -> None:
        if self._waiting:
            table = pa.Table.from_batches(self._waiting)
            self._waiting = []
            self._writer.write_table(table, row_group_size=table.num_rows)

    def publish(self) -> str:
        """Give the part its name and return its URL.

        Raises:
            StopError: The storage refuses.
        """
        self._write_group()
        self._writer.close()
        self._sink.detach()
        return self._draft.publish()

    def discard(self) -> None:
        """Remove what was written; never fails."""
        self._waiting = []
        self._draft.discard()
        with suppress(Exception):
            self._writer.close()
        with suppress(Exception):
            self._sink.detach()


def _bytes(batches: Iterable[pa.RecordBatch]) -> int:
    return sum(batch.nbytes for batch in batches)
