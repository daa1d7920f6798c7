"""The plugin's commands under a real Meltano: its configuration, its STATE, and a changed one back to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tap.harness import only, tap
from tools.demo.environments import ROOT, Environments
from tools.demo.project import QUIET, Project
from tools.demo.source import START_DATE, sandbox

PLUGIN, OWN = "tap-exports-exelensia", "tap-exports"
STATE_ID = f"local:{PLUGIN}-to-target-anything"
OWN_STATE_ID = f"dev:{OWN}-to-target-anything"
COMPANIES, OPERATION = "cension_export_companies", "4842"
INVOICES = "exelensia_export_invoices"
TAP = Path(sys.executable).parent
MAY = ("--from", "2024-05-01", "--to", "2024-05-31")
END = "2024-06-30T00:00:00Z"
SET = ("state", "set", "--force", "--input-file")
SECONDS = 600
ALL = os.environ.get("MELTANO_COMMANDS") == "all"


@dataclass(frozen=True)
class Meltano:
    """Calls Meltano in the folder of a project, and commands of a plugin there."""

    home: Path
    environments: Environments
    environment: Mapping[str, str]
    plugin: str

    def __call__(self, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        programs = self.environments.programs("meltano")
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        whole = {**os.environ, **QUIET, **self.environment, "PATH": path}
        command = [str(programs / "meltano"), *arguments]
        return subprocess.run(
            command,
            cwd=folder or self.home,
            env=whole,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    def invoke(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self("invoke", f"{self.plugin}:{command}", *arguments)


def actions(plan: str) -> list[str]:
    """Return what a plan does for the invoices."""
    streams: list[dict[str, Any]] = json.loads(plan)["streams"]
    return [step["action"] for each in streams if each["stream"] == INVOICES for step in each["steps"]]


def calls(folder: Path) -> list[tuple[str, ...]]:
    """Return the commands: what writes STATE and what reads it, of `make meltano` all of them."""
    few = [("plan",), ("replay", INVOICES, *MAY, "--output", str(folder / "next.json"))]
    more = [
        ("jobs", "--limit", "1"),
        ("doctor", "--no-facts"),
        ("forget", INVOICES, "--output", str(folder / "forgotten.json")),
        ("backfill", INVOICES, "--from", "2019-05-01", "--to", "2019-05-31"),
    ]
    return few + more if ALL else few


@pytest.mark.timeout(1800)
def test_commands_work_with_the_config_and_state_of_meltano(tmp_path: Path) -> None:
    """As docs/runbook.md says: the plugin's STATE is found, and `meltano state set` takes the output.

    Slow, since each call starts Meltano two or three times: nothing else shows what Meltano leaves for a plugin.
    """
    environments = Environments(ROOT / ".demo")
    environments.install("meltano")
    project = Project(environments, TAP, "commands")
    project.define()
    with sandbox(TAP, tmp_path / "config.json", tmp_path / "sandbox.log", "exelensia") as source:
        own = {"MELTANO_DATABASE_URI": f"sqlite:///{tmp_path}/meltano.db", "XDG_STATE_HOME": str(tmp_path)}
        own |= {"TAP_EXPORTS_EXELENSIA_END_DATE": END}
        meltano = Meltano(project.home, environments, {**source.environment(), **own}, PLUGIN)
        config = {**only(source.config, "exelensia"), "start_date": START_DATE, "end_date": END}
        ran = tap(tmp_path, config, environment={"XDG_STATE_HOME": str(tmp_path)}).succeeded()
        (tmp_path / "state.json").write_text(json.dumps({"singer_state": ran.states[-1]}))
        assert meltano(*SET, str(tmp_path / "state.json"), STATE_ID).returncode == 0
        with ThreadPoolExecutor(2) as pool:
            ended = pool.map(lambda call: meltano.invoke(*call), calls(tmp_path))
            done = {call[0]: each for call, each in zip(calls(tmp_path), ended, strict=True)}
        assert {name: each.returncode for name, each in done.items()} == dict.fromkeys(done, 0), done
        assert meltano(*SET, str(tmp_path / "next.json"), STATE_ID).returncode == 0
        again = meltano.invoke("plan")
    assert f"STATE: {STATE_ID}, as Meltano keeps it" in done["plan"].stderr
    assert (actions(done["plan"].stdout), actions(again.stdout)) == (["skip"], ["create"])
    assert f"meltano state set --force --input-file {tmp_path / 'next.json'} {STATE_ID}" in done["replay"].stderr
    if "jobs" in done:
        assert {job["provider"] for job in json.loads(done["jobs"].stdout)["jobs"]} == {"exelensia"}
        assert {check["verdict"] for check in json.loads(done["doctor"].stdout)["checks"]} <= {"ok", "warn", "skip"}
        assert INVOICES not in json.loads((tmp_path / "forgotten.json").read_text())["singer_state"]["bookmarks"]
        assert INVOICES in json.loads(done["backfill"].stdout)["singer_state"]["bookmarks"]


def project_of_ones_own(meltano: Meltano, config: Mapping[str, Any]) -> None:
    """Make a project as README says; the plugin is the checkout's, since nothing is published."""
    initialised = meltano("init", meltano.home.name, "--no-usage-stats", folder=meltano.home.parent)
    assert initialised.returncode == 0, initialised.stderr
    reference = str(ROOT / "plugins" / "tap-exports.yml")
    added = meltano("add", OWN, "--plugin-type", "extractors", "--from-ref", reference, "--no-install")
    assert added.returncode == 0, added.stderr
    path = meltano.home / "meltano.yml"
    text = path.read_text(encoding="utf-8").replace(f"executable: {OWN}\n", f"executable: {TAP / OWN}\n")
    path.write_text(f"{text.rstrip()}\n    config: {json.dumps(config)}\n", encoding="utf-8")


