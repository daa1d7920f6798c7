"""The streams of PackageX."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Column, Kind, Progress, Request
from tap_exports.engine.read.files import Reads
from tap_exports.engine.run.followed import FollowRun, LeadingState, Quiet
from tap_exports.errors import ConfigError
from tap_exports.providers.packagex import schemas
from tap_exports.providers.packagex.api import (
    API_URL,
    CSV,
    ERRORS,
    JSON,
    PATH,
    RETENTION,
    SANITIZED,
    STATUSES,
    PackagexApi,
    Wanted,
    parse_error,
)
from tap_exports.singer.streams.kinds import Entry, ListStream
from tap_exports.singer.streams.services import Services
from tap_exports.singer.streams.short_lived import SampledExportStream, WholeSecondStream
from tap_exports.singer.streams.stream import EventStream, Run

if TYPE_CHECKING:
    from tap_exports.engine.http import Client
    from tap_exports.engine.jobs import Lifecycle


class Exports(WholeSecondStream, ListStream):
    """Export jobs of the organization, whoever made them.

    Docs: https://docs.packagex.io/apis/exports/retrieve
    Window: created_at, cut here since the list has no such filter; never past a job that is not terminal.
    Caveats: the provider removes jobs after 24 hours, so run at least daily; a job that is still open by then stays
        at the target as it was.
    """

    name = "packagex_exports"
    path = PATH
    properties = schemas.EXPORT
    primary_keys = ("id",)
    replication_key = "created_at"
    statuses = STATUSES
    free_texts = frozenset({"reason"})
    retention = RETENTION


class ExportRows(SampledExportStream):
    """Rows of a resource.

    Docs: https://docs.packagex.io/apis/exports/write
    Window: created_at or updated_at of the rows, both ends inclusive; in collect mode created_at of the jobs.
    Caveats: columns come from a completed export of the resource, else from the first file. Creating an export leaves
        a job in the account for 24 hours.
    """

    provider = "packagex"
    rows_by = (("mode", "create"), ("resource", None), ("options", None))
    instants = frozenset({"created_at", "updated_at"})
    retention = RETENTION
    suffix: ClassVar[str] = ""

    def __init__(self, tap: Services, client: Client, lifecycle: Lifecycle, entry: Entry) -> None:
        """Keep the parts; the label names the stream."""
        label = f"{entry.get('name') or entry['resource']} {self.suffix}".strip()
        super().__init__(tap, PackagexApi(client, self.wanted(entry)), lifecycle, entry, label)
        self.primary_keys = entry.get("primary_keys") or ("id",)
        self.followers: Sequence[EventStream] = ()

    def wanted(self, entry: Entry) -> Wanted:
        """Return the file to read, by preference."""
        return (CSV, JSON) if entry.get("format") == "csv" else (JSON, CSV)

    def bookmark_key(self) -> str:
        """Return what windows cut by; jobs of others are followed by their creation."""
        return "created_at" if self.lists_jobs else str(self.entry.get("replication_key") or "created_at")

    def params(self) -> Mapping[str, Any]:
        """Return resource, options, columns and what windows cut by."""
        return {
            "resource": self.entry["resource"],
            "options": self.entry.get("options") or {},
            "columns": self.entry.get("columns") or [],
            "replication_key": self.replication_key,
        }

    def columns_of_provider(self) -> dict[str, Column]:
        """Return the key, and the columns of a completed export."""
        keys = {key: Column(key, Kind.STRING) for key in self.primary_keys if key not in self.lineage}
        found = super().columns_of_provider()
        if not self.lists_jobs:  # the tap's own jobs ask for dates with an offset, those of others may not
            found |= {name: Column(name, Kind.DATETIME) for name in self.mended & found.keys()}
        return keys | found | keys

    def make_ledger(self) -> StreamState:
        """Return the bookmark and a ledger that hands each job on to the streams of errors and held out rows."""
        return LeadingState(
            self.name, self.stream_state, self.tap.changes, self._follower_states, overlaps=self.overlaps
        )

    def _follower_states(self) -> list[StreamState]:
        return [stream.ledger for stream in self.followers if stream.selected]


class ExportErrors(ExportRows):
    """Rows that could not be exported, and why.

    Docs: https://docs.packagex.io/apis/exports/retrieve
    Window: that of the jobs of `packagex_export_<name>`, whose files these are; no job is created for them.
    Caveats: the columns are not documented. Select the leading stream too; what it made before this one was selected,
        and what was not read within 24 hours, is not there.
    """

    suffix = "errors"
    can_read_again = False
    leader: ExportRows

    @property
    def remembers(self) -> Progress:
        """Return how the stream remembers what it has read."""
        return super().remembers if self.lists_jobs else Progress.LEADER

    def wanted(self, entry: Entry) -> Wanted:
        """Return the file of errors."""
        del entry
        return (ERRORS,)

    def guarded(self, reader: Reads) -> Reads:
        """Return the reader as it is: the guards are about the rows that were exported."""
        return reader

    @property
    def keeps_jobs(self) -> bool:
        """Return True: the leader created them, and may be done with them."""
        return True

    def orders(self) -> Sequence[Request]:
        """Return nothing: the leading stream creates the jobs."""
        return ()

    def make_run(self) -> Run:
        """Return a run over the leader's jobs, or in collect mode over those of others."""
        if self.lists_jobs:
            return Quiet(super().make_run())
        leader = StreamState(self.leader.name, self.leader.stream_state, self.tap.changes)
        key = str(self.replication_key)
        clock = self.tap.clock
        return FollowRun(self.provider, self.name, key, self.lifecycle, self.reader(), self.ledger, leader, clock)


