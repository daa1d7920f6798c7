"""Write the generated parts of meltano.yml, plugins/, .env.example, README.md and docs/, as tap and sandbox have them.

    python tools/generate.py            writes what is stale
    python tools/generate.py --check    writes nothing; prints a diff and ends with exit code 1 when something is stale

A part stands between two marker lines, `<name>: generated` and `<name>: end`, in the comment form of its file. The
streams are those of the tap over a sandbox that runs meanwhile, one entry of each kind.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from singer_sdk.about import AboutInfo

from tap_exports.sandbox import Sandbox
from tap_exports.singer.definition import (
    Schema,
    Setting,
    as_yaml,
    capabilities,
    commands,
    definition,
    meltano_setting,
    settings,
)
from tap_exports.singer.streams.stream import EventStream
from tap_exports.subcommands import SUBCOMMANDS
from tap_exports.tap import PROVIDERS, TapExports
from target_exports.target import TargetExports

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, this file does not find its neighbours

from tools import declaration_page, env_example, sandbox_page
from tools.markdown import Cells, table, with_part

ROOT = Path(__file__).resolve().parent.parent
YOURS = "your name"
SLUG = "your_name"
WORDS = {"date_iso8601": "date-time", "decimal": "number"}
SHARED_BY_EXTRACTORS = {"start_date": "$EXPORTS_START_DATE", "allow_private_hosts": "$EXPORTS_ALLOW_PRIVATE_HOSTS"}
ACRONYMS = {"api", "csv", "id", "ids", "mb", "url"}


@cache
def config_schema() -> Schema:
    """Return the schema of the configuration, with the SDK's own settings."""
    schema = dict(TapExports.config_jsonschema)
    TapExports.append_builtin_config(schema)
    return schema


@cache
def about() -> AboutInfo:
    """Return what the tap says of itself."""
    return TapExports._get_about_info()  # noqa: SLF001 - `--about` prints it, and nothing else gives it


# meltano.yml and the plugin's definitions


def meltano_capabilities() -> str:
    """Return the capabilities."""
    return as_yaml(capabilities(about()))


def meltano_settings() -> str:
    """Return the list of settings as Meltano wants them."""
    return as_yaml([meltano_setting(setting) for setting in settings(config_schema())])


def plugin() -> str:
    """Return the definition for a project of one's own."""
    return as_yaml(definition(about(), about().name))


def hub_plugin() -> str:
    """Return the definition in the form of Meltano's Hub."""
    made = definition(about(), about().name)
    ordered = ("name", "label", "variant", "description", "repo", "pip_url", "namespace", "executable", "domain_url")
    more = {
        "variant": about().name,
        "repo": _source(),
        "domain_url": _source(),
        "maintenance_status": "active",
        "keywords": ["api", "meltano_sdk", "export"],
        "settings": [{"label": _label(each["name"]), **each} for each in made["settings"]],
    }
    whole = {**made, **more}
    return as_yaml({name: whole[name] for name in (*ordered, *sorted(whole.keys() - set(ordered)))})


def _label(name: str) -> str:
    return " ".join(word.upper() if word in ACRONYMS else word.capitalize() for word in re.split(r"[._]", name))


