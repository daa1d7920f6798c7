"""One sandbox, one S3 server and the tap's runs against them, for `make cluster`."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cache, cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from tap_exports.sandbox import Sandbox, SandboxOptions
from tests.cluster.servers import BUCKET, KEYS

Json = dict[str, Any]
STREAM = "exelensia_export_load"
SCHEMA_ID = "019760a0-0001-7000-8000-000000000009"
BEGIN = datetime(2025, 1, 15, tzinfo=timezone.utc)
ROW_SECONDS = 0.005  # between two rows of the sandbox's load
WAIT_SECONDS = 240.0


@dataclass
class Run:
    """A run of the tap.

    Attributes:
        folder: Holds what it writes.
        process: It.
        began: When it was started.
    """

    folder: Path
    process: subprocess.Popen[bytes]
    began: float = field(default_factory=time.monotonic)

    def end(self, seconds: float = WAIT_SECONDS) -> Run:
        """Wait for its end, and for that of all processes that hold its standard output."""
        self.process.wait(seconds)
        return self

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def log(self) -> str:
        return (self.folder / "stderr").read_text(encoding="utf-8")

    @cached_property
    def messages(self) -> list[Json]:
        return [json.loads(line) for line in (self.folder / "stdout").read_bytes().splitlines() if line.endswith(b"}")]

    @property
    def state(self) -> Json | None:
        states = [message["value"] for message in self.messages if message["type"] == "STATE"]
        return states[-1] if states else None

    @property
    def announced(self) -> list[str]:
        """Return the names of the objects in BATCH messages, in order."""
        batches = [m for m in self.messages if m["type"] == "BATCH" and m["stream"] == STREAM]
        return [url.rpartition("/")[2] for message in batches for url in message["manifest"]]

    def succeeded(self) -> Run:
        assert self.end().process.returncode == 0, self.log[-3000:]
        return self

    def failed_with(self, text: str) -> Run:
        assert self.end().process.returncode == 1, self.log[-3000:]
        assert text in self.log, self.log[-3000:]
        assert "internal error" not in self.log, self.log[-3000:]
        return self


@dataclass
class Rig:
    """What the cases share.

    Attributes:
        folder: Takes everything; `s3` below it is what the S3 server serves.
        s3: The S3 server's URL.
        rows: Rows of the export.
        windows: Jobs that they come in.
        place: Folder of the bucket that takes the objects.
    """

    folder: Path
    s3: str
    rows: int = 4_000
    windows: int = 8
    place: str = "parts"
    runs: list[Run] = field(default_factory=list)

    def box(self, rows: int = 0, **options: Any) -> Sandbox:  # noqa: ANN401 - of `SandboxOptions`
        """Return a started sandbox, whose job ids depend on what the jobs hold only."""
        given = SandboxOptions(
            rows=rows or self.rows, job_seconds=0, knobs={"exelensia": {"named_ids": True}}, **options
        )
        made = Sandbox(given)
        made.start()
        return made

    def config(
        self,
        box: Sandbox,
        executor: str,
        windows: int = 0,
        form: str = "parquet",
        **changes: Any,  # noqa: ANN401 - settings
    ) -> Json:
        """Return the configuration of one export in several windows, loaded into the S3 server."""
        config, span = box.config("exelensia"), self.rows * ROW_SECONDS
        days = span / (windows or self.windows) / 86_400
        config["exelensia"]["exports"] = [{"schema_id": SCHEMA_ID, "name": "load", "max_window_days": days}]
        storage = {"root": f"s3://{BUCKET}/{self.place}", "params": {"endpoint_url": self.s3}}
        batches = {"encoding": {"format": form}, "storage": storage}
        times = {"start_date": BEGIN.isoformat(), "end_date": (BEGIN + timedelta(seconds=span)).isoformat()}
        bounds = {"max_concurrent_jobs": 16, "executor_connect_seconds": 120}
        return {**config, **times, "executor": executor, "batch_config": batches, **bounds, **changes}

    def start(self, config: Json, state: Json | None = None, environment: Mapping[str, str] | None = None) -> Run:
        """Start the tap behind a pipe, selected for the one stream."""
        folder = self.folder / f"run-{len(self.runs)}"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        (folder / "catalog.json").write_text(catalog(folder / "config.json"), encoding="utf-8")
        arguments = ["--config", str(folder / "config.json"), "--catalog", str(folder / "catalog.json")]
        if state is not None:
            (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
            arguments += ["--state", str(folder / "state.json")]
        whole = {**os.environ, **KEYS, "XDG_STATE_HOME": str(folder), **(environment or {})}
        command = [sys.executable, "-m", "tap_exports", *arguments]
        with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
            process = subprocess.Popen(command, stdout=out, stderr=err, env=whole)
        self.runs.append(Run(folder, process))
        return self.runs[-1]

    def objects(self) -> dict[str, str]:
        """Return the SHA-256 of each object in the bucket, by name."""
        files = [path for path in (self.folder / "s3" / BUCKET / self.place).rglob("*") if path.is_file()]
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files if "load" in path.name}

    def empty(self) -> None:
        """Begin with an empty folder: the server remembers what is removed behind its back."""
        self.place = f"{self.place}+"

    def end(self) -> None:
        for run in self.runs:
            if run.process.poll() is None:
                run.process.kill()
                run.process.wait()


@cache
def _discovered(block: str) -> Json:
    """Return the catalog of a configuration; it is the same for all sandboxes."""
    box = Sandbox(SandboxOptions(rows=100, job_seconds=0))
    box.start()
    config = {**box.config("exelensia"), "exelensia": {**box.config("exelensia")["exelensia"], **json.loads(block)}}
    with NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(config, file)
        file.flush()
        command = [sys.executable, "-m", "tap_exports", "--config", file.name, "--discover"]
        done = subprocess.run(command, capture_output=True, check=True)
    box.stop()
    return dict(json.loads(done.stdout))


def catalog(config: Path) -> str:
    """Return the catalog in which only the stream of the export is selected."""
    exports = json.loads(config.read_text(encoding="utf-8"))["exelensia"]["exports"]
    found = _discovered(json.dumps({"exports": exports}))
    for entry in found["streams"]:
        for item in entry["metadata"]:
            if item["breadcrumb"] == []:
                item["metadata"]["selected"] = entry["tap_stream_id"] == STREAM
    return json.dumps(found)


def wait_for(holds: Callable[[], Any], run: Run, seconds: float = WAIT_SECONDS) -> None:
    """Wait until something holds while a run goes on.

    Raises:
        AssertionError: The run has ended, or it took too long.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        assert run.process.poll() is None, run.log[-3000:]
        assert time.monotonic() < deadline, run.log[-3000:]
        time.sleep(0.02)


def downloads(box: Sandbox) -> list[Json]:
    return [request for request in box.requests() if request["origin"] == "files"]


def created(box: Sandbox) -> list[Json]:
    return [request for request in box.requests() if request["method"] == "POST"]
