"""The processes of a cluster on loopback: a Dask scheduler, its workers, and an S3 server that checks signatures."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

BUCKET = "exports"
KEYS = {
    "AWS_ACCESS_KEY_ID": "cluster-key",
    "AWS_SECRET_ACCESS_KEY": "CLUSTER-SECRET",
    "AWS_DEFAULT_REGION": "us-east-1",
}
START_SECONDS = 60.0
QUIET = {"DASK_DISTRIBUTED__VERSION": "2", "PYTHONUNBUFFERED": "1"}


class Server:
    """A process of a cluster.

    Attributes:
        log: The file that holds what it writes.
        pid: Its process id.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        """Start it."""
        self.log = log
        with log.open("wb") as file:
            whole = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
            self._process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=whole)
        self.pid = self._process.pid

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def wait_for(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds.

        Raises:
            RuntimeError: The process ended, or it did not come about in time.
        """
        deadline = time.monotonic() + START_SECONDS
        while not holds():
            if not self.lives or time.monotonic() > deadline:
                raise RuntimeError(f"{self.log.name}: {self.log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def send(self, number: int) -> None:
        self._process.send_signal(number)


@dataclass
class Cluster:
    """A Dask scheduler and its workers.

    Attributes:
        folder: Takes logs and whatever else they leave.
        port: The scheduler's.
        protocol: `tcp` or `tls`.
        environment: Of all its processes.
        python: The interpreter that runs them.
        workers: Those that were started, the dead ones among them.
    """

    folder: Path
    port: int = 0
    protocol: str = "tcp"
    environment: Mapping[str, str] = field(default_factory=dict)
    python: str = sys.executable
    workers: list[Server] = field(default_factory=list)
    scheduler: Server | None = None

    def __post_init__(self) -> None:
        self.port = self.port or free_port()
        self.begin()

    @property
    def address(self) -> str:
        return f"{self.protocol}://127.0.0.1:{self.port}"

    def begin(self) -> None:
        """Start the scheduler."""
        command = (self.python, "-m", "distributed.cli.dask_scheduler", "--host", self.address, "--no-dashboard")
        self.scheduler = Server(command, self._log("scheduler"), self.environment)
        self.scheduler.wait_for(lambda: answers(self.port))

    def add(self, environment: Mapping[str, str] | None = None, threads: int = 1) -> Server:
        """Start a worker; it has joined when this returns."""
        command = (self.python, "-m", "distributed.cli.dask_worker", self.address, "--no-nanny", "--no-dashboard")
        bounds = ("--nthreads", str(threads), "--memory-limit", "0", "--death-timeout", "60")
        place = ("--host", "127.0.0.1", "--local-directory", str(self.folder))
        log = self._log(f"worker-{len(self.workers)}")
        server = Server((*command, *bounds, *place), log, {**self.environment, **(environment or {})})
        self.workers.append(server)
        server.wait_for(lambda: "Registered to" in log.read_text(encoding="utf-8", errors="replace"))
        return server

    def _log(self, name: str) -> Path:
        numbered = (self.folder / f"{name}-{number}.log" for number in range(1000))
        return next(path for path in numbered if not path.exists())

    def end(self) -> None:
        for server in (*self.workers, *filter(None, [self.scheduler])):
            server.kill()


@contextmanager
def cluster(folder: Path, workers: int = 0, **options: object) -> Iterator[Cluster]:
    """Run a cluster."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Cluster(folder, **options)  # type: ignore[arg-type] # of `Cluster`
    try:
        for _ in range(workers):
            made.add()
        yield made
    finally:
        made.end()


@contextmanager
def s3(folder: Path) -> Iterator[str]:
    """Run an S3 server that checks signatures, with one bucket, and yield its URL."""
    (folder / BUCKET).mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        port = free_port()
        rclone = str(Path(sys.executable).with_name("rclone"))
        keys = f"{KEYS['AWS_ACCESS_KEY_ID']},{KEYS['AWS_SECRET_ACCESS_KEY']}"
        command = (rclone, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", keys, str(folder))
        log = folder.with_name(f"{folder.name}.log")
        server = Server(command, log, {"RCLONE_CONFIG": os.devnull})
        stack.callback(server.kill)
        server.wait_for(lambda: answers(port))
        yield f"http://127.0.0.1:{port}"


def free_port() -> int:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def answers(port: int) -> bool:
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 1)):
        return True
    return False


def has_rclone() -> bool:
    return shutil.which(str(Path(sys.executable).with_name("rclone"))) is not None
