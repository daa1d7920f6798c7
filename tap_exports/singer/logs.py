"""What the SDK logs of a run, and in which form logs leave the process."""

from __future__ import annotations

import logging

from singer_sdk import metrics
from singer_sdk.logging import StructuredFormatter

NOISE = ("Skipping deselected stream", "Skipping parse of env var", "Parsing env var", "Beginning sync of")


class Quiet(logging.Filter):
    """Lets the SDK's lines about what is not done, or is told better by the stream's last line, pass at DEBUG only."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged."""
        if record.levelno != logging.INFO or not str(record.msg).startswith(NOISE):
            return True
        return logging.getLogger(record.name).isEnabledFor(logging.DEBUG)


def measured(stream: str, rows: int, seconds: float) -> None:
    """Log the SDK's METRIC lines of a stream, where the log is structured: for people its last line says the same."""
    if not is_structured():
        return
    for point in (
        metrics.Point("counter", metrics.Metric.RECORD_COUNT, rows, {metrics.Tag.STREAM: stream}),
        metrics.Point("timer", metrics.Metric.SYNC_DURATION, seconds, {metrics.Tag.STREAM: stream}),
    ):
        metrics.log(metrics.get_metrics_logger(), point)


def be_quiet() -> None:
    """Have all handlers of the log leave out what `Quiet` names."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(Quiet())


def is_structured() -> bool:
    """Return whether the log is JSON, as Meltano sets it up for a tap with the capability `structured-logging`."""
    return any(isinstance(handler.formatter, StructuredFormatter) for handler in logging.getLogger().handlers)
