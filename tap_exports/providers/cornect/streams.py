"""The streams of Cornect."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from tap_exports.engine.clock import from_text
from tap_exports.engine.decode import infer_columns
from tap_exports.engine.jobs.budget import Budget
from tap_exports.engine.model import Column, Page, Request, Row, Window
from tap_exports.engine.run.listed import ListRun, Pages
from tap_exports.errors import ConfigError
from tap_exports.providers.cornect import schemas
from tap_exports.providers.cornect.api import API_URL, EMPTY, STATUSES, CornectApi, parse_error
from tap_exports.singer.streams.kinds import Entry, ListStream
from tap_exports.singer.streams.services import Services
from tap_exports.singer.streams.short_lived import SampledExportStream, WholeSecondStream
from tap_exports.singer.streams.stream import EventStream, Run

if TYPE_CHECKING:
    from tap_exports.engine.jobs import Lifecycle

LOGGER = logging.getLogger("tap-exports")
# No country has a name of three letters; some states have (Goa).
CODES = {"countries": re.compile("[A-Za-z]{2,3}"), "states": re.compile("[A-Za-z]{2}")}


class CornectStream(WholeSecondStream, ListStream):
    """A list of Cornect."""

    verify_counts = "warn"

    def __init__(self, tap: Services, api: CornectApi) -> None:
        """Keep the api."""
        EventStream.__init__(self, tap)
        self.cornect = api

    @property
    def asked(self) -> CornectApi:
        """Return the api."""
        return self.cornect


class Snapshot(CornectStream):
    """What the credits show before this run creates anything: its own charges come with the next one."""

    shown: tuple[Row, list[Row]] | None = None

    def make_run(self) -> Run:
        """Return a run over what stands now."""
        before = self.tap.clock.now()
        self.shown = self.cornect.credits()
        now = self.time.now() - (self.tap.clock.now() - before)  # when it was asked for, by the provider's time
        run = super().make_run()
        if isinstance(run, ListRun):
            settled = now - timedelta(seconds=run.listing.settling_seconds)  # as if its turn had come then
            run.listing = replace(run.listing, until=min(run.listing.until or settled, settled))
        return run


class Credits(Snapshot):
    """The balance of the workspace, one row.

    Docs: https://cornect.io/docs/api/reference/credits/get
    Window: none; a snapshot.
    Caveats: other than credits the page shows the youngest transactions only, which are a stream of their own.
    """

    name = "cornect_credits"
    properties = schemas.CREDITS
    primary_keys = ("workspace_id",)

    def pages(self, window: Window | None) -> Iterable[Page]:
        """Yield the one row."""
        del window
        yield Page([(self.shown or self.cornect.credits())[0]], last=True)


class CreditTransactions(Snapshot):
    """Charges, grants and refunds.

    Docs: https://cornect.io/docs/api/reference/credits/get
    Window: created_at, cut here since the API has no filter.
    Caveats: the API shows the youngest transactions only and does not say how many; a warning tells where some may
        have been missed.
    """

    name = "cornect_credit_transactions"
    properties = schemas.TRANSACTION
    primary_keys = ("id",)
    replication_key = "created_at"

    def pages(self, window: Window | None) -> Iterable[Page]:
        """Yield the transactions, oldest first."""
        transactions = (self.shown or self.cornect.credits())[1]
        bookmark = self.ledger.instant
        if window and bookmark and transactions and from_text(transactions[0]["created_at"]) > bookmark:
            LOGGER.warning("%s: all transactions shown are newer than the last run; some may be missed", self.name)
        yield Page(transactions, last=True)


class Companies(CornectStream):
    """Companies of the configured searches; searching is free.

    Docs: https://cornect.io/docs/api/reference/companies/search
    Window: none; the API has no filter on dates.
    Caveats: the fields of a company are not documented: columns come from the first page of each search. The key is the
        company's id; with several searches, search_name and id.
    """

    name = "cornect_companies"
    properties = schemas.COMPANY
    verify_counts = "warn"

    def __init__(self, tap: Services, api: CornectApi, searches: Sequence[Entry]) -> None:
        """Keep the searches; a company that several of them find is a row of each."""
        super().__init__(tap, api)
        self.searches = searches
        self.primary_keys = ("id",) if len(searches) == 1 else ("search_name", "id")

    def discover_columns(self) -> dict[str, Column]:
        """Return the columns of the first page of each search."""
        firsts = [next(self.found(entry)) for entry in self.searches]
        keys = super().discover_columns()
        return keys | infer_columns(row for page in firsts for row in page.items) | keys

    def lists(self, window: Window | None) -> Sequence[Pages]:
        """Return the list of each search."""
        del window
        return [partial(self.found, entry) for entry in self.searches]

    def check_connection(self) -> None:
        """Read the first page of the first search."""
        for entry in self.searches[:1]:
            next(self.found(entry), None)

    def found(self, entry: Entry) -> Iterator[Page]:
        """Yield the pages of one search, with its name in each row."""
        for page in self.cornect.search(entry.get("search_filters") or {}):
            yield replace(page, items=[{"search_name": entry["name"], **row} for row in page.items])

    def make_run(self) -> Run:
        """Return a run over all searches."""
        for entry in self.searches:
            warn_of_codes(self.name, entry.get("search_filters") or {})
        return super().make_run()


class Exports(CornectStream):
    """Export jobs that are known: from the configuration, the ledger, this run, and the credit transactions.

    Docs: https://cornect.io/docs/api/reference/exports/get
    Window: created_at; never past a job that is not terminal, so status changes arrive.
    Caveats: the API lists no exports: one that was made elsewhere without a charge is not known. After 7 days the
        bookmark passes a job that is still open, with a warning.
    """

    name = "cornect_exports"
    properties = schemas.EXPORT
    primary_keys = ("id",)
    replication_key = "created_at"
    statuses = STATUSES

    def __init__(self, tap: Services, api: CornectApi, ids: Callable[[], Sequence[str]]) -> None:
        """Keep what gives the ids of the configuration and the ledger."""
        super().__init__(tap, api)
        self.ids = ids

    def pages(self, window: Window | None) -> Iterable[Page]:
        """Yield the exports, oldest first."""
        rows = list(self.cornect.exports(window, self.ids()))
        yield Page(sorted(rows, key=lambda row: (str(row.get("created_at")), str(row["id"]))), last=True)


class ExportRows(SampledExportStream):
    """Companies of an export: of a search, of a saved list, or of an export that exists.

    Docs: https://cornect.io/docs/api/reference/exports/create
    Window: none; each run exports all anew. Companies that were exported before cost nothing.
    Caveats: takes credits, so nothing is created unless max_credits allows the most that it could cost: the companies
        that the search finds, for a list the whole balance, 10,000 at most. The provider caps an export at 10,000.
    """

    provider = "cornect"
    rows_by = (("source_type", "search"), ("search_filters", None), ("list_id", None), ("export_id", None))
    verify_counts = "warn"
    api: CornectApi

    def bookmark_key(self) -> None:
        """Return None: exports are full."""

    def params(self) -> Mapping[str, Any]:
        """Return what is sent, or the id of the export to read."""
        if self.entry.get("export_id"):
            return {"export_id": self.entry["export_id"]}
        source = self.entry.get("source_type") or "search"
        form = self.entry.get("export_format") or "json"
        if source == "list":
            return {"source_type": source, "list_id": self.entry["list_id"], "export_format": form}
        return {"source_type": source, "search_filters": self.entry["search_filters"], "export_format": form}

    def orders(self) -> Sequence[Request]:
        """Return the request, unless an existing export is read."""
        return () if self.entry.get("export_id") else super().orders()

    def known_ids(self) -> Iterator[str]:
        """Yield the ids of the configuration and of the ledger."""
        yield from (str(i) for i in [self.entry.get("export_id")] if i)
        yield from (e.id for e in self.ledger.entries if e.id and not e.id.startswith(EMPTY))

    def make_run(self) -> Run:
        """Return a run that creates the export, or reads the configured one."""
        warn_of_codes(self.name, self.params().get("search_filters") or {})
        return super().make_run()


def discover(tap: Services, block: Entry) -> Iterator[EventStream]:
    """Yield the streams of the block.

    Raises:
        ConfigError: An entry does not say what to export.
    """
    headers = {"Authorization": f"Bearer {block['api_token']}"}
    client = tap.client("cornect", block, API_URL, headers=headers, parse_error=parse_error, credential="api_token")
    api = CornectApi(client, tap.clock, Budget(block.get("max_credits") or 0, "cornect.max_credits"))
    lifecycle = tap.lifecycle(api, block)
    rows = [make_rows(tap, api, lifecycle, entry) for entry in block.get("exports", ())]
    yield Credits(tap, api)
    yield CreditTransactions(tap, api)
    yield Companies(tap, api, block.get("searches", ()))
    yield Exports(tap, api, lambda: [export_id for stream in rows for export_id in stream.known_ids()])
    yield from rows


def make_rows(tap: Services, api: CornectApi, lifecycle: Lifecycle, entry: Entry) -> ExportRows:
    """Return the stream of an entry.

    Raises:
        ConfigError: The entry does not say what to export, or has no name.
    """
    label = entry.get("name") or entry.get("export_id") or entry.get("list_id")
    if not label:
        msg = "config: cornect.exports: an export of a search needs a name"
        raise ConfigError(msg)
    needed = "list_id" if entry.get("source_type") == "list" else "search_filters"
    if not entry.get("export_id") and entry.get(needed) is None:
        msg = f"config: cornect.exports: {label}: {needed} or export_id is missing"
        raise ConfigError(msg)
    return ExportRows(tap, api, lifecycle, entry, label)


def warn_of_codes(stream: str, filters: Mapping[str, Any]) -> None:
    """Warn of countries and states given as codes: the provider knows full names only."""
    for field, code in CODES.items():
        for name in filters.get(field) or ():
            if code.fullmatch(str(name)):
                LOGGER.warning(
                    '%s: %s: "%s" looks like a code and matches nothing; write the full name, such as "United States"',
                    stream,
                    field,
                    name,
                )
