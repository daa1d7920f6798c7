"""Base classes of the streams that providers declare: lists, numbered pages, exports as files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from tap_exports import settings
from tap_exports.engine.api import Collects, Delivers
from tap_exports.engine.decode import CsvDialect, Layout, Notation, bounded, infer_columns
from tap_exports.engine.download import download
from tap_exports.engine.http import fields
from tap_exports.engine.http.transport import OpensUrls
from tap_exports.engine.jobs import Statuses
from tap_exports.engine.ledger import CELLS
from tap_exports.engine.model import (
    JOB_ID,
    OPERATION_ID,
    WINDOW_START,
    Column,
    Kind,
    Page,
    Progress,
    Request,
    Row,
    Status,
    Window,
)
from tap_exports.engine.read.files import FileReader, Reads
from tap_exports.engine.read.guards import GuardedReader, Guards
from tap_exports.engine.read.prefetch import Prefetch
from tap_exports.engine.run.collected import CollectRun
from tap_exports.engine.run.created import Export, ExportRun
from tap_exports.engine.run.guarded import GuardedRun
from tap_exports.engine.run.listed import Listing, ListRun, Pages
from tap_exports.engine.run.unchanged import UnchangedRun
from tap_exports.singer.columns import FILE_LINEAGE, LINEAGE, PLACE, WINDOW_LINEAGE, to_columns, to_property
from tap_exports.singer.streams.services import Services
from tap_exports.singer.streams.stream import EventStream, Run

if TYPE_CHECKING:
    from tap_exports.engine.jobs import Lifecycle
    from tap_exports.singer.typing import PropertiesList

WINDOW_KEY, RUN_KEY, FULL_KEY = (WINDOW_START, *PLACE), (OPERATION_ID, *PLACE), PLACE
JOB_KEY = (JOB_ID, *PLACE)  # of jobs that others made: nobody makes such a job again
ABOUT_BOOKMARK = "What the bookmark counts; rows hold it only where the provider's own rows do"
_WORDS_KEPT = 64
Entry = Mapping[str, Any]


class Lists(Protocol):
    """An api that lists resources."""

    def list(self, path: str, window: Window | None) -> Iterator[Page]:
        """Yield the pages of a resource, oldest first where the provider can sort."""


class ListStream(EventStream):
    """A stream of plain records from a list.

    Attributes:
        path: The resource's path.
        properties: Its documented fields.
        verify_counts: The provider's default of that setting.
        statuses: What the records' statuses mean, or None where they have none: the bookmark never passes a record
            whose status is not terminal, or not known.
        ordered: Whether the provider sorts by the replication key, so that the bookmark may move after each page.
    """

    path: ClassVar[str]
    properties: ClassVar[PropertiesList]
    verify_counts: ClassVar[str] = "fail"
    statuses: ClassVar[Mapping[str, Status] | None] = None
    ordered: ClassVar[bool] = False

    def __init__(self, tap: Services, api: Lists) -> None:
        """Keep the api."""
        super().__init__(tap)
        self.api = api

    def discover_columns(self) -> dict[str, Column]:
        """Return the documented fields."""
        return to_columns(self.properties.to_dict())

    def pages(self, window: Window | None) -> Iterable[Page]:
        """Yield the pages of a window."""
        return self.api.list(self.path, window)

    def lists(self, window: Window | None) -> Sequence[Pages]:
        """Return the lists of a window; most streams have one."""
        return [partial(self.pages, window)]

    def make_run(self) -> Run:
        """Return a run over the lists."""
        may_change = None if self.statuses is None else self._may_change(self.statuses)
        keys = self.primary_keys
        return list_run(self, self.lists, keys, may_change, self.verify_counts, ordered=self.ordered)

    def _may_change(self, documented: Mapping[str, Status]) -> Callable[[Row], bool]:
        """Return what tells whether a record may still change, as one of an unknown status may.

        `statuses` of the provider's configuration goes first. A list has few words, and each is looked up once.
        """
        block = self.config.get(self.name.partition("_")[0]) or {}
        configured = Statuses.configured(block.get("statuses"))

        @lru_cache(maxsize=_WORDS_KEPT)
        def is_open(word: str) -> bool:
            return not configured.of(word, fields.status(documented, word)).is_terminal

        return lambda row: is_open(str(row.get("status")))

    def check_connection(self) -> None:
        """Read the first page."""
        next(iter(self.pages(None)), None)


class EntryStream(EventStream):
    """A stream that one entry of the configuration defines; columns come from the provider or the entry.

    Attributes:
        bookmark_kind: Type of the bookmark, which rows need not hold.
        rows_by: Settings of the entry that decide which rows there are, with their defaults.
    """

    bookmark_kind: ClassVar[Kind] = Kind.DATETIME
    rows_by: ClassVar[tuple[tuple[str, str | None], ...]] = ()
    is_user_data = True

    def __init__(self, tap: Services, prefix: str, label: object, entry: Entry) -> None:
        """Name the stream and keep the entry."""
        super().__init__(tap, name=f"{prefix}_{settings.slug(label)}")
        self.entry = entry
        self._label = str(label)

    @property
    def label(self) -> str:
        """Return the name that the configuration gives to the stream."""
        return self._label

    def row_settings(self) -> Mapping[str, Any]:
        """Return the settings of the entry that decide which rows there are."""
        return {name: self.entry.get(name) or default for name, default in self.rows_by}

    @property
    def guards(self) -> Guards:
        """Return the guards of the entry."""
        return Guards(
            tuple(self.entry.get("expect_columns", ())),
            self.entry.get("min_rows"),
            self.entry.get("max_age_hours"),
            self.entry.get("min_rows_ratio"),
        )

    def guarded(self, reader: Reads) -> Reads:
        """Return a reader that checks the rows against the guards of the entry, if it has any."""
        return reader if self.guards == Guards() else GuardedReader(reader, self.guards, self.tap.clock)

    @property
    def lookback(self) -> timedelta:
        """Return how much before the bookmark is read again."""
        return timedelta(days=self.entry.get("lookback") or 0)

    def without_unchanged(self, run: Run) -> Run:
        """Return a run that leaves out what `lookback` would send again unchanged, if the entry says so."""
        most = self.entry.get("lookback_rows")
        return UnchangedRun(self.name, run, self.ledger, most) if most and self.lookback else run

    def columns_of_provider(self) -> dict[str, Column]:
        """Return the data columns that the provider defines or that its rows show; may make requests.

        Raises:
            TapError: A request failed.
        """
        raise NotImplementedError

    def discover_columns(self) -> dict[str, Column]:
        """Return the provider's columns, bookmark and keys included, with the types of the entry's `schema`."""
        return self._completed(self.columns_of_provider())

    def least_columns(self) -> dict[str, Column]:
        """Return bookmark, keys and the columns of the entry's `schema`."""
        return self._completed({})

    def _completed(self, columns: dict[str, Column]) -> dict[str, Column]:
        if key := self.replication_key:
            about = to_property(Column(key, self.bookmark_kind)) | {"description": ABOUT_BOOKMARK}
            columns.setdefault(key, Column(key, self.bookmark_kind, about))
        for key in self.data_keys:
            columns.setdefault(key, Column(key, Kind.STRING))
        columns |= self.columns_of_entry()
        longest = self.config.get("max_column_name_length")
        return {bounded(name, longest): replace(c, name=bounded(name, longest)) for name, c in columns.items()}

    @property
    def data_keys(self) -> Sequence[str]:
        """Return the configured keys that are columns of the provider."""
        return tuple(key for key in self.entry.get("primary_keys") or () if key not in LINEAGE)

    def columns_of_entry(self) -> dict[str, Column]:
        """Return the columns whose types the entry says."""
        return {n: Column(n, Kind(kind)) for n, kind in self.entry.get("schema", {}).items()}


