"""Standard output whose reader is slow, stops, or gave a pipe that does not block."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

WRITE = """
import os, signal, sys
from tap_exports.errors import Terminated
from tap_exports.singer.messages.writer import MessageWriter
writer = MessageWriter()
signal.signal(signal.SIGTERM, lambda number, frame: writer.interrupt(number))
print("ready", file=sys.stderr, flush=True)
line = b'{"n":"' + b"x" * 99_990 + b'"}\\n'
try:
    for _ in range(COUNT):
        writer.write_line(line)
except Terminated as ending:
    writer.resume()
    try:
        writer.write_line(b'{"type":"STATE"}\\n')
    except Terminated:
        pass
    os._exit(ending.exit_code)
"""


@contextmanager
def writing(count: int, out: int) -> Iterator[subprocess.Popen[str]]:
    """Start a process that writes lines of 100 KB."""
    script = WRITE.replace("COUNT", str(count))
    with subprocess.Popen([sys.executable, "-c", script], stdout=out, stderr=subprocess.PIPE, text=True) as process:
        os.close(out)
        assert process.stderr
        assert process.stderr.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def rest(reader: int) -> bytes:
    with os.fdopen(reader, "rb") as pipe:
        return pipe.read()


@pytest.mark.parametrize("blocks", [True, False])
def test_stopped_reader_does_not_hold_a_signal(*, blocks: bool) -> None:
    """A write for which nobody reads ends some seconds after SIGTERM, and nothing follows half a line."""
    reader, out = os.pipe()
    os.set_blocking(out, blocks)
    with writing(100, out) as process:
        time.sleep(1)  # until the pipe is full
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 128 + signal.SIGTERM
        assert time.monotonic() - began < 8
        lines = rest(reader).split(b"\n")
        assert [len(line) for line in lines[:-1]] == [99_998] * (len(lines) - 1)
        assert b"STATE" not in lines[-1]


def test_reader_that_goes_on_gets_whole_lines() -> None:
    """A reader that is only slow gets the line that was being written when the signal came, and the last STATE."""
    reader, out = os.pipe()
    with writing(100, out) as process:
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        lines = rest(reader).splitlines()
        assert process.wait(timeout=20) == 128 + signal.SIGTERM
        assert [len(line) for line in lines[:-1]] == [99_998] * (len(lines) - 1)
        assert json.loads(lines[-1]) == {"type": "STATE"}


def test_pipe_that_does_not_block_gets_whole_lines() -> None:
    """A parent may hand over a non-blocking pipe: the writer waits until it takes more."""
    reader, out = os.pipe()
    os.set_blocking(out, False)
    with writing(100, out) as process:
        time.sleep(0.5)
        lines = rest(reader).splitlines()
        assert process.wait(timeout=20) == 0
        assert [len(line) for line in lines] == [99_998] * 100
