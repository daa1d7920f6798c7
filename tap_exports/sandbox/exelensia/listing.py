"""The list mechanics that all of Exelensia's lists share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tap_exports.sandbox.clock import iso_ms
from tap_exports.sandbox.exelensia.results import Row
from tap_exports.sandbox.lists import Listing, Page, paged, totals
from tap_exports.sandbox.params import Params
from tap_exports.sandbox.web import Request

_MAX_LIMIT = 100
_SORTS = ("createdAt", "updatedAt", "name", "filename", "status", "bytes", "id")


@dataclass(frozen=True, slots=True)
class Query:
    """The documented parameters of a list; bounds are ISO 8601 with milliseconds, empty for none."""

    page: int
    limit: int
    sort_by: str
    descending: bool
    search: str
    after: str
    before: str
    fields: tuple[str, ...]

    @classmethod
    def of(cls, request: Request, *extra: str, strict: bool) -> Query:
        """Read and check the query.

        Raises:
            Refusal: 400, a parameter is wrong or unknown.
        """
        params = Params(request, strict=strict)
        for name in ("include", *extra):
            params.text(name)
        query = cls(
            page=params.integer("page", 1),
            limit=params.integer("limit", 20, high=_MAX_LIMIT),
            sort_by=params.choice("sort_by", _SORTS, "createdAt"),
            descending=params.choice("sort_order", ("asc", "desc"), "desc") == "desc",
            search=(params.text("search") or "").lower(),
            after=_bound(params, "created_after"),
            before=_bound(params, "created_before"),
            fields=tuple(name for name in (params.text("fields") or "").split(",") if name),
        )
        params.done()
        return query

    def selects(self, row: Row, *, inclusive: bool) -> bool:
        """Return whether a row passes the filters."""
        created: str = row["createdAt"]
        if not inclusive and created in {self.after, self.before}:
            return False
        in_time = (not self.after or created >= self.after) and (not self.before or created <= self.before)
        texts = (row[name] for name in ("name", "filename", "id", "status") if name in row)
        return in_time and (not self.search or any(self.search in text.lower() for text in texts))

    def page_of(self, rows: Sequence[Row], listing: Listing) -> Page[Row]:
        """Return one page of rows that stand in the order of creation, in the order that is asked for."""
        if self.sort_by != "createdAt":
            rows = sorted(rows, key=lambda row: (str(row.get(self.sort_by)), row["id"]))
        places = range(len(rows))[:: -1 if self.descending else 1]
        start = (self.page - 1) * self.limit
        tie = lambda place: rows[place].get(self.sort_by)  # noqa: E731 - as `key`
        page = paged(listing, places, start, self.limit, key=lambda place: rows[place]["id"], tie=tie)
        return Page([rows[place] for place in page.rows], page.total, page.end, page.more)

    def shown(self, page: Sequence[Row]) -> Sequence[Row]:
        """Return the page with the fields that are asked for."""
        return [{name: row[name] for name in self.fields if name in row} for row in page] if self.fields else page

    def meta(self, page: Page[Row], pages_of_none: int) -> dict[str, int]:
        """Return the `meta` object; how many pages an empty list has is not documented."""
        pages = page.pages(self.limit)
        said = totals(total=page.total, totalPages=pages_of_none if pages == 0 else pages)
        return {"page": self.page, "limit": self.limit, **said}


def _bound(params: Params, name: str) -> str:
    moment = params.moment(name)
    return iso_ms(moment) if moment else ""
