"""Parts in Parquet: their bytes depend on the rows alone, not on the batches that the rows came in."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, cast

import pyarrow as pa
import pyarrow.parquet as pq

from tap_exports.engine.publish.storage import Storage
from tap_exports.engine.publish.weights import rows_within

if TYPE_CHECKING:
    from io import IOBase

GROUP_ROWS, GROUP_BYTES = 1 << 16, 24 << 20
DICTIONARY_BYTES = 1 << 16
SINK_BYTES = 1 << 20
_SAMPLE_ROWS = 1 << 12


class ParquetPart:
    """A part to which batches are appended; a thread encodes one row group while the next one is collected.

    Errors of the thread are raised by a later call of `add` or `publish`.

    Args:
        storage: Storage of the part.
        name: Prefix of its name.
        schema: Schema of every batch.
        compression: `gzip`; any other value means zstd.
    """

    def __init__(self, storage: Storage, name: str, schema: pa.Schema, compression: str = "none") -> None:
        """Create the draft."""
        self.rows = 0
        self._waiting: list[pa.RecordBatch]
        self._forget()
        self._thread = ThreadPoolExecutor(1, "encode")
        self._encoding: deque[Future[None]] = deque()
        self._draft = storage.draft(name, ".parquet")
        # Python is called once per MiB, not for every page: each call has to wait for the interpreter's lock.
        self._sink = pa.BufferedOutputStream(pa.PythonFile(cast("IOBase", self._draft), mode="w"), SINK_BYTES)
        self._schema = schema
        self._compression: Literal["gzip", "zstd"] = "gzip" if compression == "gzip" else "zstd"
        self._writer: pq.ParquetWriter | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        """Append a batch.

        Raises:
            StopError: The storage cannot be written.
        """
        self.rows += batch.num_rows
        while batch.num_rows:
            taken = batch[: GROUP_ROWS - self._waiting_rows]
            count, weight = rows_within(taken, GROUP_BYTES - self._waiting_bytes)
            self._waiting.append(taken[:count])
            batch = batch[count:]
            self._waiting_rows += count
            self._waiting_bytes += weight
            if self._waiting_rows == GROUP_ROWS or self._waiting_bytes >= GROUP_BYTES:
                self._settle()
                self._hand_over()

    def _hand_over(self) -> None:
        """Queue the collected batches as one row group for the thread."""
        if self._waiting:
            waiting = self._waiting
            self._forget()
            self._encoding.append(self._thread.submit(self._write_group, waiting))

    def _forget(self) -> None:
        self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0

    def _write_group(self, batches: list[pa.RecordBatch]) -> None:
        table = pa.Table.from_batches(batches).combine_chunks()  # pages end with chunks, too
        batches.clear()
        if self._writer is None:
            self._writer = self._begun(table)
        self._writer.write_table(table, row_group_size=table.num_rows)

    def _begun(self, first: pa.Table) -> pq.ParquetWriter:
        """Open the file: dictionaries for columns whose first rows repeat values, statistics for all but text."""
        repeating: Any = [_path(f) for f in self._schema if _repeats(first[f.name])]  # the stub knows no list
        return pq.ParquetWriter(
            self._sink,
            self._schema,
            compression=self._compression,
            use_dictionary=repeating,
            dictionary_pagesize_limit=DICTIONARY_BYTES,
            write_statistics=[f.name for f in self._schema if not pa.types.is_string(f.type)],
        )

    def _settle(self) -> None:
        """Wait for the thread and raise its error, if any."""
        while self._encoding:
            self._encoding[0].result()
            self._encoding.popleft()

    def finish(self) -> None:
        """Queue the rest for encoding and return at once; do not call `add` afterwards."""
        self._hand_over()

    def publish(self) -> str:
        """Complete the part under its final name and return its URL.

        Raises:
            StopError: The storage cannot be written.
        """
        self.finish()
        self._settle()
        self._thread.shutdown()
        (self._writer or self._begun(self._schema.empty_table())).close()
        self._sink.detach()
        return self._draft.publish()

    def discard(self) -> None:
        """Remove what was written; never fails."""
        self._forget()
        self._thread.shutdown(cancel_futures=True)
        self._draft.discard()
        with suppress(Exception):
            if self._writer:
                self._writer.close()
        with suppress(Exception):
            self._sink.detach()


def _path(field: pa.Field[Any]) -> str:
    """Return the Parquet path of the values of a column."""
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name


def _repeats(column: pa.ChunkedArray[Any]) -> bool:
    """Return whether to build a dictionary; for mostly distinct values that only costs time."""
    sample = column[:_SAMPLE_ROWS]
    return pa.types.is_list(column.type) or 2 * len(sample.unique()) < len(sample)
