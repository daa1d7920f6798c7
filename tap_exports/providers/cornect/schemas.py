"""The documented fields of Cornect's resources; more may come unannounced."""

from __future__ import annotations

from tap_exports.singer import typing as th

CREDITS = th.PropertiesList(
    th.Property("workspace_id", th.StringType, description="Workspace of the token"),
    th.Property("balance", th.IntegerType, description="Credits that are left"),
)

TRANSACTION = th.PropertiesList(
    th.Property("id", th.StringType, description="Id of the transaction"),
    th.Property("amount", th.IntegerType, description="Credits; negative: a charge, positive: a grant or refund"),
    th.Property("reason", th.StringType, description="Such as export_charge"),
    th.Property("reference", th.StringType, description="What it belongs to: `export:<id>:create`"),
    th.Property("created_at", th.DateTimeType, description="When it was booked"),
)

EXPORT = th.PropertiesList(
    th.Property("id", th.StringType, description="UUID of the export job"),
    th.Property("workspace_id", th.StringType, description="Workspace"),
    th.Property("name", th.StringType, description="Label; this tap writes the stream and the fingerprint into it"),
    th.Property("export_format", th.StringType, description="csv or json"),
    th.Property("source_type", th.StringType, description="search or list"),
    th.Property("status", th.StringType, description="pending, processing, completed or failed"),
    th.Property("total_records", th.IntegerType, description="Companies"),
    th.Property("processed_records", th.IntegerType, description="Companies written so far"),
    th.Property("file_size_bytes", th.IntegerType, description="Size of the file"),
    th.Property("created_at", th.DateTimeType, description="When it was created"),
    th.Property("completed_at", th.DateTimeType, description="When it ended"),
)

# The page of the search is cut before its companies; other columns come from the first page.
COMPANY = th.PropertiesList(
    th.Property("search_name", th.StringType, description="Name of the configured search that found the company"),
    th.Property("id", th.StringType, description="Id of the company"),
)
