"""`executor`: several files are converted at once, and nobody can tell from the messages."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tap_exports.sandbox import Sandbox
from tests.process.child import DEVNULL, Child
from tests.tap.harness import Json, Ran, arguments_of, tap
from tests.tap.test_batches import COMPANIES, FORMATS, batched, exelensia, messages, parts, rows

Boxes = Callable[..., Sandbox]
LOAD = "exelensia_export_load"
WINDOWS = 7
FACTORY = """
import json, os, pickle
from concurrent.futures import ThreadPoolExecutor

class Executor:
    def __init__(self):
        self.pool = ThreadPoolExecutor(2)

    def submit(self, work, task):
        with open(os.environ["SEEN"], "a", encoding="utf-8") as seen:
            seen.write(json.dumps(task) + "\\n")
        return self.pool.submit(*pickle.loads(pickle.dumps((work, task))))

class Nothing:
    pass

number = 5
"""

NO_DASK = """
import sys

sys.modules["distributed"] = None
"""

DASK = """
import os, pathlib
from own_executor import Executor

class Client:
    def __init__(self, address):
        pathlib.Path(os.environ["SEEN"] + ".address").write_text(address)

    def get_executor(self):
        return Executor()
"""


def windows(box: Sandbox, folder: Path, form: str, **changes: object) -> Json:
    """Return a configuration of one export in seven windows, three of them with rows; jobs are created in order."""
    config = exelensia(
        box,
        **{
            "max_concurrent_jobs": 1,
            "end_date": "2024-06-30T00:00:00Z",
            **batched(folder, form, batch_size=20),
            **changes,
        },
    )
    config["exelensia"]["exports"][0]["max_window_days"] = 30
    return config


def shown(ran: Ran, stream: str) -> list[Any]:
    """Return what a stream's messages say, STATE included, without what differs between any two runs."""
    kept = [m for m in ran.messages if m.get("stream") in {stream, None}]
    return [m["manifest"] if m["type"] == "BATCH" else _timeless(m) for m in kept]


def _timeless(message: Json) -> Json:
    """Leave out of STATE which jobs wait at the moment: that is a matter of time in any mode."""
    bookmark = message.get("value", {}).get("bookmarks", {}).get(COMPANIES, {})
    return {"proven": bookmark.get("replication_key_value")} if message["type"] == "STATE" else message


def distinct(said: list[Any]) -> list[Any]:
    return [each for before, each in zip([None, *said], said, strict=False) if each != before]


@pytest.mark.parametrize("form", FORMATS)
def test_same_messages_whatever_the_executor(tmp_path: Path, sandbox: Boxes, form: str) -> None:
    """One thread or four: the same parts with the same names in the same order, each window's STATE behind them.

    The parts are those that the reader of rows makes, which a guard on columns calls for.
    """
    said, held, urls = [], [], []
    for number, executor in enumerate(("threads:1", "threads:4", "guarded")):
        (folder := tmp_path / str(number)).mkdir()
        config = windows(sandbox(), tmp_path, form)
        if executor == "guarded":
            config["exelensia"]["exports"][0]["expect_columns"] = ["symbol"]
        else:
            config["executor"] = executor
        ran = tap(folder, config).succeeded()
        said.append(distinct(shown(ran, COMPANIES)))
        held.append(rows(ran, COMPANIES))
        urls.append([m["manifest"] for m in messages(ran, "BATCH", COMPANIES)])
    assert said[0] == said[1]
    assert held[0] == held[1] == held[2] != []
    assert urls[0] == urls[1] == urls[2]
    assert not list((tmp_path / "parts").glob("*.tmp"))


