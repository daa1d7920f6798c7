"""The examples of the README are configurations that the tap takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from singer_sdk.plugin_base import JSONSchemaValidator

from tap_exports import settings
from tap_exports.tap import PROVIDERS, TapExports

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
