"""The tap: its settings and its providers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, cast

from tap_exports import settings
from tap_exports.engine.http import Transport
from tap_exports.engine.workers import Workers
from tap_exports.errors import ConfigError, StopError
from tap_exports.registry import BLOCKS, BROKEN, CONFIG, PROVIDERS, Provider, providers
from tap_exports.registry.blocks import reason
from tap_exports.settings import check_slugs
from tap_exports.singer import accounts
from tap_exports.singer.side import Side
from tap_exports.singer.streams.accounts import SharedStream
from tap_exports.singer.streams.receipts import receipt_streams
from tap_exports.singer.tap import BaseTap

if TYPE_CHECKING:
    from tap_exports.singer.streams.kinds import Entry
    from tap_exports.singer.streams.stream import EventStream

__all__ = ["BLOCKS", "PROVIDERS", "TapExports", "discoverer"]

LOGGER = logging.getLogger("tap-exports")
THREADS = 32  # of jobs, shared by all accounts of a block


class TapExports(BaseTap):
    """Asynchronous export APIs as Singer streams: nothing lost, nothing exported or paid for twice."""

    name = "tap-exports"
    config_jsonschema: ClassVar[dict[str, object]] = CONFIG

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check the configuration; see `BaseTap`.

        Raises:
            ConfigError: It is invalid, or this installation has no providers.
        """
        if not PROVIDERS:
            raise ConfigError("this installation of tap-exports registers no providers: install the package again")
        return super()._validate_config(raise_errors=raise_errors)

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
        """Return the streams of every configured provider; one of another package fails alone.

        Raises:
            ConfigError: Two entries result in the same stream name, or a provider refuses its block.
        """
        self.unusable = unusable = dict[str, StopError]()
        configured = (providers()[name] for name in BLOCKS if self.config.get(name))
        streams = [stream for provider in configured for stream in self._streams_of(provider, unusable)]
        for error in unusable.values():
            LOGGER.warning("%s", error.message)
        streams += receipt_streams(self)
        check_slugs((stream.name, stream.label) for stream in streams)
        return streams

    def _streams_of(self, provider: Provider, unusable: dict[str, StopError]) -> list[EventStream]:
        if provider.is_own:
            return list(self._discovered(provider.name))
        try:
            return self._streams_of_other(provider)
        except StopError as error:
            if isinstance(error, ConfigError):
                raise
            unusable[provider.name] = error
        return []

    def _discovered(self, provider: str) -> Iterator[EventStream]:
        """Yield the streams of a provider's block, shared ones where it has accounts."""
        discover, given = discoverer(provider), self.config[provider]
        blocks = given if isinstance(given, list) else [given]
        if not any(block.get(accounts.ACCOUNTS) for block in blocks):
            yield from discover(self, given)
            return
        for block in blocks:
            if block.get(accounts.ACCOUNTS):
                yield from self._shared(provider, block, is_list=isinstance(given, list))
            else:
                yield from discover(self, [block] if isinstance(given, list) else block)

    def _shared(self, provider: str, block: Entry, *, is_list: bool) -> Iterator[EventStream]:
        """Yield the streams that the accounts of a block share."""
        sides: dict[str, list[EventStream]] = {}
        transport = Transport(settings.http_settings(self.config), THREADS + 1)  # the main thread requests, too
        workers = Workers[None](THREADS, "accounts")
        for name, own in accounts.blocks_of(block):
            given = [own] if is_list else own
            config = {**self.config, **accounts.settings_of_run(block, name), provider: given}
            side = Side(self, name, config, transport, workers)
            found = list(discoverer(provider)(side, given))
            side.own.update({stream.shared_name: stream for stream in found})
            for stream in found:
                sides.setdefault(stream.shared_name, []).append(stream)
        for each in sides.values():
            yield SharedStream(self, each)

    def _streams_of_other(self, provider: Provider) -> list[EventStream]:
        if error := BROKEN.get(provider.name):
            raise error
        try:
            found = list(self._discovered(provider.name))
            strange = [stream.name for stream in found if not stream.name.startswith(f"{provider.name}_")]
        except ConfigError:
            raise
        except (Exception, SystemExit) as error:
            raise StopError(provider.refused(reason(error))) from error
        if strange:
            raise StopError(provider.refused(f"the stream {strange[0]} has not its name in front"))
        return found


def discoverer(provider: str) -> Callable[[BaseTap | Side, Any], Iterator[EventStream]]:
    """Import a provider's stream module and return its `discover`, which yields the streams of a block."""
    found = providers()[provider].module("streams").discover
    return cast("Callable[[BaseTap | Side, Any], Iterator[EventStream]]", found)
