"""The examples of the README are configurations that the tap takes."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from singer_sdk.plugin_base import JSONSchemaValidator

from tap_exports import settings
from tap_exports.tap import PROVIDERS, TapExports

KEPT = '{"bookmarks": {"kept": {}}}\n'
README = Path(__file__).resolve().parents[2] / "README.md"
EXAMPLES = [
    json.loads(text) for text in re.findall(r"```json\n(\{.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
]


def named(example: dict[str, Any]) -> str:
    """Return the provider of an example."""
    return next(name for name in example if name in PROVIDERS)


def test_every_provider_has_an_example() -> None:
    """There is a smallest example for each provider."""
    assert sorted(map(named, EXAMPLES)) == sorted(PROVIDERS)


@pytest.mark.parametrize("example", EXAMPLES, ids=named)
def test_example_is_valid(example: dict[str, Any]) -> None:
    """It holds known keys, and all that is required."""
    schema = TapExports.config_jsonschema
    assert list(settings.unknown_keys(example, schema)) == []
    assert [error.message for error in JSONSchemaValidator(schema).iter_errors(example)] == []


@pytest.mark.process
@pytest.mark.parametrize(("printed", "left"), [("", KEPT), ('{"a": 1}\n{"b": 2}\n', '{"b": 2}\n')])
def test_a_target_that_prints_no_state_leaves_the_one_before(tmp_path: Path, printed: str, left: str) -> None:
    """Each line of the page that takes over STATE is run as it stands: an empty file never replaces a STATE."""
    lines = [line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("tail ")]
    assert lines
    for line in lines:
        (tmp_path / "state.json").write_text(KEPT)
        (tmp_path / "state.jsonl").write_text(printed)
        subprocess.run(["/bin/sh", "-c", line], cwd=tmp_path, check=False, timeout=60)
        assert (tmp_path / "state.json").read_text() == left
