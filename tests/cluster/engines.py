"""Other engines than Dask: pools of processes and Ray, by the factories of docs/cluster.md."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path

from tests.cluster.cases import REFERENCE, SLOW, begun
from tests.cluster.rig import Rig

PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"
FORK = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context


def pool():
    return ProcessPoolExecutor(3, mp_context=get_context("fork"))
"""


def code_of(name: str) -> str:
    """Return the Python file of a name that the page shows."""
    found = re.search(rf"```python\n# {re.escape(name)}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found, name
    return found[1]


def module(rig: Rig, name: str, code: str) -> dict[str, str]:
    """Write a module and return the environment in which the tap finds it."""
    (rig.folder / name).write_text(code, encoding="utf-8")
    return {"PYTHONPATH": str(rig.folder), "TAP_PROCESSES": "3"}


def runs_with(rig: Rig, executor: str, environment: dict[str, str]) -> str:
    box = rig.box()
    run = rig.start(rig.config(box, executor), environment=environment).succeeded()
    box.stop()
    REFERENCE.hold(rig, run)
    return f"{run.seconds:.0f} s"


def pool_spawned(rig: Rig) -> str:
    """Processes that begin anew, as the page makes them."""
    return runs_with(rig, "pool_executor:pool", module(rig, "pool_executor.py", code_of("pool_executor.py")))


def pool_forked(rig: Rig) -> str:
    """Processes that are forked from the tap."""
    return runs_with(rig, "forked_executor:pool", module(rig, "forked_executor.py", FORK))


def pool_broken(rig: Rig) -> str:
    """A process of the pool is killed in the middle: another pool takes its place, once."""
    environment = module(rig, "pool_executor.py", code_of("pool_executor.py"))
    with begun(rig, "pool_executor:pool", [SLOW], environment) as (run, _):
        os.kill(workers_of(run.process.pid)[0], signal.SIGKILL)
        REFERENCE.hold(rig, run.succeeded())
        assert "connected anew" in run.log, run.log[-3000:]
        return "kill -9"


def pool_orphaned(rig: Rig) -> str:
    """The tap is killed: the processes of its pool end too."""
    environment = module(rig, "pool_executor.py", code_of("pool_executor.py"))
    with begun(rig, "pool_executor:pool", [SLOW], environment) as (run, box):
        children = workers_of(run.process.pid)
        os.kill(run.process.pid, signal.SIGKILL)
        run.end()
        deadline = time.monotonic() + 10
        while left := [child for child in children if lives(child)]:
            assert time.monotonic() < deadline, left
            time.sleep(0.1)
        box.set_faults(None)
        config = rig.config(box, "pool_executor:pool")
        rig.start(config, state=run.state, environment=environment).succeeded()
        return f"{len(children)} processes end"


def on_ray(rig: Rig) -> str:
    """Ray, by the adapter that the page shows."""
    environment = module(rig, "ray_executor.py", code_of("ray_executor.py"))
    return runs_with(rig, "ray_executor:RayExecutor", {**environment, "RAY_DEDUP_LOGS": "0"})


def workers_of(pid: int) -> list[int]:
    """Return the processes of a pool: the children of the tap that run no program of their own."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError, ValueError):
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            command = (path / "cmdline").read_bytes()
            if parent == pid and b"spawn_main" in command:
                found.append(int(path.name))
    return sorted(found)


def lives(pid: int) -> bool:
    with suppress(OSError):
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
