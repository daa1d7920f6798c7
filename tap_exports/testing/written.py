"""What stands in a provider's files: imports, stream classes, their attributes and docstrings."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from tap_exports.singer.streams.stream import EventStream

TERMS = ("Docs", "Window", "Caveats")
# The attributes of a stream class, in the order in which they stand.
ATTRIBUTES = (
    "provider",
    "name",
    "path",
    "properties",
    "primary_keys",
    "replication_key",
    "is_user_data",
    "lineage",
    "bookmark_kind",
    "rows_by",
    "ordered",
    "statuses",
    "free_texts",
    "user_fields",
    "verify_counts",
    "max_window_days",
    "instants",
    "retention",
    "suffix",
    "can_read_again",
    "shown",
    "leader",
    "api",
)


def source_of(module: ModuleType) -> str:
    """Return the text of a module."""
    return Path(str(module.__file__)).read_text(encoding="utf-8")


def classes_in(module: ModuleType) -> list[ast.ClassDef]:
    """Return the stream classes of a module, as they are written."""
    found = [node for node in ast.parse(source_of(module)).body if isinstance(node, ast.ClassDef)]
    return [node for node in found if issubclass(getattr(module, node.name), EventStream)]


def attributes(node: ast.ClassDef) -> list[str]:
    """Return the names that a class body assigns or declares."""
    targets = [s.targets[0] if isinstance(s, ast.Assign) else getattr(s, "target", None) for s in node.body]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def terms(node: ast.ClassDef) -> list[str]:
    """Return which of `TERMS` the docstring of a class has with words, in their order."""
    found = re.findall(r"^\s*(\w+): \S", ast.get_docstring(node) or "", re.MULTILINE)
    return [term for term in found if term in TERMS]


def page(node: ast.ClassDef) -> str | None:
    """Return the page that the docstring of a class names."""
    found = re.search(r"Docs: (\S+)", inspect.cleandoc(ast.get_docstring(node) or ""))
    return found[1] if found else None


def imports(module: ModuleType) -> set[str]:
    """Return the modules that a module imports, by their full name."""
    nodes = list(ast.walk(ast.parse(source_of(module))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def settings_within(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every setting below a schema, with its path."""
    yield path, dict(schema)
    for name, inner in schema.get("properties", {}).items():
        yield from settings_within(inner, f"{path}.{name}")
    if isinstance(schema.get("items"), Mapping):
        for name, inner in schema["items"].get("properties", {}).items():
            yield from settings_within(inner, f"{path}[].{name}")
