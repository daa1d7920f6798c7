"""The command `tap-exports-sandbox`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from tap_exports.sandbox.__main__ import main

COMMAND = [sys.executable, "-m", "tap_exports.sandbox"]


def serve(number: int, *arguments: str) -> tuple[dict[str, Any], int, str, str]:
    """Start the command, ask it once, stop it with a signal; return the ready line, exit code, stdout, stderr."""
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        ready["spend"] = requests.get(ready["control_url"] + "/_spend", timeout=10).json()
        process.send_signal(number)
        rest, errors = process.communicate(timeout=10)
        return ready, process.returncode, rest, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_until_a_signal(number: int) -> None:
    """One JSON line when ready, then quiet; a signal ends it with exit code 0."""
    ready, code, rest, errors = serve(number)
    assert (code, rest, errors) == (0, "", "")
    assert ready["api_urls"]["exelensia"] == ready["control_url"] + "/exelensia"
    assert ready["keys"]["cension"] == "sandbox-cension-key"
    assert ready["files_url"] != ready["control_url"]
    assert set(ready["spend"]) == set(ready["api_urls"])


def test_options(tmp_path: Path) -> None:
    plan, config = tmp_path / "plan.yaml", tmp_path / "config.json"
    plan.write_text("faults:\n- {action: {status: 503}}\n")
    ready, code, _, errors = serve(
        signal.SIGTERM,
        *("--faults", str(plan), "--write-config", str(config), "--job-seconds", "0", "--rows", "5"),
        *("--knob", "exelensia.strict=false", "--knob", "cension.limit_cap=10", "--knob", "cornect.max_credits=7"),
    )
    assert (code, errors) == (0, "")
    written = json.loads(config.read_text())
    assert written["exelensia"]["api_url"] == ready["api_urls"]["exelensia"]
    assert written["cornect"]["max_credits"] == 7
    assert set(ready["api_urls"]) < set(written)


def test_configuration_of_some_providers(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    _, code, _, errors = serve(signal.SIGTERM, "--write-config", str(config), "--providers", "cornect", "closient")
    assert (code, errors) == (0, "")
    assert {"cornect", "closient"} == {"cension", "closient", "cornect", "exelensia", "packagex"} & set(
        json.loads(config.read_text())
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "is not a loopback address"),  # noqa: S104 - refused
        (["--faults", "no-such-file.yaml"], "no-such-file.yaml"),
        (["--knob", "exelensia.colour=red"], "exelensia has no knob colour"),
        (["--port", "x"], "invalid int value"),
        (["--providers", "nobody"], "invalid choice: 'nobody'"),
    ],
)
def test_bad_options(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_bad_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("faults: [{action: {explode: true}}]")
    with pytest.raises(SystemExit):
        main(["--faults", str(plan)])
    assert "action: unknown explode" in capsys.readouterr().err


def test_a_shipped_declaration_is_served_by_its_name() -> None:
    ready, code, _, errors = serve(signal.SIGTERM, "--declaration", "stripe")
    assert (list(ready["api_urls"]), code, errors) == (["stripe"], 0, "")


@pytest.mark.parametrize("text", ["a: [1", "", "- 1", "name: x", "{name: x, submit: {post: /x}}", "name: [x]"])
def test_what_is_no_declaration_is_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """And the command is named that says why."""
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(SystemExit):
        main(["--declaration", str(path)])
    told = capsys.readouterr().err.splitlines()[-1]
    assert "no whole declaration" in told
    assert told.endswith(f"`tap-exports check {path}` names its errors")
