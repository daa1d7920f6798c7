"""A tap of the Singer SDK for numbered pages: its RESTStream with its paginator, one request after the other.

Docs: https://sdk.meltano.com/en/latest/classes/singer_sdk.RESTStream.html. Run with `--config`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk import RESTStream, Stream, Tap
from singer_sdk import typing as th
from singer_sdk.pagination import BasePageNumberPaginator

if TYPE_CHECKING:
    import requests
    from singer_sdk.helpers.types import Context


class Pages(BasePageNumberPaginator):
    """Turns pages until the last one that the list tells of."""

    def has_more(self, response: requests.Response) -> bool:
        """Tell whether a page follows."""
        return bool(self.current_value < response.json()["meta"]["totalPages"])


class Results(RESTStream[int]):
    """The list of results."""

    name = "results"
    path = "/v1/results"
    primary_keys = ("id",)
    records_jsonpath = "$.data[*]"
    schema = th.PropertiesList(
        *(th.Property(name, th.StringType) for name in ("id", "process_id", "file_id", "schema_id", "status")),
        th.Property(
            "extraction",
            th.ObjectType(
                th.Property("name", th.StringType),
                th.Property("comment", th.StringType),
                th.Property("quantity", th.IntegerType),
                th.Property("price", th.NumberType),
            ),
        ),
        th.Property("createdAt", th.DateTimeType),
        th.Property("updatedAt", th.DateTimeType),
    ).to_dict()

    @property
    def url_base(self) -> str:
        """Return the origin."""
        return str(self.config["api_url"])

    def get_new_paginator(self) -> Pages:
        """Return a paginator from page 1."""
        return Pages(1)

    def get_url_params(self, context: Context | None, next_page_token: int | None) -> dict[str, Any]:
        """Return the parameters of a page."""
        del context
        return {"limit": 100, "sort_by": "createdAt", "sort_order": "asc", "page": next_page_token or 1}


class PagesTap(Tap):
    """The tap."""

    name = "tap-pages"
    config_jsonschema = th.PropertiesList(th.Property("api_url", th.StringType, required=True)).to_dict()

    def discover_streams(self) -> list[Stream]:
        """Return the one stream."""
        return [Results(self)]


if __name__ == "__main__":
    PagesTap.cli()
