"""YAML with the line of each key, for messages; aliases, duplicate keys and long files are refused."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from tap_exports.engine.secrets import carries_credentials
from tap_exports.errors import ConfigError

MOST_BYTES = 64 * 1024
MOST_LEVELS = 40  # of mappings and lists within each other
Place = tuple[str | int, ...]
_MERGE = "tag:yaml.org,2002:merge"
# Advice for usual causes of what a YAML parser says.
_HINTS = (
    (r"\\t", "a tab: indent with blanks"),
    (r"got '\{'|got ':'|got '<scalar>'|unhashable", "quote a text that holds {, } or a colon"),
    (r"mapping values are not allowed", "look at the indentation, and quote a text that holds a colon"),
    (r"<block end>", "look at the indentation"),
    (r"another document", "a file holds one"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """A declaration as it was written.

    Attributes:
        name: The file's name, for messages.
        content: Its JSON value.
        lines: The line of each key and item, counted from 1; empty for a mapping in the configuration.
        folder: Where the file is, or None.
    """

    name: str
    content: Mapping[str, Any]
    lines: Mapping[Place, int]
    folder: Path | None = None

    def line(self, place: Place) -> int | None:
        """Return the line of a place, or of the nearest one above it that has a line."""
        known = (self.lines.get(place[:n]) for n in range(len(place), 0, -1))
        return next((line for line in known if line), None)

    def where(self, place: Place) -> str:
        """Return `file:line: key.key` of a place, for messages."""
        line = self.line(place)
        return f"{self.name}{f':{line}' if line else ''}: {dotted(place)}".rstrip(": ")


def read(path: Path) -> Source:
    """Return the content of a YAML file.

    Raises:
        ConfigError: It cannot be read, is no YAML mapping, repeats a key, or uses anchors; the message has the line.
    """
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"declaration {path}: no file")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # the latter of a path with a null character
        raise ConfigError(f"declaration {path}: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MOST_BYTES:
        raise ConfigError(f"declaration {path}: larger than {MOST_BYTES // 1024} KiB")
    try:
        return replace(parsed(path.name, data.decode()), folder=path.parent)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path.name}:{line}: not UTF-8") from None


def parsed(name: str, text: str) -> Source:
    """Return the content of YAML text; see `read`."""
    try:
        _check_events(name, text)
        node = yaml.compose(text, yaml.SafeLoader)
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{name}: a mapping is due")
        lines = dict(_lines(name, node, ()))
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        mark: object = getattr(error, "problem_mark", None)
        line = f":{getattr(mark, 'line', 0) + 1}" if mark else ""
        raise ConfigError(f"{name}{line}: no YAML: {_advised(_problem(error))}") from None
    return Source(name, _json(name, content), lines)


def _check_events(name: str, text: str) -> None:
    """Refuse aliases and deep nesting, which the parser takes ever longer for, as soon as they come.

    Raises:
        ConfigError: There is one; the message has the line.
    """
    levels = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(f"{name}:{_line(event)}: aliases are not allowed")
        levels += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if levels > MOST_LEVELS:
            raise ConfigError(f"{name}:{_line(event)}: more than {MOST_LEVELS} levels of mappings and lists")


def dotted(place: Place) -> str:
    """Return a place as text: `submit.refusals[0].means`, `auth.headers[Authorization]`.

    A header's name that carries credentials stands in brackets: with a colon behind it, the rest of the line would be
    taken for them, and be cut.
    """
    text = "".join(f"[{part}]" if isinstance(part, int) or carries_credentials(part) else f".{part}" for part in place)
    return text.removeprefix(".")


def _lines(name: str, node: yaml.Node, place: Place) -> Iterator[tuple[Place, int]]:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*place, index), _line(item)
            yield from _lines(name, item, (*place, index))
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line, word = _line(key), str(key.value)
            if key.tag == _MERGE:
                raise ConfigError(f"{name}:{line}: {dotted((*place, word))}: merge keys are not allowed")
            if isinstance(key, yaml.ScalarNode) and (read := _read_as(key)) != word:
                where = f"{name}:{line}: {dotted((*place, word))}"
                raise ConfigError(f"{where}: YAML reads this key as {read}: quote it")
            if word in seen:
                raise ConfigError(f"{name}:{line}: {dotted((*place, word))}: this key stands twice")
            seen.add(word)
            yield (*place, word), line
            yield from _lines(name, value, (*place, word))


def _read_as(key: yaml.ScalarNode) -> str:
    """Return a key as YAML 1.1 reads it: `on` is true, `010` is 8."""
    return _key(yaml.safe_load(key.value)) if key.style is None else str(key.value)


def _line(found: yaml.Event | yaml.Node) -> int:
    return found.start_mark.line + 1 if found.start_mark else 0


def _json(name: str, value: object) -> Any:  # noqa: ANN401 - JSON
    """Return a YAML value as JSON: keys are text, dates are written out.

    Raises:
        ConfigError: JSON knows no such value, such as a set, bytes or infinity.
    """
    if isinstance(value, Mapping):
        return {_key(key): _json(name, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_json(name, inner) for inner in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{name}: {value} is no number of JSON")
    if value is not None and not isinstance(value, str | bool | int | float):
        raise ConfigError(f"{name}: a {type(value).__name__} is no value of JSON")
    return value


def _key(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def _problem(error: Exception) -> str:
    said = getattr(error, "problem", None) or ("too deep" if isinstance(error, RecursionError) else error)
    return str(said).splitlines()[0]


def _advised(problem: str) -> str:
    """Return a problem of a YAML parser with advice, where it has a usual cause."""
    advice = next((words for pattern, words in _HINTS if re.search(pattern, problem)), "")
    return f"{problem}; {advice}" if advice else problem
