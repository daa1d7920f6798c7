"""Normalises the configuration from files and environment; describes its errors without showing values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import ValidationError


def plain(config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with floats for the decimals of files and the numeric text of environment variables."""
    numbers = {k for k, p in schema.get("properties", {}).items() if "number" in p.get("type", ())}
    numbered = {key: _without_decimals(value) for key, value in config.items()}
    for key in numbers & numbered.keys():
        with contextlib.suppress(ValueError, TypeError):
            numbered[key] = float(numbered[key])
    return numbered


def _without_decimals(value: object) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return {k: _without_decimals(v) for k, v in value.items()}
    return [_without_decimals(v) for v in value] if isinstance(value, list) else value


def describe(error: ValidationError) -> str:
    """Return a message that names the setting and the rule that it breaks, never its value."""
    path = ".".join(str(part) for part in error.absolute_path) or "the top level"
    if error.validator == "required":
        given: Any = error.instance
        missing = next(k for k in _words(error.validator_value) if k not in given)
        here = f"{path}.{missing}" if error.absolute_path else missing
        return f'config: "{here}" is missing'
    if error.validator == "type":
        return f'config: "{path}" must be of type {" or ".join(_words(error.validator_value))}'
    if error.validator == "enum":
        return f'config: "{path}" must be one of {", ".join(_words(error.validator_value))}'
    return f'config: "{path}" breaks the rule {error.validator}: {error.validator_value}'


def _words(value: object) -> Iterable[str]:
    words = value if isinstance(value, list) else [value]
    return [str(w) for w in words if w not in {"null", None}]
