"""The settings of Exelensia."""

from __future__ import annotations

from tap_exports.singer import typing as th
from tap_exports.singer.options import (
    CSV,
    DAYS,
    DELETE_AFTER_LOAD,
    ENCODING,
    GUARDS,
    LOOKBACK,
    LOOKBACK_ROWS,
    MODE,
    NAME,
    PRIMARY_KEYS,
    SECRET,
    STATUSES,
    TYPES,
    WINDOW_SIZE,
    WORD,
)

SETTINGS = th.Property(
    "exelensia",
    th.ObjectType(
        th.Property("api_key", SECRET, required=True, secret=True, description="Key, sent as `x-api-key`"),
        th.Property("api_url", th.URIType, description="Origin and optional path prefix of the API"),
        CSV,
        STATUSES,
        th.Property(
            "exports",
            th.ArrayType(
                th.ObjectType(
                    th.Property("schema_id", WORD, required=True, description="Schema whose results to export"),
                    th.Property("name", NAME, description="Names the stream; default: the schema's id"),
                    th.Property("expand_array", WORD, description="Array field that becomes one row per item"),
                    MODE,
                    PRIMARY_KEYS,
                    th.Property(
                        "max_window_days",
                        DAYS,
                        description="Longest window in days; default: 31, with primary_keys up to 8 times as long "
                        "while nothing comes",
                    ),
                    WINDOW_SIZE,
                    DELETE_AFTER_LOAD,
                    TYPES,
                    ENCODING,
                    CSV,
                    LOOKBACK,
                    LOOKBACK_ROWS,
                    *GUARDS,
                    additional_properties=False,
                )
            ),
            description="Exports to read; each becomes the stream `exelensia_export_<name>`",
        ),
        additional_properties=False,
    ),
    description="Exelensia: key and exports; without this block the provider has no streams",
)
