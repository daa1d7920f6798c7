"""How much memory rows take, as a function of their values: not of the batches that they came in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    Values = pa.Array[Any]

_compute: Any = pc  # its stub takes no arrays of mixed types
FIXED_BYTES = 8  # of a value that is no text, and of what tells where a text begins


def rows_within(batch: pa.RecordBatch, limit: int) -> tuple[int, int]:
    """Return how many rows of a batch come until their weight reaches `limit`, the one that reaches it included.

    Returns:
        That number, or all rows where they weigh less; and what these rows weigh.
    """
    sums: Any = _compute.cumulative_sum(_of_rows(batch))
    below = _compute.sum(_compute.less(sums, pa.scalar(limit, pa.int64()))).as_py() or 0
    count = min(below + 1, batch.num_rows)
    return count, int(sums[count - 1].as_py())


def _of_rows(batch: pa.RecordBatch) -> Values:
    total: Any = pa.repeat(pa.scalar(FIXED_BYTES * batch.num_columns, pa.int64()), batch.num_rows)
    for column in batch.columns:
        if (lengths := _lengths(column)) is not None:
            total = _compute.add(total, lengths)
    return cast("Values", total)


def _lengths(column: Values) -> Values | None:
    """Return the bytes of each value beyond `FIXED_BYTES`, None where there are none."""
    if pa.types.is_string(column.type):
        lengths = _compute.cast(_compute.binary_length(column), pa.int64())
        return cast("Values", _compute.fill_null(lengths, 0))
    return _of_lists(column) if isinstance(column, pa.ListArray) else None


def _of_lists(lists: pa.ListArray[Any]) -> Values:
    items: Any = lists.flatten()
    each = pa.repeat(pa.scalar(FIXED_BYTES, pa.int64()), len(items))
    lengths = _lengths(items)
    sums = _compute.cumulative_sum(each if lengths is None else _compute.add(each, lengths))
    before: Any = pa.concat_arrays([pa.array([0], pa.int64()), sums])
    ends: Any = _compute.cumulative_sum(
        _compute.fill_null(_compute.cast(_compute.list_value_length(lists), pa.int64()), 0)
    )
    starts: Any = pa.concat_arrays([pa.array([0], pa.int64()), ends[:-1]])
    return cast("Values", _compute.subtract(before.take(ends), before.take(starts)))