def own_calls(folder: Path, job: str) -> dict[str, tuple[str, ...]]:
    """Return every command of the plugin; those that end the job are last."""
    march = ("--from", "2019-03-01", "--to", "2019-03-31")
    return {
        "plan": (),
        "jobs": ("--limit", "2"),
        "doctor": ("--no-facts",),
        "check": ("zuora",),
        "forget": (INVOICES, "--output", str(folder / "forgotten.json")),
        "replay": (INVOICES, *MAY),
        "backfill": (INVOICES, *march),
        "load": (str(folder / "exports.duckdb"),),
        "jobs-watch": (job, "--timeout", "0.1"),
        "jobs-cancel": (job,),
    }


@pytest.mark.timeout(1800)
def test_commands_work_in_a_project_of_ones_own(tmp_path: Path) -> None:
    """`meltano add --from-ref` takes the definition, and a job of ours is cancelled where the provider can.

    Of the commands only the one that changes something at a provider; `make meltano` calls all of them.
    """
    environments = Environments(ROOT / ".demo")
    environments.install("meltano")
    own = {"MELTANO_DATABASE_URI": f"sqlite:///{tmp_path}/meltano.db", "XDG_STATE_HOME": str(tmp_path)}
    meltano = Meltano(tmp_path / "own", environments, own, OWN)
    with sandbox(TAP, tmp_path / "config.json", tmp_path / "sandbox.log") as source:
        whole = {**source.config, "start_date": START_DATE, "end_date": END}
        project_of_ones_own(meltano, {**only(whole, "exelensia"), "cension": whole["cension"]})
        ran = tap(tmp_path, only(whole, "exelensia"), environment={"XDG_STATE_HOME": str(tmp_path)}).succeeded()
        job = {"id": OPERATION, "fingerprint": "f", "window": None, "requested_at": "2026-01-01T00:00:00.000Z"}
        begun = {COMPANIES: {"ledger": {"version": 2, "jobs": [job]}}}
        state = {"singer_state": {"bookmarks": {**ran.states[-1]["bookmarks"], **begun}}}
        (tmp_path / "state.json").write_text(json.dumps(state))
        assert meltano(*SET, str(tmp_path / "state.json"), OWN_STATE_ID).returncode == 0
        calls = own_calls(tmp_path, OPERATION)
        named = yaml.safe_load((ROOT / "plugins" / "tap-exports.yml").read_text(encoding="utf-8"))["commands"]
        assert calls.keys() == named.keys()
        done = {name: meltano.invoke(name, *calls[name]) for name in (calls if ALL else ["jobs-cancel"])}
        runs = {str(each["operationId"]): each["status"] for each in source.truth("cension/operations")}
    # The job that is watched still runs, and the project has no declared API that could be checked.
    expected = {**dict.fromkeys(done, 0), **({"jobs-watch": 3, "check": 1} if ALL else {})}
    assert {name: each.returncode for name, each in done.items()} == expected, done
    assert json.loads(done["jobs-cancel"].stdout)["cancelled"] is True
    assert runs[OPERATION] == "cancelled"
