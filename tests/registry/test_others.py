"""A provider in a package of its own, installed as users install it, is one like a built-in one.

Each test starts processes of its own, since what is installed is looked up once per process.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.testing import run_tap
from tap_exports.testing.process import COMMAND, Json, arguments_of

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "provider"
OFFLINE = ("--quiet", "--no-deps", "--no-build-isolation")
SETTINGS = """
from tap_exports.singer import typing as th
SETTINGS = th.Property({name!r}, th.ObjectType(th.Property("api_key", th.StringType, secret=True)))
"""
SECRET = "not-to-be-seen-anywhere"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder into which the example is installed, from a copy, with what is installed already."""
    folder = tmp_path_factory.mktemp("installed")
    shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    uv = shutil.which("uv")
    command = (
        [uv, "pip", "install", "--offline", "--python", sys.executable]
        if uv
        else [sys.executable, "-m", "pip", "install"]
    )
    target = ["--target", str(folder / "site"), str(folder / "source")]
    subprocess.run([*command, *OFFLINE, *target], check=True, timeout=100)
    return str(folder / "site")


def asked(site: str, folder: Path, config: Mapping[str, object], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Return what the tap or a subcommand, named first, answers."""
    given = [*arguments, *arguments_of(folder, config)]
    environment = {**os.environ, "PYTHONPATH": site}
    return subprocess.run([*COMMAND, *given], capture_output=True, text=True, check=False, timeout=60, env=environment)


def mandrill(**entry: object) -> Json:
    block = {"api_key": SECRET, "api_url": "http://127.0.0.1:9", "exports": [{"name": "all", **entry}]}
    return {"mandrill": block, "start_date": "2024-01-01T00:00:00Z", "allow_private_hosts": True, "max_attempts": 1}


@pytest.mark.timeout(300)  # five starts of the tap, one after the other
def test_the_example_passes_its_own_tests(site: str) -> None:
    """The conformance tests among them, run as its author runs them."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-c", os.devnull]
    command += ["--rootdir", str(EXAMPLE), str(EXAMPLE / "tests")]
    environment = {**os.environ, "PYTHONPATH": site, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280, env=environment)
    assert done.returncode == 0, done.stdout
    assert "16 passed" in done.stdout


def test_about_lists_its_settings(site: str, tmp_path: Path) -> None:
    """In the definition for Meltano, with kind, description and what is secret."""
    told = asked(site, tmp_path, {}, "--about", "--format=meltano").stdout
    settings = {each["name"]: each for each in yaml.safe_load(told)["settings"]}
    key = {"sensitive": True, "description": "Key, sent in the body of requests"}
    assert key.items() <= settings["mandrill.api_key"].items()
    assert settings["mandrill.exports"]["kind"] == "array"


def test_subcommands_know_it(site: str, tmp_path: Path) -> None:
    """`plan` its windows, `doctor` its package and address."""
    planned = json.loads(asked(site, tmp_path, mandrill(), "plan").stdout)
    steps = {each["stream"]: [step["action"] for step in each["steps"]] for each in planned["streams"]}
    assert steps == {"mandrill_exports": ["list"], "mandrill_export_all": ["create"]}
    found = asked(site, tmp_path, mandrill(), "doctor", "--no-facts")
    checks = {(each["about"], each["check"]): each for each in json.loads(found.stdout)["checks"]}
    assert checks["machine", "provider package"]["detail"] == "mandrill of tap-exports-mandrill 0.1.0"
    assert checks["mandrill", "TCP"]["verdict"] == "fail"
    assert SECRET not in found.stdout + found.stderr


def test_an_unknown_key_of_its_block_names_the_nearest(site: str, tmp_path: Path) -> None:
    """As of a built-in provider."""
    ran = asked(site, tmp_path, mandrill(tag=["a"]), "--discover")
    assert ran.returncode == 1
    assert 'unknown key "mandrill.exports[0].tag"; the nearest setting is "tags"' in ran.stderr


