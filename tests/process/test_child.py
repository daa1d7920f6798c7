"""A forked process is in nothing that tests look at different from one that was started."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tap_exports.sandbox import Sandbox, SandboxOptions
from tests.process.child import DEVNULL, KILLED, Child
from tests.tap.harness import tap

Scripts = Callable[..., Child]


@pytest.fixture
def script(tmp_path: Path) -> Scripts:
    """Fork a child that runs a script: `script("print(1)", folder=tmp_path)`."""

    def start(text: str, *arguments: str, **options: object) -> Child:
        path = tmp_path / "script.py"
        path.write_text(text, encoding="utf-8")
        given = {"path_name": str(path), "run_name": "__main__"}
        return Child(arguments, entry="runpy:run_path", given=given, **options)  # type: ignore[arg-type] # those of Child

    return start


@pytest.mark.parametrize("argument", ["--discover", "--version", "--about", "--nonsense"])
def test_forked_taps_say_what_started_ones_say(tmp_path: Path, argument: str) -> None:
    """Exit code, stdout and log are the same, but for the instants of the log."""
    with Sandbox(SandboxOptions(job_seconds=0)) as box:
        ran = [tap(tmp_path, box.config(), argument, fresh=fresh) for fresh in (True, False)]
    started, forked = ((each.code, each.lines, [line[23:] for line in each.stderr.splitlines()]) for each in ran)
    assert forked == started


def test_what_a_child_is_given(tmp_path: Path, script: Scripts) -> None:
    """Arguments, working directory, environment and PYTHONPATH are its own; its stdin is empty."""
    (tmp_path / "beside.py").write_text("WORD = 'found'", encoding="utf-8")
    text = "import beside, os, sys; print(sys.argv[1:], os.getcwd(), os.environ['A'], beside.WORD, sys.stdin.read())"
    environment = {"A": "b", "PYTHONPATH": str(tmp_path)}
    child = script(text, "x", folder=tmp_path, environment=environment)
    out, err = child.communicate(60)
    assert (child.wait(), out.decode(), err) == (0, f"['x'] {tmp_path} b found \n", b"")
    assert "A" not in os.environ


@pytest.mark.parametrize(("text", "code"), [("", 0), ("import sys; sys.exit(3)", 3), ("1 / 0", 1)])
def test_exit_codes(script: Scripts, text: str, code: int) -> None:
    child = script(text)
    _, err = child.communicate(60)
    assert (child.wait(), b"ZeroDivisionError" in err) == (code, "/" in text)


ENDLESS = "import time; print('ready', flush=True); time.sleep(600)"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGABRT])
def test_signals_end_it(script: Scripts, number: signal.Signals) -> None:
    child = script(ENDLESS, stderr=DEVNULL)
    assert child.stdout
    assert child.stdout.readline() == b"ready\n"
    assert child.poll() is None
    child.send_signal(number)
    child.communicate(60)
    assert child.wait() == child.poll() == -number


def test_an_interrupt_is_an_exception(script: Scripts) -> None:
    child = script(ENDLESS)
    assert child.stdout
    child.stdout.readline()
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(60)
    assert (child.wait() != 0, b"KeyboardInterrupt" in err) == (True, True)


def test_a_stop_is_told(script: Scripts) -> None:
    """A child that is stopped says so, and can go on."""
    child = script(ENDLESS)
    assert child.stdout
    child.stdout.readline()
    child.send_signal(signal.SIGSTOP)
    stops: list[int] = []

    def stopped() -> None:
        stops.append(child.pid)
        child.send_signal(signal.SIGKILL)

    assert (child.wait(on_stop=stopped), stops) == (KILLED, [child.pid])
    child.communicate(60)


def test_too_late_is_killed(script: Scripts) -> None:
    child = script(ENDLESS)
    with pytest.raises(subprocess.TimeoutExpired):
        child.communicate(0.2)
    assert child.wait() == KILLED
