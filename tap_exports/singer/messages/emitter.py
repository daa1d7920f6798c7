"""Passes batches of rows to the writer, directly or through the SDK's stream maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from singer_sdk.helpers._catalog import pop_deselected_record_properties
from singer_sdk.mapper import RemoveRecordTransform, SameRecordTransform, StreamMap

from tap_exports.engine.model import Row, Rows
from tap_exports.engine.publish.lines import dicts_of
from tap_exports.singer.messages.writer import MessageWriter

if TYPE_CHECKING:
    from singer_sdk.singerlib import SelectionMask


@dataclass(frozen=True, slots=True)
class Emitter:
    """Writes the batches of one stream.

    Attributes:
        writer: Writes the messages.
        stream: The stream's name.
        names: The selected top-level properties.
        version: Version of a full-table read, or None.
    """

    writer: MessageWriter
    stream: str
    names: frozenset[str]
    version: int | None

    def emit(
        self, rows: Rows, maps: Sequence[StreamMap], nested: Mapping[str, Any] | None, mask: SelectionMask
    ) -> None:
        """Write a batch with one `time_extracted`.

        Args:
            rows: The batch.
            maps: The SDK's stream maps; rows are converted to dicts only if one of them transforms.
            nested: The schema if properties within objects are deselected, else None.
            mask: The selection of properties by breadcrumb.
        """
        if not len(rows):
            return
        at = datetime.now(timezone.utc)
        if nested is not None:
            rows = Rows([_pruned(record, nested, mask) for record in dicts_of(rows, self.names)])
        if any(transforms(m) for m in maps):
            self._emit_mapped(rows, maps, at)
        else:
            self.writer.write_rows(self.stream, rows, self.names, self.version, at)

    def _emit_mapped(self, rows: Rows, maps: Sequence[StreamMap], at: datetime) -> None:
        records = dicts_of(rows, self.names)
        for stream_map in maps:
            if isinstance(stream_map, RemoveRecordTransform):
                continue
            mapped = (stream_map.transform(dict(record)) for record in records)
            kept = [record for record in mapped if record is not None]
            self.writer.write_records(stream_map.stream_alias, kept, self.version, at)


def transforms(stream_map: StreamMap) -> bool:
    """Return whether a map changes records."""
    return not isinstance(stream_map, SameRecordTransform) or stream_map.flattening_enabled


def _pruned(record: Row, schema: Mapping[str, Any], mask: SelectionMask) -> Row:
    record = _opened(record)
    pop_deselected_record_properties(record, dict(schema), mask)
    return record


def _opened(record: Row) -> Row:
    """Return a copy of a record and of its nested objects, so that changes do not reach the original."""
    return {name: _opened(value) if isinstance(value, dict) else value for name, value in record.items()}
