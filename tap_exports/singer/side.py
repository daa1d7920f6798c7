"""The tap as the streams of one account see it: settings, connections and jobs of that account."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from tap_exports.engine.api import Polls
from tap_exports.engine.http import Client, Transport
from tap_exports.engine.jobs import Lifecycle
from tap_exports.engine.model.accounts import with_account
from tap_exports.engine.workers import Workers

if TYPE_CHECKING:
    from singer_sdk import Stream

    from tap_exports.singer.streams.stream import EventStream


class Opens(Protocol):
    """The tap."""

    @property
    def streams(self) -> Mapping[str, Stream]:
        """Return the streams by name."""

    def open_client(
        self,
        name: str,
        block: Mapping[str, Any],
        api_url: str,
        config: Mapping[str, Any],
        **options: Any,  # noqa: ANN401 - of `Client`
    ) -> Client:
        """Return an HTTP client; `name` stands in messages."""

    def open_lifecycle(
        self,
        api: Polls,
        block: Mapping[str, Any],
        config: Mapping[str, Any],
        most_jobs: int | None,
        workers: Workers[None] | None = None,
    ) -> Lifecycle:
        """Return a lifecycle."""


class Side:
    """One account of a provider's block; implements `Services`, all else is the tap's.

    Args:
        tap: The tap.
        account: The account's name.
        config: The settings, the block being that of the account.
        transport: Connections that all accounts share.
        workers: Threads that all accounts share.
    """

    def __init__(
        self, tap: Opens, account: str, config: Mapping[str, Any], transport: Transport, workers: Workers[None]
    ) -> None:
        """Open nothing yet."""
        self._tap, self._transport, self._workers = tap, transport, workers
        self.of_account, self.config = account, config
        self.addresses: dict[str, str] = {}
        self.own: dict[str, EventStream] = {}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the tap has
        """Return what the tap has."""
        return getattr(self._tap, name)

    @property
    def streams(self) -> Mapping[str, Stream]:
        """Return the streams by name, those of the account in place of the shared ones."""
        return ChainMap(dict[str, "Stream"](self.own), dict(self._tap.streams))

    def client(self, provider: str, block: Mapping[str, Any], api_url: str, **options: Any) -> Client:  # noqa: ANN401 - of `Client`
        """Return the HTTP client of the account, which messages name."""
        name = with_account(provider, self.of_account)
        client = self._tap.open_client(name, block, api_url, self.config, transport=self._transport, **options)
        self.addresses[provider] = client.address
        return client

    def lifecycle(self, api: Polls, block: Mapping[str, Any], most_jobs: int | None = None) -> Lifecycle:
        """Return a new lifecycle of the account's jobs."""
        return self._tap.open_lifecycle(api, block, self.config, most_jobs, self._workers)