def _source() -> str:
    found = re.search(r'^Source = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""


def meltano_commands() -> str:
    """Return the subcommands as Meltano's commands of the plugin."""
    return as_yaml(commands())


def meltano_extractors() -> str:
    """Return one extractor per provider, configured from the environment."""
    return "\n".join(as_yaml([_extractor(provider)]) for provider in sorted(PROVIDERS))


def _extractor(provider: str) -> dict[str, Any]:
    block = config_schema()["properties"][provider]
    leaves = [setting.name for setting in settings(block, f"{provider}.")]
    own = {name: f"${name.replace('.', '_').upper()}" for name in leaves}
    return {
        "name": f"tap-exports-{provider}",
        "inherit_from": "tap-exports",
        "config": {**SHARED_BY_EXTRACTORS, **own},
        "select": [f"{provider}_*.*", "export_*.*"],
    }


def meltano_tasks() -> str:
    """Return one task per provider."""
    return as_yaml([f"tap-exports-{provider} target-exports" for provider in sorted(PROVIDERS)])


# Markdown


def shared_settings() -> str:
    """Return the table of the tap's own top-level settings."""
    found = (s for s in settings(TapExports.config_jsonschema) if "." not in s.name)
    return settings_table(s for s in found if s.name not in _built_in())


def provider_settings() -> str:
    """Return a table per provider, settings within lists included."""
    properties = config_schema()["properties"]
    found = {name: settings(properties[name], f"{name}.", items=True) for name in sorted(PROVIDERS)}
    found["declared"] = settings({"properties": {"declared": properties["declared"]}}, items=True)
    return "\n\n".join(f"### {name}\n\n{settings_table(each)}" for name, each in found.items())


def built_in_settings() -> str:
    """Return the table of the SDK's settings."""
    return settings_table(s for s in settings(config_schema()) if s.name in _built_in())


@cache
def _built_in() -> frozenset[str]:
    schema: dict[str, Any] = {"properties": {}}
    TapExports.append_builtin_config(schema)
    return frozenset(schema["properties"])


def settings_table(found: Iterable[Setting]) -> str:
    """Return settings as a table."""
    return table(("setting", "kind", "default", "meaning"), map(_settings_row, found))


def loader_settings() -> str:
    """Return the table of the loader's settings."""
    return settings_table(settings(TargetExports.config_jsonschema))


def _settings_row(setting: Setting) -> Cells:
    default = setting.schema.get("default")
    shown = "" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"
    kind = "secret" if setting.secret else WORDS.get(setting.kind, setting.kind)
    if setting.kind == "options":
        kind = ", ".join(f"`{value}`" for value in setting.schema["enum"])
    need = "required" if setting.required else "required, here or in each account" if setting.needed else shown
    return f"`{setting.name}`", kind, need, setting.about


def commands_table() -> str:
    """Return the subcommands as a table."""
    return table(("subcommand", "what it does"), [(f"`{name}`", about) for name, about in SUBCOMMANDS.items()])


def streams_table() -> str:
    """Return all streams as a table."""
    return table(("stream", "key", "bookmark", "rows"), map(_stream_row, streams()))


def _stream_row(stream: EventStream) -> Cells:
    keys = ", ".join(f"`{key}`" for key in stream.primary_keys)
    bookmark = f"`{stream.replication_key}`" if stream.replication_key else "full table"
    return f"`{_name(stream)}`", keys, bookmark, _doc(stream)[0]


def stream_sections() -> str:
    """Return a section per stream: window and caveats as its class tells them."""
    return "\n\n".join(f"### {_name(stream)}\n\n{_section(stream)}" for stream in streams())


def _section(stream: EventStream) -> str:
    summary, terms = _doc(stream)
    if "Docs" in terms:
        terms["Docs"] = f"<{terms['Docs']}>"
    return "\n".join([summary, "", *(f"- {term}: {text}" for term, text in terms.items())]).rstrip()


def _doc(stream: EventStream) -> tuple[str, dict[str, str]]:
    summary, _, rest = (type(stream).__doc__ or "").partition("\n")
    found = re.findall(r"^ {4}(Docs|Window|Caveats): (.*(?:\n {8}.*)*)", rest, re.MULTILINE)
    return summary.strip(), {term: " ".join(text.split()) for term, text in found}


def _name(stream: EventStream) -> str:
    return stream.name.replace(SLUG, "<name>")


@cache
def streams() -> tuple[EventStream, ...]:
    """Return the streams of a tap that has one entry of each kind, those about the run last."""
    with Sandbox() as box:
        config = {name: value for name, value in box.config().items() if name not in box.provider_names}
        blocks = {name: _one_of_each(box.config(name)[name]) for name in sorted(PROVIDERS)}
        tap = TapExports(config={**config, **blocks})
        found = [stream for stream in tap.streams.values() if isinstance(stream, EventStream)]
        for stream in found:
            _ = stream.primary_keys
    return tuple(sorted(found, key=lambda stream: stream.name.startswith("export_")))


def _one_of_each(block: Schema) -> dict[str, Any]:
    return {name: [_bare(value[0])] if name in {"exports", "queries"} else value for name, value in block.items()}


def _bare(entry: Schema) -> dict[str, Any]:
    chosen = {name: value for name, value in entry.items() if name not in {"primary_keys", "replication_key"}}
    return {**chosen, "name": YOURS}


# Files

MELTANO, README = Path("meltano.yml"), Path("README.md")
SETTINGS, STREAMS, SANDBOX = Path("docs/settings.md"), Path("docs/streams.md"), Path("docs/sandbox.md")
VARIABLES, DECLARE = Path(".env.example"), Path("docs/declare.md")
PLUGIN, HUB = Path("plugins/tap-exports.yml"), Path("docs/upstream/meltano-hub.yml")
WHOLE: dict[Path, Callable[[], str]] = {
    Path("tap_exports/providers/declared/declaration.schema.json"): declaration_page.json_schema,
}
COMMANDS, LOADERS = Path("docs/commands.md"), Path("docs/loaders.md")
PARTS: dict[tuple[Path, str], Callable[[], str]] = {
    (MELTANO, "capabilities"): meltano_capabilities,
    (MELTANO, "settings"): meltano_settings,
    (MELTANO, "commands"): meltano_commands,
    (MELTANO, "extractors"): meltano_extractors,
    (MELTANO, "tasks"): meltano_tasks,
    (PLUGIN, "definition"): plugin,
    (HUB, "definition"): hub_plugin,
    (VARIABLES, "variables"): lambda: env_example.variables(ROOT / MELTANO),
    (README, "settings"): shared_settings,
    (README, "streams"): streams_table,
    (README, "commands"): commands_table,
    (COMMANDS, "commands"): commands_table,
    (SETTINGS, "shared"): shared_settings,
    (SETTINGS, "providers"): provider_settings,
    (SETTINGS, "built-in"): built_in_settings,
    (LOADERS, "settings"): loader_settings,
    (STREAMS, "table"): streams_table,
    (STREAMS, "sections"): stream_sections,
    (SANDBOX, "options"): sandbox_page.options,
    (SANDBOX, "controls"): sandbox_page.controls,
    (SANDBOX, "growth"): sandbox_page.growth,
    (SANDBOX, "truths"): sandbox_page.truths,
    (SANDBOX, "faults-instead"): sandbox_page.faults_instead,
    (SANDBOX, "faults-content"): sandbox_page.faults_content,
    (SANDBOX, "faults-lists"): sandbox_page.faults_lists,
    (SANDBOX, "faults-reply"): sandbox_page.faults_reply,
    (SANDBOX, "clocks"): sandbox_page.clock_plans,
    (SANDBOX, "jobs"): sandbox_page.job_plans,
    (SANDBOX, "knobs"): sandbox_page.knobs,
    (DECLARE, "example"): lambda: declaration_page.example(ROOT / "docs/examples/helpdesk.yaml"),
    (DECLARE, "shipped"): declaration_page.shipped,
    (DECLARE, "keys"): declaration_page.keys,
}


def generated(path: Path) -> str:
    """Return a file's text with its generated parts anew.

    Raises:
        ValueError: A marker is missing.
    """
    if path in WHOLE:
        return WHOLE[path]()
    text = (ROOT / path).read_text(encoding="utf-8")
    for (owner, name), make in PARTS.items():
        if owner == path:
            text = with_part(text, path, name, make())
    return text


def main() -> int:
    """Write or check.

    Returns:
        1 when `--check` was given and something is stale, else 0.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, show what is stale")
    check = parser.parse_args().check
    stale = False
    for path in dict.fromkeys([*WHOLE, *(path for path, _ in PARTS)]):
        there = (ROOT / path).exists()
        old, new = (ROOT / path).read_text(encoding="utf-8") if there else "", generated(path)
        stale = stale or old != new
        if check:
            sys.stdout.writelines(
                difflib.unified_diff(
                    old.splitlines(keepends=True), new.splitlines(keepends=True), str(path), "generated"
                )
            )
        elif old != new:
            (ROOT / path).write_text(new, encoding="utf-8")
            print(f"{path}: written")
    if check and stale:
        print("stale: run .venv/bin/python tools/generate.py")
    return int(check and stale)


if __name__ == "__main__":
    sys.exit(main())
