"""Lets the executor convert the files of an export stream to parts, where the messages are the same either way."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from tap_exports import settings
from tap_exports.engine.convert.archives import ArchiveConverter
from tap_exports.engine.convert.converter import Converter
from tap_exports.engine.convert.reader import ConvertingReader
from tap_exports.engine.convert.task import layout_values
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import ACCOUNT, EXTRA, Kind
from tap_exports.engine.publish.storage import Storage
from tap_exports.engine.read.files import FileReader, Reads
from tap_exports.engine.read.guards import GuardedReader
from tap_exports.engine.read.members import JobReader, RecordReader, SectionReader
from tap_exports.engine.read.samples import SamplingReader
from tap_exports.engine.run.archived import ArchiveRun
from tap_exports.engine.run.collected import CollectRun
from tap_exports.engine.run.created import ExportRun
from tap_exports.engine.run.followed import FollowRun, Quiet
from tap_exports.singer.columns import VERSION, VERSION_COLUMN, to_column
from tap_exports.singer.messages.batch_settings import BatchSettings
from tap_exports.singer.messages.emitter import transforms
from tap_exports.singer.streams.catalog import CatalogStream

LOGGER = logging.getLogger("tap-exports.run")
MOST_REJECTS = 1000  # per result: rejects are held in memory


class Converted(NamedTuple):
    """A run whose files are converted.

    Attributes:
        run: The run.
        reader: Its reader; to be released once the stream has ended.
    """

    run: Any
    reader: ArchiveConverter | ConvertingReader


def converted(
    run: object, stream: CatalogStream, batches: BatchSettings, version: Callable[[], int | None]
) -> Converted | None:
    """Return a run whose files the executor converts, None where only the tap itself can read it; the log says why.

    Args:
        run: The stream's run, before its `start`; it may be changed.
        stream: The stream.
        batches: Format, storage and size of parts.
        version: Returns the version of a full-table read if the rows of parts carry it, else None.

    Raises:
        ExecutorError: The executor cannot do it; no job was created yet.
    """
    executor, why = stream.tap.executor, why_here(run, stream)
    level = logging.DEBUG if executor.is_here else logging.INFO
    if why:
        LOGGER.log(level, "%s: read by the tap itself: %s", stream.name, why)
        return None
    shape = _Shape(stream, batches, version)
    if not executor.is_here:
        stream.tap.writer.keep_output()
        executor.open(shape.place, Storage(batches.root, batches.prefix, batches.options))
    LOGGER.log(level, "%s: files are converted by %s", stream.name, executor.label)
    if isinstance(run, ArchiveRun) and isinstance(run.reader, RecordReader):
        run.away = ArchiveConverter(run.shared, run.reader, shape, _converter(shape))
        return Converted(run, run.away)
    made: list[ConvertingReader] = []
    return Converted(_with_reader(run, lambda reader: _converting(reader, shape, made)), made[0])


def why_here(run: object, stream: CatalogStream) -> str | None:
    """Return why the rows of a run cannot come from an executor, None where they can."""
    config, reader = stream.config, _reader_of(run)
    reasons = {
        **_whys_of_archives(run, stream),
        "its rows come from no file": reader is None and not isinstance(run, ArchiveRun),
        "its files need the credentials": not stream.converts_elsewhere,
        "flattening_enabled": config.get("flattening_enabled"),
        "its stream map": any(transforms(each) for each in stream.stream_maps),
        "a property inside an object is deselected": stream.deselects_nested,
        "expect_columns": isinstance(reader, GuardedReader) and reader.guards.expect_columns,
        "rejects_max_ratio": reader and config["rejects_max_ratio"],
        f"rejects_max_count is over {MOST_REJECTS}": reader and config["rejects_max_count"] > MOST_REJECTS,
        "job_wait is detach": config["job_wait"] == "detach",
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _whys_of_archives(run: object, stream: CatalogStream) -> Mapping[str, bool]:
    """Return why the rows of archives cannot come from an executor: each reason, and whether it holds."""
    if not isinstance(run, ArchiveRun):
        return {}
    return {
        "its rows come from no file": isinstance(run.reader, (JobReader, SectionReader)),
        "its files are digested and stored by the tap": not isinstance(run.reader, RecordReader),
        "its archives are read once for all streams": stream.tap.executor.is_here,
    }


def _reader_of(run: object) -> Reads | None:
    """Return the reader of a run over files."""
    if isinstance(run, Quiet):
        return _reader_of(run.run)
    if not isinstance(run, (CollectRun, ExportRun, FollowRun)):
        return None
    inner = run.reader.reader if isinstance(run.reader, GuardedReader) else run.reader
    return run.reader if isinstance(inner, FileReader) else None


def _with_reader(run: object, changed: Callable[[Reads], Reads]) -> object:
    """Return a run with another reader."""
    if isinstance(run, Quiet):
        return replace(run, run=_with_reader(run.run, changed))
    if isinstance(run, FollowRun):
        return replace(run, reader=changed(run.reader))
    if isinstance(run, (CollectRun, ExportRun)):
        run.reader = changed(run.reader)
    return run


def _converting(reader: Reads, shape: _Shape, made: list[ConvertingReader]) -> Reads:
    """Return a reader that converts, and add it to `made`."""
    if isinstance(reader, GuardedReader):
        return replace(reader, reader=_converting(reader.reader, shape, made))
    if isinstance(reader, FileReader):
        made.append(_reader(reader, shape))
        return made[0]
    return reader


def _reader(plain: FileReader, shape: _Shape) -> ConvertingReader:
    stream = shape.stream
    converter = replace(_converter(shape), samples=isinstance(plain, SamplingReader), noted=partial(_noted, stream))
    return ConvertingReader(plain, shape, converter, stream.tap.journal, stream.tap.clock)


def _converter(shape: _Shape) -> Converter:
    tap, config, executor = shape.stream.tap, shape.stream.config, shape.stream.tap.executor
    folder = str(tap.spool.directory) if executor.is_here else config.get("spool_dir")
    http, spool = settings.http_settings(config), {"folder": folder, "max_mb": config["spool_max_mb"]}
    options = shape.batches.options if executor.is_here else {}
    return Converter(executor, http, spool, options, has_room=lambda: tap.spool.has_room)


def _noted(stream: CatalogStream, job_id: str) -> Mapping[str, Any]:
    return StreamState.detached(stream.name, stream.stream_state).rows_noted(job_id)


class _Shape:
    """Returns the part of a task that is the same for all files of a stream, as JSON values."""

    def __init__(self, stream: CatalogStream, batches: BatchSettings, version: Callable[[], int | None]) -> None:
        """Keep the sources of the values."""
        self.stream, self.batches, self._version = stream, batches, version

    @property
    def place(self) -> Mapping[str, Any]:
        """Return the storage, with what workers elsewhere may know of it; the tap's own threads get all of it."""
        batches, is_here = self.batches, self.stream.tap.executor.is_here
        return {"root": batches.root, "prefix": batches.prefix, "options": {} if is_here else dict(batches.options)}

    def __call__(self) -> Mapping[str, Any]:
        """Return the current values, which change with the columns of the stream."""
        stream, batches = self.stream, self.batches
        names, version = stream.selected_names, self._version()
        columns = [to_column(n, p) for n, p in stream.schema["properties"].items() if n in names]
        versioned = [VERSION_COLUMN] if version is not None else []
        whose = {} if stream.account is None else {ACCOUNT: stream.account}
        return {
            "layout": layout_values(replace(stream.layout(), cast=batches.format == "parquet")),
            "names": sorted({*names, VERSION} if versioned else names),
            "columns": [_values(c.name, c.kind, c.schema) for c in [*columns, *versioned]],
            "before": {EXTRA: None} if EXTRA in stream.lineage else {},
            "behind": ({VERSION: version} if versioned else {}) | whose,
            "storage": self.place,
            "encoding": {"format": batches.format, "compression": batches.compression},
            "part": {"stream": stream.shared_name, "rows": batches.rows},
        }


def _values(name: str, kind: Kind, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a column as JSON values; its schema is reduced to the item type of an array, all that parts need."""
    items = (schema or {}).get("items") if kind is Kind.ARRAY else None
    typed = {"items": {"type": items.get("type", [])}} if isinstance(items, Mapping) else None
    return {"name": name, "kind": kind.value, "schema": typed}
