"""Writes all messages: a batch of rows in a single write, never half a line.

Rows are encoded by `engine.publish.lines`, STATE by the same encoder, all other messages by the SDK. All rows of a
batch have the same `time_extracted`.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from singer_sdk.helpers._state import StateWriter
from singer_sdk.singerlib.encoding.base import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import Message, SchemaMessage
from singer_sdk.singerlib.json import serialize_json

from tap_exports.engine.changes import Changes
from tap_exports.engine.ledger.partitions import PARTITIONS, context_of
from tap_exports.engine.model import Rows
from tap_exports.engine.model.accounts import account_of, shared_name
from tap_exports.engine.publish.lines import ENCODER, around, record_lines
from tap_exports.engine.thrift import Thrift
from tap_exports.errors import Terminated
from tap_exports.singer.messages.output import Output

try:
    import fcntl
except ImportError:  # Windows has no fcntl and cannot resize a pipe
    fcntl = None  # type: ignore[assignment] # None there; the attribute error is suppressed

PIPE_BYTES = 1 << 20
F_SETPIPE_SZ = 1031
BROKEN_PIPE_EXIT = 141


class MessageWriter(GenericSingerWriter[bytes, Message]):
    """Writes messages to standard output, each write whole lines."""

    def __init__(self) -> None:
        """Enlarge the buffer of the output pipe where the system can (Linux)."""
        super().__init__()
        self._writing = False
        self._signal: int | None = None
        self._output = Output()
        with contextlib.suppress(OSError, ValueError, AttributeError, io.UnsupportedOperation):
            fcntl.fcntl(sys.stdout.fileno(), F_SETPIPE_SZ, PIPE_BYTES)

    def serialize_message(self, message: Message) -> bytes:
        """Return a message as JSON, without a line end."""
        return serialize_json(_fields(message) if isinstance(message, SchemaMessage) else message.to_dict()).encode()

    def write_message(self, message: Message) -> None:
        """Write one message."""
        self.write_line(self.format_message(message) + b"\n")

    def write_rows(self, stream: str, rows: Rows, names: frozenset[str], version: int | None, at: datetime) -> None:
        """Write a batch as RECORD messages.

        Args:
            stream: The stream's name.
            rows: The batch.
            names: The selected properties; others are left out.
            version: Version of a full-table read, or None.
            at: `time_extracted` of the batch.
        """
        head, tail = _around(stream, version, at)
        self._write(record_lines(rows, names, head, tail))

    def write_records(self, stream: str, records: Sequence[Any], version: int | None, at: datetime) -> None:
        """Write records that are dicts as RECORD messages."""
        head, tail = _around(stream, version, at)
        self._write(around(ENCODER.encode_lines(records), head, tail))

    def write_line(self, line: bytes) -> None:
        """Write an encoded message, line end included."""
        self._write(line)

    def interrupt(self, signal_number: int) -> None:
        """End the run at once, or after a write in progress; a second signal does not wait. Called by signal handlers.

        A write for which nobody reads is cut after some seconds; nothing is written after half a line.
        Python prints and drops an exception raised inside a finaliser; in that case the next write ends the run.

        Raises:
            Terminated: With the exit code 128 + signal number.
        """
        waits = self._writing and self._signal is None
        self._signal = signal_number
        self._output.hurry(writes=waits)
        if not waits:
            raise Terminated(128 + signal_number)

    def keep_output(self) -> None:
        """Keep standard output for messages: whatever else this process or a child of it prints goes to stderr."""
        self._output.keep()

    def resume(self) -> None:
        """Forget the signal, so that the last STATE can be written."""
        self._signal = None

    def _write(self, data: bytes | memoryview) -> None:
        self._writing = True
        try:
            self._output.write(data)
        except BrokenPipeError:
            raise Terminated(BROKEN_PIPE_EXIT if self._signal is None else 128 + self._signal) from None
        finally:
            self._writing = False
        if self._signal is not None:
            raise Terminated(128 + self._signal)


class StateLines(StateWriter):
    """Writes STATE if it changed; streams with an empty bookmark are left out.

    Every STATE message is complete; only changed bookmarks are serialised again.

    Args:
        writer: Writes the lines.
        changes: Records which bookmarks may have changed.
        thrift: Takes note of the bytes.
    """

    def __init__(self, writer: MessageWriter, changes: Changes, thrift: Thrift) -> None:
        """Start with nothing written."""
        super().__init__(writer)
        self._thrift = thrift
        self._writer = writer
        self._changed = changes.reader()
        self._members: dict[str, bytes] = {}  # JSON object of each bookmark as last written; b"" for an empty one

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Write STATE unless it equals the last one written or all bookmarks are empty."""
        bookmarks = state.get("bookmarks", {})
        if len(bookmarks) != len(self._members):
            self._changed.update(stream for stream in bookmarks if stream not in self._members)
            self._members = {stream: self._members.get(stream, b"") for stream in bookmarks}
        news = {stream: _member(stream, bookmarks[stream]) for stream in self._changed & bookmarks.keys()}
        if any(member != self._members[stream] for stream, member in news.items()):
            members = self._members | news
            if text := b",".join(_joined(members)):
                others = ENCODER.encode({name: value for name, value in state.items() if name != "bookmarks"})
                head = others[:-1] + b"," if len(others) > len(b"{}") else b"{"
                line = b'{"type":"STATE","value":%b"bookmarks":{%b}}}\n' % (head, text)
                self._writer.write_line(line)
                self._thrift.spent(len(line))
            self._members = members  # last: after a signal during the write, STATE is written again
        self._changed.clear()


def _fields(message: Message) -> dict[str, Any]:
    """Return the fields of a message as `to_dict` does, but without copying the schema."""
    values = {field.name: getattr(message, field.name) for field in fields(message)}
    return {name: value for name, value in values.items() if value is not None}


def _member(name: str, bookmark: Mapping[str, Any]) -> bytes:
    """Return a bookmark as JSON, one of an account as a partition; empty where nothing stands in it."""
    account = account_of(name)
    context = {} if account is None else context_of(account)
    return ENCODER.encode({**context, **bookmark}) if bookmark else b""


def _joined(members: Mapping[str, bytes]) -> Iterator[bytes]:
    """Yield the members of `bookmarks`, the accounts of a stream as its partitions."""
    partitions: dict[str, list[bytes]] = {}
    for name, member in members.items():
        own = partitions.setdefault(shared_name(name), [])
        if member and account_of(name) is not None:
            own.append(member)
    for stream, own in partitions.items():
        value = members.get(stream, b"")
        if own:
            head = value[:-1] + b"," if value else b"{"
            value = b'%b"%b":[%b]}' % (head, PARTITIONS.encode(), b",".join(own))
        if value:
            yield b"%b:%b" % (ENCODER.encode(stream), value)


def _around(stream: str, version: int | None, at: datetime) -> tuple[bytes, bytes]:
    """Return the bytes before and after the record in a RECORD message; fields are in the SDK's order."""
    head = b'{"type":"RECORD","stream":%b,"record":' % ENCODER.encode(stream)
    shown = b"" if version is None else b',"version":%d' % version
    return head, b'%b,"time_extracted":%b}' % (shown, ENCODER.encode(at.isoformat()))
