"""What the command is given: files of JSON in any Unicode encoding, and settings in the environment.

Messages name the file or the variable, and never show what stands in it: it may be a secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tap_exports.errors import ConfigError, StateError

_ENVELOPE = "singer_state"  # Meltano keeps a state in it
_JSON_TYPES = frozenset({"array", "object"})


def read_file(path: str, option: str) -> dict[str, Any]:
    """Return the JSON object in a file.

    Args:
        path: Where it is.
        option: What it was given as, such as `--config`.

    Raises:
        ConfigError: It cannot be read, or holds something else.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{option}: {path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    return read_object(raw, path, option)


def read_object(raw: bytes, path: str, option: str) -> dict[str, Any]:
    """Return the JSON object that bytes hold, in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Raises:
        ConfigError: They hold something else.
    """
    if not raw.strip(b"\0 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise ConfigError(f"{option}: {path} is empty; leave {option} out, or give a file of JSON")
    try:
        value = json.loads(raw)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{option}: {path} is not in a Unicode encoding ({error.reason}); save it as UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{option}: {path} is not JSON: {_place(error)}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{option}: {path} holds a JSON {type(value).__name__}, an object is due")
    return value


def read_catalog(raw: bytes, path: str) -> dict[str, Any]:
    """Return the catalog that a file holds.

    A replication method that a person sets in the metadata, which the SDK does not look at, goes where it does.

    Raises:
        ConfigError: It is no JSON object, or describes a property by something else than a JSON Schema object.
    """
    catalog = read_object(raw, path, "--catalog")
    for stream in _objects(catalog.get("streams")):
        schema = stream.get("schema")
        properties = schema.get("properties") if isinstance(schema, dict) else None
        for name, prop in properties.items() if isinstance(properties, dict) else ():
            if not isinstance(prop, dict):
                where = f"{stream.get('tap_stream_id')}, property {name}"
                raise ConfigError(f"--catalog: {path}: {where}: an object is due; run --discover again")
        for entry in _objects(stream.get("metadata")):
            for own in _objects([entry.get("metadata")] if not entry.get("breadcrumb") else []):
                if method := own.pop("replication-method", None):
                    own["forced-replication-method"] = method
    return catalog


def _objects(value: object) -> list[dict[str, Any]]:
    """Return the objects of a list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def read_state(raw: bytes, path: str) -> dict[str, Any]:
    """Return the STATE that a file holds: bare, as Meltano wraps it, or as STATE messages, of which the last counts.

    Raises:
        StateError: It holds none; an empty file too, since starting over in silence would export everything again.
    """
    if not raw.strip(b"\0 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise StateError(f"--state: {path} is empty; restore it, or leave --state out to begin at start_date")
    try:
        value: Any = read_object(raw, path, "--state")
    except ConfigError as error:
        value = _last_line(raw)
        if value is None:
            raise StateError(error.message) from None
    if value.get("type") == "STATE" and isinstance(value.get("value"), dict):
        value = value["value"]
    inner = value.get(_ENVELOPE)
    return inner if "bookmarks" not in value and isinstance(inner, dict) else value


def is_wrapped(raw: bytes) -> bool:
    """Return whether a STATE that can be read is wrapped as Meltano keeps it."""
    try:
        value: object = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and _ENVELOPE in value


def _last_line(raw: bytes) -> dict[str, Any] | None:
    """Return the object on the last of several lines, each of which holds one, as targets write STATE; else None."""
    try:
        lines = raw.decode(json.detect_encoding(raw)).splitlines()
        values = [json.loads(line) for line in lines if line.strip()]
    except (ValueError, RecursionError):
        return None
    return values[-1] if len(values) > 1 and all(isinstance(value, dict) for value in values) else None


def broken_variables(
    schema: Mapping[str, Any], prefix: str, environment: Mapping[str, str], where: str = "in the environment"
) -> Iterator[str]:
    """Yield a message per variable of the environment whose text its setting cannot be read from.

    Args:
        schema: The settings.
        prefix: Of the variables' names.
        environment: All variables.
        where: Where they stand, for the message.
    """
    for setting, prop in schema.get("properties", {}).items():
        name = prefix + setting.upper().replace("-", "_")
        kinds = set([prop["type"]] if isinstance(prop.get("type"), str) else prop.get("type", ()))
        if name in environment and (message := _broken(environment[name], kinds)):
            yield f"{name} {where} {message}"


def _broken(text: str, kinds: set[str]) -> str | None:
    try:
        if kinds & _JSON_TYPES:
            json.loads(text)
        elif "integer" in kinds:
            int(text)
    except (ValueError, RecursionError) as error:
        return f"is not JSON: {_place(error)}" if kinds & _JSON_TYPES else "is not a whole number"
    return None


def _place(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.lower()} at line {error.lineno}, column {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else "a value is not allowed"
