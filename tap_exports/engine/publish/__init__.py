"""Parts of batches: objects in a storage, each written under a temporary name and named by its content when whole."""

from tap_exports.engine.publish.columns import arrow_schema, to_batch
from tap_exports.engine.publish.form import Part, PartForm, Published, part_name
from tap_exports.engine.publish.jsonl import JsonLinesPart
from tap_exports.engine.publish.storage import TEMPORARY, Draft, Storage

__all__ = [
    "TEMPORARY",
    "Draft",
    "JsonLinesPart",
    "Part",
    "PartForm",
    "Published",
    "Storage",
    "arrow_schema",
    "part_name",
    "to_batch",
]
