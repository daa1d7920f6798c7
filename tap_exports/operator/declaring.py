"""What a shipped declaration asks of a configuration, and the block that answers it; for `init`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tap_exports.errors import ConfigError
from tap_exports.operator import prompts
from tap_exports.operator.report import Report, Table
from tap_exports.providers.declared.declaration import Declaration, checked, read
from tap_exports.providers.declared.declaration.needs import CREDENTIALS, PARAMS, VARIABLES, Need, needs
from tap_exports.providers.declared.streams import SHIPPED
from tap_exports.tap import PROVIDERS


def shipped() -> list[str]:
    """Return the names of the shipped declarations, without those of built-in providers."""
    names = sorted(path.stem for path in SHIPPED.glob("*.yaml"))
    return [name for name in names if name.removesuffix("_declared") not in PROVIDERS]


def declaration_of(name: str) -> Declaration:
    """Return a shipped declaration."""
    return checked(read(SHIPPED / f"{name}.yaml"))


def block_of(declaration: Declaration, export: str, asked: Callable[[Need], Any]) -> dict[str, Any]:
    """Return the block of a declared provider.

    Args:
        declaration: A shipped one.
        export: Name of the export.
        asked: Returns the value of a need, None to leave it out.
    """
    parts: dict[str, dict[str, Any]] = {CREDENTIALS: {}, VARIABLES: {}, PARAMS: {}}
    for need in needs(declaration):
        if (value := asked(need)) is not None:
            parts[need.part][need.name] = value
    params = parts.pop(PARAMS)
    entry = {"name": export, **({PARAMS: params} if params else {})}
    return {"file": declaration.name, **{part: each for part, each in parts.items() if each}, "exports": [entry]}


def export_name(declaration: Declaration) -> str:
    """Return the name of the declaration's example, or `rows`."""
    return str(declaration.spec.get("example", {}).get("name", "rows"))


def settings_of(texts: Sequence[str]) -> dict[str, Any]:
    """Return the values of `--set NAME=VALUE`: JSON where it is a list or an object.

    Raises:
        ConfigError: One has no `=`.
    """
    found = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            raise ConfigError(f'--set "{text}" is not NAME=VALUE')
        found[name] = value_of(value)
    return found


def value_of(text: str) -> Any:  # noqa: ANN401 - any JSON
    """Return a list or an object of JSON as it is meant, and any other text as it stands."""
    try:
        return json.loads(text) if text.startswith(("[", "{")) else text
    except ValueError:
        return text


def refuse_unknown(declaration: Declaration, given: Mapping[str, Any]) -> None:
    """Refuse values that a declaration does not ask for.

    Raises:
        ConfigError: There is one; secrets are not taken from the command line either.
    """
    taken = [need.name for need in needs(declaration) if need.part != CREDENTIALS]
    if strange := sorted(given.keys() - set(taken)):
        asks = ", ".join(taken) or "nothing"
        raise ConfigError(f"--set {strange[0]}: {declaration.name} takes {asks} so; keys come from variables")


def answered(declaration: Declaration, choose: Sequence[str], given: Sequence[str], key_env: str) -> dict[str, Any]:
    """Return the block of a shipped declaration: `--choose` names its export, `--set` and variables fill its holes.

    Raises:
        ConfigError: A credential is missing, or something was given that is not asked for.
    """
    if len(choose) > 1:
        raise ConfigError("--choose names the export of a shipped declaration: give one name")
    values = settings_of(given)
    refuse_unknown(declaration, values)

    def answer(need: Need) -> Any:  # noqa: ANN401 - any JSON
        if need.part == CREDENTIALS:
            source = variable(need.name, key_env)
            return os.environ.get(source) or prompts.asked(need.name, f"the variable {source}", hidden=True)
        if need.part == VARIABLES:
            return values.get(need.name) or prompts.asked(need.name, f"--set {need.name}=VALUE")
        if need.name in values or not prompts.is_possible():
            return values.get(need.name, need.example)
        return _optional(need)

    name = choose[0] if choose else export_name(declaration)
    return block_of(declaration, name, answer)


def variable(name: str, key_env: str) -> str:
    """Return the environment variable of a credential: that of `--key-env` for `key`."""
    return key_env if name == "key" else f"TAP_EXPORTS_{name.upper()}"


def _optional(need: Need) -> Any:  # noqa: ANN401 - any JSON
    """Ask for a value on the terminal, with the declaration's example as default; nothing leaves it out."""
    shown = json.dumps(need.example) if isinstance(need.example, (list, dict)) else need.example
    answer = prompts.optional(need.name, shown or "")
    return value_of(answer) if answer else None


def listed(declaration: Declaration, source_of: Callable[[str], str]) -> Report:
    """Return what a declaration asks for as a report.

    Args:
        declaration: A shipped one.
        source_of: Returns the environment variable of a credential.
    """
    rows = list(_rows(declaration, source_of))
    data = {"command": "init", "version": 1, "provider": declaration.name, "offers": [], "needs": rows}
    cells = [
        (row["name"], row["part"], row["from"], json.dumps(row["example"]) if row["example"] else "") for row in rows
    ]
    return Report(data, [Table(("name", "part", "given by", "example"), cells, f"{declaration.name} asks for")])


def _rows(declaration: Declaration, source_of: Callable[[str], str]) -> Iterator[dict[str, Any]]:
    for need in needs(declaration):
        source = f"variable {source_of(need.name)}" if need.part == CREDENTIALS else f"--set {need.name}=VALUE"
        yield {"name": need.name, "part": need.part, "from": source, "example": need.example}
