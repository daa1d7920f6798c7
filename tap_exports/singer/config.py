"""Normalises the configuration from files and environment; describes its errors without showing values."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tap_exports.engine.secrets import printable
from tap_exports.settings import shown

if TYPE_CHECKING:
    from jsonschema import ValidationError

RULES = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be more than {}",
    "exclusiveMaximum": "must be less than {}",
    "minLength": "must have at least {} character",
    "minItems": "must have at least {} entry",
    "pattern": "must match the pattern {}",
}


def plain(config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration as the engine takes it.

    Decimals of files become floats, numeric text of environment variables becomes numbers, whole floats become integers
    where the setting is one. What is not set, or null, has its default. Numbers that are not finite become text, which
    no setting of numbers accepts.
    """
    known: Mapping[str, Any] = schema.get("properties", {})
    given = {key: value for key, value in config.items() if value is not None or key not in known}
    defaults = {key: prop["default"] for key, prop in known.items() if "default" in prop and key not in given}
    return {key: _plain(value, known.get(key, {})) for key, value in (given | defaults).items()}


def _plain(value: object, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        return plain(value, schema)
    if isinstance(value, list):
        return [_plain(item, schema.get("items", {})) for item in value]
    return _number(value, schema.get("type", ()))


def _number(value: object, kinds: Iterable[str]) -> object:
    if isinstance(value, Decimal):
        value = float(value)
    elif isinstance(value, str) and "number" in kinds:
        with contextlib.suppress(ValueError):
            value = float(value)
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return str(value)
    return int(value) if "integer" in kinds and value.is_integer() else value


def is_of_type(error: ValidationError) -> bool:
    """Return whether a rule with several ways fails for a value's type in all of them, which another error says."""
    return error.validator == "anyOf" and all(way.validator == "type" for way in error.context or ())


def describe(error: ValidationError) -> str:
    """Return a message that names the setting and the rule that it breaks, never its value."""
    path = _path(error)
    if error.validator in {"required", "anyOf"} and (missing := _missing(error)):
        return f'config: "{missing[0]}" is missing' + "".join(f', and so is "{other}"' for other in missing[1:])
    if error.validator == "type":
        return f'config: "{path}" must be of type {" or ".join(_words(error.validator_value))}'
    if error.validator == "enum":
        return f'config: "{path}" must be one of {", ".join(_words(error.validator_value))}'
    rule = RULES.get(str(error.validator), f"breaks the rule {error.validator}: {{}}")
    return f'config: "{path}" {rule.format(error.validator_value)}'


def _path(error: ValidationError) -> str:
    settings = set(error.absolute_schema_path)
    parts = (str(part) if part in settings or isinstance(part, int) else shown(part) for part in error.absolute_path)
    return printable(".".join(parts)) or "the top level"


def _missing(error: ValidationError) -> list[str]:
    """Return the setting that a rule requires; of a rule with several ways the first of each, the innermost first."""
    if error.validator == "required":
        given: Any = error.instance
        here = f"{_path(error)}." if error.absolute_path else ""
        return [here + next(key for key in _words(error.validator_value) if key not in given)]
    ways = {way.schema_path[0]: _missing(way) for way in reversed(error.context or ()) if way.validator == "required"}
    found = [path for _, paths in sorted(ways.items()) for path in paths]
    return sorted(found, key=lambda path: -path.count("."))


def _words(value: object) -> Iterable[str]:
    words = value if isinstance(value, list) else [value]
    return [str(w) for w in words if w not in {"null", None}]
