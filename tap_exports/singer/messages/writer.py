"""The one place that writes messages: whole batches in single writes, never half a line.

Rows go through `lines`, STATE through the same encoder, SCHEMA and the rest through the SDK's own serialisation. One
`time_extracted` stands for a batch.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from singer_sdk.helpers._state import StateWriter
from singer_sdk.singerlib.encoding.base import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import Message, SchemaMessage
from singer_sdk.singerlib.json import serialize_json

from tap_exports.engine.changes import Changes
from tap_exports.engine.model import Rows
from tap_exports.engine.publish.lines import ENCODER, around, record_lines
from tap_exports.errors import Terminated

try:
    import fcntl
except ImportError:  # Windows has no fcntl, and no pipe to resize
    fcntl = None  # type: ignore[assignment] # the name stays bound to nothing there

PIPE_BYTES = 1 << 20
F_SETPIPE_SZ = 1031
BROKEN_PIPE_EXIT = 141


class MessageWriter(GenericSingerWriter[bytes, Message]):
    """Writes messages to standard output, each write whole lines."""

    def __init__(self) -> None:
        """Ask the pipe for a larger buffer where the system knows that (Linux)."""
        super().__init__()
        self._writing = False
        self._signal: int | None = None
        with contextlib.suppress(OSError, ValueError, AttributeError, io.UnsupportedOperation):
            fcntl.fcntl(sys.stdout.fileno(), F_SETPIPE_SZ, PIPE_BYTES)

    def serialize_message(self, message: Message) -> bytes:
        """Return a message as a line of JSON, without its end."""
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
            version: Of a full-table read, or None.
            at: `time_extracted` of the batch.
        """
        head, tail = _around(stream, version, at)
        self._write(record_lines(rows, names, head, tail))

    def write_records(self, stream: str, records: Sequence[Any], version: int | None, at: datetime) -> None:
        """Write records that are dicts as RECORD messages."""
        head, tail = _around(stream, version, at)
        self._write(around(ENCODER.encode_lines(records), head, tail))

    def write_line(self, line: bytes) -> None:
        """Write a line that is a message."""
        self._write(line)

    def interrupt(self, signal_number: int) -> None:
        """End the run: at once, or after the write that is under way; a second signal does not wait.

        What is raised while a finaliser runs is printed and lost: then the next write ends the run.

        Raises:
            Terminated: With the exit code that shells give to the signal.
        """
        waits = self._writing and self._signal is None
        self._signal = signal_number
        if not waits:
            raise Terminated(128 + signal_number)

    def resume(self) -> None:
        """Forget the signal: what is written from here on is the end of the run."""
        self._signal = None

    def _write(self, data: bytes | memoryview) -> None:
        self._writing = True
        try:
            _write_all(data)
        except BrokenPipeError:
            raise Terminated(BROKEN_PIPE_EXIT) from None
        finally:
            self._writing = False
        if self._signal is not None:
            raise Terminated(128 + self._signal)


class StateLines(StateWriter):
    """Writes STATE where it changed; a stream that has proven nothing yet leaves no trace in it.

    Every STATE is whole; only what changed is put into text anew.

    Args:
        writer: Where lines go.
        changes: Names the bookmarks that may have changed.
    """

    def __init__(self, writer: MessageWriter, changes: Changes) -> None:
        """Start with nothing written."""
        super().__init__(writer)
        self._writer = writer
        self._changed = changes.reader()
        self._members: dict[str, bytes] = {}  # of `bookmarks` as written, in its order; empty where nothing is proven

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Write STATE, unless it is the one that was written last; STATE without a bookmark is none."""
        bookmarks = state.get("bookmarks", {})
        if len(bookmarks) != len(self._members):
            self._changed.update(stream for stream in bookmarks if stream not in self._members)
            self._members = {stream: self._members.get(stream, b"") for stream in bookmarks}
        news = {stream: _member(stream, bookmarks[stream]) for stream in self._changed & bookmarks.keys()}
        if any(member != self._members[stream] for stream, member in news.items()):
            members = self._members | news
            if text := b",".join(filter(None, members.values())):
                others = ENCODER.encode({name: value for name, value in state.items() if name != "bookmarks"})
                head = others[:-1] + b"," if len(others) > len(b"{}") else b"{"
                self._writer.write_line(b'{"type":"STATE","value":%b"bookmarks":{%b}}}\n' % (head, text))
            self._members = members  # not before: what a signal cut short is still to be written
        self._changed.clear()


def _fields(message: Message) -> dict[str, Any]:
    """Return what a message without messages in it holds, as `to_dict` does, which copies whole schemas."""
    values = {field.name: getattr(message, field.name) for field in fields(message)}
    return {name: value for name, value in values.items() if value is not None}


def _member(stream: str, bookmark: Mapping[str, Any]) -> bytes:
    return b"%b:%b" % (ENCODER.encode(stream), ENCODER.encode(bookmark)) if bookmark else b""


def _around(stream: str, version: int | None, at: datetime) -> tuple[bytes, bytes]:
    """Return what stands before and behind a record in its message; the order of the fields is that of the SDK."""
    head = b'{"type":"RECORD","stream":%b,"record":' % ENCODER.encode(stream)
    shown = b"" if version is None else b',"version":%d' % version
    return head, b'%b,"time_extracted":%b}' % (shown, ENCODER.encode(at.isoformat()))


def _write_all(data: bytes | memoryview) -> None:
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError, AttributeError):
        _write_redirected(data)
        return
    sys.stdout.flush()
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _write_redirected(data: bytes | memoryview) -> None:
    """Write where standard output is replaced by an object without a descriptor, as tests do."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        sys.stdout.write(bytes(data).decode())
    else:
        buffer.write(data)
