"""The settings of declared providers."""

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
    STATUSES,
    TYPES,
    WINDOW_SIZE,
    WORD,
)

SETTINGS = th.Property(
    "declared",
    th.ArrayType(
        th.ObjectType(
            th.Property("file", WORD, description="Path of a declaration, or the name of a shipped one"),
            th.Property("api", th.ObjectType(additional_properties=True), description="The declaration itself"),
            th.Property("name", NAME, description="Names the streams; default: the declaration's name"),
            th.Property(
                "credentials",
                th.ObjectType(additional_properties=th.StringType),
                secret=True,
                description="Values for the holes of `auth`",
            ),
            th.Property(
                "variables",
                th.ObjectType(additional_properties=th.AnyType),
                description="Values for the holes of `base_url` and of paths",
            ),
            th.Property("api_url", th.URIType, description="Origin and optional path prefix, instead of `base_url`"),
            th.Property("token_url", th.URIType, description="Token endpoint, instead of the declaration's"),
            CSV,
            STATUSES,
            th.Property(
                "exports",
                th.ArrayType(
                    th.ObjectType(
                        th.Property("name", NAME, required=True, description="Names the stream"),
                        th.Property(
                            "params",
                            th.ObjectType(additional_properties=th.AnyType),
                            description="Values for the holes of requests",
                        ),
                        MODE,
                        PRIMARY_KEYS,
                        th.Property(
                            "max_window_days", DAYS, description="Longest window in days; default: the declaration's"
                        ),
                        WINDOW_SIZE,
                        LOOKBACK,
                        LOOKBACK_ROWS,
                        DELETE_AFTER_LOAD,
                        TYPES,
                        ENCODING,
                        CSV,
                        *GUARDS,
                        additional_properties=False,
                    )
                ),
                description="Exports to read; each becomes the stream `<name>_export_<export's name>`",
            ),
            additional_properties=False,
        )
    ),
    description="Any other export API, see docs/declare.md",
)
