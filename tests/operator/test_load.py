"""`tap-exports load`: rows and STATE in one file, incremental at the second call, compared with the receipts."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import duckdb
import pytest

from tap_exports.command import ended
from tap_exports.sandbox import Sandbox, SandboxOptions
from tests.operator.calling import Caller
from tests.tap.harness import COMMAND, only

STREAM = "exelensia_export_invoices"
COUNT = "SELECT count(*) FROM exelensia_export_invoices"


@pytest.fixture
def box() -> Iterator[Sandbox]:
    """Run a sandbox."""
    with Sandbox(SandboxOptions()) as running:
        yield running


def load(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Call `tap-exports load exports.duckdb` in a folder."""
    command = [*COMMAND, "load", "exports.duckdb", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=90)


def ask(folder: Path, sql: str) -> list[Any]:
    """Query the file."""
    with duckdb.connect(str(folder / "exports.duckdb")) as database:
        return database.execute(sql).fetchall()


@pytest.mark.process
def test_second_call_brings_what_is_new(box: Sandbox, tmp_path: Path) -> None:
    """No STATE file and no setting is needed; the ledger stands beside the file, and receipts agree with the rows."""
    (tmp_path / "config.json").write_text(json.dumps(only(box.config("exelensia"), "exelensia")))
    first = load(tmp_path, "--config", "config.json", "--verify")
    assert first.returncode == 0, first.stderr
    jobs = {job["stream"]: job for job in json.loads(first.stdout)["jobs"]}
    assert {job["verdict"] for job in jobs.values()} == {"equal"}
    rows = ask(tmp_path, COUNT)
    assert (jobs[STREAM]["loaded"],) == rows[0]
    state = json.loads(ask(tmp_path, "SELECT state FROM _exports.state")[0][0])
    assert state["bookmarks"][STREAM]["replication_key_value"]
    assert (tmp_path / "exports.duckdb.ledger.json").exists()
    second = load(tmp_path, "--config", "config.json")
    assert (second.returncode, second.stdout) == (0, b"")
    assert f"{STREAM}: 0 rows".encode() in second.stderr
    assert ask(tmp_path, COUNT) == rows
    held = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); sys.stdin.read()"
    holder = [sys.executable, "-c", held, str(tmp_path / "exports.duckdb")]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        third = load(tmp_path, "--config", "config.json")
        process.communicate(b"")
    assert (third.returncode, b"open in another process" in third.stderr) == (1, True)


def test_what_cannot_be_done_is_told(tmp_path: Path, call: Caller) -> None:
    assert "no configuration" in call("load", "exports.duckdb").err
    missing = call("load", str(tmp_path / "missing.duckdb"), "--verify")
    assert (missing.code, "cannot be read" in missing.err) == (1, True)


LOADER = """
import os, signal, sys
if {number}: os.kill(os.getppid(), {number})
print("{{}}", flush=True)
sys.exit({code} if sys.stdin.read() == "" else 9)
"""


@pytest.fixture
def _handlers() -> Iterator[None]:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
        signal.signal(number, handler)


@pytest.mark.process
@pytest.mark.usefixtures("_handlers")
@pytest.mark.parametrize(
    "case",
    [
        (0, 0, "sys.exit(0)", 0),
        (0, 0, "sys.exit(4)", 4),
        (0, 5, "sys.exit(4)", 5),
        (0, 0, "os.kill(os.getpid(), signal.SIGTERM)", 143),
        (signal.SIGINT, 0, "sys.exit(7)", 130),
        (signal.SIGTERM, 0, "sys.exit(7)", 143),
    ],
)
def test_exit_code_of_both_processes(
    case: tuple[int, int, str, int], tmp_path: Path, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal that comes before the tap runs keeps it from starting; signals count as 128 and their number."""
    number, loader, tap, code = case
    for name, text in (
        ("LOADER", LOADER.format(number=int(number), code=loader)),
        ("TAP", f"import os, signal, sys\n{tap}"),
    ):
        script = tmp_path / f"{name}.py"
        script.write_text(text)
        monkeypatch.setattr(f"tap_exports.operator.load.{name}", [sys.executable, str(script)])
    done = call("load", str(tmp_path / "x.duckdb"), "--config", call.write("config.json", {}))
    assert (done.code, done.err) == (code, "")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, click.Abort])
def test_interrupt_has_its_exit_code(stop: type[BaseException]) -> None:
    """Click has Ctrl-C as an error of its own."""

    def call() -> int:
        raise stop

    assert ended(call) == 130


@pytest.mark.process
def test_accounts(tmp_path: Path) -> None:
    """Rows of all accounts are in one table by account, STATE has their partitions, and each one's receipts agree.

    The second call asks for nothing again, whatever the names hold.
    """
    names = ("north", 'S\u00fcd & "1"@x\n; --')
    with Sandbox(SandboxOptions(accounts=("north", "south"))) as box:
        config = only(box.config("exelensia"), "exelensia")
        for entry, name in zip(config["exelensia"]["accounts"], names, strict=True):
            entry["name"] = name
        (tmp_path / "config.json").write_text(json.dumps(config))
        first = load(tmp_path, "--config", "config.json", "--verify")
        assert first.returncode == 0, first.stderr
        assert {(j["account"], j["verdict"]) for j in json.loads(first.stdout)["jobs"] if j["stream"] == STREAM} == {
            (name, "equal") for name in names
        }
        by_account = "SELECT _sdc_account, count(*) FROM exelensia_export_invoices GROUP BY ALL ORDER BY ALL"
        rows = ask(tmp_path, by_account)
        assert rows == sorted((name, rows[0][1]) for name in names)
        state = json.loads(ask(tmp_path, "SELECT state FROM _exports.state")[0][0])
        partitions = state["bookmarks"][STREAM]["partitions"]
        assert [each["context"]["_sdc_account"] for each in partitions] == list(names)
        second = load(tmp_path, "--config", "config.json", "--verify")
        assert second.returncode == 0, second.stderr
        assert f"{STREAM}@north: 0 rows".encode() in second.stderr
        assert ask(tmp_path, by_account) == rows


@pytest.mark.process
def test_three_calls_on_a_file_that_another_process_holds(box: Sandbox, tmp_path: Path) -> None:
    """P11: while it is held nothing is created, and the message says why; once it is free all rows come."""
    (tmp_path / "config.json").write_text(json.dumps(only(box.config("exelensia"), "exelensia")))
    with duckdb.connect(str(tmp_path / "exports.duckdb")):
        held = [load(tmp_path, "--config", "config.json") for _ in range(2)]
        assert box.requests() == []
    free = load(tmp_path, "--config", "config.json", "--verify")
    for refused in held:
        assert (refused.returncode, refused.stdout) == (1, b"")
        assert b"exports.duckdb is open in another process" in refused.stderr
        assert b"Traceback" not in refused.stderr
    assert free.returncode == 0, free.stderr
    assert {job["verdict"] for job in json.loads(free.stdout)["jobs"]} == {"equal"}
