"""The fields of PackageX's resources; the page of the export's model was never seen, so more may come."""

from __future__ import annotations

from tap_exports.singer import typing as th

EXPORT = th.PropertiesList(
    th.Property("id", th.StringType, description="Id of the export job"),
    th.Property("object", th.StringType, description="Kind of record"),
    th.Property("organization_id", th.StringType, description="Organization that it belongs to"),
    th.Property("resource", th.StringType, description="What was exported"),
    th.Property("name", th.StringType, description="Its name"),
    th.Property("status", th.StringType, description="queued, processing, completed, failed or timed_out"),
    th.Property("reason", th.StringType, description="Why it ended so"),
    th.Property("count_total", th.IntegerType, description="Rows"),
    th.Property("count_batches", th.IntegerType, description="Batches of rows"),
    th.Property("options", th.ObjectType(additional_properties=True), description="What was asked for"),
    th.Property("csv_field_options", th.ObjectType(additional_properties=True), description="Form of the CSV file"),
    th.Property("created_by", th.StringType, description="Who created it"),
    th.Property("updated_by", th.StringType, description="Who changed it last"),
    th.Property("created_at", th.DateTimeType, description="When it was created"),
    th.Property("updated_at", th.DateTimeType, description="When it was last changed"),
)
