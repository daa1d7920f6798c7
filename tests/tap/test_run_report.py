"""The run report and the progress of whole runs: on a pipe, on a terminal, in a file, however the run ends."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tap_exports.sandbox import Sandbox
from tests.tap.harness import COMMAND, Ran, arguments_of, tap

Boxes = Callable[..., Sandbox]
COMPANIES, INVOICES = "exelensia_export_companies", "exelensia_export_invoices"


def exports_of(box: Sandbox, *names: str) -> dict[str, Any]:
    """Return a configuration of some of Exelensia's exports, each in one window."""
    config: dict[str, Any] = box.config("exelensia")
    wanted = [each for each in config["exelensia"]["exports"] if each["name"] in names]
    config["exelensia"]["exports"] = [{**each, "max_window_days": 10000} for each in wanted]
    config["end_date"] = "2026-01-01T00:00:00Z"
    return config


def report_of(ran: Ran) -> dict[str, Any]:
    """Return the report: the last line of stderr."""
    return dict(json.loads(ran.stderr.splitlines()[-1])["run_report"])


def lines_of(ran: Ran, level: str) -> list[str]:
    return [line.split("| ", 3)[3] for line in ran.stderr.splitlines() if f"| {level}" in line]


def test_a_run_on_a_pipe_ends_with_one_line_of_json(tmp_path: Path, sandbox: Boxes) -> None:
    ran = tap(tmp_path, exports_of(sandbox(), "companies", "invoices")).succeeded()
    told = report_of(ran)
    streams = {each["name"]: each for each in told["streams"]}
    assert (told["ending"], told["exit_code"], told["windows"], told["advice"]) == ("complete", 0, [], [])
    assert streams[COMPANIES]["rows"] == len(ran.records[COMPANIES])
    assert {each["outcome"] for each in streams.values()} == {"complete"}
    (job,) = [each for each in told["jobs"] if each["stream"] == COMPANIES]
    (receipt,) = [each for each in ran.records["export_jobs"] if each["stream"] == COMPANIES]
    assert [job[name] for name in ("job_id", "rows", "bytes", "status")] == [
        receipt[name] for name in ("job_id", "rows", "bytes", "status")
    ]
    phases = [span["phase"] for span in job["spans"]]
    assert (phases[0], phases[-2:]) == ("queued", ["downloading", "reading"])


def test_the_file_is_written_by_option_and_by_setting(tmp_path: Path, sandbox: Boxes) -> None:
    """The option goes before the setting."""
    config = exports_of(sandbox(), "companies")
    one, other = tmp_path / "one.html", tmp_path / "other.html"
    tap(tmp_path, {**config, "report": str(one)}).succeeded()
    assert COMPANIES in one.read_text(encoding="utf-8")
    one.unlink()
    tap(tmp_path, {**config, "report": str(one)}, "--report", str(other)).succeeded()
    assert (one.exists(), other.exists()) == (False, True)


def test_a_file_that_cannot_be_written_changes_no_exit_code(tmp_path: Path, sandbox: Boxes) -> None:
    ran = tap(tmp_path, exports_of(sandbox(), "companies"), "--report", str(tmp_path / "no" / "r.html"))
    assert ran.code == 0
    assert ran.errors == ["the run report cannot be written: No such file or directory; see the setting `report`"]


def test_a_failed_run_ends_with_each_stream_and_its_reason(tmp_path: Path, sandbox: Boxes) -> None:
    """The last lines name every failed stream with reason and remedy, and so does the report, in HTML as well."""
    box = sandbox(faults={"faults": [{"match": {"origin": "files"}, "action": {"replace": {"text": "no"}}}]})
    path = tmp_path / "report.html"
    ran = tap(tmp_path, exports_of(box, "companies", "invoices"), "--report", str(path))
    told = report_of(ran)
    failed = {each["name"]: each["reason"] for each in told["streams"] if each["outcome"] == "failed"}
    assert (ran.code, sorted(failed)) == (1, [COMPANIES, INVOICES]), ran.stderr
    assert ran.errors[:-1] == [f"{COMPANIES}, {INVOICES}: {failed[COMPANIES]}"]
    assert (failed[COMPANIES], "or set `schema` for its columns" in failed[COMPANIES]) == (failed[INVOICES], True)
    assert ran.errors[-1].startswith("2 of ")
    assert [window["stream"] for window in told["windows"]] == [COMPANIES, INVOICES]
    assert told["advice"][-1].startswith("Run again: STATE holds what was proven")
    assert "its job is open; the stream failed" in path.read_text(encoding="utf-8")


def test_a_refused_key_is_one_line_per_provider(tmp_path: Path, sandbox: Boxes) -> None:
    config: dict[str, Any] = sandbox().config("exelensia", "packagex")
    config["exelensia"]["api_key"] = "wrong-key-0001"
    ran = tap(tmp_path, config)
    refused = [line for line in ran.stderr.splitlines() if "was refused" in line and not line.startswith("{")]
    assert [("| WARNING" in line, "| ERROR" in line) for line in refused] == [(True, False), (False, True)], refused
    assert COMPANIES in refused[1]
    assert "exelensia_files" in refused[1]
    assert "wrong-key-0001" not in ran.stderr


