"""The tap's definition as a plugin of Meltano: `--about --format meltano`, `plugins/`, and parts of meltano.yml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from singer_sdk.about import AboutFormatter, AboutInfo

from tap_exports.subcommands import MELTANO, OF_JOBS, SUBCOMMANDS, WITHOUT_CONFIG

Schema = Mapping[str, Any]
SINGLE_KINDS = {"integer": "integer", "number": "decimal", "boolean": "boolean", "array": "array", "object": "object"}
NEEDED_IN_BLOCKS = frozenset({"api_key", "api_token", "accounts"})


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its dotted name, its JSON Schema, and whether its object cannot be without it.

    Attributes:
        name: Its dotted name.
        schema: Its JSON Schema.
        required: Whether its object must have it.
        needed: Whether its object must have it, or each of its accounts.
    """

    name: str
    schema: Schema
    required: bool = False
    needed: bool = False

    @property
    def kind(self) -> str:
        """Return the kind of setting, in Meltano's words."""
        types = self.schema.get("type", [])
        words = {types} if isinstance(types, str) else set(types)
        if "enum" in self.schema:
            return "options"
        if self.schema.get("format") == "date-time":
            return "date_iso8601"
        return next((kind for word, kind in SINGLE_KINDS.items() if word in words), "string")

    @property
    def is_open(self) -> bool:
        """Return whether the setting is an object that holds settings."""
        return bool(self.schema.get("properties")) and self.schema.get("additionalProperties") is False

    @property
    def secret(self) -> bool:
        """Return whether the value is a credential."""
        return bool(self.schema.get("secret"))

    @property
    def holds_secret(self) -> bool:
        """Return whether the value is a credential, or a list or object with one in it."""
        return _holds_secret(self.schema)

    @property
    def about(self) -> str:
        """Return the description on one line."""
        text = self.schema.get("description") or self.schema.get("title") or ""
        return " ".join(f"{text}{self.bounds}".split())

    @property
    def bounds(self) -> str:
        """Return the bounds of a number, as they end its description."""
        least, most = self.schema.get("minimum"), self.schema.get("maximum")
        if "exclusiveMinimum" in self.schema:
            return f" (more than {self.schema['exclusiveMinimum']:,}, at most {most:,})"
        return "" if least is None else f" ({least:,} to {most:,})"


def settings(schema: Schema, prefix: str = "", *, items: bool = False) -> Iterator[Setting]:
    """Yield the leaves of a schema; with `items` those within lists too, as `exports[].name`."""
    ways = [rule["anyOf"] for rule in schema.get("allOf", ()) if "anyOf" in rule]
    needed = {name for first, *_ in ways for name in first.get("required", ())}
    for name, prop in schema.get("properties", {}).items():
        setting = Setting(prefix + name, prop, name in schema.get("required", ()), name in needed)
        if setting.is_open:
            yield from settings(prop, f"{setting.name}.", items=items)
            continue
        yield setting
        if items and setting.kind == "array":
            yield from settings(prop.get("items", {}), f"{setting.name}[].", items=True)


def meltano_setting(setting: Setting) -> dict[str, Any]:
    """Return a setting as Meltano wants it."""
    made: dict[str, Any] = {"name": setting.name}
    # Meltano 4.4 cannot write a decimal that comes from the environment; the tap reads numbers from text too.
    if setting.kind not in {"string", "decimal"}:
        made["kind"] = setting.kind
    if setting.kind == "options":
        made["options"] = [{"label": value, "value": value} for value in setting.schema["enum"]]
    if setting.holds_secret:
        made["sensitive"] = True
    # A default below a provider would make the provider's block, and with it the provider, in every configuration.
    if "default" in setting.schema and "." not in setting.name:
        made["value"] = setting.schema["default"]
    return {**made, "description": setting.about}


def definition(about: AboutInfo, pip_url: str) -> dict[str, Any]:
    """Return the definition of the tap as a plugin.

    Args:
        about: What the tap says of itself.
        pip_url: Where it is installed from.
    """
    return {
        "name": about.name,
        "namespace": about.name.replace("-", "_"),
        "label": "Export APIs",
        "description": about.description,
        "pip_url": pip_url,
        "executable": about.name,
        "capabilities": capabilities(about),
        "commands": commands(),
        "settings_group_validation": group_validation(about.settings),
        "settings": [meltano_setting(setting) for setting in settings(about.settings)],
    }


def commands() -> dict[str, dict[str, str]]:
    """Return the subcommands as Meltano's commands of the plugin, with the configuration that Meltano wrote."""
    named = {name: text for name, text in SUBCOMMANDS.items() if name not in WITHOUT_CONFIG}
    made = {name: {"args": f"{name} --config {MELTANO}", "description": text} for name, text in named.items()}
    for verb in OF_JOBS:
        text = f"{verb} one job: its id follows"
        made[f"jobs-{verb}"] = {"args": f"jobs {verb} --config {MELTANO}", "description": text}
    return made


def capabilities(about: AboutInfo) -> list[str]:
    """Return the names of the tap's capabilities, sorted."""
    return sorted(str(each.value) for each in about.capabilities)


def group_validation(schema: Schema) -> list[list[str]]:
    """Return the groups of settings of which one is needed: the key of one provider, or its accounts."""
    found = [[s.name] for s in settings(schema) if s.name.partition(".")[2] in NEEDED_IN_BLOCKS]
    return sorted(found)


def as_yaml(value: object) -> str:
    """Return a value as YAML, in the order in which it stands."""
    import yaml  # noqa: PLC0415 - a run does without it

    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)).rstrip("\n")


class MeltanoFormatter(AboutFormatter, format_name="meltano"):
    """The definition as YAML, for `meltano add --from-ref`."""

    def format_about(self, about_info: AboutInfo) -> str:
        """Return the definition; the plugin is installed from a registry."""
        return as_yaml(definition(about_info, about_info.name))


def _holds_secret(schema: Schema) -> bool:
    below = [*schema.get("properties", {}).values(), schema.get("items", {})]
    return bool(schema.get("secret")) or any(_holds_secret(each) for each in below if each)
