"""The schema of the configuration: the settings of all, and the block of each provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tap_exports.errors import StopError
from tap_exports.registry.installed import Provider, providers
from tap_exports.singer import typing as th
from tap_exports.singer.accounts import with_accounts
from tap_exports.singer.options import SHARED

Schema = dict[str, Any]
DECLARED = "declared"
_SHARED: Schema = th.PropertiesList(*SHARED, additional_properties=False).to_dict()
TAKEN = frozenset(_SHARED["properties"])


def settings_of(provider: Provider) -> Schema:
    """Return the schema of a provider's block.

    Raises:
        StopError: The provider cannot be used; the message names its package.
    """
    if provider.refusal:
        raise StopError(provider.refused(provider.refusal))
    if provider.name in TAKEN:
        raise StopError(provider.refused("the tap has a setting of that name"))
    try:
        found: Schema = th.PropertiesList(provider.module("settings").SETTINGS).to_dict()["properties"]
    except (Exception, SystemExit) as error:
        if provider.is_own:
            raise
        raise StopError(provider.refused(reason(error))) from error
    if list(found) != [provider.name]:
        raise StopError(provider.refused(f"its SETTINGS is the property {', '.join(found)}"))
    return dict(found[provider.name])


def reason(error: BaseException) -> str:
    """Return what a module raised, for messages."""
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _loaded(provider: Provider) -> tuple[Schema, StopError | None]:
    """Return the block of a provider; that of one that cannot be used takes anything, and all of it is secret."""
    try:
        return with_accounts(settings_of(provider), _SHARED), None
    except StopError as error:
        about = f"{error.message}; see docs/providers.md"
        return {"type": ["object", "null"], "description": about, "secret": True, "writeOnly": True}, error


_LOADED: Mapping[str, tuple[Schema, StopError | None]] = {
    name: _loaded(provider) for name, provider in providers().items()
}
BROKEN = {name: error for name, (_, error) in _LOADED.items() if error}
"""Why a provider of another package cannot be used, by name."""
BLOCKS = {name: block for name, (block, _) in _LOADED.items() if name not in TAKEN}
"""The schema of each block, by name."""
PROVIDERS = tuple(name for name in BLOCKS if name != DECLARED and name not in BROKEN)
"""The names of the usable providers, but for `declared`, which stands for many."""
CONFIG: Schema = {**_SHARED, "properties": {**_SHARED["properties"], **BLOCKS}}
"""The schema of the configuration."""
