"""One place writes messages: whole lines, exact values, the SDK's own form."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from singer_sdk.singerlib.encoding.simple import RecordMessage, SchemaMessage, SimpleSingerWriter

from tap_exports.engine.changes import Changes
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Job, LocalFile, Request, Rows, Status
from tap_exports.engine.publish.lines import dicts_of, record_lines
from tap_exports.engine.thrift import Thrift
from tap_exports.errors import Terminated
from tap_exports.singer.messages.writer import MessageWriter, StateLines

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)
RAW = {b"json": b"raw"}
REQUEST, OPEN = Request("p", "s", {"n": 1}), Request("p", "s", {"n": 2})
FILE = LocalFile("f.csv", Path("f.csv"), 10, "digest")


def batch() -> pa.RecordBatch:
    fields: list[pa.Field[Any]] = [
        pa.field("id", pa.int64()),
        pa.field("a b", pa.string()),
        pa.field("n", pa.string(), metadata=RAW),
    ]
    columns: list[pa.Array[Any]] = [
        pa.array([1, 2], pa.int64()),
        pa.array(["x\r\n\u2028“é", None], pa.string()),
        pa.array(["12345678901234567890.10", None], pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))


def written(monkeypatch: pytest.MonkeyPatch, rows: Rows, names: frozenset[str], version: int | None = None) -> bytes:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="utf-8"))
    MessageWriter().write_rows("s", rows, names, version, AT)
    return out.getvalue()


def test_numbers_keep_every_digit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that came as text is written digit by digit."""
    line = written(monkeypatch, Rows(batch()), frozenset({"n"})).splitlines()[0]
    assert b'"record":{"n":12345678901234567890.10}' in line


def test_messages_are_those_of_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches, lists of records and the SDK's own writer give the same messages."""
    names = frozenset({"id", "a b", "n", "_sdc_job_id"})
    rows = Rows(batch(), {"_sdc_job_id": "j", "_sdc_file": "not selected"})
    ours = [json.loads(line, parse_float=Decimal) for line in written(monkeypatch, rows, names, 7).splitlines()]
    listed = Rows(dicts_of(Rows(batch()), names), rows.constants)
    from_list = [json.loads(line, parse_float=Decimal) for line in written(monkeypatch, listed, names, 7).splitlines()]
    sdk = SimpleSingerWriter()
    theirs = [
        json.loads(sdk.format_message(RecordMessage("s", record, 7, AT)), parse_float=Decimal)
        for record in dicts_of(rows, names)
    ]
    assert ours == from_list == theirs


def test_rows_of_pages_and_files_have_one_order() -> None:
    """Data columns come first, lineage after them."""
    listed: list[dict[str, Any]] = [{"a": 1, "_sdc_row": 1}]
    for data in (listed, pa.RecordBatch.from_pylist(listed)):
        line = record_lines(Rows(data, {"_sdc_extra": None}), frozenset({"a", "_sdc_row", "_sdc_extra"}))
        assert bytes(line) == b'{"a":1,"_sdc_row":1,"_sdc_extra":null}\n'


def test_signal_waits_for_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal during a write ends the run after the whole line, never within it."""
    writer = MessageWriter()

    class Pipe(io.BytesIO):
        def write(self, data: object) -> int:
            writer.interrupt(signal.SIGTERM)
            return super().write(data)  # type: ignore[arg-type] # bytes in, as the writer gives them

    out = Pipe()
    monkeypatch.setattr(sys, "stdout", type("Stdout", (), {"buffer": out}))
    with pytest.raises(Terminated) as ended:
        writer.write_records("s", [{"a": 1}], None, AT)
    assert (ended.value.exit_code, out.getvalue()[-1:]) == (143, b"\n")


def test_signal_that_was_lost_ends_the_run_with_the_next_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a signal raises within a finaliser is printed and lost, so that the run would go on."""
    writer, out = MessageWriter(), io.BytesIO()
    monkeypatch.setattr(sys, "stdout", type("Stdout", (), {"buffer": out}))
    with contextlib.suppress(Terminated):
        writer.interrupt(signal.SIGTERM)
    with pytest.raises(Terminated):
        writer.write_records("s", [{"a": 1}], None, AT)
    assert out.getvalue()[-1:] == b"\n"
    writer.resume()
    writer.write_records("s", [{"a": 2}], None, AT)
    assert len(out.getvalue().splitlines()) == 2


