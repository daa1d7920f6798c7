"""`executor`: several files are converted at once, and nobody can tell from the messages."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tap_exports.sandbox import Sandbox
from tap_exports.sandbox.closient.api import JOB_ID, TAR_JOB_ID
from tap_exports.sandbox.closient.seed import ACME
from tests.process.child import DEVNULL, Child
from tests.providers.test_closient_tap import EXPORTS, HOSTILE, RECORDS, SECTIONS, catalog
from tests.tap.harness import Json, Ran, arguments_of, only, tap
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

POOL = """
import multiprocessing, os
from concurrent.futures import ProcessPoolExecutor

def pool():
    print("printed by a factory")
    os.system("echo printed by a program")
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(os.environ["START"]))
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
    """Leave out STATE that proves nothing new: progress within files is written once a second at most."""
    kept, proven = list[Any](), None
    for each in said:
        if "proven" not in each or each != proven:
            kept.append(each)
        proven = each if "proven" in each else proven
    return kept


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


def seen(folder: Path) -> list[Json]:
    """Return the tasks for files that the executor was handed."""
    tasks = [json.loads(line) for line in (folder / "seen").read_text(encoding="utf-8").splitlines()]
    return [task for task in tasks if "file" in task]


def test_own_executor_gets_values_without_keys(tmp_path: Path, sandbox: Boxes) -> None:
    """A task is JSON, with what is harmless of the storage's parameters, and no credential; the rows are the same."""
    config = windows(sandbox(), tmp_path, "jsonl", executor="own_executor:Executor")
    config["batch_config"]["storage"]["params"] = {"auto_mkdir": True}
    ran = tap(tmp_path, config, environment=factory(tmp_path), fresh=True).succeeded()
    tasks = (tmp_path / "seen").read_text(encoding="utf-8")
    assert len(seen(tmp_path)) > 2
    assert config["exelensia"]["api_key"] not in tasks
    assert all(task["storage"]["options"] == {"auto_mkdir": True} for task in seen(tmp_path))
    plain = tap(tmp_path, windows(sandbox(), tmp_path, "jsonl")).succeeded()
    assert parts(ran, COMPANIES) == parts(plain, COMPANIES) != []


def test_expired_url_is_renewed_for_an_own_executor(tmp_path: Path, sandbox: Boxes) -> None:
    """The work answers that the URL is refused; the tap asks for another one and hands the file in again."""
    gone = {"match": {"origin": "files", "nth": 1}, "action": {"status": 403}}
    config = windows(sandbox(faults={"faults": [gone]}), tmp_path, "jsonl", executor="own_executor:Executor")
    ran = tap(tmp_path, config, environment=factory(tmp_path)).succeeded()
    tasks = seen(tmp_path)
    assert sorted(Counter(task["part"]["scope"] for task in tasks).values())[-2:] == [1, 2]
    assert len({task["file"]["url"] for task in tasks}) == len(tasks)
    plain = tap(tmp_path, windows(sandbox(), tmp_path, "jsonl")).succeeded()
    assert parts(ran, COMPANIES) == parts(plain, COMPANIES) != []


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_pool_of_processes_behind_a_pipe(tmp_path: Path, sandbox: Boxes, start: str) -> None:
    """The pipe ends with the tap: no process of the pool holds it or outlives it, and only messages stand in it."""
    environment = {**factory(tmp_path), "START": start}
    (tmp_path / "own_pool.py").write_text(POOL, encoding="utf-8")
    config = windows(sandbox(), tmp_path, "jsonl", executor="own_pool:pool")
    ran = tap(tmp_path, config, environment=environment, fresh=True).succeeded()
    plain = tap(tmp_path, windows(sandbox(), tmp_path, "jsonl")).succeeded()
    assert parts(ran, COMPANIES) == parts(plain, COMPANIES) != []
    assert ("printed by a factory" in ran.stderr, "printed by a program" in ran.stderr) == (True, True)


def test_secret_of_the_storage_is_refused(tmp_path: Path, sandbox: Boxes) -> None:
    """Workers elsewhere cannot have it, so their rows would go elsewhere: it is named before anything is asked for."""
    box = sandbox()
    config = windows(box, tmp_path, "jsonl", executor="own_executor:Executor")
    config["batch_config"]["storage"]["params"] = {"endpoint_url": "https://s3.local", "token": "STORAGE-SECRET"}
    ran = tap(tmp_path, config, environment=factory(tmp_path))
    assert (ran.code, ran.messages, box.requests()) == (1, [], [])
    assert ran.errors[0].startswith("config: batch_config.storage.params: `token` may be a secret")
    assert "STORAGE-SECRET" not in ran.stderr


def test_log_says_where_each_stream_is_read(tmp_path: Path, sandbox: Boxes) -> None:
    """One line for each, with what keeps it from going elsewhere; without batch mode, that the setting does nothing."""
    config = {**sandbox().config(), **batched(tmp_path, "jsonl"), "executor": "own_executor:Executor"}
    ran = tap(tmp_path, config, environment=factory(tmp_path))
    said = dict(re.findall(r"\| (\w+): ((?:read by the tap itself|files are converted).*)", ran.stderr))
    assert set(said) == {m["stream"] for m in ran.messages if m["type"] == "SCHEMA"}
    assert said["packagex_export_shipments_errors"] == "files are converted by own_executor:Executor"
    assert said["cornect_credits"] == "read by the tap itself: its rows come from no file"
    assert said["cornect_export_software"] == said[RECORDS] == "files are converted by own_executor:Executor"
    assert said["closient_export_files"] == "read by the tap itself: its files are digested and stored by the tap"
    del config["batch_config"]
    plain = tap(tmp_path, config, environment=factory(tmp_path))
    assert "executor: without batch_config it has no effect" in plain.stderr
    assert set(re.findall(r"\| (\w+): read by the tap itself: there is no batch_config", plain.stderr)) == set(said)


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
    config = windows(box, tmp_path, "jsonl", executor=value)
    ran = tap(tmp_path, config, environment=environment, fresh=value.startswith("dask"))
    assert (ran.code, ran.errors[:1], ran.messages) == (1, [message], [])
    assert not [r for r in box.requests() if r["method"] == "POST"]


