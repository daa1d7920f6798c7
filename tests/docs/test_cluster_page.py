"""docs/cluster.md: what it shows can be used as it stands. `make cluster` runs it against real engines."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from distributed.cli.dask_scheduler import main as scheduler
from distributed.cli.dask_worker import main as worker

from tap_exports.engine.convert.engines import OwnEngine
from tap_exports.engine.convert.harmless import secret_names
from tap_exports.settings import unknown_keys
from tap_exports.singer.messages.batch_settings import batch_settings
from tap_exports.tap import TapExports

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "cluster.md").read_text(encoding="utf-8")
DASK = yaml.safe_load_all((DOCS / "examples" / "dask-cluster.yaml").read_text(encoding="utf-8"))


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def test_configuration_is_one() -> None:
    """Every key is known, the storage can be used, and nothing in it has to be secret."""
    (config,) = map(json.loads, blocks("json"))
    settings = batch_settings(config)
    assert settings is not None
    del config["batch_config"]  # the SDK's own
    assert list(unknown_keys(config, TapExports.config_jsonschema)) == []
    assert list(secret_names(settings.options)) == []


@pytest.mark.parametrize(("command", "main"), [("dask scheduler", scheduler), ("dask worker", worker)])
def test_commands_have_the_options(command: str, main: Any) -> None:  # noqa: ANN401 - a click command
    (line,) = [line for block in blocks("bash") for line in block.splitlines() if line.startswith(command)]
    known = {option for parameter in main.params for option in parameter.opts}
    assert [word for word in line.split() if word.startswith("--") and word not in known] == []


def test_variables_are_dasks_own() -> None:
    import dask  # noqa: PLC0415 - reads its configuration when it is loaded

    names = re.findall(r"DASK_(DISTRIBUTED__\w+)=", PAGE)
    assert len(names) == 8
    for name in names:
        dask.config.get(name.lower().replace("__", ".").replace("_", "-"))


def test_pool_of_processes() -> None:
    """The factory makes an executor whose size is known; processes begin with the first work only."""
    (code,) = [block for block in blocks("python") if block.startswith("# pool_executor.py")]
    names: dict[str, Any] = {}
    exec(compile(code, "pool_executor.py", "exec"), names)  # noqa: S102 - the page's own code
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAP_PROCESSES", "3")
        engine = OwnEngine("pool_executor:pool", names["pool"])
    assert engine.size() == 3
    engine.close()


def test_ray_adapter_is_code() -> None:
    (code,) = [block for block in blocks("python") if block.startswith("# ray_executor.py")]
    for method in ("submit(self, work, task)", "size(self)", "shutdown(self)"):
        assert f"def {method}:" in code
    compile(code, "ray_executor.py", "exec")


def test_cluster_of_the_operator() -> None:
    """The address of the page is that of the file's service, and its image has the tap's own version."""
    cluster, autoscaler = DASK
    spec = cluster["spec"]
    assert [each["kind"] for each in (cluster, autoscaler)] == ["DaskCluster", "DaskAutoscaler"]
    assert autoscaler["spec"]["cluster"] == cluster["metadata"]["name"]
    (port,) = [port["port"] for port in spec["scheduler"]["service"]["ports"] if port["name"] == "tcp-comm"]
    assert f"dask:tcp://{cluster['metadata']['name']}-scheduler:{port}" in PAGE
    for role in ("worker", "scheduler"):
        (container,) = spec[role]["spec"]["containers"]
        assert container["image"].endswith(f"/tap-exports:{version('tap-exports')}")
        assert container["args"][0] == f"dask-{role}"
