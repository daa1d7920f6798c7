"""P11 for what lies outside the provider: three runs in a row, each with the STATE of the one before.

Two runs meet the obstacle and say how to remove it, the third one goes on with the jobs that exist: none is created or
paid for twice. `tests/engine/test_three_runs.py` plays what providers do; docs/state.md lists both for users.
"""

from __future__ import annotations

import resource
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tap_exports.sandbox import Sandbox
from tap_exports.testing.process import COMMAND, LIMIT_SECONDS, split
from tests.tap.harness import Json, Ran, arguments_of, tap
from tests.tap.test_batches import COMPANIES, batched, exelensia, rows

Boxes = Callable[..., Sandbox]
FILES_MOST_BYTES = 16_384  # of the export 54 kB
BREAKS = """
import os
from concurrent.futures import ThreadPoolExecutor

class Executor:
    def __init__(self):
        self.pool = ThreadPoolExecutor(1)

    def submit(self, work, task):
        if work.__name__ == "perform" and os.path.exists(os.environ["BROKEN"]):
            raise ConnectionError("the scheduler is gone")
        return self.pool.submit(work, task)
"""


def three(runs: Callable[[int, Json | None], Ran]) -> list[Ran]:
    """Run three times, with the STATE of the run before."""
    ran: list[Ran] = []
    for number in range(3):
        states = [state for each in ran for state in each.states]
        ran.append(runs(number, states[-1] if states else None))
    return ran


def created(box: Sandbox, provider: str) -> int:
    return sum(r["method"] == "POST" and r["status"] in {200, 201} for r in box.requests() if r["provider"] == provider)


def closed_port() -> int:
    """Return a port of loopback where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_an_executor_that_cannot_be_reached(tmp_path: Path, sandbox: Boxes) -> None:
    """No job is created and no credit spent while its address is wrong; the message names it and the setting."""
    box, port = sandbox(), closed_port()
    config = {**box.config("exelensia", "cornect"), **batched(tmp_path, "jsonl"), "executor_connect_seconds": 1}
    spent = [box.spend()]

    def run(number: int, state: Json | None) -> Ran:
        executor = f"dask:tcp://127.0.0.1:{port}" if number < 2 else "threads:2"
        ran = tap(tmp_path, {**config, "executor": executor}, state=state)
        spent.append(box.spend())
        return ran

    *lost, third = three(run)
    for ran in lost:
        assert ran.code == 1
        assert any(f"executor: Dask at tcp://127.0.0.1:{port}: " in error for error in ran.errors)
    assert spent[0] == spent[1] == spent[2]
    jobs = [each for each in third.succeeded().records["export_jobs"] if each["status"] == "completed"]
    made = {name: spent[3][name]["jobs_created"] - spent[0][name]["jobs_created"] for name in ("exelensia", "cornect")}
    # one of Cornect's exports is a job that the configuration names
    assert made == {"exelensia": sum(each["provider"] == "exelensia" for each in jobs), "cornect": 2}


def test_an_executor_that_breaks_once_the_job_exists(tmp_path: Path, sandbox: Boxes) -> None:
    """Its job is kept and read by the run in which the executor works."""
    box, broken = sandbox(), tmp_path / "broken"
    (tmp_path / "breaking_executor.py").write_text(BREAKS, encoding="utf-8")
    environment = {"PYTHONPATH": str(tmp_path), "BROKEN": str(broken)}
    config = exelensia(box, **batched(tmp_path, "jsonl"), executor="breaking_executor:Executor")
    broken.touch()

    def run(number: int, state: Json | None) -> Ran:
        if number == 2:
            broken.unlink()
        return tap(tmp_path, config, state=state, environment=environment)

    *lost, third = three(run)
    assert [(ran.code, "executor: breaking_executor:Executor: " in ran.errors[0]) for ran in lost] == [(1, True)] * 2
    assert rows(third.succeeded(), COMPANIES)
    assert created(box, "exelensia") == 1


def test_a_spool_disk_that_is_full(tmp_path: Path, sandbox: Boxes) -> None:
    """The job is kept; the run in which there is room downloads it."""
    box = sandbox()
    config = exelensia(box, spool_dir=str(tmp_path / "spool"))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (FILES_MOST_BYTES, resource.RLIM_INFINITY))

    def run(number: int, state: Json | None) -> Ran:
        words = [*COMMAND, *arguments_of(tmp_path, config, state=state)]
        ended = subprocess.run(
            words, capture_output=True, check=False, timeout=LIMIT_SECONDS, preexec_fn=limit if number < 2 else None
        )
        return Ran(*split(ended.returncode, ended.stdout, ended.stderr))

    *full, third = three(run)
    for ran in full:
        assert (ran.code, ran.records[COMPANIES]) == (1, [])
        assert f"the disk of `spool_dir` ({tmp_path / 'spool'}) is full" in ran.errors[0]
    assert third.succeeded().records[COMPANIES]
    assert created(box, "exelensia") == 1


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_storage_of_batches_that_cannot_be_reached(tmp_path: Path, sandbox: Boxes, form: str) -> None:
    """Where its place cannot be written the message names the setting; the job is read once it can."""
    box, place = sandbox(), tmp_path / "parts"
    config = exelensia(box, **batched(tmp_path, form))
    place.touch()  # a file where a folder is due

    def run(number: int, state: Json | None) -> Ran:
        if number == 2:
            place.unlink()
        return tap(tmp_path, config, state=state)

    *lost, third = three(run)
    for ran in lost:
        assert ran.code == 1
        assert "batch_config.storage: cannot write" in ran.errors[0]
    assert rows(third.succeeded(), COMPANIES)
    assert created(box, "exelensia") == 1


def test_a_quota_that_ends_later(tmp_path: Path, sandbox: Boxes) -> None:
    """One request finds it in each run, the message says until when, lists come all the same; then the run goes on."""
    box = sandbox()
    used_up = {"match": {"provider": "exelensia", "method": "POST"}, "action": {"status": 429, "retry_after": 86_400}}
    box.set_faults({"faults": [used_up]})

    def run(number: int, state: Json | None) -> Ran:
        if number == 2:
            box.set_faults({"faults": []})
        return tap(tmp_path, exelensia(box), state=state)

    *refused, third = three(run)
    for ran in refused:
        assert (ran.code, ran.records[COMPANIES]) == (1, [])
        assert " until " in ran.errors[0]
        assert "a run after that goes on" in ran.errors[0]
    assert refused[0].records["exelensia_files"]
    assert third.succeeded().records[COMPANIES]
    assert [r["status"] for r in box.requests() if r["method"] == "POST"] == [429, 429, 201]


def test_a_configuration_that_is_wrong(tmp_path: Path, sandbox: Boxes) -> None:
    """Nothing is requested meanwhile, and the job that an earlier run left open is read by the run that may go on."""
    box = sandbox()
    box.set_faults({"jobs": [{"provider": "exelensia", "seconds": 1}]})
    left = tap(tmp_path, exelensia(box, job_wait="detach")).succeeded()
    box.clear_requests()

    def run(number: int, state: Json | None) -> Ran:
        wrong = {"max_attempts": "many"} if number < 2 else {}
        if number == 2:
            assert box.requests() == []
        return tap(tmp_path, exelensia(box, **wrong), state=state or left.states[-1])

    *refused, third = three(run)
    for ran in refused:
        assert (ran.code, ran.messages) == (1, [])
        assert "max_attempts" in ran.errors[0]
    assert third.succeeded().records[COMPANIES]
    assert created(box, "exelensia") == 0
