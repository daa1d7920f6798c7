"""The setting `accounts` of a provider's block: its schema, its rules, and the block of each account."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from tap_exports.errors import ConfigError
from tap_exports.settings import JsonSchema

ACCOUNTS, NAME = "accounts", "name"
WHOLE_RUN = ("max_concurrent_jobs", "max_concurrent_requests")
"""Settings of the run that count per provider, and so per account."""
_ABOUT = (
    "Accounts that share the streams of the block, their rows told apart by `_sdc_account`; what an entry sets goes "
    "before what the block sets"
)
_ABOUT_NAME = "Names the account in rows, STATE and messages; unique, compared exactly"
_OF_ALL = frozenset({NAME, "api", "file"})  # what a declared provider is does not differ between its accounts
Block = Mapping[str, Any]


def with_accounts(block: JsonSchema, shared: JsonSchema) -> dict[str, Any]:
    """Return the schema of a block with the setting `accounts`; one without properties, as it is.

    Args:
        block: The schema of a provider's block, or of a list of such.
        shared: The schema of the settings of the run.
    """
    if "items" in block:
        return {**block, "items": with_accounts(block["items"], shared)}
    if not block.get("properties") or ACCOUNTS in block["properties"]:
        return dict(block)
    own = {NAME: {"type": ["string"], "minLength": 1, "description": _ABOUT_NAME}}
    own |= {name: _without_default(prop) for name, prop in block["properties"].items() if _may_differ(name, prop)}
    own |= {name: _without_default(shared["properties"][name]) for name in WHOLE_RUN}
    entry = {"type": "object", "properties": own, "required": [NAME], "additionalProperties": False}
    accounts = {"type": ["array", "null"], "minItems": 1, "items": entry, "description": _ABOUT}
    made = {key: value for key, value in block.items() if key != "required"}
    made["properties"] = {**block["properties"], ACCOUNTS: accounts}
    needed = [_here_or_in_each_account(name, block["type"]) for name in block.get("required", ())]
    return {**made, "allOf": [*block.get("allOf", ()), *needed]} if needed else made


def _here_or_in_each_account(name: str, kind: object) -> dict[str, Any]:
    """Return the rule that a block of a type has a setting, or each of its accounts has.

    Each way says the type, since the SDK looks there for what a variable of the environment is to be.
    """
    entries = {"type": "array", "minItems": 1, "items": {"required": [name]}}
    ways: list[dict[str, Any]] = [{"required": [name]}, {"required": [ACCOUNTS], "properties": {ACCOUNTS: entries}}]
    return {"anyOf": [{"type": kind, **way} for way in ways]}


def _may_differ(name: str, prop: JsonSchema) -> bool:
    """Return whether an entry may set it: not what lists exports, which all accounts share."""
    lists = "properties" in prop.get("items", {})
    return name not in _OF_ALL and not lists


def _without_default(prop: JsonSchema) -> dict[str, Any]:
    """Return a property without its default, which would go before what the block sets."""
    return {key: deepcopy(value) for key, value in prop.items() if key != "default"}


def blocks_of(block: Block) -> Iterator[tuple[str, Block]]:
    """Yield the name of each account and its block; nothing where the block has no accounts."""
    common = {key: value for key, value in block.items() if key != ACCOUNTS}
    for entry in block.get(ACCOUNTS) or ():
        own = {key: value for key, value in entry.items() if key not in {NAME, *WHOLE_RUN} and value is not None}
        yield entry[NAME], {**common, **own}


def settings_of_run(block: Block, account: str) -> dict[str, Any]:
    """Return the settings of the run that an account has of its own."""
    entry: Block = next(each for each in block[ACCOUNTS] if each[NAME] == account)
    return {key: entry[key] for key in WHOLE_RUN if entry.get(key) is not None}


def has_accounts(config: Block, providers: Iterable[str]) -> bool:
    """Return whether a block of the configuration has accounts."""
    return any(block.get(ACCOUNTS) for name in providers for block in _blocks(config.get(name)))


def check(config: Block, schema: JsonSchema) -> None:
    """Check what the schema cannot say of accounts.

    Raises:
        ConfigError: Two accounts of a block have one name.
    """
    for name, prop in schema.get("properties", {}).items():
        if ACCOUNTS in prop.get("items", prop).get("properties", {}):
            for index, block in enumerate(_blocks(config.get(name))):
                _check(block, f"{name}[{index}]" if "items" in prop else name)


def _check(block: Block, where: str) -> None:
    seen: dict[str, int] = {}
    for index, entry in enumerate(block.get(ACCOUNTS) or ()):
        if (first := seen.setdefault(entry[NAME], index)) != index:
            both = f"accounts[{first}] and accounts[{index}]"
            raise ConfigError(f"config: {where}: {both} have the same name; STATE could not tell them apart")


def _blocks(value: object) -> list[Block]:
    found = value if isinstance(value, list) else [value]
    return [each for each in found if isinstance(each, Mapping)]
