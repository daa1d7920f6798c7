"""What the SDK logs of a run, and in which form logs leave the process."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from singer_sdk import metrics
from singer_sdk.logging import StructuredFormatter

from tap_exports.engine.activity import Delays
from tap_exports.engine.fields import of_message
from tap_exports.engine.model import Receipt, Status

NOISE = ("Skipping deselected stream", "Skipping parse of env var", "Parsing env var", "Beginning sync of")


class Quiet(logging.Filter):
    """Lets the SDK's lines about what is not done, or is told better by the stream's last line, pass at DEBUG only."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged."""
        if record.levelno != logging.INFO or not str(record.msg).startswith(NOISE):
            return True
        return logging.getLogger(record.name).isEnabledFor(logging.DEBUG)


class Fielded(logging.Filter):
    """Gives a record of the tap the fields of a structured log that its message names and that it does not have."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True: every record is logged."""
        is_own = record.name.startswith("tap-exports")
        for name, value in of_message(record.getMessage()).items() if is_own else ():
            if name not in record.__dict__:
                setattr(record, name, value)
        return True


_QUIET, _FIELDED = Quiet(), Fielded()


def measure_stream(stream: str, rows: int, seconds: float) -> None:
    """Log the SDK's METRIC lines of a stream that was read: its rows, and how long its turn took."""
    tags = {metrics.Tag.STREAM.value: stream}
    _measure("counter", metrics.Metric.RECORD_COUNT, rows, tags, rows=rows)
    _measure("timer", metrics.Metric.SYNC_DURATION, seconds, tags, rows=rows)


def measure_job(receipt: Receipt) -> None:
    """Log the METRIC line of a job that ended: the seconds that were waited for it.

    Its rows are a tag and no `record_count`, since those of a stream would not add up then.
    """
    is_completed = receipt.status == Status.COMPLETED.value
    tags = {
        metrics.Tag.STREAM.value: receipt.stream,
        "job": receipt.job_id,
        "rows": receipt.rows,
        "provider": receipt.provider,
        metrics.Tag.JOB_TYPE.value: "export",
        metrics.Tag.STATUS.value: (metrics.Status.SUCCEEDED if is_completed else metrics.Status.FAILED).value,
    }
    if receipt.window:
        tags["window"] = receipt.window
    _measure("timer", metrics.Metric.JOB_DURATION, receipt.wait_seconds or 0.0, tags)


def measure_requests(delays: Mapping[str, Delays]) -> None:
    """Log the METRIC lines of the requests of a run, one of each kind per provider, so that none holds an address."""
    for provider, cost in delays.items():
        if cost.requests:
            tags = {"provider": provider}
            _measure("counter", metrics.Metric.HTTP_REQUEST_COUNT, cost.requests, tags)
            _measure("timer", metrics.Metric.HTTP_REQUEST_DURATION, cost.request_seconds, tags)


def _measure(kind: str, metric: metrics.Metric, value: float, tags: Mapping[str, object], **more: object) -> None:
    """Log a METRIC line where the log is structured: for people the run report says the same.

    Args:
        kind: `counter` or `timer`.
        metric: One of the SDK's.
        value: Of the metric.
        tags: Of the metric; fields of the line too, since Meltano's console can show those and no tags.
        more: Further fields of the line.
    """
    if is_structured():
        point = metrics.Point(kind, metric, value, dict(tags))
        metrics.get_metrics_logger().info("METRIC: %s", point, extra={**tags, **more})


def be_quiet() -> None:
    """Have all handlers of the log leave out what `Quiet` names; those of a structured log fill in fields.

    Call it once the SDK has set up the log; a second call changes nothing.
    """
    for handler in logging.getLogger().handlers:
        handler.addFilter(_QUIET)
        if isinstance(handler.formatter, StructuredFormatter):
            handler.addFilter(_FIELDED)


def is_structured() -> bool:
    """Return whether the log is JSON, as Meltano sets it up for a tap with the capability `structured-logging`."""
    return any(isinstance(handler.formatter, StructuredFormatter) for handler in logging.getLogger().handlers)
