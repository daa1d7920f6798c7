"""The streams about the run itself: a receipt for each job, and the rejected rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass

from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Checkpoint, Column, Event, Receipt, Row, Rows
from tap_exports.singer import typing as th
from tap_exports.singer.columns import to_columns
from tap_exports.singer.streams.services import Services
from tap_exports.singer.streams.stream import EventStream, Run

JOB = th.PropertiesList(
    th.Property("provider", th.StringType, description="Provider"),
    th.Property("job_id", th.StringType, description="The provider's id of the job or run"),
    th.Property("stream", th.StringType, description="Stream that its rows went to"),
    th.Property("fingerprint", th.StringType, description="Digest of what was asked for"),
    th.Property("status", th.StringType, description="How it ended: completed, failed, cancelled or timed_out"),
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
class ReceiptRun:
    """A run over rows that the other streams have collected; it must be the last to be read."""

    batches: Callable[[], Iterable[list[Row]]]
    state: StreamState
    replication_key: str | None = None

    def start(self) -> None:
        """Do nothing: there are no rows before the other streams end."""

    def events(self) -> Iterator[Event]:
        """Yield all rows, and move the bookmark to the latest."""
        for rows in self.batches():
            yield Rows(rows)
            if self.replication_key:
                latest = max(str(row[self.replication_key]) for row in rows)
                self.state.advance(self.replication_key, max(latest, str(self.state.value or "")))
                yield Checkpoint()


class ExportJobs(EventStream):
    """Receipts: what each job of this run did."""

    name = "export_jobs"
    can_read_again = False
    primary_keys = ("provider", "job_id")
    replication_key = "requested_at"

    def discover_columns(self) -> dict[str, Column]:
        """Return the fields of a receipt."""
        return to_columns(JOB.to_dict())

    def make_run(self) -> Run:
        """Return a run over the receipts; it reads them when its events are requested."""
        return ReceiptRun(self._batches, self.ledger, self.replication_key)

    def _batches(self) -> list[list[Row]]:
        return [[self._row(receipt) for receipt in self.tap.receipts]] if self.tap.receipts else []

    def _row(self, receipt: Receipt) -> Row:
        """Return a receipt as a row, redacted: messages of a provider may quote an API key or a signed URL."""
        clean = self.tap.redactor.clean
        warnings = [clean(warning) for warning in receipt.warnings]
        return {**asdict(receipt), "reason": receipt.reason and clean(receipt.reason), "warnings": warnings}


class ExportRejects(EventStream):
    """Rows that were quarantined in this run."""

    name = "export_rejects"
    primary_keys = ("stream", "job_id", "file", "row")
    is_user_data = True
    activates = False  # the target keeps the rejects of earlier runs

    def discover_columns(self) -> dict[str, Column]:
        """Return the fields of a reject."""
        return to_columns(REJECT.to_dict())

    def make_run(self) -> Run:
        """Return a run over the rejects; it reads them when its events are requested."""
        return ReceiptRun(self.tap.rejects.batches, self.ledger)


def receipt_streams(tap: Services) -> list[EventStream]:
    """Return the two streams; they are synced last."""
    return [ExportJobs(tap), ExportRejects(tap)]
