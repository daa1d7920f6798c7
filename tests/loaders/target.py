"""Loads messages with `target-exports`: within this process, or in a fork that a test ends."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import termios
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from target_exports import target
from target_exports.database import Database
from target_exports.loader import Loader
from target_exports.target import Input, load

Row = dict[str, Any]
Message = dict[str, Any]
ENCODER = msgspec.json.Encoder(decimal_format="number")
WAIT_SECONDS = 20


def schema(stream: str, keys: Sequence[str] = (), /, **columns: str | Message) -> Message:
    """Return a SCHEMA message of nullable columns, each a type or a whole property."""
    properties = {n: {"type": [c, "null"]} if isinstance(c, str) else c for n, c in columns.items()}
    return {"type": "SCHEMA", "stream": stream, "schema": {"properties": properties}, "key_properties": list(keys)}


def record(stream: str, version: Any = None, /, **row: Any) -> Message:
    """Return a RECORD message."""
    shown = {} if version is None else {"version": version}
    return {"type": "RECORD", "stream": stream, "record": row, **shown}


def state(value: Any) -> Message:
    """Return a STATE message."""
    return {"type": "STATE", "value": value}


def lines(messages: Iterable[Message]) -> bytes:
    """Return messages as lines."""
    return ENCODER.encode_lines(list(messages))


class Target:
    """The target over a file.

    Args:
        path: The file.
        options: `hard_delete` and `batch_rows` of the loader.
    """

    def __init__(self, path: Path, **options: Any) -> None:
        """Load nothing yet."""
        self.path = path
        self.options = {"hard_delete": True, "batch_rows": 200_000, **options}
        self.states: list[Any] = []

    def run(self, *messages: Message) -> None:
        """Load messages as one run."""
        self.read(lines(messages))

    def read(self, data: bytes) -> None:
        """Load bytes as one run."""
        given = self.path.with_suffix(".jsonl")
        given.write_bytes(data)
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        descriptor = os.open(given, os.O_RDONLY)
        try:
            self._load(descriptor, lambda state: self.states.append(json.loads(state)))
        finally:
            os.close(descriptor)
            for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
                signal.signal(number, handler)

    def _load(self, descriptor: int, give_out: Callable[[bytes], object], dies_at: int = 0) -> None:
        database = Database(str(self.path), "main", "default")
        if dies_at:
            database.connection = Dying(database.connection, dies_at)  # type: ignore[assignment] # all that is used of it
        try:
            load(Loader(database, give_out=give_out, **self.options), Input(descriptor))
        finally:
            database.close()

    def killed(self, data: bytes, dies_at: int = 0) -> list[Any]:
        """Let a fork load bytes and return the STATEs that it gave out before its end.

        It is killed before statement number `dies_at` of its connection, otherwise once it has read all.
        """
        (read, write), (out, given) = os.pipe(), os.pipe()
        child = os.fork()
        if not child:
            with suppress(BaseException):
                os.close(write)
                target.BLOCK = 100  # so that each message is taken once it is read
                self._load(read, lambda state: os.write(given, state + b"\n"), dies_at)
            os._exit(0)
        os.close(read)
        os.close(given)
        _write(write, data)
        if not dies_at:
            _await_read(write)
            os.kill(child, signal.SIGKILL)
        os.close(write)
        os.waitpid(child, 0)
        with os.fdopen(out, "rb") as file:
            return [json.loads(line) for line in file]

    def query(self, sql: str) -> list[Any]:
        """Return the rows of a query."""
        with duckdb.connect(str(self.path), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    def rows(self, table: str) -> list[Row]:
        """Return the rows of a table, values that JSON lacks as text."""
        with duckdb.connect(str(self.path), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            cursor = connection.execute(f'FROM "{table}"')
            names = [each[0] for each in cursor.description]
            found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return json.loads(json.dumps(found, default=str))  # type: ignore[no-any-return] # a list of rows

    def types(self, table: str) -> dict[str, str]:
        """Return the type of each column of a table."""
        return dict(self.query(f"SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = '{table}'"))

    @property
    def kept(self) -> Any:
        """Return the STATE that the file keeps, None without one."""
        found = self.query("SELECT state FROM _exports.state")
        return json.loads(found[0][0]) if found else None


class Dying:
    """A connection whose process kills itself before a statement.

    Args:
        connection: The connection.
        dies_at: Number of the statement, from 1.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, dies_at: int) -> None:
        """Count from 0."""
        self._connection, self._left = connection, dies_at

    def execute(self, *arguments: Any) -> duckdb.DuckDBPyConnection:
        """Execute a statement, or die."""
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        return self._connection.execute(*arguments)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _write(descriptor: int, data: bytes) -> None:
    with suppress(BrokenPipeError):
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view[: 1 << 16]) :]


def _await_read(descriptor: int) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder):
        assert time.monotonic() < until
        time.sleep(0.001)
