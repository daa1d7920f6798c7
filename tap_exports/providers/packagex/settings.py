"""The settings of PackageX."""

from __future__ import annotations

from tap_exports.singer import typing as th
from tap_exports.singer.options import (
    CSV,
    DAYS,
    ENCODING,
    GUARDS,
    LOOKBACK,
    LOOKBACK_ROWS,
    MODE,
    NAME,
    SECRET,
    STATUSES,
    TYPES,
    WINDOW_SIZE,
    WORD,
)

EXPORT = th.ObjectType(
    th.Property(
        "resource",
        WORD,
        required=True,
        description="What to export: contact, group, fulfillment, item, location, manifest, shipment, tracker, "
        "shipping_label_inference, asset, or what the provider adds",
    ),
    th.Property("name", NAME, description="Names the streams; default: the resource"),
    th.Property(
        "options",
        th.ObjectType(additional_properties=True),
        description="Filters of the resource's own list, sent as they are; the tap itself sets `limit` and the window",
    ),
    th.Property("columns", th.ArrayType(WORD), description="Columns of the CSV file, in order; default: all"),
    th.Property(
        "format",
        th.StringType,
        allowed_values=["json", "csv"],
        default="json",
        description="File to read first; the other one where it has no URL",
    ),
    th.Property(
        "replication_key",
        WORD,
        allowed_values=["created_at", "updated_at"],
        default="created_at",
        description="Instant that windows cut by; `updated_at` brings changed rows again",
    ),
    MODE,
    th.Property("primary_keys", th.ArrayType(WORD), description="Key of the three streams; default: id"),
    th.Property("max_window_days", DAYS, description="Longest window in days; default: no bound"),
    WINDOW_SIZE,
    TYPES,
    ENCODING,
    CSV,
    LOOKBACK,
    LOOKBACK_ROWS,
    *GUARDS,
    additional_properties=False,
)

SETTINGS = th.Property(
    "packagex",
    th.ObjectType(
        th.Property("api_key", SECRET, required=True, secret=True, description="Key, sent as `PX-API-KEY`"),
        th.Property("api_url", th.URIType, description="Origin and optional path prefix of the API"),
        CSV,
        STATUSES,
        th.Property(
            "exports",
            th.ArrayType(EXPORT),
            description="Exports to read; each becomes `packagex_export_<name>`, `…_errors` and `…_sanitized`",
        ),
        additional_properties=False,
    ),
    description="PackageX: key and exports; without this block the provider has no streams",
)
