"""`tap-exports prove`: what counts as lost, invented, made twice or shown, and a few cases played for real."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tap_exports.providers.declared.streams import SHIPPED
from tap_exports.proving import command as proving
from tap_exports.proving.matrix import Case, cases
from tap_exports.proving.processes import start
from tap_exports.proving.reader import Held, Tap
from tap_exports.proving.rig import KEY, History, kept_files
from tap_exports.proving.verdict import FAILINGS, judge
from tap_exports.sandbox.faults import Faults

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "helpdesk.yaml"
ROW = {"row_id": "1", "name": "a", "amount": "1.10"}
OTHER = {"row_id": "2", "name": None, "amount": "2.10"}
TRUTH = {"1": ROW, "2": OTHER}


USUAL = Case("x")


def history(*rows: Mapping[str, object], case: Case = USUAL, made: int = 3, code: int = 0, **held: object) -> History:
    kept = Held(rows={str(row["row_id"]): row for row in rows}, codes=[code], **held)  # type: ignore[arg-type] # of `Held`
    return History(case, kept, TRUTH, made, made)


def counts(each: History) -> tuple[int, ...]:
    found = judge(each, jobs=3)
    return found.lost, found.invented, found.changed, found.twice, found.secrets, found.stuck


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        (history(ROW, OTHER), (0, 0, 0, 0, 0, 0)),
        (history(ROW), (1, 0, 0, 0, 0, 0)),
        (history(ROW, OTHER, {"row_id": "3"}), (0, 1, 0, 0, 0, 0)),
        (history(ROW, {**OTHER, "name": ""}), (0, 0, 1, 0, 0, 0)),
        (history(ROW, OTHER, made=4), (0, 0, 0, 1, 0, 0)),
        (history(ROW, OTHER, made=4, case=Case("x", again=True)), (0, 0, 0, 0, 0, 0)),
        (history(ROW, OTHER, text=[f"key {KEY}"]), (0, 0, 0, 0, 1, 0)),
        (history(ROW, OTHER, text=["https://f.example/a?token=1"]), (0, 0, 0, 0, 1, 0)),
        (history(code=1, words="it says why", case=Case("x", refused=True)), (0, 0, 0, 0, 0, 0)),
        (history(case=Case("x", refused=True)), (2, 0, 0, 0, 0, 0)),  # refused by name, or it is lost
        (history(code=1, words="it says why"), (2, 0, 0, 0, 0, 1)),
        (history(ROW, OTHER, code=1), (0, 0, 0, 0, 0, 1)),
    ],
)
def test_verdicts(each: History, expected: tuple[int, ...]) -> None:
    """Rows lost, invented, changed, jobs made twice, secrets seen, runs that fail for ever."""
    assert counts(each) == expected
    assert judge(each, jobs=3).holds == (not any(expected))


def test_the_table_ends_with_the_sums() -> None:
    """And with how many cases hold."""
    verdicts = [judge(each, jobs=3) for each in (history(ROW), history(ROW, OTHER, made=5))]
    *_, sums, _, held = proving._table(verdicts).splitlines()
    assert (sums.split(), held) == (["all", "1", "0", "0", "2", "0", "0", "2"], "0 of 2 cases hold")


def test_rows_without_a_key_are_counted_each() -> None:
    """As an error page gives them that was read as CSV."""
    held = Held()
    for _ in range(2):
        held.keep({"<html>": "Sorry"})
    assert len(held.rows) == 2


def test_days_that_are_requested_again_are_no_jobs_made_twice(tmp_path: Path) -> None:
    """A run that goes on would make another job for them, which the first one did not do: `lookback` is 0 here."""
    export = {"name": "rows", "lookback": 3}
    Tap({}).prepare(tmp_path, {"declared": [{"api": {}, "exports": [export]}]})
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config["declared"] == [{"api": {}, "exports": [{**export, "lookback": 0}]}]


def test_what_a_reader_leaves_on_the_disk_is_searched(tmp_path: Path) -> None:
    """Also in folders; its configuration holds the key, and is no leak."""
    for name in ("config.json", "state.json", "deep/ledger.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name, encoding="utf-8")
    assert list(kept_files(tmp_path)) == ["deep/ledger.json", "state.json"]


NAMES = sorted(path.stem for path in SHIPPED.glob("*.yaml"))
SPECS = {name: yaml.safe_load((SHIPPED / f"{name}.yaml").read_text(encoding="utf-8")) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_the_matrix_crosses_every_fault_with_a_crash(name: str) -> None:
    """Each fault alone and with a crash point; names are unique, and every crash point is used."""
    found = {case.name: case for case in cases(SPECS[name], 200, 3)}
    alone = {said for said in found if "killed" not in said}
    crashes = {said for said in found if said.startswith("killed ")}
    crossed = [said.split("; ") for said in found if "; " in said]
    assert {fault for fault, _ in crossed} == alone
    assert {crash for _, crash in crossed} == {said for said in crashes if "answered" not in said}
    assert len(list(cases(SPECS[name], 200, 3))) == len(found) == 2 * len(alone) + len(crashes)
    assert all(Faults(case.plan) for case in found.values())  # the sandbox takes every plan


def test_only_a_declared_repetition_may_make_a_job_twice() -> None:
    """Where jobs are found in a list, a lost reply makes none."""
    said = "creation: reply lost, carried out"
    again = {name: next(c for c in cases(SPECS[name], 200, 3) if c.name == said).again for name in NAMES}
    assert again == {name: SPECS[name].get("lost_reply") == "repeat" for name in NAMES}


def test_counts_are_played_where_the_api_gives_one() -> None:
    """A file that ends early without a trace shows in nothing but the count."""
    counted = {name for name in NAMES if "count too low by one" in {c.name for c in cases(SPECS[name], 200, 3)}}
    traced = {name for name in NAMES if "file: cut without a trace" in {c.name for c in cases(SPECS[name], 200, 3)}}
    assert (
        counted
        == traced
        == {name for name in NAMES if "rows" in {**SPECS[name]["job"], **SPECS[name].get("proof", {})}}
    )
    with_digest = {**SPECS["marketo"], "proof": {"sha256": "fileChecksum"}}
    assert "a wrong checksum" in {case.name for case in cases(with_digest, 200, 3)}


@pytest.mark.process
def test_forks_end_as_processes_do(tmp_path: Path) -> None:
    """With an exit code, or by the signal that killed them; stdout is a pipe, stderr the log."""
    log = tmp_path / "log"
    version = start([sys.executable, "-m", "tap_exports", "--version"], log)
    with version.stdout as stdout:
        assert stdout.read().startswith(b"tap-exports")
    assert version.wait() == 0
    wrong = start([sys.executable, "-m", "tap_exports", "--no-such-option"], log)
    wrong.stdout.close()
    assert (wrong.wait(), "no-such-option" in log.read_text(encoding="utf-8")) == (2, True)
    serving = start([sys.executable, "-m", "tap_exports.sandbox"], log)
    with serving.stdout as stdout:
        assert b"control_url" in stdout.readline()
        assert serving.poll() is None
        serving.kill()
    assert serving.wait() == -signal.SIGKILL
    assert serving.poll() == -signal.SIGKILL


STARTER = """
import sys, time
from pathlib import Path
from tap_exports.proving.processes import start
if __name__ == "__main__":
    serving = start([sys.executable, "-m", "tap_exports.sandbox"], Path(sys.argv[1]))
    print(serving.stdout.readline().decode(), flush=True)
    time.sleep(60)
