"""What a cluster has to bear: each case ends with the very objects that threads of the tap make, announced in order."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import trustme

from tap_exports.sandbox import Sandbox
from tests.cluster.rig import Rig, Run, created, downloads, wait_for
from tests.cluster.servers import KEYS, Cluster, cluster

Case = Callable[[Rig], str]
SLOW = {"match": {"origin": "files"}, "action": {"slow": {"delay_seconds": 1}}}
BEHIND = {"match": {"origin": "files"}, "action": {"slow": {"bytes_per_second": 60_000}}}


class Reference:
    """What threads make of the export, made once."""

    def __init__(self) -> None:
        self._found: tuple[dict[str, str], list[str]] | None = None

    def hold(self, rig: Rig, *runs: Run, in_order: bool = True) -> None:
        """Hold the objects in the storage and the messages of runs against those of threads.

        A run that fails at one window brings the later ones that are there: then the order is another over both runs.
        """
        objects, announced = rig.objects(), [name for run in runs for name in run.announced]
        if self._found is None:
            rig.empty()
            plain = run_of(rig, "threads:4").succeeded()
            self._found = rig.objects(), plain.announced
            assert len(self._found[0]) == rig.windows == len(plain.announced), self._found
        expected = self._found[1] if in_order else sorted(self._found[1])
        assert (announced if in_order else sorted(announced)) == expected, (announced, expected)
        assert {name: objects[name] for name in announced} == self._found[0]
        drafts = [name for name in objects if name not in announced and not name.endswith(".tmp")]
        assert not drafts, drafts


REFERENCE = Reference()


def run_of(rig: Rig, executor: str, **changes: Any) -> Run:  # noqa: ANN401 - settings
    """Run the tap to its end against a new sandbox."""
    box = rig.box()
    try:
        return rig.start(rig.config(box, executor, **changes)).end()
    finally:
        box.stop()


@contextmanager
def three(rig: Rig, **options: Any) -> Iterator[Cluster]:  # noqa: ANN401 - of `Cluster`
    """Run a scheduler with three workers that have the keys of the storage."""
    folder = rig.folder / f"cluster-{time.monotonic_ns()}"
    options = {"environment": KEYS, **options}
    with cluster(folder, workers=options.pop("workers", 3), **options) as running:
        yield running


@contextmanager
def begun(
    rig: Rig,
    executor: str,
    faults: list[Any],
    environment: dict[str, str] | None = None,
    **changes: Any,  # noqa: ANN401 - settings
) -> Iterator[tuple[Run, Sandbox]]:
    """Start the tap against files that come slowly; yield it and the sandbox once some are being downloaded."""
    box = rig.box()
    box.set_faults({"faults": faults})
    run = rig.start(rig.config(box, executor, **changes), environment=environment)
    try:
        wait_for(lambda: len(downloads(box)) >= 2, run)
        yield run, box
    finally:
        box.stop()


def as_threads_do(rig: Rig) -> str:
    """Three workers make what threads make."""
    with three(rig) as running:
        run = run_of(rig, f"dask:{running.address}").succeeded()
        REFERENCE.hold(rig, run)
        return f"{len(run.announced)} objects, {run.seconds:.0f} s"


def worker_killed(rig: Rig) -> str:
    """A worker is killed in the middle of a file, its work begins anew on another one."""
    with three(rig) as running, begun(rig, f"dask:{running.address}", [BEHIND]) as (run, _):
        running.workers[0].kill()
        REFERENCE.hold(rig, run.succeeded())
        return "kill -9"


def worker_stopped(rig: Rig) -> str:
    """A worker stands still for five seconds in the middle of a file, and goes on."""
    with three(rig) as running, begun(rig, f"dask:{running.address}", [BEHIND]) as (run, _):
        running.workers[0].send(signal.SIGSTOP)
        time.sleep(5)
        running.workers[0].send(signal.SIGCONT)
        REFERENCE.hold(rig, run.succeeded())
        return "SIGSTOP, SIGCONT"


def scheduler_restarted(rig: Rig) -> str:
    """The scheduler dies and another one with new workers takes its place: the run connects anew and goes on."""
    with three(rig) as running, begun(rig, f"dask:{running.address}", [SLOW]) as (run, _):
        for server in (running.scheduler, *running.workers):
            assert server is not None
            server.kill()
        running.begin()
        for _ in range(3):
            running.add()
        REFERENCE.hold(rig, run.succeeded())
        assert "connected anew" in run.log, run.log[-3000:]
        return "one run"


def scheduler_gone(rig: Rig) -> str:
    """The scheduler dies for good: the run says so and ends; the next one, elsewhere, brings the rest, no job twice."""
    with three(rig) as running:
        address = running.address
        with begun(rig, f"dask:{address}", [SLOW], executor_connect_seconds=60) as (run, box):
            wait_for(lambda: b'"BATCH"' in (run.folder / "stdout").read_bytes(), run)
            for server in (running.scheduler, *running.workers):
                assert server is not None
                server.kill()
            run.failed_with(f"executor: Dask at {address}: ")
            jobs = len(created(box))
            with three(rig) as other:
                box.set_faults(None)
                rest = rig.start(rig.config(box, f"dask:{other.address}"), state=run.state).succeeded()
            REFERENCE.hold(rig, run, rest, in_order=False)
            assert len(created(box)) == jobs, "jobs were created again"
            return f"{len(run.announced)} objects, then {len(rest.announced)}"


def workers_join(rig: Rig) -> str:
    """One worker at the beginning, three later: as many files at once."""
    box = rig.box()
    box.set_faults({"faults": [{**SLOW, "action": {"slow": {"delay_seconds": 10}}}]})
    with three(rig, workers=1) as running:
        run = rig.start(rig.config(box, f"dask:{running.address}"))
        wait_for(lambda: downloads(box), run)
        alone = waiting(box)
        for _ in range(2):
            running.add()
        most = [alone]
        wait_for(lambda: grown(most, box), run)
        REFERENCE.hold(rig, run.succeeded())
    box.stop()
    assert alone == 1, alone
    return f"{alone} file at once, then {max(most)}"


def grown(most: list[int], box: Sandbox) -> bool:
    """Note how many downloads are under way; return whether they were as many as the workers."""
    most.append(waiting(box))
    return max(most) >= 3


def waiting(box: Sandbox) -> int:
    """Return how many downloads have begun and got nothing yet."""
    return sum(not request["body_bytes_sent"] for request in downloads(box))


def short_lives(rig: Rig) -> str:
    """URLs live for six seconds, the files take longer together: each is signed when a worker is free."""
    box = rig.box(url_seconds=6)
    box.set_faults({"faults": [SLOW]})
    with three(rig) as running:
        run = rig.start(rig.config(box, f"dask:{running.address}")).succeeded()
    refused = [request for request in downloads(box) if request["status"] == 403]
    box.stop()
    REFERENCE.hold(rig, run)
    assert not refused, len(refused)
    return f"{run.seconds:.0f} s, none of {rig.windows} URLs refused"


def with_certificates(rig: Rig) -> str:
    """Scheduler, workers and tap know each other by certificates, all of it set by Dask's own variables."""
    folder = rig.folder / "certificates"
    folder.mkdir()
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "all.pem"))
    environment = {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true"}
    environment["DASK_DISTRIBUTED__COMM__TLS__CA_FILE"] = str(folder / "ca.pem")
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        for what in ("KEY", "CERT"):
            environment[f"DASK_DISTRIBUTED__COMM__TLS__{role}__{what}"] = str(folder / "all.pem")
    box = rig.box()
    with three(rig, protocol="tls", environment={**KEYS, **environment}) as running:
        config = rig.config(box, f"dask:{running.address}")
        REFERENCE.hold(rig, rig.start(config, environment=environment).succeeded())
        rig.start({**config, "executor_connect_seconds": 5}).failed_with(f"executor: Dask at {running.address}: ")
    box.stop()
    return "a tap without them is refused"


def tap_killed(rig: Rig) -> str:
    """The tap is killed in the middle; the next run brings the rest from its STATE and the jobs that there are."""
    with three(rig) as running, begun(rig, f"dask:{running.address}", [SLOW]) as (run, box):
        wait_for(lambda: b'"BATCH"' in (run.folder / "stdout").read_bytes(), run)
        os.kill(run.process.pid, signal.SIGKILL)
        run.end()
        box.set_faults(None)
        rest = rig.start(rig.config(box, f"dask:{running.address}"), state=run.state).succeeded()
        REFERENCE.hold(rig, *once(run, rest))
        asked = [json.dumps(request["body_json"]) for request in created(box)]
        assert len(asked) == len(set(asked)), asked
        return f"{len(run.announced)} objects, then {len(rest.announced)}"


def once(run: Run, rest: Run) -> tuple[Run, Run]:
    """Drop from a run that was killed what the next one announces again: STATE did not cover it."""
    run.messages[:] = [m for m in run.messages if m["type"] != "BATCH" or not names(m) & set(rest.announced)]
    return run, rest


def names(message: dict[str, Any]) -> set[str]:
    return {url.rpartition("/")[2] for url in message["manifest"]}
