"""The protocol through which streams see the tap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from tap_exports import settings
from tap_exports.engine.activity import Activity
from tap_exports.engine.api import Polls
from tap_exports.engine.changes import Changes
from tap_exports.engine.clock import Clock
from tap_exports.engine.convert.executors import Executor
from tap_exports.engine.http import Client, Transport
from tap_exports.engine.jobs import Journal, Lifecycle
from tap_exports.engine.read import prefetch
from tap_exports.engine.secrets import Redactor
from tap_exports.engine.spool import Spool
from tap_exports.engine.workers import Workers
from tap_exports.singer.messages.protocols import WritesMessages
from tap_exports.singer.streams.reports import Reports

if TYPE_CHECKING:
    from singer_sdk import Stream
    from singer_sdk.mapper import PluginMapper
    from singer_sdk.singerlib.catalog import Catalog


class Services(WritesMessages, Protocol):
    """The tap, as its streams see it."""

    @property
    def clock(self) -> Clock:
        """Return the clock."""

    @property
    def activity(self) -> Activity:
        """Return the notes of what the jobs of the run do and did."""

    @property
    def changes(self) -> Changes:
        """Return the record of bookmarks that may have changed since STATE was written."""

    @property
    def journal(self) -> Journal:
        """Return the journal, which passes changes of STATE from workers to the main thread."""

    @property
    def redactor(self) -> Redactor:
        """Return the redactor, which removes secrets from text."""

    @property
    def spool(self) -> Spool:
        """Return the spool that holds downloaded files until they are read."""

    @property
    def transport(self) -> Transport:
        """Return the HTTP transport for signed URLs; it sends no credential."""

    @property
    def prefetchers(self) -> Workers[prefetch.Files]:
        """Return the threads that prefetch files, shared by all streams."""

    @property
    def executor(self) -> Executor:
        """Return what converts files in batch mode."""

    @property
    def date_range(self) -> settings.Range:
        """Return the range of creation instants that the run covers."""

    @property
    def addresses(self) -> Mapping[str, str]:
        """Return origin and path prefix of each provider's API, in one form whatever the setting's spelling."""

    @property
    def reports(self) -> Reports:
        """Return what writes receipts and rejected rows."""

    @property
    def config(self) -> Mapping[str, Any]:
        """Return the settings."""

    @property
    def streams(self) -> Mapping[str, Stream]:
        """Return the streams by name."""

    @property
    def whole_state(self) -> dict[str, Any]:
        """Return the live STATE, with one bookmark per account."""

    @property
    def by_name(self) -> Mapping[str, Stream]:
        """Return the streams by the names within the tap, each account's own; see `engine.model.accounts`."""

    @property
    def has_accounts(self) -> bool:
        """Return whether any provider's block has `accounts`."""

    @property
    def of_account(self) -> str | None:
        """Return the account whose streams see the tap, or None."""

    @property
    def mapper(self) -> PluginMapper:
        """Return the SDK's stream maps."""

    @property
    def input_catalog(self) -> Catalog | None:
        """Return the catalog that was given, or None."""

    def client(self, provider: str, block: Mapping[str, Any], api_url: str, **options: Any) -> Client:  # noqa: ANN401 - of `Client`
        """Return the HTTP client of a provider; `api_url` is the default of that setting."""

    def lifecycle(self, api: Polls, block: Mapping[str, Any], most_jobs: int | None = None) -> Lifecycle:
        """Return a new lifecycle, which creates and awaits the jobs of a provider.

        Args:
            api: The provider's verbs.
            block: Its configuration.
            most_jobs: Jobs that it runs at once, where that is fewer than `max_concurrent_jobs`.
        """

    def start_runs(self) -> None:
        """Start the runs of all selected streams, so that their jobs run in parallel; later calls do nothing."""

    def fail(self, stream: str, error: Exception) -> None:
        """Log and record that a stream failed; the others go on, the exit code is not 0."""
