"""The streams of Cension."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from tap_exports import settings
from tap_exports.engine.jobs import Statuses
from tap_exports.engine.model import Column, Kind, Page, Progress, Request, Window
from tap_exports.engine.run.numbered import GivenRun, PageReader, StatusRun
from tap_exports.providers.cension import schemas
from tap_exports.providers.cension.api import API_URL, CensionApi, parse_error
from tap_exports.singer.columns import FULL_PAGE_LINEAGE, PAGE_LINEAGE, to_columns
from tap_exports.singer.streams.kinds import FULL_KEY, RUN_KEY, Entry, PagedStream
from tap_exports.singer.streams.services import Services
from tap_exports.singer.streams.stream import EventStream, Run

if TYPE_CHECKING:
    from tap_exports.engine.jobs import Lifecycle


class Operations(EventStream):
    """Runs, one record each.

    Docs: https://cension.ai/docs/api/operations
    Window: operationId of the configured runs; never past one that is not terminal.
    Caveats: the API lists no runs, so their numbers come from the configuration.
    """

    name = "cension_operations"
    primary_keys = ("operationId",)
    replication_key = "operationId"

    def __init__(self, tap: Services, api: CensionApi, numbers: Sequence[int]) -> None:
        """Keep the api and the numbers of the runs."""
        super().__init__(tap)
        self.api, self.numbers = api, numbers

    def discover_columns(self) -> dict[str, Column]:
        """Return the documented fields."""
        return to_columns(schemas.OPERATION.to_dict())

    def make_run(self) -> Run:
        """Return a run over the configured numbers."""
        limits, fetch = settings.limits(self.config), self.api.operation
        statuses = Statuses.configured(self.config["cension"].get("statuses"))
        return StatusRun(self.name, self.numbers, "operationId", fetch, self.layout, self.ledger, limits, statuses)

    @property
    def remembers(self) -> Progress:
        """Return how the stream remembers what it has read."""
        return Progress.NUMBER

    def check_connection(self) -> None:
        """Read one run."""
        for number in self.numbers[:1]:
            self.api.operation(number)


class ExportRows(PagedStream):
    """Rows of a saved export, of each configured run or whole.

    Docs: https://www.cension.ai/docs/api/exports/
    Window: operationId, ascending, each run read whole once it is completed; without any operation id the full table.
    Caveats: rows have no id of their own and no order is promised, so set primary_keys, which have to be unique.
        Without them whole rows tell whether all came; where rows repeat, each run reads twice and its receipt says
        proof B. Columns come from page 1.
    """

    bookmark_kind = Kind.INTEGER
    rows_by = (("export_id", None),)

    def __init__(
        self, tap: Services, api: CensionApi, lifecycle: Lifecycle, entry: Entry, numbers: Sequence[int]
    ) -> None:
        """Keep the parts and take keys and bookmark from the entry."""
        self.api, self.lifecycle, self.numbers = api, lifecycle, numbers
        self.scoped = bool(numbers or entry.get("start"))
        super().__init__(tap, "cension_export", entry.get("name") or entry["export_id"], entry)
        self.replication_key = "operationId" if self.scoped else None
        self.lineage = PAGE_LINEAGE if self.scoped else FULL_PAGE_LINEAGE
        self.primary_keys = entry.get("primary_keys") or (RUN_KEY if self.scoped else FULL_KEY)

    @property
    def remembers(self) -> Progress:
        """Return how the stream remembers what it has read."""
        return Progress.RUNS if self.scoped else Progress.NONE

    def pages(self, window: Window | None) -> Iterable[Page]:
        """Yield the pages of the whole export."""
        del window
        return self.api.export(self.entry["export_id"])

    @property
    def begin(self) -> Request | None:
        """Return the request that begins a run, or None."""
        start = self.entry.get("start")
        return Request("cension", self.name, start) if start else None

    def orders(self) -> Sequence[Request]:
        """Return the request that begins a run, if one is to be begun."""
        return (self.begin,) if self.begin else ()

    def make_run(self) -> Run:
        """Return a run over the configured numbers, or over the whole export."""
        if not self.scoped:
            return super().make_run()
        export_id = self.entry["export_id"]
        reader = PageReader(
            lambda job: self.api.export(export_id, int(job.id)),
            self.layout,
            settings.limits(self.config),
            self.tap.clock,
            self.data_keys,
            self.places,
            self.config["job_grace_seconds"],
        )
        return GivenRun(
            stream=self.name,
            provider="cension",
            job_ids=self.numbers,
            replication_key="operationId",
            on_failed=self.entry.get("on_failed_run", "stop"),
            begin=self.begin,
            lifecycle=self.lifecycle,
            reader=self.guarded(reader),
            state=self.ledger,
            clock=self.tap.clock,
        )


class Query(PagedStream):
    """Rows of a saved query (beta).

    Docs: https://cension.ai/docs/api/playground
    Window: the configured replication_key, cut here since the API has no filter; without one the full table.
    Caveats: beta; whether all rows came is told as for exports. A row that changes does not come again, unless the
        replication_key says when it changed. The SQL cannot take parameters. Without primary_keys a row that changed
        comes as another row.
    """

    rows_by = (("query_id", None),)

    def __init__(self, tap: Services, api: CensionApi, entry: Entry) -> None:
        """Keep the api and take keys and bookmark from the entry."""
        self.api = api
        api.time.ask = lambda: next(iter(api.query(entry["query_id"])), None)
        super().__init__(tap, "cension_query", entry.get("name") or entry["query_id"], entry)
        self.replication_key = entry.get("replication_key")
        self.lineage = FULL_PAGE_LINEAGE
        self.primary_keys = entry.get("primary_keys") or FULL_KEY

    def pages(self, window: Window | None) -> Iterable[Page]:
        """Yield the pages of the query."""
        del window
        return self.api.query(self.entry["query_id"])


def discover(tap: Services, block: Entry) -> Iterator[EventStream]:
    """Yield the streams of the block; an export's own key opens that export only, not the runs."""
    shared = connect(tap, block, block["api_key"])
    lifecycle, known = tap.lifecycle(shared, block), [*block.get("operation_ids", ())]
    for entry in block.get("exports", ()):
        own = entry.get("api_key")
        api = connect(tap, block, own, "exports.api_key") if own else shared
        numbers = entry.get("operation_ids", block.get("operation_ids", ()))
        known += numbers
        yield ExportRows(tap, api, lifecycle, entry, numbers)
    for entry in block.get("queries", ()):
        yield Query(tap, shared, entry)
    yield Operations(tap, shared, known)


def connect(tap: Services, block: Entry, key: str, setting: str = "api_key") -> CensionApi:
    """Return the api with one key; `setting` names it in messages."""
    headers = {"Authorization": key}
    client = tap.client("cension", block, API_URL, headers=headers, parse_error=parse_error, credential=setting)
    return CensionApi(client, tap.config["max_concurrent_requests"])