def test_windows_are_announced_in_order(tmp_path: Path, sandbox: Boxes) -> None:
    """Though a later file is here first, its parts wait for those before; STATE covers what was announced, no more."""
    slow = {"match": {"origin": "files", "nth": 1}, "action": {"slow": {"delay_seconds": 1.5}}}
    config = windows(sandbox(faults={"faults": [slow]}), tmp_path, "jsonl", max_concurrent_jobs=4)
    ran = tap(tmp_path, config).succeeded()
    expected = tap(tmp_path, windows(sandbox(), tmp_path, "jsonl", executor="threads:1")).succeeded()
    assert jobless(ran) == jobless(expected)
    starts = [row["_sdc_window_start"] for row in rows(ran, COMPANIES)]
    assert starts == sorted(starts)
    assert len(set(starts)) > 2


def jobless(ran: Ran) -> list[list[Json]]:
    """Return the rows of each part without their job's id, which differs where jobs are created at once."""
    return [[{**row, "_sdc_job_id": None} for row in part] for part in parts(ran, COMPANIES)]


def factory(folder: Path) -> dict[str, str]:
    """Write a module with an executor of its own and return the environment in which it is found."""
    (folder / "own_executor.py").write_text(FACTORY, encoding="utf-8")
    return {
        "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "SEEN": str(folder / "seen"),
    }


def test_own_executor_gets_values_without_keys(tmp_path: Path, sandbox: Boxes) -> None:
    """A task is JSON and holds no credential of the configuration, the storage's included; the rows are the same."""
    config = windows(sandbox(), tmp_path, "jsonl", executor="own_executor:Executor")
    config["batch_config"]["storage"]["params"] = {"auto_mkdir": True, "token": "STORAGE-SECRET"}
    keys = [config["exelensia"]["api_key"], "STORAGE-SECRET"]
    ran = tap(tmp_path, config, environment=factory(tmp_path), fresh=True).succeeded()
    tasks = (tmp_path / "seen").read_text(encoding="utf-8")
    assert len(tasks.splitlines()) > 2
    assert [key for key in keys if key in tasks] == []
    plain = tap(tmp_path, windows(sandbox(), tmp_path, "jsonl")).succeeded()
    assert parts(ran, COMPANIES) == parts(plain, COMPANIES) != []


def test_expired_url_is_renewed_for_an_own_executor(tmp_path: Path, sandbox: Boxes) -> None:
    """The work answers that the URL is refused; the tap asks for another one and hands the file in again."""
    gone = {"match": {"origin": "files", "nth": 1}, "action": {"status": 403}}
    config = windows(sandbox(faults={"faults": [gone]}), tmp_path, "jsonl", executor="own_executor:Executor")
    ran = tap(tmp_path, config, environment=factory(tmp_path)).succeeded()
    tasks = [json.loads(line) for line in (tmp_path / "seen").read_text(encoding="utf-8").splitlines()]
    assert sorted(Counter(task["part"]["scope"] for task in tasks).values())[-2:] == [1, 2]
    assert len({task["file"]["url"] for task in tasks}) == len(tasks)
    plain = tap(tmp_path, windows(sandbox(), tmp_path, "jsonl")).succeeded()
    assert parts(ran, COMPANIES) == parts(plain, COMPANIES) != []


def test_dask_is_asked_for_an_executor(tmp_path: Path, sandbox: Boxes) -> None:
    """The address goes to its client, whose executor gets the same tasks as any other."""
    environment = factory(tmp_path)
    (tmp_path / "distributed.py").write_text(DASK, encoding="utf-8")
    config = windows(sandbox(), tmp_path, "parquet", executor="dask:tcp://scheduler:8786")
    ran = tap(tmp_path, config, environment=environment).succeeded()
    assert len((tmp_path / "seen").read_text(encoding="utf-8").splitlines()) == WINDOWS
    assert rows(ran, COMPANIES)
    assert (tmp_path / "seen.address").read_text(encoding="utf-8") == "tcp://scheduler:8786"


