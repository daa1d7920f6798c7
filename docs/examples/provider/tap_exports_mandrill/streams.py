"""The streams of Mandrill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tap_exports.engine.run.created import Export
from tap_exports.singer.streams.kinds import Entry, ListStream
from tap_exports.singer.streams.services import Services
from tap_exports.singer.streams.short_lived import SampledStream
from tap_exports.singer.streams.stream import EventStream
from tap_exports_mandrill import schemas
from tap_exports_mandrill.api import API_URL, LIST, MandrillApi, parse_error

FILTERS = ("tags", "senders", "states")


class Exports(ListStream):
    """Export jobs of the account, whoever made them.

    Docs: https://mailchimp.com/developer/transactional/api/exports/list-exports/
    Window: none, the list is read whole.
    Caveats: the type `allowlist` is `whitelist` in older accounts.
    """

    name = "mandrill_exports"
    path = LIST
    properties = schemas.EXPORT
    primary_keys = ("id",)


class ActivityRows(SampledStream):
    """Rows of the activity history.

    Docs: https://mailchimp.com/developer/transactional/api/exports/export-activity-history/
    Window: the date of the message, in whole seconds; a message of the second between two windows may come twice.
    Caveats: columns come from a completed export, else from the first file. No count proves a file; it is read to its
        proper end. Opens and clicks are those of the moment of the export.
    """

    provider = "mandrill"
    rows_by = tuple((name, None) for name in FILTERS)

    api: MandrillApi

    def params(self) -> Mapping[str, Any]:
        """Return the filters of the entry."""
        return {name: self.entry.get(name) or [] for name in FILTERS}

    def export(self) -> Export:
        """Return the request, with windows of whole seconds."""
        return replace(super().export(), unit=timedelta(seconds=1))

    def check_connection(self) -> None:
        """Read the list of exports."""
        next(iter(self.api.list(LIST, None)), None)


def discover(tap: Services, block: Entry) -> Iterator[EventStream]:
    """Yield the streams of the block."""
    client = tap.client("mandrill", block, API_URL, headers={}, parse_error=parse_error)
    api = MandrillApi(client, block["api_key"])
    lifecycle = tap.lifecycle(api, block)
    yield Exports(tap, api)
    for entry in block.get("exports", ()):
        yield ActivityRows(tap, api, lifecycle, entry, entry["name"])
