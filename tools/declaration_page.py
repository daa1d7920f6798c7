"""The generated parts of docs/declare.md, and the JSON Schema of declarations."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tap_exports.providers.declared.declaration import checked, read
from tap_exports.providers.declared.declaration.check import verb_of
from tap_exports.providers.declared.declaration.format import FORMAT
from tap_exports.providers.declared.streams import SHIPPED
from tools.markdown import table

Schema = Mapping[str, Any]


def json_schema() -> str:
    """Return the JSON Schema of the format, for editors."""
    return json.dumps(FORMAT, indent=2) + "\n"


def keys() -> str:
    """Return the table of all keys."""
    return table(("key", "holds"), [(f"`{name}`", about) for name, about in _keys(FORMAT, "")])


def _keys(schema: Schema, prefix: str) -> Iterator[tuple[str, str]]:
    required = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        words = f"; one of {', '.join(f'`{word}`' for word in inner['enum'])}" if "enum" in inner else ""
        yield prefix + name, f"{inner.get('description', '')}{words}{' (required)' if name in required else ''}"
        if inner.get("properties"):
            yield from _keys(inner, f"{prefix}{name}.")
        elif inner.get("items", {}).get("properties"):
            yield from _keys(inner["items"], f"{prefix}{name}[].")


def shipped() -> str:
    """Return the table of shipped declarations."""
    return table(
        ("name", "asks for", "lost reply", "proof", "documents, read"), map(_shipped, sorted(SHIPPED.glob("*.yaml")))
    )


def _shipped(path: Any) -> tuple[str, ...]:
    spec = checked(read(path)).spec
    proof = spec.get("proof", {})
    counted = bool(proof.get("rows") or proof.get("sha256") or spec["job"].get("rows"))
    how = "found in the list" if "find" in spec else {"repeat": "repeated"}.get(str(spec.get("lost_reply")), "stops")
    return (
        f"`{spec['name']}`",
        f"`{verb_of(spec['submit'])[1]}`",
        how,
        "A" if counted else "B",
        f"<{spec['docs']}>, {spec['seen']}",
    )


def example(path: Any) -> str:
    """Return a declaration as a block of YAML, without the comment for editors."""
    text = path.read_text(encoding="utf-8")
    yaml.safe_load(text)
    return f"```yaml\n{re.sub(r'^# .*', '', text).strip()}\n```"