class PagedStream(EntryStream):
    """A stream of rows that come as numbered pages."""

    def pages(self, window: Window | None) -> Iterable[Page]:
        """Yield the pages."""
        raise NotImplementedError

    def columns_of_provider(self) -> dict[str, Column]:
        """Return the columns of the first page."""
        first = next(iter(self.pages(None)), None)
        return infer_columns(first.items if first else ())

    def make_run(self) -> Run:
        """Return a run over all pages; without a configured key, whole rows tell whether they are all."""
        run = list_run(self, lambda window: [partial(self.pages, window)], self.data_keys)
        run.listing = replace(run.listing, lookback=self.lookback)
        guarded = run if self.guards == Guards() else GuardedRun(self.name, run, self.guards, self.ledger)
        return self.without_unchanged(guarded)

    def check_connection(self) -> None:
        """Read the first page."""
        next(iter(self.pages(None)), None)


class ExportStream(EntryStream):
    """A stream of the rows of export files.

    Attributes:
        provider: The provider's name.
        max_window_days: Longest window if the entry sets none, in days.
        verify_counts: The provider's default of that setting.
        reader_class: Class of the reader of the files.
    """

    provider: ClassVar[str]
    max_window_days: ClassVar[float | None] = None
    verify_counts: ClassVar[str] = "fail"
    reader_class: ClassVar[type[FileReader]] = FileReader

    api: Delivers

    def __init__(self, tap: Services, api: Delivers, lifecycle: Lifecycle, entry: Entry, label: str) -> None:
        """Derive bookmark, lineage and keys from the entry."""
        self.api, self.lifecycle = api, lifecycle
        super().__init__(tap, f"{self.provider}_export", label, entry)
        self.replication_key = self.bookmark_key()
        self.lineage = WINDOW_LINEAGE if self.replication_key else FILE_LINEAGE
        self.primary_keys = self.entry.get("primary_keys") or self.default_key()
        self.csv = self.dialect()

    def dialect(self) -> CsvDialect:
        """Return how the files are written."""
        return csv_dialect(self.config.get(self.provider, {}), self.entry)

    def bookmark_key(self) -> str | None:
        """Return the bookmark's name, None for full exports."""
        return "created_at"

    @property
    def keeps_state(self) -> bool:
        """Return True: open jobs stand in STATE."""
        return True

    def default_key(self) -> Sequence[str]:
        """Return the key where none is configured: the place of a row, which stays when it comes from another job."""
        if self.collects:
            return JOB_KEY
        return WINDOW_KEY if self.replication_key else FULL_KEY

    def params(self) -> Mapping[str, Any]:
        """Return the parameters that define the export, from the entry; a change of them creates a new job."""
        raise NotImplementedError

    def orders(self) -> Sequence[Request]:
        """Return the request of all windows, unless the jobs of others are read."""
        return () if self.entry.get("mode") == "collect" else (Request(self.provider, self.name, self.params()),)

    def key_settings(self) -> Mapping[str, Any]:
        """Return by how many days windows are cut, where their start is part of the key and `lookback` reads again."""
        if self.collects or WINDOW_START not in self.primary_keys:
            return {}
        cell = self.export().cell
        return {CELLS: f"{cell / timedelta(days=1):g}d" if cell else None}

    def export(self) -> Export:
        """Return the request of the stream, from its entry and the shared settings."""
        span = self.tap.date_range
        return Export(
            provider=self.provider,
            stream=self.name,
            params=self.params(),
            replication_key=self.replication_key,
            start=span.start,
            until=span.until,
            settling_seconds=span.settling_seconds,
            max_window_days=self.entry.get("max_window_days") or self.max_window_days,
            grows=self.windows_may_grow,
            sizes_itself=self.sizes_itself,
            keeps_cuts=WINDOW_START in self.primary_keys,
            takes_capped=settings.limits(self.config, self.verify_counts).verify_counts != "fail",
            delete_after_load=self.entry.get("delete_after_load", False),
            lookback=self.lookback,
        )

    @property
    def leaves_rows_out(self) -> bool:
        """Return whether the provider cuts an export that is too large, and says so."""
        return False

    @property
    def sizes_itself(self) -> bool:
        """Return whether windows size themselves; not where `lookback` reads them again, keyed by their start."""
        size = self.entry.get("window_size") or ("auto" if self.leaves_rows_out else "fixed")
        return size == "auto" and not (self.lookback and WINDOW_START in self.primary_keys)

    @property
    def windows_may_grow(self) -> bool:
        """Return whether windows may be joined while nothing comes.

        Not where their start is part of the key: a run from an older STATE does not know the empty windows before it,
        joins others, and brings the same rows under other keys.
        """
        is_free = self.max_window_days is not None and not self.entry.get("max_window_days")
        return is_free and WINDOW_START not in self.primary_keys and not self.sizes_itself

    def layout(self, skip_rows: int = 0) -> Layout:
        """Return how the next file is to be read."""
        return replace(
            super().layout(skip_rows), csv=self.csv, expected=frozenset(self.entry.get("expect_columns", ()))
        )

    def columns_of_entry(self) -> dict[str, Column]:
        """Return the columns whose types the entry says, those with a date format among them."""
        notation = Notation(self.csv)
        dated = {n: Column(n, notation.kind(Column(n, Kind.STRING))) for n in self.csv.date_formats}
        return dated | super().columns_of_entry()

    @property
    def sampled(self) -> Layout:
        """Return how a sample is read: without the columns, which are not known yet."""
        return Layout(csv=self.csv, longest_name=self.config.get("max_column_name_length"))

    @property
    def collects(self) -> bool:
        """Return whether the stream reads completed jobs of others, and creates none."""
        return self.entry.get("mode") == "collect" and isinstance(self.api, Collects)

    @property
    def remembers(self) -> Progress:
        """Return how the stream remembers what it has read."""
        return Progress.WINDOWS if self.replication_key and not self.collects else super().remembers

    def make_run(self) -> Run:
        """Return a run that creates jobs, or with `mode: collect` one that reads completed jobs of others."""
        reader = self.guarded(self.reader())
        if self.collects and isinstance(self.api, Collects):
            if JOB_ID in self.primary_keys:
                msg = "%s: mode: collect without primary_keys: a row that stands in two exports of others comes twice"
                self.logger.warning(msg, self.name)
            stall = self.config["job_stall_timeout_seconds"]
            statuses = self.lifecycle.statuses
            grace = self.config["job_grace_seconds"]
            return CollectRun(self.export(), self.api, reader, self.ledger, self.time, statuses, stall, grace)
        export = self.export()
        if export.cell and self.entry.get("window_size") == "auto":
            self.logger.warning("%s: window_size: auto has no effect with lookback and without primary_keys", self.name)
        if export.cell and export.start is None:
            self.logger.warning(
                "%s: lookback without primary_keys and start_date: rows of the first window may come again under "
                "another key",
                self.name,
            )
        return self.without_unchanged(ExportRun(export, self.lifecycle, reader, self.ledger, self.time))

    @property
    def file_transport(self) -> OpensUrls:
        """Return what opens the URLs of files."""
        return self.tap.transport

    def reader(self) -> FileReader:
        """Return the reader of a job's files."""
        tap, http = self.tap, settings.http_settings(self.config)
        fetch = partial(download, transport=self.file_transport, spool=tap.spool, settings=http, clock=tap.clock)
        fetch = partial(fetch, activity=tap.activity)
        tolerated = settings.limits(self.config, self.verify_counts)
        return self.reader_class(
            self.api,
            fetch,
            self.layout,
            tolerated,
            tap.clock,
            resumes=self.replication_key is not None,
            prefetch=Prefetch(lambda: tap.spool.has_room, tap.prefetchers),
            activity=tap.activity,
            places=self.places,
        )


