"""The tap: its settings and its providers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

from tap_exports.errors import ConfigError
from tap_exports.providers.cension.settings import SETTINGS as CENSION
from tap_exports.providers.closient.settings import SETTINGS as CLOSIENT
from tap_exports.providers.cornect.settings import SETTINGS as CORNECT
from tap_exports.providers.declared.settings import SETTINGS as DECLARED
from tap_exports.providers.exelensia.settings import SETTINGS as EXELENSIA
from tap_exports.providers.packagex.settings import SETTINGS as PACKAGEX
from tap_exports.settings import check_slugs
from tap_exports.singer import typing as th
from tap_exports.singer.options import SHARED
from tap_exports.singer.streams.receipts import receipt_streams
from tap_exports.singer.tap import BaseTap

if TYPE_CHECKING:
    from tap_exports.singer.streams.kinds import Entry
    from tap_exports.singer.streams.stream import EventStream

PROVIDERS = ("cension", "exelensia", "packagex", "cornect", "closient")
BLOCKS = (*PROVIDERS, "declared")


class TapExports(BaseTap):
    """Asynchronous export APIs as Singer streams: nothing lost, nothing exported or paid for twice."""

    name = "tap-exports"
    config_jsonschema: ClassVar[dict[str, object]] = th.PropertiesList(
        *SHARED, CENSION, EXELENSIA, PACKAGEX, CORNECT, CLOSIENT, DECLARED, additional_properties=False
    ).to_dict()

    def check_config(self) -> None:
        """Check the rules that the JSON Schema cannot express.

        Raises:
            ConfigError: No provider is configured, or `start_date` or `end_date` is invalid.
        """
        super().check_config()
        if not any(self._config.get(name) for name in BLOCKS):
            msg = f"config: no provider block; add at least one of {', '.join(BLOCKS)}"
            raise ConfigError(msg)

    def discover_streams(self) -> list[EventStream]:
        """Return the streams of every configured provider.

        Raises:
            ConfigError: Two entries result in the same stream name.
        """
        blocks = [(discoverer(name), self.config[name]) for name in BLOCKS if self.config.get(name)]
        streams = [stream for discover, block in blocks for stream in discover(self, block)] + receipt_streams(self)
        check_slugs((stream.name, stream.label) for stream in streams)
        return streams


def discoverer(provider: str) -> Callable[[BaseTap, Entry], Iterator[EventStream]]:
    """Import a provider's stream module and return its `discover`, which yields the streams of a block."""
    discover: Callable[[BaseTap, Entry], Iterator[EventStream]]
    discover = import_module(f"tap_exports.providers.{provider}.streams").discover
    return discover
