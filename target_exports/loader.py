"""Takes messages in their order: rows wait in memory, then go to the database; STATE is given out after the commit."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec
import pyarrow as pa

from target_exports import parts
from target_exports.database import Database
from target_exports.errors import LoadError
from target_exports.rows import VERSION, Shape
from target_exports.sources import Field, source
from target_exports.table import Table

DECODED_BYTES = 4 << 20  # JSON that is decoded at once
LOADED_BYTES = 16 << 20  # Arrow columns that are loaded at once
WAITING_ARRAYS = 8_192  # of some rows each: an array takes 1.6 KB beside its values
COMMIT_BYTES = 128 << 20  # messages after which the next STATE is committed, however few rows they are
COMMIT_SECONDS = 30.0
_RECORD = re.compile(rb'\{"type": ?"RECORD", ?"stream": ?("(?:[^"\\\\]|\\\\.)*"), ?"record":')


class Message(msgspec.Struct, gc=False):
    """A line; only the fields of its type are there."""

    type: str
    stream: str = ""
    record: msgspec.Raw = msgspec.Raw(b"")
    version: int | None = None
    value: msgspec.Raw = msgspec.Raw(b"null")
    schema: dict[str, Any] | None = None
    key_properties: list[str] | None = None
    encoding: dict[str, Any] | None = None
    manifest: list[str] = []


class Stream:
    """The rows of a stream that are not in the database yet.

    Args:
        shape: Its last SCHEMA message.
        database: Where they go.
    """

    def __init__(self, shape: Shape, database: Database) -> None:
        """Create the table."""
        self.shape, self._database = shape, database
        database.expect(len(shape.columns))
        database.begin()
        self.table = Table(database.connection, database.schema, shape.stream)
        self._version: int | None = None
        self._records: list[msgspec.Raw] = []
        self._tables: list[pa.Table] = []
        self._undecoded = self._decoded = 0
        self.table.have({name: kind.type for name, kind in shape.columns.items()})

    def add(self, records: Sequence[msgspec.Raw], size: int, version: int | None = None) -> None:
        """Add records of about `size` bytes; decode from `DECODED_BYTES` on, load from `LOADED_BYTES` on."""
        if version != self._version:
            self.load()
            self._version = version
        self._records += records
        self._undecoded += size
        if self._undecoded > DECODED_BYTES:
            self._decode()

    def add_lines(self, lines: bytes) -> int:
        """Add RECORD lines of this stream, and return how many.

        Raises:
            ValidationError: A record is not as declared; none was added.
        """
        tables = list(self.shape.tables_of_lines(lines))
        for version, table in tables:
            if version != self._version:
                self.load()
                self._version = version
            if self._records:
                self._decode()
            self._wait(table)
        return sum(table.num_rows for _, table in tables)

    def _decode(self) -> None:
        records, self._records, self._undecoded = self._records, [], 0
        columns = len(self.shape.columns)
        table = self.shape.table(records)
        if columns != len(self.shape.columns):  # those before lack the columns that these have
            self._load_tables(columns)
        self._wait(table)

    def _wait(self, table: pa.Table) -> None:
        if self._tables and self._tables[-1].schema != table.schema:  # integers beyond 64 bits are text
            self._load_tables(len(self.shape.columns))
        self._tables.append(table)
        if len(self._tables) * table.num_columns > WAITING_ARRAYS:
            self._tables = [pa.concat_tables(self._tables).combine_chunks()]
        self._decoded += table.nbytes
        if self._decoded > LOADED_BYTES:
            self._load_tables(len(self.shape.columns))

    def load(self) -> None:
        """Load all rows that wait."""
        if self._records:
            self._decode()
        self._load_tables(len(self.shape.columns))

    def _load_tables(self, columns: int) -> None:
        tables, self._tables, self._decoded = self._tables, [], 0
        if not tables:
            return
        names = {name: f"c{at}" for at, name in zip(range(columns), self.shape.columns, strict=False)}
        # DuckDB finds it by its name; a registered table would be held in memory until the commit.
        target_exports_waiting = pa.concat_tables(tables)
        self._take("target_exports_waiting", names)
        del target_exports_waiting

    def load_parquet(self, url: str, version: int | None) -> None:
        """Load a part in Parquet."""
        self.load()
        self._version = version
        with parts.parquet(url) as path:
            names = parts.names_of(self._database.connection, path)
            relation = "read_parquet('{}')".format(path.replace("'", "''"))
            found = self._database.connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
            self.shape.admit(names)
            self._take(relation, {name: str(own[0]) for name, own in zip(names, found, strict=True)})

    def _take(self, relation: str, names: Mapping[str, str]) -> None:
        self._database.begin()
        rows = source(self._database.connection, self.shape, relation, names)
        for key in self.shape.keys:  # a part may lack one
            rows.fields.setdefault(key, Field("NULL", self.shape.columns[key].type))
        if self._version is not None:
            own = rows.fields.get(VERSION)
            text = f"coalesce({own.text}, {self._version})" if own else str(self._version)
            rows.fields[VERSION] = Field(text, "BIGINT")
        self.table.load(rows, self.shape.keys)


class Loader:
    """All streams, and the STATE that covers what they got.

    Args:
        database: The file.
        batch_rows: Rows after which the next STATE is committed.
        hard_delete: Whether ACTIVATE_VERSION deletes rows of other versions or marks them.
        give_out: Called with each STATE once it is committed.
    """

    def __init__(
        self, database: Database, *, batch_rows: int, hard_delete: bool, give_out: Callable[[bytes], object]
    ) -> None:
        """Start with no stream."""
        self.counts: Counter[str] = Counter()
        self._database, self._batch_rows, self._hard_delete, self._give_out = (
            database,
            batch_rows,
            hard_delete,
            give_out,
        )
        self._streams: dict[str, Stream] = {}
        self._state: bytes | None = None
        self._rows, self._bytes, self._since = 0, 0, time.monotonic()
        self._decoder = msgspec.json.Decoder(Message)
        self._takes = {
            "SCHEMA": self._schema,
            "BATCH": self._batch,
            "ACTIVATE_VERSION": self._activate,
            "STATE": self._keep,
        }

    def take(self, block: bytes) -> None:
        """Take whole lines.

        Raises:
            LoadError: A message is no message, or its rows cannot be loaded.
        """
        self._bytes += len(block)
        if self._take_records(block):
            return
        try:
            messages = self._decoder.decode_lines(block)
        except msgspec.MsgspecError as error:
            raise LoadError(f"the input holds a line that is no Singer message: {error}") from None
        for (kind, name, version), run in groupby(messages, lambda m: (m.type, m.stream, m.version)):
            if kind == "RECORD":
                records = [message.record for message in run]
                self._of(name).add(records, len(block) * len(records) // len(messages), version)
                self._rows += len(records)
                self.counts[kind] += len(records)
                continue
            for message in run:
                self.counts[kind] += 1
                if take := self._takes.get(kind):
                    take(message)
                else:
                    raise LoadError(f"unknown type of message: {kind}")

    def _take_records(self, block: bytes) -> bool:
        """Take a block at once if all of its lines are RECORD messages of one stream; return whether it was taken."""
        head = _RECORD.match(block)
        if head is None or block.count(b"\n" + head[0]) + 1 != block.count(b"\n"):
            return False
        stream = self._of(msgspec.json.decode(head[1]))
        if not stream.shape.is_plain:
            return False
        try:
            rows = stream.add_lines(block)
        except msgspec.MsgspecError:
            return False
        self._rows += rows
        self.counts["RECORD"] += rows
        return True

    def _of(self, name: str) -> Stream:
        if name not in self._streams:
            raise LoadError(f"{name}: rows before any SCHEMA message")
        return self._streams[name]

    def _schema(self, message: Message) -> None:
        shape = Shape(message.stream, message.schema or {}, tuple(message.key_properties or ()))
        before = self._streams.get(message.stream)
        if before and (before.shape.schema, before.shape.keys) == (shape.schema, shape.keys):
            return
        if before:
            before.load()
        self._streams[message.stream] = Stream(shape, self._database)

    def _batch(self, message: Message) -> None:
        encoding, stream = message.encoding or {}, self._of(message.stream)
        for url in message.manifest:
            if encoding.get("format") == "parquet":
                stream.load_parquet(url, message.version)
            elif encoding.get("format") == "jsonl":
                for some, size in parts.records(url, encoding.get("compression")):
                    stream.add(some, size, message.version)
            else:
                raise LoadError(f"{message.stream}: unknown format of a batch: {encoding.get('format')}")
        self._rows += self._batch_rows  # the next STATE is committed

    def _activate(self, message: Message) -> None:
        stream = self._of(message.stream)
        stream.load()
        self._database.begin()
        stream.table.activate(message.version or 0, hard=self._hard_delete)

    def _keep(self, message: Message) -> None:
        self._state = bytes(message.value)
        is_large = self._rows >= self._batch_rows or self._bytes >= COMMIT_BYTES
        if is_large or time.monotonic() - self._since > COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Load what waits, commit it with the last STATE in one transaction, then give that STATE out."""
        for stream in self._streams.values():
            stream.load()
        state, self._state = self._state, None
        self._database.commit(state)
        self._rows, self._bytes, self._since = 0, 0, time.monotonic()
        if state is not None:
            self._give_out(state)
