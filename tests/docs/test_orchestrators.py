"""docs/orchestrators.md: its files are whole, and what they call and set exists. No scheduler is run."""

from __future__ import annotations

import ast
import configparser
import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from tap_exports.tap import TapExports

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "orchestrators.md").read_text(encoding="utf-8")
FILES = sorted(set(re.findall(r"\(examples/([\w.-]+)\)", PAGE)))
SCRIPTS = [name for name in FILES if name.endswith(".py")]
MELTANO = yaml.safe_load((DOCS.parent / "meltano.yml").read_text(encoding="utf-8"))


def read(name: str) -> str:
    return (DOCS / "examples" / name).read_text(encoding="utf-8")


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # names keep their case
    parser.read_string(read(name))
    return parser


def test_page_lists_all_files() -> None:
    assert len(FILES) == 6


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_name_accounts_that_are_providers(name: str) -> None:
    """Python can read them, and the plugins that they run are of providers that the tap has."""
    tree = ast.parse(read(name))
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    (accounts,) = [ast.literal_eval(each.value) for each in assigned if ast.unparse(each.targets[0]) == "ACCOUNTS"]
    known: Any = TapExports.config_jsonschema["properties"]
    assert set(accounts) <= set(known)
    assert 'f"tap-exports--{' in read(name)
    assert "inherit_from: tap-exports" in read(name)


def test_sensor_asks_what_there_is() -> None:
    """The plugin has the command, the setting has its variable and values, and the states are those of the command."""
    script = read("airflow_exports.py")
    (plugin,) = [each for each in MELTANO["plugins"]["extractors"] if each["name"] == "tap-exports"]
    assert "jobs" in plugin["commands"]
    assert ":jobs" in script
    (setting,) = [each for each in plugin["settings"] if each["name"] == "job_wait"]
    values = {option["value"] for option in setting["options"]}
    assert {"detach", "wait"} <= values
    assert '"TAP_EXPORTS_JOB_WAIT": "detach" if detach else "wait"' in script
    commands = (DOCS / "commands.md").read_text(encoding="utf-8")
    for word in (*ast.literal_eval(re.findall(r"OPEN = (\{.*\})", script)[0]), "ours", "state"):
        assert f"`{word}`" in commands


def test_cron_job_keeps_state_and_ledger() -> None:
    """Both live on the volume; STATE is replaced by a whole one only, and two runs are never at once."""
    job = yaml.safe_load(read("kubernetes-cronjob.yaml"))
    spec = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    assert {volume["name"] for volume in spec["volumes"]} == set(mounts)
    assert environment["XDG_STATE_HOME"] == mounts["state"] == "/state"
    assert "mv next.json state.json" in container["args"][0]
    assert container["image"].endswith(f"/tap-exports:{version('tap-exports')}")
    assert json.dumps(container["command"]) == '["/bin/bash", "-euo", "pipefail", "-c"]'


def test_unit_and_timer() -> None:
    service, timer = unit("tap-exports.service"), unit("tap-exports.timer")
    assert service["Service"]["Type"] == "oneshot"
    assert service["Service"]["ExecStart"].endswith("/meltano run tap-exports target-postgres")
    assert service["Service"]["Environment"] == f"XDG_STATE_HOME=/var/lib/{service['Service']['StateDirectory']}"
    assert timer["Timer"]["OnCalendar"] == "hourly"
    assert timer["Install"]["WantedBy"] == "timers.target"