def csv_dialect(block: Entry, entry: Entry) -> CsvDialect:
    """Return how the files of an export are written: what the entry says goes before what the provider's block says.

    Raises:
        ConfigError: A value is of no use, or two contradict each other.
    """
    alias = {"encoding": entry["encoding"]} if entry.get("encoding") else {}
    return CsvDialect.of({**(block.get("csv") or {}), **alias, **(entry.get("csv") or {})})


def list_run(
    stream: EventStream,
    lists: Callable[[Window | None], Sequence[Pages]],
    key: Sequence[str] = (),
    may_change: Callable[[Row], bool] | None = None,
    verify_counts: str = "fail",
    *,
    ordered: bool = False,
) -> ListRun:
    """Return a run over lists; `verify_counts` is the provider's default of that setting."""
    span = stream.tap.date_range
    listing = Listing(
        stream=stream.name,
        lists=lists,
        key=key,
        replication_key=stream.replication_key if stream.replication_method == "INCREMENTAL" else None,
        is_open=may_change,
        start=span.start,
        until=span.until,
        settling_seconds=span.settling_seconds,
        ordered=ordered,
    )
    limits, ledger = settings.limits(stream.config, verify_counts), stream.ledger
    return ListRun(listing, stream.layout, limits, ledger, stream.time, stream.places)
