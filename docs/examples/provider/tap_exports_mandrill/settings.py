"""The settings of Mandrill."""

from __future__ import annotations

from tap_exports.singer import typing as th
from tap_exports.singer.options import CSV, ENCODING, GUARDS, NAME, PRIMARY_KEYS, SECRET, STATUSES, TYPES, WORD

EXPORT = th.ObjectType(
    th.Property("name", NAME, required=True, description="Names the stream"),
    th.Property("tags", th.ArrayType(WORD), description="Only messages with any of these tags"),
    th.Property("senders", th.ArrayType(WORD), description="Only messages of these senders"),
    th.Property("states", th.ArrayType(WORD), description="Only messages in any of these states"),
    PRIMARY_KEYS,
    TYPES,
    ENCODING,
    CSV,
    *GUARDS,
    additional_properties=False,
)

SETTINGS = th.Property(
    "mandrill",
    th.ObjectType(
        th.Property("api_key", SECRET, required=True, secret=True, description="Key, sent in the body of requests"),
        th.Property("api_url", th.URIType, description="Origin and path prefix of the API"),
        CSV,
        STATUSES,
        th.Property(
            "exports",
            th.ArrayType(EXPORT),
            description="Exports of the activity history; each becomes `mandrill_export_<name>`",
        ),
        additional_properties=False,
    ),
    description="Mailchimp Transactional: key and exports; without this block the provider has no streams",
)
