"""The settings of Cornect."""

from __future__ import annotations

from tap_exports.singer import typing as th
from tap_exports.singer.options import CSV, ENCODING, GUARDS, NAME, PRIMARY_KEYS, SECRET, STATUSES, TYPES, WORD

FILTERS = th.ObjectType(additional_properties=True)
ABOUT_FILTERS = "Filters of the company search, sent as they are; countries and states by their full names"

EXPORT = th.ObjectType(
    th.Property("name", NAME, description="Names the stream; default: the list's or the export's id"),
    th.Property(
        "source_type",
        th.StringType,
        allowed_values=["search", "list"],
        default="search",
        description="Where the companies come from",
    ),
    th.Property("search_filters", FILTERS, description=ABOUT_FILTERS),
    th.Property("list_id", WORD, description="UUID of a saved list, for `source_type: list`"),
    th.Property(
        "export_format", th.StringType, allowed_values=["json", "csv"], default="json", description="Form of the file"
    ),
    th.Property("export_id", WORD, description="Existing export to read instead of creating one; free"),
    PRIMARY_KEYS,
    TYPES,
    ENCODING,
    CSV,
    *GUARDS,
    additional_properties=False,
)

SEARCH = th.ObjectType(
    th.Property("name", WORD, required=True, description="Stands in the column `search_name`"),
    th.Property("search_filters", FILTERS, description=ABOUT_FILTERS),
    additional_properties=False,
)

SETTINGS = th.Property(
    "cornect",
    th.ObjectType(
        th.Property(
            "api_token",
            SECRET,
            required=True,
            secret=True,
            description="Token, sent as `Authorization: Bearer`; creating exports takes the scope `read_write`",
        ),
        th.Property("api_url", th.URIType, description="Origin and optional path prefix of the API"),
        CSV,
        STATUSES,
        th.Property(
            "max_credits",
            th.IntegerType(minimum=0, maximum=1_000_000_000),
            default=0,
            description="Most credits that one run may spend; 0: nothing is ever created",
        ),
        th.Property(
            "exports",
            th.ArrayType(EXPORT),
            description="Exports to create or, with `export_id`, to read; each becomes `cornect_export_<name>`",
        ),
        th.Property("searches", th.ArrayType(SEARCH), description="Searches of the stream `cornect_companies`"),
        additional_properties=False,
    ),
    description="Cornect: token, credits, exports and searches; without this block the provider has no streams",
)