def test_second_signal_does_not_wait() -> None:
    """A second signal ends a run whose target does not read any more."""
    writer = MessageWriter()
    writer._writing = True
    writer.interrupt(signal.SIGINT)
    with pytest.raises(Terminated):
        writer.interrupt(signal.SIGINT)


def test_schemas_read_as_those_of_the_sdk() -> None:
    """What is absent is left out, and an empty list is not."""
    prop = {"type": ["string", "null"], "description": None}
    schema = {"type": "object", "properties": {"a": prop}}
    for message in (SchemaMessage("s", schema, ("a",), ["a"]), SchemaMessage("s", schema, [])):
        assert MessageWriter().format_message(message) == SimpleSingerWriter().format_message(message).encode()


CHANGES: dict[str, Callable[[StreamState], object]] = {
    "the bookmark": lambda state: state.advance("id", 7),
    "an intent": lambda state: state.intend(REQUEST, AT),
    "a job": lambda state: state.opened(REQUEST, Job("k", Status.PENDING), AT),
    "a job that is let go": lambda state: state.forget(OPEN.fingerprint),
    "a full export that is done with": lambda state: state.close(OPEN, Job("j", Status.COMPLETED, created_at=AT)),
    "rows of a file": lambda state: state.note_rows("j", FILE, 3),
    "a look at the rows of a file": lambda state: state.rows_done("j", FILE),
    "bad bytes": lambda state: state.note_bad_read(OPEN.fingerprint, 2),
    "bad bytes for the last time": lambda state: state.note_bad_read(OPEN.fingerprint, 1),
    "a job to be deleted": lambda state: state.delete_later("j"),
    "a job that was deleted": lambda state: state.deleted("old"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_state_tells_of_every_change(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """A STATE is what is live, whole and in its order, though only what changed is put into text anew."""
    out, changes = io.BytesIO(), Changes()
    monkeypatch.setattr(sys, "stdout", type("Stdout", (), {"buffer": out}))
    lines, state = StateLines(MessageWriter(), changes, Thrift()), {"bookmarks": {"a": {}, "s": {}, "z": {"x": "“é"}}}
    one = StreamState("s", state["bookmarks"]["s"], changes)
    one.opened(OPEN, Job("j", Status.PENDING), AT)
    one.delete_later("old")
    del one._bookmark["ledger"]["jobs"][0]["files"]  # as a STATE may come
    lines.write_state(state)
    CHANGES[change](one)
    lines.write_state(state)
    proven = {"bookmarks": {stream: bookmark for stream, bookmark in state["bookmarks"].items() if bookmark}}
    last = out.getvalue().splitlines()[-1]
    assert last == msgspec.json.encode({"type": "STATE", "value": proven})


def test_state_keeps_what_others_put_beside_the_bookmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """An orchestrator may note something of its own; each STATE replaces the one before it."""
    out, changes = io.BytesIO(), Changes()
    monkeypatch.setattr(sys, "stdout", type("Stdout", (), {"buffer": out}))
    state = {"note": {"of": "others"}, "bookmarks": {"s": {"x": 1}, "t": {}}}
    StateLines(MessageWriter(), changes, Thrift()).write_state(state)
    expected = {"note": {"of": "others"}, "bookmarks": {"s": {"x": 1}}}
    assert msgspec.json.decode(out.getvalue()) == {"type": "STATE", "value": expected}


def test_state_that_a_signal_cut_short_is_still_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not written counts as changed until it is."""
    out, changes = io.BytesIO(), Changes()
    monkeypatch.setattr(sys, "stdout", type("Stdout", (), {"buffer": out}))
    writer = MessageWriter()
    lines, state = StateLines(writer, changes, Thrift()), {"bookmarks": {"s": {"x": 1}}}
    with monkeypatch.context() as patched:
        patched.setattr(writer, "write_line", lambda _: writer.interrupt(signal.SIGTERM))
        with pytest.raises(Terminated):
            lines.write_state(state)
    writer.resume()
    lines.write_state(state)
    lines.write_state(state)
    assert out.getvalue() == b'{"type":"STATE","value":{"bookmarks":{"s":{"x":1}}}}\n'