"""


@pytest.mark.process
def test_forks_end_with_who_started_them(tmp_path: Path) -> None:
    """Also if that is killed: no sandbox serves on."""
    (tmp_path / "starter.py").write_text(STARTER, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "starter.py"), str(tmp_path / "log")]
    starter = subprocess.Popen(command, stdout=subprocess.PIPE)
    with starter.stdout as stdout:  # type: ignore[union-attr] # it is a pipe
        address = urlsplit(json.loads(stdout.readline())["control_url"])
        starter.kill()
        starter.wait()
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        with contextlib.suppress(OSError), socket.create_connection((address.hostname, address.port), timeout=1):
            time.sleep(0.05)
            continue
        return
    pytest.fail("the sandbox still listens")


@pytest.mark.process
def test_cases_are_played_and_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A fault, a job that fails, a kill, and a fault with a kill, in sandboxes of their own."""
    wanted = ("creation: reply lost, carried out", "job: fail", "killed after job 1 was made", "file: cut without")
    crossed = "no rows at the source; killed "

    def some(*arguments: object) -> list[Case]:
        found = cases(*arguments)  # type: ignore[arg-type] # as given
        return [each for each in found if each.name.startswith(crossed if ";" in each.name else wanted)]

    monkeypatch.setattr(proving, "cases", some)
    assert proving.prove(EXAMPLE, 20, 2, "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told) == 1 + len(wanted) + 1
    sums = {name: sum(each[name] for each in told) for name in FAILINGS}
    assert sums == dict.fromkeys(sums, 0)
    assert {each["proof"] for each in told} == {"A"}
