"""The routes of Cornect's API, as its documents describe them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, ClassVar

from tap_exports.sandbox.clock import iso_s
from tap_exports.sandbox.cornect.access import SCOPES, Access, authenticate, token_of
from tap_exports.sandbox.cornect.bodies import body_of, checked, cursor_at, offset_of
from tap_exports.sandbox.cornect.directory import Row
from tap_exports.sandbox.cornect.exports import Order
from tap_exports.sandbox.cornect.filters import Filters, invalid
from tap_exports.sandbox.cornect.workspace import EXPORT_ID, LIST_ID, WORKSPACE_ID, Shape, Workspace
from tap_exports.sandbox.jobs import COMPLETED, at_work
from tap_exports.sandbox.lists import paged, totals
from tap_exports.sandbox.params import Params
from tap_exports.sandbox.provider import Provider
from tap_exports.sandbox.web import Refusal, Request, Response, json_response, route, truth

_MAX_COMPANIES = 10_000


@dataclass(frozen=True, slots=True)
class Knobs:
    """How to behave where the documents leave it open, or contradict each other.

    Attributes:
        balance: credits at the start.
        max_credits: setting in the configuration that the sandbox writes; enough for its exports.
        short_balance: `refuse` (402, nothing is charged) or `skip` (what the balance covers is exported).
        limit_scale: factor of all rate limits, 0 for none.
        page_size: results per page of the search.
        json_root: `array`, `jsonl`, or the key of an object that holds the array.
        file: `plain` or `gzip`.
        total_records: `all` companies of the export, or only the `new` ones.
        count_error: added to the true `total_records`.
        transactions_shown: number of the most recent transactions that the API shows.
        created_status: status of the response that creates an export.
        running_seconds: length of the seeded job that is processing, a third of which has passed.
        strict: whether unknown body fields are refused.
    """

    balance: int = 1000
    max_credits: int = 2000
    short_balance: str = "refuse"
    limit_scale: float = 1.0
    page_size: int = 25
    json_root: str = "array"
    file: str = "plain"
    total_records: str = "all"
    count_error: int = 0
    transactions_shown: int = 20
    created_status: int = 201
    running_seconds: float = 3600.0
    strict: bool = True


class Cornect(Provider):
    """Search, credits and exports of one workspace."""

    name: ClassVar[str] = "cornect"
    key: ClassVar[str] = "cornect_sandbox_token"
    key_setting: ClassVar[str] = "api_token"
    auth_header: ClassVar[str] = "authorization"
    knobs_type: ClassVar[type] = Knobs

    def seed(self) -> None:
        """Set up the workspace."""
        self._knobs: Knobs = self.settings
        knobs = self._knobs
        shape = Shape(knobs.json_root, knobs.file == "gzip", knobs.total_records, knobs.count_error)
        running = at_work(self.world.clock, knobs.running_seconds)
        self._workspace = Workspace(self.world, shape, knobs.balance, running)
        self._access = Access(self.world.clock, knobs.limit_scale)
        self._created = self._spent = 0

    def recognised(self, request: Request) -> str | None:
        """Accept both living tokens."""
        return self.auth_header if token_of(request) in SCOPES else None

    def authenticate(self, request: Request) -> None:
        """Refuse a request without a living token, each for its own reason."""
        authenticate(request)

    def admit(self, request: Request, handler: str) -> None:
        """Hold the rate limits and the scopes."""
        self._access.admit(request, handler)

    def envelope(self, refusal: Refusal) -> Response:
        """Return the error body: an object where there is a code, else a text or FastAPI's list."""
        detail: Any = refusal.details or refusal.message
        if refusal.code:
            detail = {"code": refusal.code, "message": refusal.message}
            detail |= {"details": refusal.details} if refusal.details else {}
        return json_response({"detail": detail}, refusal.status)

    @route("POST", "/api/v1/companies/search")
    def search(self, request: Request) -> Response:
        """Return one page of the companies that match."""
        body = body_of(request)
        cursor = body.pop("cursor", None)
        filters = Filters.of(body, ("body",), strict=self._knobs.strict)
        found = self._workspace.directory.find(filters)
        start = offset_of(cursor, filters) if cursor is not None else 0
        page = paged(request.listing, found, start, self._knobs.page_size, key=int)
        items = [self._workspace.directory.shown(position) for position in page.rows]
        following = cursor_at(page.end, filters) if page.more else None
        more = {"aggregations": _aggregated(items), "next_cursor": following}
        return json_response({"items": items, **totals(total=page.total), **more})

    @route("GET", "/api/v1/companies/{company_id}")
    def company(self, _request: Request, company_id: str) -> Response:
        """Return one company."""
        position = self._workspace.directory.position(company_id)
        if position is None:
            raise Refusal(404, "Company not found")
        return json_response(self._workspace.directory.shown(position))

    @route("GET", "/api/v1/credits")
    def credits(self, request: Request) -> Response:
        """Return the balance and the youngest transactions, the youngest first."""
        Params(request, status=422, strict=self._knobs.strict).done()
        newest, size = self._workspace.booked()[::-1], self._knobs.transactions_shown
        page = paged(request.listing, newest, 0, size, key=itemgetter("id"), tie=itemgetter("created_at"))
        balance = self._workspace.balance
        return json_response({"workspace_id": WORKSPACE_ID, "balance": balance, "recent_transactions": page.rows})

    @route("POST", "/api/v1/exports")
    def create_export(self, request: Request) -> Response:
        """Create a job, which takes credits for the companies that are new to the workspace."""
        body = checked(body_of(request), strict=self._knobs.strict)
        found = self._resolved(body)
        if not found:
            raise Refusal(400, "No companies match the export criteria", code="no_candidates")
        wanted = found[:_MAX_COMPANIES]
        export_id = self._workspace.new_id()
        refuse = self._knobs.short_balance == "refuse"
        charge, kept = self._workspace.charge(export_id, wanted, refuse=refuse)
        self._created += 1
        self._spent += charge.paid
        order = Order(body["name"], body["source_type"], body["export_format"], kept)
        export = self._workspace.add(export_id, order, charge.paid, self.job())
        math_of_credits = {
            "requested_count": len(wanted),
            "already_unlocked": charge.known,
            "new_count": charge.new,
            "cost": charge.new,
            "credits_charged": charge.paid,
            "would_skip": charge.new - charge.paid,
            "capped_at_10k": len(found) > _MAX_COMPANIES,
            "transaction_id": charge.transaction_id,
        }
        return json_response({"export_job": export.head(), **math_of_credits}, self._knobs.created_status)

    @route("GET", "/api/v1/exports/{export_id}")
    def export(self, _request: Request, export_id: str) -> Response:
        """Return one job."""
        export = self._workspace.find(export_id)
        export.life.observe()
        return json_response(export.record())

    @route("POST", "/api/v1/exports/{export_id}/download")
    def download(self, _request: Request, export_id: str) -> Response:
        """Return a signed URL once the job is completed."""
        export = self._workspace.find(export_id)
        if export.life.observe().name != COMPLETED:
            raise Refusal(400, "Export is not completed")
        url, expires = self.world.files.sign(export.path)
        return json_response({"download_url": url, "expires_at": iso_s(expires)})

    @truth("/companies")
    def all_companies(self, _request: Request) -> list[Row]:
        """Return all companies, as an export shows them."""
        return [self._workspace.directory.row(position) for position in range(len(self._workspace.directory))]

    @truth("/search")
    def found_companies(self, request: Request) -> list[Row]:
        """Return the companies of a search, as the search shows them; `filters` is the JSON of its body."""
        filters = Filters.of(json.loads(dict(request.query).get("filters", "{}")), ("filters",), strict=True)
        directory = self._workspace.directory
        return [directory.shown(position) for position in directory.find(filters)]

    @truth("/exports")
    def all_exports(self, _request: Request) -> list[Row]:
        """Return all jobs."""
        return [export.record() for export in self._workspace.exports()]

    @truth("/export/{export_id}")
    def rows_of_export(self, _request: Request, export_id: str) -> list[Row]:
        """Return the companies in the file of a job."""
        return [self._workspace.directory.row(place) for place in self._workspace.find(export_id).order.positions]

    @truth("/transactions")
    def all_transactions(self, _request: Request) -> list[Row]:
        """Return all transactions, the oldest first."""
        return self._workspace.transactions

    @truth("/unlocked")
    def all_unlocked(self, _request: Request) -> Sequence[str]:
        """Return the ids of the companies that the workspace has exported."""
        return self._workspace.unlocked

    def grow(self) -> dict[str, Any]:
        """Add companies, and a foreign export with its charge."""
        return self._workspace.grow()

    def spend(self) -> dict[str, int]:
        """Return the jobs that were created through the API and the credits they took."""
        return {"jobs_created": self._created, "credits": self._spent}

    def config(self) -> dict[str, Any]:
        """Return a search, exports of a search and of a list, and an export that is there."""
        software = {"countries": ["United States"], "industries": ["Application Software"]}
        return {
            "max_credits": self._knobs.max_credits,
            "exports": [
                {"name": "software", "source_type": "search", "search_filters": software, "export_format": "json"},
                {"name": "saved list", "source_type": "list", "list_id": LIST_ID, "export_format": "csv"},
                {"name": "semiconductors", "export_id": EXPORT_ID},
            ],
            "searches": [{"name": "california", "search_filters": {"states": ["California"]}}],
        }

    def _resolved(self, body: Row) -> Sequence[int]:
        if body["source_type"] == "list":
            if "list_id" not in body:
                raise invalid(("body", "list_id"), "Field required")
            if body["list_id"] not in self._workspace.lists:
                raise Refusal(404, "List not found")
            return self._workspace.lists[body["list_id"]]
        place = ("body", "search_filters")
        filters = Filters.of(body.get("search_filters", {}), place, strict=self._knobs.strict)
        return self._sorted(self._workspace.directory.find(filters), body)

    def _sorted(self, positions: Sequence[int], body: Row) -> Sequence[int]:
        name, row = body.get("sort_by"), self._workspace.directory.row
        if name is None:
            return positions
        descending = body.get("sort_order") == "desc"
        return sorted(positions, key=lambda position: str(row(position).get(name)), reverse=descending)


def _aggregated(items: list[Row]) -> Row:
    return {"countries": dict(Counter(item["country"] for item in items))}