def test_factory_that_returns_no_executor(tmp_path: Path, sandbox: Boxes) -> None:
    box = sandbox()
    config = windows(box, tmp_path, "jsonl", executor="own_executor:Nothing")
    ran = tap(tmp_path, config, environment=factory(tmp_path))
    assert ran.code == 1
    assert any("the factory returned a Nothing without submit()" in error for error in ran.errors)
    assert not messages(ran, "BATCH", COMPANIES)
    assert not [r for r in box.requests() if r["method"] == "POST"]


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


def archived(box: Sandbox, folder: Path, form: str, **changes: object) -> Json:
    """Return a configuration of two given archives, whose parts have the same names and bytes in any run."""
    config = only(box.config(), "closient")
    block = {**config["closient"], "organization_ids": [ACME], "job_ids": [JOB_ID, TAR_JOB_ID]}
    same = {**batched(folder, form, batch_size=3), "emit_activate_version_messages": False}
    return {**config, **same, "closient": block, **changes}


def chosen(folder: Path, config: Json, *more: str) -> Json:
    """Return the catalog in which the records and some more streams are selected."""
    return catalog(folder, {**config, "executor": "threads:4"}, RECORDS, "export_jobs", *more)


@pytest.mark.parametrize("form", FORMATS)
def test_archives_are_converted_elsewhere(tmp_path: Path, sandbox: Boxes, form: str) -> None:
    """An own executor makes the parts of records that the tap itself makes, byte by byte, and the tap downloads none.

    Each conversion has a URL of its own, and the task holds no key.
    """
    box = sandbox()
    config = archived(box, tmp_path / "away", form, executor="own_executor:Executor")
    selected = chosen(tmp_path, config, EXPORTS, SECTIONS)
    box.clear_requests()
    ran = tap(tmp_path, config, catalog=selected, environment=factory(tmp_path), fresh=True).succeeded()
    tasks = seen(tmp_path)
    assert [task["part"]["stream"] for task in tasks] == [RECORDS, RECORDS]
    assert len({task["file"]["url"] for task in tasks}) == 2
    assert config["closient"]["api_key"] not in (tmp_path / "seen").read_text(encoding="utf-8")
    assert sum(request["origin"] == "files" for request in box.requests()) == 2
    plain = tap(tmp_path, archived(box, tmp_path / "here", form), catalog=selected).succeeded()
    assert named(ran, RECORDS) == named(plain, RECORDS)
    assert len(named(ran, RECORDS)) > 4
    assert receipts(ran) == receipts(plain) != []


def named(ran: Ran, stream: str) -> list[tuple[str, bytes]]:
    """Return the parts of a stream in the order of their messages: name and content."""
    urls = [Path(url.removeprefix("file://")) for m in messages(ran, "BATCH", stream) for url in m["manifest"]]
    return [(path.name, path.read_bytes()) for path in urls]


def receipts(ran: Ran) -> list[Json]:
    names = ("job_id", "stream", "status", "rows", "bytes", "sha256")
    return [{name: row[name] for name in names} for row in ran.records["export_jobs"]]


def test_counts_of_archives_stay_with_the_tap(tmp_path: Path, sandbox: Boxes) -> None:
    """What a worker found is held against what the job declares: the job stays unproven, with the same message."""
    box = sandbox(knobs={"closient": {"count_error": 1}})
    config = archived(box, tmp_path, "jsonl", executor="own_executor:Executor")
    ran = tap(tmp_path, config, catalog=chosen(tmp_path, config), environment=factory(tmp_path), fresh=True)
    assert (ran.code, "organization: 1 of 2 (verify_counts: fail)" in ran.stderr) == (1, True)
    assert [row["status"] for row in ran.records["export_jobs"]] == ["failed", "failed"]


@pytest.mark.parametrize("name", ["climbs", "link", "tag"])
def test_hostile_archive_elsewhere(tmp_path: Path, sandbox: Boxes, name: str) -> None:
    """The error of a worker is the error of the tap; no part of the archive is announced."""
    archive, message = HOSTILE[name]
    action = {"replace": {"base64": base64.b64encode(archive).decode()}}
    box = sandbox(faults={"faults": [{"match": {"origin": "files"}, "action": action}]})
    config = archived(box, tmp_path, "jsonl", executor="own_executor:Executor", verify_counts="off")
    ran = tap(tmp_path, config, catalog=chosen(tmp_path, config), environment=factory(tmp_path), fresh=True)
    assert ran.code == 1
    assert any(message in error for error in ran.errors), ran.stderr
    assert not messages(ran, "BATCH", RECORDS)


def test_archive_that_is_gone_is_the_taps_own(tmp_path: Path, sandbox: Boxes) -> None:
    """Only the tap can look again and submit a job again: it reads that archive itself."""
    gone = {"match": {"origin": "files", "nth": 1}, "action": {"status": 404}}
    box = sandbox(faults={"faults": [gone]})
    config = archived(box, tmp_path, "jsonl", executor="own_executor:Executor")
    config["closient"]["job_ids"] = []
    ran = tap(tmp_path, config, catalog=chosen(tmp_path, config), environment=factory(tmp_path), fresh=True).succeeded()
    assert [row["record"] for row in rows(ran, RECORDS)] == [
        row["record"] for row in box.truth("closient/records", organization_id=ACME)
    ]