@pytest.fixture
def broken(tmp_path: Path) -> str:
    """Return a folder with packages that cannot be used, each in a way of its own."""
    modules = {
        "acme": ("import nothing_of_that_name", ""),
        "late": (SETTINGS.format(name="late"), "def discover(tap, block):\n    raise KeyError('what')"),
        "other": (SETTINGS.format(name="another"), ""),
        "shadow": (SETTINGS.format(name="shadow"), SHADOW),
    }
    for name, (settings, streams) in modules.items():
        package = tmp_path / "site" / f"{name}_exports"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "settings.py").write_text(settings, encoding="utf-8")
        (package / "streams.py").write_text(streams, encoding="utf-8")
        _register(tmp_path / "site", f"{name}-exports", name, package.name)
    _register(tmp_path / "site", "thief", "exelensia", "acme_exports")
    _register(tmp_path / "site", "report-exports", "report", "acme_exports")
    return str(tmp_path / "site")


SHADOW = """
from tap_exports.singer.streams.receipts import receipt_streams
def discover(tap, block):
    return iter(receipt_streams(tap))
"""


def _register(site: Path, distribution: str, name: str, package: str) -> None:
    info = site / f"{distribution.replace('-', '_')}-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 2.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[tap_exports.providers]\n{name} = {package}\n", encoding="utf-8")


def test_packages_that_cannot_be_used_fail_alone(broken: str, tmp_path: Path) -> None:
    """Each by the name of its package; the others run, discovery goes on, and no value of their blocks is shown."""
    blocks = {name: {"api_key": SECRET} for name in ("acme", "late", "other", "shadow")}
    with Sandbox(SandboxOptions(job_seconds=0)) as box:
        config = {**box.config("cension"), **blocks, "progress": "never"}
        environment = {"PYTHONPATH": broken, "LOGLEVEL": "DEBUG"}
        found = run_tap(tmp_path, config, "--discover", environment=environment)
        ran = run_tap(tmp_path, config, environment=environment)
        tested = run_tap(tmp_path, config, "--test", environment=environment)
        planned = json.loads(asked(broken, tmp_path, config, "plan").stdout)
    verdicts = b"\n".join(tested.lines).decode()
    assert tested.code == 1
    assert set(REASONS) <= {each["name"] for each in planned["idle"]}
    catalog = {entry["stream"] for entry in json.loads(b"\n".join(found.lines))["streams"]}
    assert (found.code, "cension_operations" in catalog) == (0, True)
    assert ran.code == 1
    assert ran.records["cension_operations"]
    for name, why in REASONS.items():
        message = f"{name}: the provider of the package {name}-exports 2.0 cannot be used: {why}"
        assert message in found.stderr
        assert message in verdicts
        assert any(message in error for error in ran.errors), ran.errors
    assert SECRET not in found.stderr + ran.stderr


REASONS = {
    "acme": "ModuleNotFoundError: No module named 'nothing_of_that_name'",
    "late": "KeyError: 'what'",
    "other": "its SETTINGS is the property another",
    "shadow": "the stream export_jobs has not its name in front",
}


def test_packages_that_are_not_configured_do_no_harm(broken: str, tmp_path: Path) -> None:
    """A run does not mention them; `doctor` does, those that take another's name too."""
    with Sandbox(SandboxOptions(job_seconds=0)) as box:
        config = {**box.config("cension"), "progress": "never"}
        ran = run_tap(tmp_path, config, environment={"PYTHONPATH": broken})
        told = asked(broken, tmp_path, config, "doctor", "--no-facts")
    assert ran.code == 0, ran.stderr
    assert "acme" not in ran.stderr
    warned = [each for each in json.loads(told.stdout)["checks"] if each["check"] == "provider package"]
    assert {each["verdict"] for each in warned if "cannot be used" in each["detail"]} == {"warn"}
    details = " ".join(each["detail"] for each in warned)
    assert "exelensia: the provider of the package thief 2.0 cannot be used: the name is that of a built-in" in details
    assert "the package report-exports 2.0 cannot be used: the tap has a setting of that name" in details
