"""The documented fields of Closient's resources."""

from __future__ import annotations

from tap_exports.singer import typing as th

JOB_ID = th.Property("job_id", th.StringType, description="Id of the export job")
ORGANIZATION_ID = th.Property("organization_id", th.StringType, description="Organization, as a shortuuid")
SECTION = th.Property("section", th.StringType, description="Section that the path belongs to")

EXPORT = th.PropertiesList(
    JOB_ID,
    ORGANIZATION_ID,
    th.Property("requested_at", th.DateTimeType, description="When the tap asked for it; null for one of job_ids"),
    th.Property("status", th.StringType, description="pending, processing, completed or failed"),
    th.Property("archive_format", th.StringType, description="zip or tar.gz"),
    th.Property("format_version", th.StringType, description="Version of the archive's layout"),
    th.Property("file_size_bytes", th.IntegerType, description="Size of the archive, 0 until it is complete"),
    th.Property("output_filename", th.StringType, description="Suggested name of the archive"),
    th.Property("expires_at", th.DateTimeType, description="When the archive's URL stops working"),
    th.Property("error", th.StringType, description="Why the export failed"),
)

SECTIONS = th.PropertiesList(
    JOB_ID,
    ORGANIZATION_ID,
    th.Property("key", th.StringType, description="Name of the section"),
    th.Property("status", th.StringType, description="How the section went; its words are not documented"),
    th.Property("record_count", th.IntegerType, description="Records in it"),
    th.Property("binary_count", th.IntegerType, description="Files in it"),
    th.Property("error", th.StringType, description="Why the section failed"),
)

RECORD = th.PropertiesList(
    JOB_ID,
    ORGANIZATION_ID,
    SECTION,
    th.Property("path", th.StringType, description="YAML file in the archive"),
    th.Property("index", th.IntegerType, description="Place in the file, from 0, over all its documents"),
    th.Property("record", th.ObjectType(additional_properties=True), description="The item; dates as ISO text"),
)

FILE = th.PropertiesList(
    JOB_ID,
    ORGANIZATION_ID,
    SECTION,
    th.Property("path", th.StringType, description="File in the archive"),
    th.Property("bytes", th.IntegerType, description="Size"),
    th.Property("sha256", th.StringType, description="Hex digest of the content"),
    th.Property("media_type", th.StringType, description="Media type, by the ending of its name"),
    th.Property("stored_url", th.StringType, description="Where files_storage keeps it; null without that setting"),
)