class ExportSanitized(ExportErrors):
    """Rows that were held out as potentially malicious, made harmless.

    Docs: https://docs.packagex.io/apis/exports/retrieve
    Window: that of the jobs of `packagex_export_<name>`, whose files these are; no job is created for them.
    Caveats: as for errors.
    """

    suffix = "sanitized"

    def wanted(self, entry: Entry) -> Wanted:
        """Return the file of held out rows."""
        del entry
        return (SANITIZED,)


def discover(tap: Services, block: Entry) -> Iterator[EventStream]:
    """Yield the streams of the block.

    Raises:
        ConfigError: An entry sets what is the tap's.
    """
    client = tap.client("packagex", block, API_URL, headers={"PX-API-KEY": block["api_key"]}, parse_error=parse_error)
    api = PackagexApi(client)
    lifecycle = tap.lifecycle(api, block)
    yield Exports(tap, api)
    for entry in block.get("exports", ()):
        check(entry)
        rows = ExportRows(tap, client, lifecycle, entry)
        sides = [kind(tap, client, lifecycle, entry) for kind in (ExportErrors, ExportSanitized)]
        for side in sides:
            side.leader = rows
        rows.followers = sides
        yield from (rows, *sides)


def check(entry: Entry) -> None:
    """Check what a JSON Schema cannot say.

    Raises:
        ConfigError: `options` would cut windows, or `columns` lack the key.
    """
    where = f"config: packagex.exports: {entry.get('name') or entry['resource']}"
    key = entry.get("replication_key") or "created_at"
    taken = [k for k in ("limit", "page", key) if k in (entry.get("options") or {}) and entry.get("mode") != "collect"]
    if taken:
        msg = f"{where}: options.{taken[0]} is set by the tap, which reads all rows of a window; remove it"
        raise ConfigError(msg)
    missing = [k for k in entry.get("primary_keys") or ("id",) if entry.get("columns") and k not in entry["columns"]]
    if missing and entry.get("format") == "csv":
        msg = f'{where}: columns lack "{missing[0]}", a key; add it, or set primary_keys'
        raise ConfigError(msg)
