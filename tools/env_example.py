"""The generated part of .env.example: every variable that meltano.yml reads, commented out, with its meaning."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tap_exports.sandbox import Sandbox

_VARIABLE = re.compile(r"\$(?!\{MELTANO_)\{?([A-Z]\w*)")
_PARENT = "tap-exports"
Plugin = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that a plugin reads, and the setting that it is for."""

    name: str
    plugin: str
    setting: Mapping[str, Any]

    def lines(self, example: str) -> str:
        """Return the variable as a line that is commented out, below its meaning."""
        return f"# {self.setting['description']}\n#{self.name}={example}"


def variables(meltano: Path) -> str:
    """Return a section per plugin; what several plugins read stands in a section before them."""
    plugins = yaml.safe_load(meltano.read_text(encoding="utf-8"))["plugins"]
    found = [each for kind in ("extractors", "loaders") for each in _read(plugins[kind])]
    count = Counter(each.name for each in found)
    sections: dict[str, dict[str, Variable]] = {"all providers": {}}
    for each in found:
        sections.setdefault("all providers" if count[each.name] > 1 else each.plugin, {})[each.name] = each
    examples = _examples()
    return "\n\n".join(_section(title, own, examples) for title, own in sections.items())


def _read(plugins: list[Plugin]) -> Iterator[Variable]:
    known = {plugin["name"]: {each["name"]: each for each in plugin.get("settings", ())} for plugin in plugins}
    for plugin in plugins:
        own = known[plugin.get("inherit_from", plugin["name"])]
        for name, value in plugin.get("config", {}).items():
            for variable in _VARIABLE.findall(str(value)):
                yield Variable(variable, plugin["name"], own[name])


def _section(title: str, own: Mapping[str, Variable], examples: Mapping[str, Any]) -> str:
    return "\n".join([f"# --- {title}", *(each.lines(_example(each, examples)) for each in own.values())])


def _example(variable: Variable, examples: Mapping[str, Any]) -> str:
    """Return a value that shows the form: never a secret, a price or an address."""
    setting = variable.setting
    if "value" in setting:
        return json.dumps(setting["value"])
    if setting.get("kind") == "options":
        return str(setting["options"][0]["value"])
    value = examples.get(setting["name"], "") if setting.get("kind") in {"array", "date_iso8601"} else ""
    return f"'{json.dumps(value[:1], ensure_ascii=False)}'" if isinstance(value, list) else str(value)


def _examples() -> dict[str, Any]:
    """Return the sandbox's configuration, with dotted names."""
    with Sandbox() as box:
        config = box.config()
        blocks = {f"{name}.{key}": value for name in box.provider_names for key, value in config[name].items()}
    return {**config, **blocks}
