"""A Dask cluster of processes: what workers make is what the tap's own threads make, whatever happens to them."""

from __future__ import annotations

import gzip
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tap_exports.sandbox import Sandbox
from tests.cluster.servers import Cluster, cluster, free_port
from tests.tap.conftest import sandbox  # noqa: F401 - a fixture
from tests.tap.harness import Json, Ran, only, tap
from tests.tap.test_accounts import END, TWO, with_refused
from tests.tap.test_batches import COMPANIES, messages
from tests.tap.test_executor import distinct, shown, windows

Boxes = Callable[..., Sandbox]
ANOTHER_VERSION = """
import importlib.metadata

importlib.metadata.version = lambda name, real=importlib.metadata.version: (
    "0.0.9" if name == "tap-exports" else real(name)
)
"""


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run a scheduler and two workers."""
    with cluster(tmp_path_factory.mktemp("cluster"), workers=2) as running:
        yield running


def urls(ran: Ran) -> list[list[str]]:
    return [message["manifest"] for message in messages(ran, "BATCH", COMPANIES)]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_messages_are_those_of_threads(tmp_path: Path, sandbox: Boxes, two_workers: Cluster, form: str) -> None:  # noqa: F811 - the fixture
    """The same parts with the same names in the same order, though more files are converted at once than by default."""
    found = []
    for number, executor in enumerate(("threads:4", f"dask:{two_workers.address}")):
        (folder := tmp_path / str(number)).mkdir()
        ran = tap(folder, windows(sandbox(), tmp_path, form, executor=executor)).succeeded()
        found.append((distinct(shown(ran, COMPANIES)), urls(ran)))
        assert ("up to 2 files at once" in ran.stderr) == bool(number)
    assert found[0] == found[1]
    assert found[0][1]
    assert not list((tmp_path / "parts").glob("*.tmp"))


def test_accounts(tmp_path: Path, sandbox: Boxes, two_workers: Cluster) -> None:  # noqa: F811 - the fixture
    """Files of all accounts go to workers, of CSV and of archives; rows and partitions are those of threads.

    An account whose key is refused fails alone. Job ids depend on which account asks first, so rows are compared.
    """
    found, told = [], ""
    for executor in ("threads:4", f"dask:{two_workers.address}"):
        (folder := tmp_path / executor.partition(":")[0]).mkdir()
        config = with_refused({**sandbox(accounts=TWO).config(), **END}, "exelensia")
        config = only(config, "exelensia") | only(config, "closient") | {"executor": executor}
        parts = {"encoding": {"format": "jsonl"}, "storage": {"root": str(folder / "parts")}}
        ran = tap(folder, {**config, "batch_config": parts})
        assert ran.code == 1
        assert "`exelensia@refused.api_key` was refused" in ran.stderr
        found.append((batched_rows(ran), without_jobs(ran.states[-1])))
        told = ran.stderr
    threads, dask = found
    assert {account for _, account in threads[0]} == {*TWO}
    assert dask == threads
    for stream in (COMPANIES, "closient_export_records"):
        for account in TWO:
            assert f"{stream}@{account}: files are converted by Dask" in told


OF_A_RUN = {"job_id", "_sdc_job_id", "_sdc_table_version"}


def batched_rows(ran: Ran) -> dict[tuple[str, str], list[Json]]:
    """Return the rows of BATCH messages by stream and account, without what no two runs share."""
    found = defaultdict[tuple[str, str], list[Json]](list)
    for message in (m for m in ran.messages if m["type"] == "BATCH" and "_export_" in m["stream"]):
        for url in message["manifest"]:
            for line in gzip.decompress(Path(url.removeprefix("file://")).read_bytes()).splitlines():
                row = json.loads(line)
                account = row.pop("_sdc_account")
                found[message["stream"], account].append({k: v for k, v in row.items() if k not in OF_A_RUN})
    return dict(found)


def without_jobs(state: Json) -> Json:
    """Return the proven bookmarks of exports, by stream and account."""
    return {
        stream: [(each["context"], each.get("replication_key_value")) for each in bookmark["partitions"]]
        for stream, bookmark in state["bookmarks"].items()
        if "_export_" in stream
    }


def test_worker_killed_in_the_middle_of_a_file(tmp_path: Path, sandbox: Boxes, two_workers: Cluster) -> None:  # noqa: F811 - the fixture
    """Another worker begins the file anew, and nothing of it comes twice."""
    slow = {"match": {"origin": "files", "nth": 1}, "action": {"slow": {"delay_seconds": 3}}}
    box = sandbox(faults={"faults": [slow]})
    config = windows(box, tmp_path, "jsonl", executor=f"dask:{two_workers.address}")
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(tap, tmp_path, config)
        while not (running.done() or [r for r in box.requests() if r["origin"] == "files"]):
            time.sleep(0.05)
        for victim in two_workers.workers[:2]:
            two_workers.add()
            victim.kill()
        ran = running.result().succeeded()
    (plain := tmp_path / "plain").mkdir()
    assert urls(ran) == urls(tap(plain, windows(sandbox(), tmp_path, "jsonl")).succeeded()) != []


def test_no_scheduler_no_job(tmp_path: Path, sandbox: Boxes) -> None:  # noqa: F811 - the fixture
    box, address = sandbox(), f"tcp://127.0.0.1:{free_port()}"
    config = windows(box, tmp_path, "jsonl", executor=f"dask:{address}", executor_connect_seconds=1)
    ran = tap(tmp_path, config)
    assert ran.code == 1
    assert f"executor: Dask at {address}: OSError: " in ran.errors[0]
    assert ran.errors[0].endswith("; see that it runs and that the address is right")
    assert created(box) == []


def test_workers_that_can_do_nothing(tmp_path: Path, sandbox: Boxes) -> None:  # noqa: F811 - the fixture
    """None at all, and one with another version of the package: both are told before a job is created."""
    (tmp_path / "sitecustomize.py").write_text(ANOTHER_VERSION, encoding="utf-8")
    with cluster(tmp_path / "cluster") as empty:
        box = sandbox()
        config = windows(box, tmp_path, "jsonl", executor=f"dask:{empty.address}", executor_connect_seconds=1)
        ran = tap(tmp_path, config)
        assert f"executor: Dask at {empty.address}: no worker answers within 1 s; start one" in ran.errors[0]
        empty.add({"PYTHONPATH": str(tmp_path)})
        ran = tap(tmp_path, {**config, "executor_connect_seconds": 60})
        assert "has tap-exports 0.0.9, and the tap is" in ran.errors[0]
        assert created(box) == []


def created(box: Sandbox) -> list[Json]:
    return [request for request in box.requests() if request["method"] == "POST"]
