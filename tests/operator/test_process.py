"""The command as users start it: subcommands beside the Singer options, exit codes, and Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.subcommands import SUBCOMMANDS
from tests.operator.calling import Json
from tests.tap.harness import COMMAND, only, tap

WRONG: Json = {"exelensia": {"api_key": "secret", "api_url": "https://no-such-host.invalid"}}
STATE: Json = {"bookmarks": {"a": {"replication_key_value": "b"}}}
IMPORTED = "import json, runpy, sys; sys.argv = ['tap-exports', *sys.argv[1:]]; import atexit, os; os._exit = sys.exit;"
IMPORTED += "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr)); "
IMPORTED += "runpy.run_module('tap_exports', run_name='__main__')"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["plan", "--config", "config.json"], 3),
        (["jobs", "--config", "config.json"], 3),
        (["doctor", "--config", "config.json", "--no-facts"], 3),
        (["forget", "a", "--state", "state.json"], 0),
        (["replay", "a", "--from", "1", "--to", "2", "--config", "config.json", "--state", "state.json"], 1),
        (["backfill", "a", "--from", "1", "--to", "2", "--config", "config.json"], 1),
        (["init", "--provider", "cension"], 1),
        (["jobs", "--nonsense"], 2),
    ],
)
def test_exit_codes(tmp_path: Path, arguments: list[str], code: int) -> None:
    """No traceback, whatever the end; what is written to standard output is JSON or nothing."""
    (tmp_path / "config.json").write_text(json.dumps({**WRONG, "max_attempts": 1}))
    (tmp_path / "state.json").write_text(json.dumps(STATE))
    done = subprocess.run([*COMMAND, *arguments], cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr
    assert code not in {0, 3} or json.loads(done.stdout)
    assert code in {0, 3} or done.stdout == b""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dcotor"], "there is no subcommand `dcotor`; the nearest is `doctor`"),
        (["--config", "config.json", "plan"], "a subcommand is the first argument: tap-exports plan …"),
    ],
)
def test_a_misplaced_subcommand_is_told_where_it_stands(tmp_path: Path, arguments: list[str], message: str) -> None:
    """The Singer command takes no arguments, so it would speak of an unexpected one."""
    (tmp_path / "config.json").write_text(json.dumps(WRONG))
    done = subprocess.run([*COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, message in done.stderr) == (2, "", True), done.stderr


def test_help_lists_the_subcommands(tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert [name for name, text in SUBCOMMANDS.items() if f"  {name:<10} {text}" not in done.stdout] == []


def test_the_test_of_connections_says_its_verdicts_only(tmp_path: Path) -> None:
    with Sandbox(SandboxOptions(job_seconds=0)) as box:
        ran = tap(tmp_path, box.config("exelensia", "cension"), "--test")
    assert (ran.code, ran.stderr) == (0, "")
    assert [line.decode() for line in ran.lines] == ["cension: ok, 3 streams", "exelensia: ok, 9 streams"]


def test_a_run_imports_no_subcommand(tmp_path: Path) -> None:
    """The start of a run stays what it was: neither the subcommands nor what draws their tables is loaded."""
    command = [sys.executable, "-c", IMPORTED, "--version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=60)
    modules = json.loads(done.stderr.splitlines()[-1])
    assert "tap_exports.tap" in modules
    assert [name for name in modules if name.startswith(("rich", "tap_exports.operator."))] == []


def test_ctrl_c_ends_a_watch(tmp_path: Path) -> None:
    with Sandbox(SandboxOptions(job_seconds=3600)) as box:
        given = {**only(box.config("exelensia"), "exelensia"), "job_wait": "detach"}
        state = tap(tmp_path, given).succeeded().states[-1]
        job = next(b["ledger"]["jobs"][0]["id"] for b in state["bookmarks"].values() if b.get("ledger", {}).get("jobs"))
        watch = [*COMMAND, "jobs", "watch", job, "--config", str(tmp_path / "config.json")]
        running = subprocess.Popen(watch, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert running.stdout is not None
        assert json.loads(running.stdout.readline())["job"] == job
        began = time.monotonic()
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=20)
    assert (running.returncode, b"Traceback" in err) == (130, False)
    assert time.monotonic() - began < 10
