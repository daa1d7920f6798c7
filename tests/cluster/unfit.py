"""Clusters that cannot do the work: each is told by engine, address, cause and remedy before a job is created."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.cluster.cases import three
from tests.cluster.rig import Rig, created
from tests.cluster.servers import KEYS, cluster, free_port, s3

NO_PACKAGE = 'import sys\nsys.modules["tap_exports"] = None\n'
NO_S3FS = 'import sys\nsys.modules["s3fs"] = None\n'
OLD = """
import importlib.metadata

importlib.metadata.version = lambda name, real=importlib.metadata.version: (
    "0.0.9" if name == "tap-exports" else real(name)
)
"""


def refused(rig: Rig, executor: str, text: str, environment: Mapping[str, str] | None = None, **changes: Any) -> str:  # noqa: ANN401 - settings
    """Hold that a run fails with a text, having created nothing; return the line that says why."""
    box = rig.box()
    config = rig.config(box, executor, **{"executor_connect_seconds": 5, **changes})
    run = rig.start(config, environment=environment).failed_with(text)
    box.stop()
    assert created(box) == [], "jobs were created"
    assert not [m for m in run.messages if m["type"] == "BATCH" and "load" in m["stream"]]
    return next(line.split("| ", 3)[-1] for line in run.log.splitlines() if "| ERROR" in line)


def odd(rig: Rig, text: str, environment: Mapping[str, str], patch: str = "", **changes: Any) -> str:  # noqa: ANN401 - settings
    """Hold that workers with an environment of their own are refused."""
    folder = rig.folder / f"patch-{free_port()}"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(patch, encoding="utf-8")
    environment = {"PYTHONPATH": str(folder), **environment}
    with three(rig, workers=1, environment=environment) as running:
        return refused(rig, f"dask:{running.address}", text, **{"executor_connect_seconds": 120, **changes})


def no_worker(rig: Rig) -> str:
    """A scheduler without a worker."""
    with cluster(rig.folder / "none") as running:
        return refused(rig, f"dask:{running.address}", "no worker answers within 5 s")


def wrong_address(rig: Rig) -> str:
    """Nobody listens there."""
    return refused(rig, f"dask:tcp://127.0.0.1:{free_port()}", "see that it runs and that the address is right")


def no_package(rig: Rig) -> str:
    """Workers without tap-exports."""
    return odd(rig, "install tap-exports==", KEYS, NO_PACKAGE)


def other_version(rig: Rig) -> str:
    """Workers with another version of it."""
    return odd(rig, "has tap-exports 0.0.9, and the tap is", KEYS, OLD)


def no_s3fs(rig: Rig) -> str:
    """Workers without the package of the storage."""
    return odd(rig, "an extra such as tap-exports[s3] may be missing", KEYS, NO_S3FS)


def no_credentials(rig: Rig) -> str:
    """Workers without keys of the storage."""
    nothing = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    return odd(rig, "give the workers their own credentials", nothing)


def wrong_credentials(rig: Rig) -> str:
    """Workers whose keys the storage refuses."""
    return odd(rig, "a worker says: batch_config.storage: cannot write", {**KEYS, "AWS_SECRET_ACCESS_KEY": "other"})


def other_storage(rig: Rig) -> str:
    """Workers whose environment names another S3 server, where the configuration names none."""
    with s3(rig.folder / "other-s3") as other:
        box = rig.box()
        storage = {**rig.config(box, "threads:4")["batch_config"]["storage"], "params": {}}
        box.stop()
        batches = {"encoding": {"format": "parquet"}, "storage": storage}
        workers = {**KEYS, "FSSPEC_S3_ENDPOINT_URL": other}
        with three(rig, workers=1, environment=workers) as running:
            environment = {"FSSPEC_S3_ENDPOINT_URL": rig.s3}
            text, executor = "workers and tap need the same storage", f"dask:{running.address}"
            return refused(rig, executor, text, environment, batch_config=batches, executor_connect_seconds=120)


def secret_in_config(rig: Rig) -> str:
    """Keys in `storage.params`, which no worker can have."""
    params = {"endpoint_url": rig.s3, "key": "cluster-key", "secret": "CLUSTER-SECRET"}
    storage = {"root": "s3://exports/parts", "params": params}
    batches = {"encoding": {"format": "parquet"}, "storage": storage}
    return refused(rig, "dask:tcp://127.0.0.1:1", "`key`, `secret` may be a secret", batch_config=batches)
