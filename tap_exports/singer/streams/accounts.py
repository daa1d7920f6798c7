"""A stream that the accounts of a provider's block share: one table, one schema, one bookmark per account."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from tap_exports.engine.model import ACCOUNT, Column, Progress
from tap_exports.errors import AuthError, StopError
from tap_exports.singer.streams.services import Services
from tap_exports.singer.streams.stream import EventStream, Run

if TYPE_CHECKING:
    from singer_sdk.helpers.types import Context
    from singer_sdk.singerlib.catalog import Catalog


@contextmanager
def keeping(refused: list[AuthError]) -> Iterator[None]:
    """Add the error of a refused key to `refused` instead of raising it."""
    try:
        yield
    except AuthError as error:
        refused.append(error)


class SharedStream(EventStream):
    """The streams of all accounts as the catalog shows them; `sides` has each of them, in the order of `accounts`.

    A side keeps its own client, jobs, bookmark and errors. What the catalog says is the same for all.
    """

    def __init__(self, tap: Services, sides: Sequence[EventStream]) -> None:
        """Take name, key and bookmark of the first side."""
        first = sides[0]
        super().__init__(tap, first.shared_name)
        self._sides = tuple(sides)
        self.replication_key = first.replication_key
        self.primary_keys = (ACCOUNT, *first.primary_keys)
        self.lineage = (*first.lineage, ACCOUNT)
        self.can_read_again, self.activates = first.can_read_again, first.activates
        for side in sides:
            side.front = self

    @property
    def sides(self) -> Sequence[EventStream]:
        """Return the streams of the accounts."""
        return self._sides

    @property
    def label(self) -> str:
        """Return the name that the configuration gives to the stream."""
        return self._sides[0].label

    @property
    def provider_name(self) -> str:
        """Return whose stream it is."""
        return self._sides[0].provider_name

    @property
    def remembers(self) -> Progress:
        """Return how the stream remembers what it has read."""
        return self._sides[0].remembers

    def discover_columns(self) -> dict[str, Column]:
        """Return the columns as the first account sees them whose key is not refused.

        Raises:
            AuthError: All keys are refused.
            TapError: A request failed.
        """
        refused: list[AuthError] = []
        for side in self._sides:
            with keeping(refused):
                return side.discover_columns()
        raise refused[0]

    def least_columns(self) -> dict[str, Column]:
        """Return the data columns that are known without the provider."""
        return self._sides[0].least_columns()

    def apply_catalog(self, catalog: Catalog) -> None:
        """Take what the catalog says, for all accounts."""
        super().apply_catalog(catalog)
        for side in self._sides:
            side.reads_all, side.forced_replication_method = self.reads_all, self.forced_replication_method
            side.primary_keys = tuple(key for key in self.primary_keys if key != ACCOUNT)

    def make_run(self) -> Run:
        """Raise: each account has a run of its own.

        Raises:
            StopError: Always.
        """
        raise StopError(f"{self.name}: each account has a run of its own")

    def _sync_records(
        self,
        context: Context | None = None,
        *,
        write_messages: bool = True,
    ) -> Generator[dict[str, Any], Any, Any]:
        """Write the rows of one account after the other; the error of one does not stop the others."""
        began = monotonic()
        for side in self._sides:
            side.ABORT_AT_RECORD_COUNT = self.ABORT_AT_RECORD_COUNT
            yield from side._sync_records(context, write_messages=write_messages)  # noqa: SLF001 - of its own class
        self.was_run, self.seconds = True, monotonic() - began
        if self.ABORT_AT_RECORD_COUNT is None and self.discovery_error is None:
            self.is_whole = all(side.is_whole for side in self._sides)
            is_full = self.replication_method == "FULL_TABLE" and self.activates
            self._activate(self._initialized_at if is_full else None)