@pytest.mark.parametrize("error", ["OSError", "TimeoutError", "ValueError"])
def test_dask_scheduler_that_does_not_answer(tmp_path: Path, sandbox: Boxes, error: str) -> None:
    """The setting is named with the address: the client gave up, or cannot read the address."""
    environment = factory(tmp_path)
    text = f"def Client(address): raise {error}('gave up')"
    (tmp_path / "distributed.py").write_text(text, encoding="utf-8")
    config = windows(sandbox(), tmp_path, "jsonl", executor="dask:tcp://scheduler:8786")
    ran = tap(tmp_path, config, environment=environment)
    assert ran.code == 1
    message = 'config: "executor": no scheduler answers at tcp://scheduler:8786: gave up'
    assert [each for each in ran.errors if message in each], ran.errors
    assert not [each for each in ran.errors if "internal error" in each]
    assert not messages(ran, "BATCH", COMPANIES)


BAD = {
    "nonsense": 'config: "executor" must be one of threads:N, dask:ADDRESS or module:factory',
    "threads:0": 'config: "executor": threads:N takes a number from 1 to 64',
    "threads:many": 'config: "executor": threads:N takes a number from 1 to 64',
    "own_executor:missing": 'config: "executor": own_executor:missing cannot be imported: AttributeError',
    "own_executor:number": 'config: "executor": own_executor:number cannot be called',
    "not_there:factory": 'config: "executor": not_there:factory cannot be imported: ModuleNotFoundError',
    "dask:tcp://localhost:1": 'config: "executor": dask:ADDRESS needs the extra tap-exports[dask]',
}


@pytest.mark.parametrize(("value", "message"), BAD.items(), ids=BAD)
def test_bad_executors(tmp_path: Path, sandbox: Boxes, value: str, message: str) -> None:
    """What cannot be used is refused before any provider is asked for anything."""
    box = sandbox()
    environment = factory(tmp_path)
    (tmp_path / "sitecustomize.py").write_text(NO_DASK, encoding="utf-8")  # also where the extra is installed
    ran = tap(tmp_path, windows(box, tmp_path, "jsonl", executor=value), environment=environment)
    assert (ran.code, ran.errors[:1], ran.messages) == (1, [message], [])
    assert not [r for r in box.requests() if r["method"] == "POST"]


def test_factory_that_returns_no_executor(tmp_path: Path, sandbox: Boxes) -> None:
    config = windows(sandbox(), tmp_path, "jsonl", executor="own_executor:Nothing")
    ran = tap(tmp_path, config, environment=factory(tmp_path))
    assert ran.code == 1
    assert any("the factory returned a Nothing without submit()" in error for error in ran.errors)
    assert not messages(ran, "BATCH", COMPANIES)


def killed_between_parts(arguments: list[str], stream: str) -> list[Json]:
    """Kill the tap behind a STATE with rows of a file; return all messages up to it."""
    process = Child(arguments, stderr=DEVNULL)
    assert process.stdout is not None
    seen: list[Json] = []
    for line in process.stdout:
        seen.append(json.loads(line))
        if seen[-1]["type"] == "STATE" and b'"rows":' in line:
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    return seen


@pytest.mark.parametrize("form", FORMATS)
def test_killed_between_parts(tmp_path: Path, sandbox: Boxes, form: str) -> None:
    """What is announced and covered by STATE, and what the next run announces, are all rows, each of them once."""
    box = sandbox(rows=24_000)
    config = {
        **box.config("exelensia"),
        "end_date": "2026-01-01T00:00:00Z",
        **batched(tmp_path, form, batch_size=4_000),
    }
    entry = {"schema_id": "019760a0-0001-7000-8000-000000000009", "name": "load", "max_window_days": 10000}
    config["exelensia"]["exports"] = [entry]
    before = killed_between_parts(arguments_of(tmp_path, config), LOAD)
    state = before[-1]["value"]
    after = tap(tmp_path, config, state=state).succeeded()
    first = Ran(0, [json.dumps(m).encode() for m in before], "")
    found = [row["_sdc_row"] for ran in (first, after) for row in rows(ran, LOAD)]
    assert 0 < len(rows(first, LOAD)) < 24_000
    assert found == list(range(1, 24_001))
