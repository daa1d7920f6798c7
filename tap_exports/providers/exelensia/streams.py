"""The streams of Exelensia."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tap_exports.engine.clock import from_text
from tap_exports.engine.model import Column, Kind, Request, Row
from tap_exports.engine.read.samples import sample_columns
from tap_exports.engine.windows import floor_millisecond
from tap_exports.providers.exelensia import schemas
from tap_exports.providers.exelensia.api import (
    API_URL,
    FILE_STATUSES,
    KINDS,
    RESULT_STATUSES,
    STATUSES,
    ExelensiaApi,
    parse_columns,
    parse_error,
)
from tap_exports.singer.columns import to_property
from tap_exports.singer.streams.kinds import Entry, ExportStream, ListStream
from tap_exports.singer.streams.services import Services
from tap_exports.singer.streams.stream import EventStream

if TYPE_CHECKING:
    from tap_exports.engine.run.created import Export


class Schemas(ListStream):
    """Extraction schemas of the team.

    Docs: https://exelensia.com/docs/api-reference/schemas
    Window: none; few, and they change.
    Caveats: a schema that was deleted stays at targets that ignore versions of full tables.
    """

    name = "exelensia_schemas"
    path = "/v1/schemas"
    properties = schemas.SCHEMA
    primary_keys = ("id",)


class Templates(Schemas):
    """Templates of the platform, read-only.

    Docs: https://exelensia.com/docs/api-reference/templates
    Window: none; few, and they change.
    Caveats: as for schemas.
    """

    name = "exelensia_templates"
    path = "/v1/templates"


class Files(ListStream):
    """Uploaded files.

    Docs: https://exelensia.com/docs/api-reference/files
    Window: createdAt, cut to the millisecond; never past a file that is PENDING or of an unknown status, so that its
        later status arrives.
    Caveats: a file may stay PENDING for ever (an upload that was never finished): after 7 days the bookmark passes it,
        with a warning. A change of a READY or FAILED file, such as another filename, does not bring it again.
    """

    name = "exelensia_files"
    path = "/v1/files"
    properties = schemas.FILE
    primary_keys = ("id",)
    replication_key = "createdAt"
    ordered = True
    statuses = FILE_STATUSES


class Processes(ListStream):
    """Extraction jobs.

    Docs: https://exelensia.com/docs/api-reference/process
    Window: createdAt, cut to the millisecond; never past a job that is not terminal, so that its later status arrives.
    Caveats: file_id may name a file that was deleted. After 7 days the bookmark passes a job that is still open, with a
        warning; a change of one that has ended does not bring it again.
    """

    name = "exelensia_processes"
    path = "/v1/process"
    properties = schemas.PROCESS
    primary_keys = ("id",)
    replication_key = "createdAt"
    ordered = True
    statuses = STATUSES


class Results(ListStream):
    """Extraction results with the typed extraction.

    Docs: https://exelensia.com/docs/api-reference/results
    Window: createdAt, cut to the millisecond; never past a result whose status is not terminal.
    Caveats: the extraction's fields are the union of all schemas of the team. SUCCESS is the only status that is
        documented; one of an unknown status is passed after 7 days, with a warning. A result that is corrected later
        does not come again.
    """

    name = "exelensia_results"
    path = "/v1/results"
    properties = schemas.RESULT
    primary_keys = ("id",)
    replication_key = "createdAt"
    ordered = True
    statuses = RESULT_STATUSES
    user_fields = frozenset({"extraction"})
    api: ExelensiaApi

    def discover_columns(self) -> dict[str, Column]:
        """Return the documented fields, and the extraction with the fields of all schemas."""
        fields: dict[str, Any] = {}
        for page in self.api.whole("/v1/schemas"):
            for schema in page.items:
                for field in (schema.get("schema") or {}).get("fields") or []:
                    kind = KINDS.get(str(field.get("type")).lower())
                    known = fields.setdefault(field["key"], kind)
                    fields[field["key"]] = kind if known is kind else None
        return super().discover_columns() | {"extraction": extraction_column(fields)}


class Exports(ListStream):
    """Export jobs of the team, whoever made them.

    Docs: https://exelensia.com/docs/api-reference/exports
    Window: createdAt; never past a job that is not terminal, so status changes arrive.
    Caveats: a failed job gives no reason. After 7 days the bookmark passes a job that is still open, with a warning.
    """

    name = "exelensia_exports"
    path = "/v1/exports"
    properties = schemas.EXPORT
    primary_keys = ("id",)
    replication_key = "createdAt"
    ordered = True
    statuses = STATUSES


class ExportRows(ExportStream):
    """Rows of one schema's exports, as CSV.

    Docs: https://exelensia.com/docs/api-reference/exports
    Window: created_at of the results, both ends inclusive, at most max_window_days long (default: 31, with
        primary_keys longer while windows are empty); without start_date the first one begins when the schema was
        created.
    Caveats: the names of the CSV's columns are not documented: keys and labels of the schema are understood, others are
        new columns. Creating an export leaves a job in the account.
    """

    provider = "exelensia"
    rows_by = (("mode", "create"), ("schema_id", None), ("expand_array", None))
    max_window_days = 31
    api: ExelensiaApi

    def params(self) -> Mapping[str, Any]:
        """Return schema and array."""
        return {k: self.entry[k] for k in ("schema_id", "expand_array") if self.entry.get(k)}

    @cached_property
    def definition(self) -> Row:
        """Return the provider's definition of the schema."""
        return self.api.schema(self.entry["schema_id"])

    @property
    def aliases(self) -> Mapping[str, str]:
        """Return the labels that stand for keys."""
        return parse_columns(self.definition)[1]

    def columns_of_provider(self) -> dict[str, Column]:
        """Return the columns of the schema's definition; those of array items it does not define, an export shows."""
        defined, labels = parse_columns(self.definition)
        expanded = self.entry.get("expand_array")
        if defined and not expanded:
            return defined
        request = Request(self.provider, self.name, self.params())
        layout = replace(self.sampled, aliases=labels)
        sampled = sample_columns(self.reader(), self.api.samples(request), layout)
        return sampled | {name: column for name, column in defined.items() if name != expanded}

    def export(self) -> Export:
        """Begin where the schema begins, when no start_date is set: no result is older."""
        export = super().export()
        begins = self.ledger.value is None or export.cell  # which keeps the first window's start in each run
        if export.start is None and begins and self.definition.get("createdAt"):
            return replace(export, start=floor_millisecond(from_text(self.definition["createdAt"])))
        return export


LISTS = (Schemas, Templates, Files, Processes, Results, Exports)


def discover(tap: Services, block: Entry) -> Iterator[EventStream]:
    """Yield the streams of the block."""
    client = tap.client("exelensia", block, API_URL, headers={"x-api-key": block["api_key"]}, parse_error=parse_error)
    api = ExelensiaApi(client, tap.config["max_concurrent_requests"])
    lifecycle = tap.lifecycle(api, block)
    for stream in LISTS:
        yield stream(tap, api)
    for entry in block.get("exports", ()):
        yield ExportRows(tap, api, lifecycle, entry, entry.get("name") or entry["schema_id"])


def extraction_column(fields: Mapping[str, Kind | None]) -> Column:
    """Return the object column of an extraction; a field that schemas type differently may be anything."""
    properties = {name: to_property(Column(name, kind or Kind.ANY)) for name, kind in fields.items()}
    prop = {"type": ["object", "null"], "properties": properties, "additionalProperties": True}
    return Column("extraction", Kind.OBJECT, prop)
