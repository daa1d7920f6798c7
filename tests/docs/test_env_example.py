"""`.env.example` names every variable that meltano.yml reads, and holds no secret."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from tools.env_example import variables

ROOT = Path(__file__).resolve().parents[2]
MELTANO = (ROOT / "meltano.yml").read_text(encoding="utf-8")
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
LINES = dict(re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE, re.MULTILINE))
OF_MELTANO = {"MELTANO_PROJECT_ROOT"}


def test_every_variable_is_there() -> None:
    """What meltano.yml reads, in whatever notation, is in the example, and nothing else is."""
    read = set(re.findall(r"\$\{?([A-Z][A-Z0-9_]*)", MELTANO))
    assert set(LINES) == read - OF_MELTANO


def test_nothing_is_set() -> None:
    """A copy changes nothing before its user uncomments a line: an empty key would be a provider without one."""
    assert [line for line in EXAMPLE.splitlines() if line and not line.startswith("#")] == []


def test_no_secret_and_no_spending_has_a_value() -> None:
    plugins = yaml.safe_load(MELTANO)["plugins"]
    secret = {
        each["name"].replace(".", "_").upper()
        for plugin in plugins["extractors"]
        for each in plugin.get("settings", ())
        if each.get("sensitive") and each.get("kind") != "array"
    }
    assert len(secret) == 5
    assert "api_key" not in "".join(value for value in LINES.values() if value.startswith("'"))
    assert {name: LINES[name] for name in {*secret, "EXPORTS_POSTGRES_URL", "CORNECT_MAX_CREDITS"} if LINES[name]} == {}


def test_lists_are_json() -> None:
    """An example of a list is a list of one entry as Meltano reads it from the environment."""
    lists = [json.loads(value.strip("'")) for value in LINES.values() if value.startswith("'")]
    assert len(lists) == 8
    assert all(isinstance(value, list) and len(value) == 1 for value in lists)


def test_a_variable_of_a_new_plugin_is_found(tmp_path: Path) -> None:
    """A variable counts wherever it stands in a value, of a loader too."""
    config = {
        "name": "target-new",
        "settings": [{"name": "url", "description": "Where to"}],
        "config": {"url": "s3://$NEW_HOME/x"},
    }
    (tmp_path / "meltano.yml").write_text(yaml.safe_dump({"plugins": {"extractors": [], "loaders": [config]}}))
    assert "# --- target-new\n# Where to\n#NEW_HOME=" in variables(tmp_path / "meltano.yml")
