"""Digests of rows: equal for equal values, whatever the order of columns, their types and what else the catalog knows.

A digest covers every column of the file under the name that the file gives it, but no null: a column that is added
later and is null in a row does not change its digest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tap_exports.engine.model import Row

if TYPE_CHECKING:
    Texts = Sequence[pa.Array[Any]]
    Bytes = pa.Array[Any]

SIZE = 16  # bytes
ROWS_AT_ONCE = 4096  # bounds the memory of the joined values
_BINARY = pa.binary()
_AFTER_NAME, _AFTER_VALUE, _ESCAPE = b"\x1f", b"\x1e", b"\x1c"
_ESCAPED = ((_ESCAPE, b"\x1c0"), (_AFTER_NAME, b"\x1c1"), (_AFTER_VALUE, b"\x1c2"))  # the escape itself first
_ENCODER = msgspec.json.Encoder(decimal_format="number", order="sorted")


def digests_of_records(rows: Sequence[Row]) -> list[bytes]:
    """Return the digest of each JSON record; only its own nulls are left out, not those within its values."""
    full = [{name: value for name, value in row.items() if value is not None} for row in rows]
    return [_digest(line) for line in _ENCODER.encode_lines(full).split(b"\n")[:-1]]


class ColumnDigests:
    """Digests of the rows of a table of text.

    Args:
        names: The name of each column as in the header; equal names are told apart by their order.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Put the columns in an order of their own."""
        labels = [(name, names[:at].count(name) if names.count(name) > 1 else 0) for at, name in enumerate(names)]
        self._order = sorted(range(len(labels)), key=labels.__getitem__)
        self._heads = [_head(*labels[at]) for at in self._order]

    def of(self, columns: Texts) -> Iterator[bytes]:
        """Yield the digest of each row; the columns hold text or bytes, and null where nothing was written."""
        values = [columns[at].cast(_BINARY) for at in self._order]
        for start in range(0, len(values[0]), ROWS_AT_ONCE):
            rows = self._rows([column.slice(start, ROWS_AT_ONCE) for column in values])
            texts: list[Any] = rows.to_pylist()
            yield from map(_digest, texts)

    def _rows(self, values: Texts) -> Bytes:
        """Return the values of each row as one text; only where a value holds a mark are values escaped."""
        rows = self._joined(values)
        given = sum(len(column) - column.null_count for column in values)
        text = rows.buffers()[2]
        found = bytes(text) if text else b""
        if (found.count(_AFTER_NAME), found.count(_AFTER_VALUE), found.count(_ESCAPE)) == (given, given, 0):
            return rows
        return self._joined([_escaped(column) for column in values])

    def _joined(self, values: Texts) -> Bytes:
        join: Any = pc.binary_join_element_wise  # its stub takes no literals beside arrays
        cells = [join(head, column, _AFTER_VALUE, b"") for head, column in zip(self._heads, values, strict=True)]
        joined: Bytes = join(*cells, b"", null_handling="skip")
        return joined


def _head(name: str, number: int) -> bytes:
    """Return the bytes before each value of a column: its name, and the number of a name that comes again."""
    head = name.encode(errors="surrogatepass")
    for mark, code in _ESCAPED:
        head = head.replace(mark, code)
    return head + (b"%b3%d" % (_ESCAPE, number) if number else b"") + _AFTER_NAME


def _escaped(column: Bytes) -> Bytes:
    for mark, code in _ESCAPED:
        column = pc.replace_substring(column, pattern=mark, replacement=code)
    return column


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=SIZE).digest()
