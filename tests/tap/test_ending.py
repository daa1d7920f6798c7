"""How a run ends before its time: the last true STATE, promptly, without a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tap_exports.sandbox import Sandbox
from tests.tap.harness import COMMAND, arguments_of, tap

Boxes = Callable[..., Sandbox]
INVOICES = "exelensia_export_invoices"
PROMPT_SECONDS = 5


def one_export(box: Sandbox) -> dict[str, object]:
    config = box.config("exelensia")
    config["exelensia"]["exports"] = config["exelensia"]["exports"][:1]
    config["exelensia"]["exports"][0]["max_window_days"] = 10000
    config["end_date"] = "2026-01-01T00:00:00Z"  # one window, in every run the same
    return config


def state_with_a_job(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Read the tap's messages up to the first STATE with an open job."""
    assert process.stdout is not None
    for line in process.stdout:
        message = json.loads(line)
        bookmark = message.get("value", {}).get("bookmarks", {}).get(INVOICES, {})
        if bookmark.get("ledger", {}).get("jobs"):
            return dict(message["value"])
    raise AssertionError("the tap ended without an open job in STATE")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_while_a_job_runs(tmp_path: Path, sandbox: Boxes, number: signal.Signals) -> None:
    """A signal ends the run at once with the shell's exit code; the open job stands in the last STATE and goes on."""
    box = sandbox(job_seconds=600)
    config = one_export(box)
    process = subprocess.Popen(
        [*COMMAND, *arguments_of(tmp_path, config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    opened = state_with_a_job(process)
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, b"Traceback" in err) == (128 + number, False)
    assert time.monotonic() - began < PROMPT_SECONDS
    state = [opened, *(json.loads(line)["value"] for line in out.splitlines() if b'"STATE"' in line)][-1]
    (job,) = state["bookmarks"][INVOICES]["ledger"]["jobs"]
    box.clock.advance(600)
    again = tap(tmp_path, config, state=state).succeeded()
    assert [r["method"] for r in box.requests()].count("POST") == 1
    assert {r["_sdc_job_id"] for r in again.records[INVOICES]} == {job["id"]}


READ = """
import os, signal, time, pyarrow
from pyarrow import csv
from tap_exports import command

class Asked:
    closed, parts = False, [b"a\\n", b"1\\n"]

    def read(self, size):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
        return self.parts.pop(0) if self.parts else b""

def run():
    heard = []
    signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
    rows = csv.read_csv(pyarrow.PythonFile(Asked(), mode="r")).num_rows
    return 0 if rows == 1 and heard else 1

command.run = run
command.command()
"""


def test_signal_while_pyarrow_reads() -> None:
    """The tap hears a signal itself: pyarrow, which may take it for the time of a read, would now and then lose it."""
    done = subprocess.run([sys.executable, "-c", READ], check=False, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")


def test_closed_pipe(tmp_path: Path, sandbox: Boxes) -> None:
    """A target that went away ends the run promptly, without a traceback."""
    box = sandbox(rows=20_000)
    config = one_export(box)
    reading, writing = os.pipe()
    process = subprocess.Popen([*COMMAND, *arguments_of(tmp_path, config)], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    os.read(reading, 100)
    os.close(reading)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, b"Traceback" in err) == (141, False)
