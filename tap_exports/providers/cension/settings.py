"""The settings of Cension."""

from __future__ import annotations

from tap_exports.singer import typing as th
from tap_exports.singer.options import (
    CSV,
    GUARDS,
    LOOKBACK,
    LOOKBACK_ROWS,
    NAME,
    PRIMARY_KEYS,
    SECRET,
    STATUSES,
    TYPES,
    WORD,
)

NUMBER = th.IntegerType(minimum=1, maximum=2**63 - 1)
NUMBERS = th.ArrayType(NUMBER)

START = th.ObjectType(
    th.Property(
        "endpoint",
        th.StringType,
        required=True,
        allowed_values=["horizontal/create", "horizontal/upload-and-process", "vertical/create"],
        description="What begins the run",
    ),
    th.Property("body", th.ObjectType(additional_properties=True), required=True, description="Sent as it is"),
    additional_properties=False,
)

SETTINGS = th.Property(
    "cension",
    th.ObjectType(
        th.Property(
            "api_key",
            SECRET,
            required=True,
            secret=True,
            description="Key, sent as the raw `Authorization` value",
        ),
        th.Property("api_url", th.URIType, description="Origin and optional path prefix of the API"),
        CSV,
        STATUSES,
        th.Property("operation_ids", NUMBERS, description="Runs to pull; those at or below the bookmark are skipped"),
        th.Property(
            "exports",
            th.ArrayType(
                th.ObjectType(
                    th.Property("export_id", NUMBER, required=True, description="Saved export to read"),
                    th.Property("name", NAME, description="Names the stream; default: the export's id"),
                    PRIMARY_KEYS,
                    th.Property("api_key", SECRET, secret=True, description="The export's own key, if it has one"),
                    th.Property(
                        "operation_ids", NUMBERS, description="Runs of this export; default: those of the block"
                    ),
                    TYPES,
                    th.Property(
                        "on_failed_run",
                        th.StringType,
                        allowed_values=["stop", "skip", "pull"],
                        default="stop",
                        description="`stop`, `skip` (warn, go past) or `pull` (read what the run did process)",
                    ),
                    th.Property("start", START, description="Begin a run at every sync, then pull it; spends credits"),
                    CSV,
                    *GUARDS,
                    additional_properties=False,
                )
            ),
            description="Exports to read; each becomes the stream `cension_export_<name>`",
        ),
        th.Property(
            "queries",
            th.ArrayType(
                th.ObjectType(
                    th.Property("query_id", NUMBER, required=True, description="Saved query to run (beta)"),
                    th.Property("name", NAME, description="Names the stream; default: the query's id"),
                    PRIMARY_KEYS,
                    th.Property("replication_key", WORD, description="Date-time column to follow; default: full"),
                    LOOKBACK,
                    LOOKBACK_ROWS,
                    TYPES,
                    additional_properties=False,
                )
            ),
            description="Saved queries; each becomes the stream `cension_query_<name>`",
        ),
        additional_properties=False,
    ),
    description="Cension: key, exports and queries; without this block the provider has no streams",
)