def test_an_outage_is_told_once_for_all_streams(tmp_path: Path, sandbox: Boxes) -> None:
    """Each stream fails by name, and none but the first waits through all attempts."""
    box = sandbox(faults={"faults": [{"match": {"provider": "exelensia"}, "action": {"status": 503}}]})
    config: dict[str, Any] = box.config("exelensia")
    ran = tap(tmp_path, {**config, "max_attempts": 3})
    told = report_of(ran)
    assert {each["outcome"] for each in told["streams"] if each["name"].startswith("exelensia")} == {"failed"}
    assert len([line for line in lines_of(ran, "WARNING") if "503" in line]) <= 3, ran.stderr


def test_a_signal_leaves_a_report(tmp_path: Path, sandbox: Boxes) -> None:
    """Also then the file is there, with the open job and its phases, and the exit is prompt."""
    box = sandbox(job_seconds=600)
    path = tmp_path / "report.html"
    arguments = [*COMMAND, *arguments_of(tmp_path, exports_of(box, "companies")), "--report", str(path)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    while b'"jobs":[{"id"' not in process.stdout.readline():
        pass
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, time.monotonic() - began < 5) == (143, True)
    told = json.loads(err.splitlines()[-1])["run_report"]
    assert (told["ending"], [each["outcome"] for each in told["streams"] if each["name"] == COMPANIES]) == (
        "ended by SIGTERM",
        ["open"],
    )
    assert "ended by SIGTERM" in path.read_text(encoding="utf-8")


def test_open_jobs_are_told_at_the_end(tmp_path: Path, sandbox: Boxes) -> None:
    """With detach the run says what it leaves to the next one."""
    box = sandbox(job_seconds=600)
    ran = tap(tmp_path, {**exports_of(box, "companies"), "job_wait": "detach"}).succeeded()
    assert lines_of(ran, "INFO")[-1] == "1 job open, the next run goes on with it"
    assert report_of(ran)["windows"][0]["why"] == "its job is open"


def test_info_says_one_line_per_phase_and_none_of_deselected_streams(tmp_path: Path, sandbox: Boxes) -> None:
    ran = tap(tmp_path, exports_of(sandbox(), "companies")).succeeded()
    of_job = [line for line in lines_of(ran, "INFO") if line.startswith(f"{COMPANIES}: job ")]
    assert [re.sub(r"job \S+ (\w+).*", r"\1", line.partition(": ")[2]) for line in of_job] == ["created", "proven"]
    assert not [line for line in ran.stderr.splitlines() if "Beginning sync" in line or "Skipping" in line]


def on_a_terminal(arguments: list[str], columns: int) -> tuple[int, str]:
    """Run a command with stderr on a pseudo-terminal; return its exit code and what the terminal got."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=theirs, env=environment)
    os.close(theirs)
    said = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        said += piece
    os.close(ours)
    return process.wait(timeout=60), said.decode()


@pytest.mark.parametrize("columns", [0, 120])
def test_a_terminal_shows_waiting_jobs_then_a_table(tmp_path: Path, sandbox: Boxes, columns: int) -> None:
    """Also one that reports no width. Lines of the log stand on lines of their own."""
    box = sandbox(job_seconds=2)
    code, said = on_a_terminal([*COMMAND, *arguments_of(tmp_path, exports_of(box, "companies"))], columns)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
    assert code == 0, said
    assert re.search(rf"  {COMPANIES} (PENDING|PROCESSING), \d\.\d s, job ", plain), plain
    assert "complete in " in plain
    assert re.search(rf"│ {COMPANIES} +│ complete", plain), plain
    logged = [line for line in re.split(r"[\r\n]+", plain) if "| INFO " in line]
    assert logged
    assert all(re.match(r"\d{4}-\d\d-\d\d ", line) for line in logged), logged


def test_a_terminal_shows_the_learned_time_and_never_stands_still(tmp_path: Path, sandbox: Boxes) -> None:
    """The second window of a stream is shown with the time of the first; the clock goes on while nothing happens."""
    config = exports_of(sandbox(job_seconds=3), "companies")
    config["exelensia"]["exports"][0]["max_window_days"] = 400
    config["max_concurrent_jobs"] = 1
    code, said = on_a_terminal([*COMMAND, *arguments_of(tmp_path, config)], 120)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
    assert code == 0, said
    assert re.search(rf"  {COMPANIES} in line, \d\.\d s\s", plain), plain
    assert re.search(rf"  {COMPANIES} (PENDING|PROCESSING), \d\.\d s of usually [34]\.\d s, job ", plain), plain
    shown = dict.fromkeys(re.findall(r"(\d+\.\d) s(?:, now \w+)?\s+(?=  \w+ (?:PENDING|PROCESSING))", plain))
    assert len(shown) >= 12, shown  # four looks a second, over the two jobs of three seconds


def test_a_terminal_ends_with_what_is_open(tmp_path: Path, sandbox: Boxes) -> None:
    config = {**exports_of(sandbox(job_seconds=600), "companies"), "job_wait": "detach"}
    code, said = on_a_terminal([*COMMAND, *arguments_of(tmp_path, config)], 160)
    assert code == 0, said
    assert "1 job open, the next run goes on with it\r\n" in said
    assert re.search(rf"open: {COMPANIES} .*: its job is open", said), said
