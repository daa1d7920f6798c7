"""The documented fields of Cension's resources."""

from __future__ import annotations

from tap_exports.singer import typing as th

OPERATION = th.PropertiesList(
    th.Property("operationId", th.IntegerType, description="Number of the run"),
    th.Property("feedId", th.IntegerType, description="Dataset"),
    th.Property("projectId", th.IntegerType, description="Project"),
    th.Property("operationType", th.StringType, description="horizontal or vertical"),
    th.Property("status", th.StringType, description="running, completed, failed or cancelled"),
    th.Property("processedItems", th.IntegerType, description="Items processed so far"),
    th.Property("totalItems", th.IntegerType, description="Items of the run"),
    th.Property("startedAt", th.DateTimeType, description="When it began"),
    th.Property("completedAt", th.DateTimeType, description="When it ended"),
    th.Property("errorMessage", th.StringType, description="Why it failed"),
)
