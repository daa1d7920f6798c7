"""The settings of Closient."""

from __future__ import annotations

from tap_exports.singer import typing as th
from tap_exports.singer.options import CSV, SECRET, STATUSES, WORD

SETTINGS = th.Property(
    "closient",
    th.ObjectType(
        th.Property("api_key", SECRET, required=True, secret=True, description="Key, sent as `X-API-Key`"),
        th.Property("api_url", th.URIType, description="Origin and optional path prefix of the API"),
        CSV,
        STATUSES,
        th.Property(
            "organization_ids",
            th.ArrayType(WORD),
            required=True,
            description="Organizations to export, each as a shortuuid of 22 characters or as a UUID",
        ),
        th.Property(
            "archive_format",
            th.StringType,
            allowed_values=["zip", "tar.gz"],
            default="zip",
            description="Container to ask for; both are read",
        ),
        th.Property(
            "job_ids",
            th.ArrayType(WORD),
            description="Jobs to read instead of requesting any, each of one of the organizations",
        ),
        th.Property(
            "files_storage",
            th.StringType,
            description="Where to store binary assets: a folder or any URL that fsspec knows; default: nowhere",
        ),
        additional_properties=False,
    ),
    description="Closient: key and organizations; without this block the provider has no streams",
)
