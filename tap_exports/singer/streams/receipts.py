"""The streams about the run itself: a receipt for each job, and the rejected rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import ACCOUNT, Checkpoint, Column, Event, Progress, Row, Rows, Step
from tap_exports.engine.model.accounts import with_account
from tap_exports.singer import typing as th
from tap_exports.singer.columns import to_columns
from tap_exports.singer.streams.delivery import Delivery
from tap_exports.singer.streams.services import Services
from tap_exports.singer.streams.stream import EventStream, Run

LOGGER = logging.getLogger("tap-exports")
MOST_LOGGED = 10

JOB = th.PropertiesList(
    th.Property("provider", th.StringType, description="Provider"),
    th.Property("job_id", th.StringType, description="The provider's id of the job or run"),
    th.Property("stream", th.StringType, description="Stream that its rows went to"),
    th.Property("fingerprint", th.StringType, description="Digest of what was asked for"),
    th.Property(
        "status",
        th.StringType,
        description="How it ended: completed, failed, cancelled, timed_out; if discarded lost, stalled, unused",
    ),
    th.Property("window_start", th.DateTimeType, description="First instant of its window, inclusive"),
    th.Property("window_end", th.DateTimeType, description="Last instant of its window, inclusive"),
    th.Property("requested_at", th.DateTimeType, description="When its creation began"),
    th.Property("completed_at", th.DateTimeType, description="When its rows were proven"),
    th.Property("wait_seconds", th.NumberType, description="From its creation, or from re-attaching, to its end"),
    th.Property("read_seconds", th.NumberType, description="Spent on download, decoding and writing"),
    th.Property("attempts", th.IntegerType, description="Jobs created for it in this run; 0: re-attached or given"),
    th.Property("rows", th.IntegerType, description="Rows written"),
    th.Property("rejects", th.IntegerType, description="Rows rejected"),
    th.Property("bytes", th.IntegerType, description="Bytes downloaded"),
    th.Property("sha256", th.StringType, description="Digest of its file"),
    th.Property("credits_charged", th.IntegerType, description="What its creation cost"),
    th.Property("proof", th.StringType, description="A: a count or checksum agrees, B: proper end, C: neither"),
    th.Property("clock_skew_seconds", th.NumberType, description="How far the provider's clock is ahead of ours"),
    th.Property("reason", th.StringType, description="Why it failed"),
    th.Property("warnings", th.ArrayType(th.StringType), description="What to know of it, such as a capped export"),
)

REJECT = th.PropertiesList(
    th.Property("stream", th.StringType, description="Stream that the row was meant for"),
    th.Property("job_id", th.StringType, description="Job that it came from; of a list, a digest of the record"),
    th.Property("file", th.StringType, description="File within the job"),
    th.Property("row", th.IntegerType, description="Ordinal of the row in the file, from 1"),
    th.Property("column", th.StringType, description="Column at fault, empty where the whole row is"),
    th.Property("code", th.StringType, description="ragged, undecodable, type or extra"),
    th.Property("message", th.StringType, description="What is wrong"),
    th.Property("raw", th.StringType, description="Text of the row, shortened"),
)


@dataclass(frozen=True, slots=True)
class ReportRun:
    """A run of a stream whose rows are written already; it must be the last to be read."""

    latest: Callable[[], str]
    state: StreamState
    replication_key: str | None = None

    def start(self) -> None:
        """Do nothing: there are no rows before the other streams run."""

    def plan(self) -> Iterator[Step]:
        """Yield nothing: the rows tell of what the other streams do."""
        yield from ()

    def events(self) -> Iterator[Event]:
        """Move the bookmark to the latest row."""
        if self.replication_key and (latest := self.latest()):
            self.state.advance(self.replication_key, max(latest, str(self.state.value or "")))
            yield Checkpoint()


class ReportStream(EventStream):
    """A stream about the run: its rows are written when the other streams yield them, as RECORD in batch mode too."""

    can_read_again = False
    _is_announced = False
    _latest = ""

    def __init__(self, tap: Services, name: str | None = None) -> None:
        """Have the rows say their account where any is configured."""
        super().__init__(tap, name)
        if tap.has_accounts:
            self.lineage, self.primary_keys = (ACCOUNT,), (ACCOUNT, *self.primary_keys)

    def report(self, row: Row) -> None:
        """Write a row, its SCHEMA before the first one; a deselected stream logs it, if the log should have it."""
        if not self.selected:
            self.log_unselected(row)
            return
        limit = self.ABORT_AT_RECORD_COUNT
        if limit is not None and self.reported >= limit:
            return
        self._write_schema_message()
        self._delivery.emit(Rows([row]))
        self.reported += 1
        if self.replication_key:
            self._latest = max(self._latest, str(row[self.replication_key]))

    def log_unselected(self, row: Row) -> None:
        """Log a row that goes to no output, where that matters."""

    @cached_property
    def _delivery(self) -> Delivery:
        return Delivery(self, None, None)

    @property
    def remembers(self) -> Progress:
        """Return that the rows are of one run each."""
        return Progress.NONE

    def make_run(self) -> Run:
        """Return the run."""
        return ReportRun(lambda: self._latest, self.ledger, self.replication_key)

    def _write_schema_message(self) -> None:
        """Write SCHEMA once: its columns do not change."""
        if not self._is_announced:
            self._is_announced = True
            super()._write_schema_message()


class ExportJobs(ReportStream):
    """Receipts: what each job of this run did."""

    name = "export_jobs"
    primary_keys = ("provider", "job_id")
    replication_key = "requested_at"

    def discover_columns(self) -> dict[str, Column]:
        """Return the fields of a receipt."""
        return to_columns(JOB.to_dict())


class ExportRejects(ReportStream):
    """Rows that were quarantined in this run."""

    name = "export_rejects"
    can_read_again = True
    primary_keys = ("stream", "job_id", "file", "row")
    is_user_data = True
    activates = False  # the target keeps the rejects of earlier runs
    _logged = 0

    def discover_columns(self) -> dict[str, Column]:
        """Return the fields of a reject."""
        return to_columns(REJECT.to_dict())

    def log_unselected(self, row: Row) -> None:
        """Log a warning for each of the first rejects."""
        self._logged += 1
        if self._logged <= MOST_LOGGED:
            name = with_account(row["stream"], row.get(ACCOUNT) or None)
            place = f"{name}: job {row['job_id']}, file {row['file']}, row {row['row']}"
            LOGGER.warning(
                "%s is rejected: %s; export_rejects is not selected, so it goes nowhere", place, row["message"]
            )
        elif self._logged == MOST_LOGGED + 1:
            LOGGER.warning("further rejected rows are not logged; select export_rejects to get them")


def receipt_streams(tap: Services) -> list[EventStream]:
    """Return the two streams; they are synced last."""
    return [ExportJobs(tap), ExportRejects(tap)]
