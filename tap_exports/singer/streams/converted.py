"""Lets the executor convert the files of an export stream to parts, where the messages are the same either way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tap_exports import settings
from tap_exports.engine.convert.executors import ExecutorSetting
from tap_exports.engine.convert.reader import Converter, ConvertingReader
from tap_exports.engine.convert.task import layout_values
from tap_exports.engine.model import EXTRA, Kind
from tap_exports.engine.read.files import FileReader, Reads
from tap_exports.engine.read.guards import GuardedReader
from tap_exports.engine.read.samples import SamplingReader
from tap_exports.engine.run.created import ExportRun
from tap_exports.singer.columns import VERSION, VERSION_COLUMN, to_column
from tap_exports.singer.messages.batch_settings import BatchSettings
from tap_exports.singer.streams.catalog import CatalogStream

MOST_REJECTS = 1000  # per result: rejects are held in memory


def convert_elsewhere(
    run: object,
    stream: CatalogStream,
    batches: BatchSettings,
    executor: ExecutorSetting,
    version: Callable[[], int | None],
) -> None:
    """Let the executor convert the files of a run, unless only the reader of rows can read them.

    Args:
        run: The stream's run, before its `start`; its reader is replaced.
        stream: The stream.
        batches: Format, storage and size of parts.
        executor: Converts the files.
        version: Returns the version of a full-table read if the rows of parts carry it, else None.
    """
    if isinstance(run, ExportRun) and _can(stream):
        run.reader = _converting(run.reader, _Shape(stream, batches, version), executor)


def _can(stream: CatalogStream) -> bool:
    """Return whether rows are written to parts unmapped, and the number of rejects is bounded."""
    config = stream.config
    mapped = config.get("stream_maps") or config.get("flattening_enabled") or stream.deselects_nested
    bounded = not config["rejects_max_ratio"] and config["rejects_max_count"] <= MOST_REJECTS
    return stream.converts_elsewhere and bounded and not mapped and config["job_wait"] != "detach"


def _converting(reader: Reads, shape: _Shape, executor: ExecutorSetting) -> Reads:
    """Return a reader that converts, or `reader` itself: a check of `expect_columns` needs the rows."""
    if isinstance(reader, GuardedReader) and not reader.guards.expect_columns:
        return replace(reader, reader=_converting(reader.reader, shape, executor))
    if not isinstance(reader, FileReader):
        return reader
    tap, config = shape.stream.tap, shape.stream.config
    folder = config.get("spool_dir") if executor.factory else str(tap.spool.directory)
    http, spool = settings.http_settings(config), {"folder": folder, "max_mb": config["spool_max_mb"]}
    converter = Converter(
        executor.work(), executor.size, http, spool, shape.batches.options, lambda: tap.spool.has_room
    )
    samples = isinstance(reader, SamplingReader)
    return ConvertingReader(reader, shape, converter, tap.journal, tap.clock, samples=samples)


class _Shape:
    """Returns the part of a task that is the same for all files of a stream, as JSON values."""

    def __init__(self, stream: CatalogStream, batches: BatchSettings, version: Callable[[], int | None]) -> None:
        """Keep the sources of the values."""
        self.stream, self.batches, self._version = stream, batches, version

    def __call__(self) -> Mapping[str, Any]:
        """Return the current values, which change with the columns of the stream."""
        stream, batches = self.stream, self.batches
        names, version = stream.selected_names, self._version()
        columns = [to_column(n, p) for n, p in stream.schema["properties"].items() if n in names]
        versioned = [VERSION_COLUMN] if version is not None else []
        return {
            "layout": layout_values(replace(stream.layout(), cast=batches.format == "parquet")),
            "names": sorted({*names, VERSION} if versioned else names),
            "columns": [_values(c.name, c.kind, c.schema) for c in [*columns, *versioned]],
            "before": {EXTRA: None} if EXTRA in stream.lineage else {},
            "behind": {VERSION: version} if versioned else {},
            "storage": {"root": batches.root, "prefix": batches.prefix},
            "encoding": {"format": batches.format, "compression": batches.compression},
            "part": {"stream": stream.name, "rows": batches.rows},
        }


def _values(name: str, kind: Kind, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a column as JSON values; its schema is reduced to the item type of an array, all that parts need."""
    items = (schema or {}).get("items") if kind is Kind.ARRAY else None
    typed = {"items": {"type": items.get("type", [])}} if isinstance(items, Mapping) else None
    return {"name": name, "kind": kind.value, "schema": typed}
