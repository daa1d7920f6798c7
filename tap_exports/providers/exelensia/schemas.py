"""The documented fields of Exelensia's resources."""

from __future__ import annotations

from tap_exports.singer import typing as th

TIMES = (
    th.Property("createdAt", th.DateTimeType, description="When it was created"),
    th.Property("updatedAt", th.DateTimeType, description="When it was last changed"),
)

SCHEMA = th.PropertiesList(
    th.Property("id", th.StringType, description="UUID of the schema or template"),
    th.Property("name", th.StringType, description="Its name"),
    th.Property("description", th.StringType, description="Its description"),
    th.Property(
        "schema",
        th.ObjectType(
            th.Property(
                "fields",
                th.ArrayType(th.ObjectType(additional_properties=True)),
                description="Fields with key, type and label",
            ),
            additional_properties=True,
        ),
        description="The definition",
    ),
    *TIMES,
)

FILE = th.PropertiesList(
    th.Property("id", th.StringType, description="UUID of the file"),
    th.Property("filename", th.StringType, description="Name at upload"),
    th.Property("mimetype", th.StringType, description="Media type"),
    th.Property("bytes", th.IntegerType, description="Size"),
    th.Property("status", th.StringType, description="PENDING, READY or FAILED"),
    *TIMES,
)

PROCESS = th.PropertiesList(
    th.Property("id", th.StringType, description="UUID of the extraction job"),
    th.Property("file_id", th.StringType, description="File that was read"),
    th.Property("schema_id", th.StringType, description="Schema that was applied"),
    th.Property("status", th.StringType, description="PENDING, PROCESSING, COMPLETED or FAILED"),
    *TIMES,
)

RESULT = th.PropertiesList(
    th.Property("id", th.StringType, description="UUID of the result"),
    th.Property("process_id", th.StringType, description="Extraction job that made it"),
    th.Property("file_id", th.StringType, description="File that it was read from; may be deleted since"),
    th.Property("schema_id", th.StringType, description="Schema that was applied"),
    th.Property("status", th.StringType, description="SUCCESS in the documented examples"),
    *TIMES,
)

EXPORT = th.PropertiesList(
    th.Property("id", th.StringType, description="UUID of the export job"),
    th.Property("schema_id", th.StringType, description="Schema whose results it holds"),
    th.Property("status", th.StringType, description="PENDING, PROCESSING, COMPLETED or FAILED"),
    th.Property("start_date", th.DateTimeType, description="First instant, inclusive"),
    th.Property("end_date", th.DateTimeType, description="Last instant, inclusive"),
    th.Property("expand_array", th.StringType, description="Array field that became one row per item"),
    *TIMES,
)
