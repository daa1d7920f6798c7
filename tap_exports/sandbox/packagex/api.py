"""The routes of PackageX's API, as its documents describe them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from tap_exports.sandbox.clock import iso_ms, parse_iso
from tap_exports.sandbox.ids import named_uuid, short
from tap_exports.sandbox.jobs import Ended, Life, Phase, at_work
from tap_exports.sandbox.lists import paged, totals
from tap_exports.sandbox.packagex import seed
from tap_exports.sandbox.packagex.exports import Export, Exports, Order, Shape, written
from tap_exports.sandbox.packagex.options import Options, Selection
from tap_exports.sandbox.packagex.seed import Foreign, Row
from tap_exports.sandbox.packagex.table import Format, shown
from tap_exports.sandbox.params import Params
from tap_exports.sandbox.provider import Provider
from tap_exports.sandbox.web import Refusal, Request, Response, json_response, route, truth

_KEY_HEADERS = ("px-api-key", "x-api-key")
_BODY = {"resource", "options", "csv_field_options"}
_ORDERS = ("created_at", "count_batches", "count_total", "updated_at")
_STATUSES = ("queued", "processing", "completed", "failed", "timed_out")
_LISTED = ("contact", "group", "location", "shipment", "tracker", "shipping_label_inference")
_URLS = ("_json_url", "_csv_url", "_csv_error_url", "_csv_sanitized_url")


@dataclass(frozen=True, slots=True)
class Knobs:
    """How to behave where the documents leave it open, or contradict each other.

    Attributes:
        json_root: `array`, `jsonl`, or the key of an object that holds the array.
        nesting: how the CSV shows nested fields: `merge` or `flatten`.
        timestamps: `epoch` (seconds), `text` (the same as text) or `iso`, in the API and in JSON files.
        envelope: single objects stand under `data` or `bare`.
        error_key: name of the field with the error code: `code` or `error_code`.
        flags: `new` (each URL needs the flag of its own format) or `old` (the other one).
        no_url: a URL without a file is `null` or `absent`.
        removed: response for an expired export: `404`, `410`, or `listed` as before with dead URLs.
        keep_hours: from an export's creation to its removal.
        limit_cap: greatest `limit` of the list; a greater one is lowered silently.
        created_status: status of the response that creates an export.
        count_error: added to the true `count_total`.
        processing_seconds: length of the seeded job that is processing, a third of which has passed.
        strict: whether unknown parameters and body fields are refused.
    """

    json_root: str = "array"
    nesting: str = "merge"
    timestamps: str = "epoch"
    envelope: str = "data"
    error_key: str = "code"
    flags: str = "new"
    no_url: str = "null"
    removed: str = "404"
    keep_hours: float = 24.0
    limit_cap: int = 100
    created_status: int = 201
    count_error: int = 0
    processing_seconds: float = 3600.0
    strict: bool = True


class PackageX(Provider):
    """Exports of one organization's resources."""

    name: ClassVar[str] = "packagex"
    key: ClassVar[str] = "sandbox-packagex-key"
    auth_header: ClassVar[str] = "px-api-key"
    knobs_type: ClassVar[type] = Knobs

    def seed(self) -> None:
        """Set up the resources and the exports that somebody else made."""
        self._knobs: Knobs = self.settings
        rows = self.world.options.rows
        self._stocks = {name: seed.Stock(name, rows if name == seed.LOAD_RESOURCE else 0) for name in seed.PREFIXES}
        knobs = self._knobs
        shape = Shape(knobs.json_root, knobs.nesting, knobs.timestamps)
        self._exports = Exports(self.world, shape, knobs.keep_hours)
        self._created = 0
        for foreign in seed.FOREIGN:
            self._add_foreign(foreign.id, foreign.resource, {"limit": "all"}, self._foreign_life(foreign))

    def recognised(self, request: Request) -> str | None:
        """Accept the key in either header."""
        return next((name for name in _KEY_HEADERS if request.headers.get(name) == self.key), None)

    def envelope(self, refusal: Refusal) -> Response:
        """Return the error body."""
        body = {"data": {}, "message": refusal.message, "status": refusal.status, "errors": refusal.details or []}
        code = refusal.code or ("unauthorized" if refusal.status == 401 else None)  # noqa: PLR2004 - HTTP
        return json_response({**body, self._knobs.error_key: code, "pagination": None}, refusal.status)

    @route("POST", "/v1/exports")
    def create_export(self, request: Request) -> Response:
        """Create an export of the rows that stand at the source now."""
        order = self._order(request.json_object())
        self._created += 1
        export_id = f"exp_{short(named_uuid(f'packagex export {self._created}'))}"
        contents = self._exports.contents(export_id, order)
        written(contents, order.selection)
        life = self.job(lambda: all(content.ready() for content in contents.values()))
        export = self._exports.add(export_id, order, contents, life)
        return self._single(request, self._record(export), self._knobs.created_status)

    @route("GET", "/v1/exports/{export_id}")
    def export(self, request: Request, export_id: str) -> Response:
        """Return one export, with the URLs that are asked for."""
        params = Params(request, strict=self._knobs.strict)
        wanted = {kind: params.boolean(f"include_{kind}") for kind in ("csv", "json")}
        params.done()
        export = self._exports.find(export_id, removed=self._knobs.removed)
        export.life.observe()
        return self._single(request, {**self._record(export), **self._urls(export, wanted)})

    @route("GET", "/v1/exports")
    def exports(self, request: Request) -> Response:
        """List the exports; one on the page counts as read."""
        params = Params(request, strict=self._knobs.strict)
        page, limit = params.integer("page", 1), min(params.integer("limit", 10), self._knobs.limit_cap)
        jobs = self._listed(params)
        params.done()
        sorted_by = params.text("order_by") or "created_at"
        tie = lambda job: self._record(job)[sorted_by]  # noqa: E731 - as `key`
        shown = paged(request.listing, jobs, (page - 1) * limit, limit, key=lambda job: job.id, tie=tie)
        for job in shown.rows:
            job.life.observe()
        pagination = {"page": page, "limit": limit, "has_more": shown.more, **totals(total_count=shown.total)}
        return json_response(self._enveloped(request, [self._record(job) for job in shown.rows], 200, pagination))

    @truth("/{resource}")
    def rows_of(self, _request: Request, resource: str) -> list[Row]:
        """Return all rows of a resource such as `shipment`, or all exports that are known."""
        if resource == "exports":
            return [self._record(job) for job in self._exports.known()]
        if resource not in self._stocks:
            raise Refusal(404, f"no truth about {resource}")
        return [shown(item.row, self._knobs.timestamps) for item in self._stocks[resource]]

    @truth("/export")
    def rows_of_export(self, request: Request) -> Row:
        """Return rows, errors and held out rows of an export of `resource`, requested now with the query's options."""
        options: dict[str, Any] = {"limit": "all", **dict(request.query)}
        selection = self._selection(options.pop("resource", ""), options)
        parts: Row = {
            "rows": list(selection.exported()),
            "errors": [{"id": row["id"], "error": reason} for row, reason in selection.errors()],
            "sanitized": selection.formulas(),
        }
        told: Row = shown(parts, self._knobs.timestamps)
        return told

    def grow(self) -> dict[str, Any]:
        """Add three shipments, and an export of just these that somebody else made."""
        # Whole milliseconds: windows end on them, and nothing may be created between two windows.
        now = parse_iso(iso_ms(self.world.clock.now()))
        made = self._stocks["shipment"].grow(now, 3)
        number = len(self._stocks["shipment"])
        export_id = f"exp_{short(named_uuid(f'foreign export {number}'))}"
        filters = {"limit": "all", "created_at": f"gte:{now.isoformat()}"}
        export = self._add_foreign(export_id, "shipment", filters, Ended(now, Phase("completed", 1.0, now)))
        added = [shown(item.row, self._knobs.timestamps) for item in made]
        return {"shipments": added, "exports": [self._record(export)]}

    def spend(self) -> dict[str, int]:
        """Return the number of jobs that were created."""
        return {"jobs_created": self._created}

    def config(self) -> dict[str, Any]:
        """Return windowed exports of shipments (JSON) and contacts (CSV)."""
        windowed = {"replication_key": "created_at", "mode": "create"}
        return {
            "exports": [
                {"resource": "shipment", "name": "shipments", "format": "json", **windowed},
                {"resource": "contact", "name": "contacts", "format": "csv", **windowed},
            ],
        }

    def _order(self, body: Row) -> Order:
        unknown = sorted(set(body) - _BODY)
        if unknown and self._knobs.strict:
            raise _invalid(unknown[0], "is not known")
        for name in ("options", "csv_field_options"):
            if not isinstance(body.get(name), Mapping):
                raise _invalid(name, "is required")
        selection = self._selection(body.get("resource"), body["options"])
        form = Format.of(body["csv_field_options"])
        return Order(str(body["resource"]), body["options"], body["csv_field_options"], selection, form)

    def _selection(self, resource: Any, options: Mapping[str, Any]) -> Selection:
        if not isinstance(resource, str) or resource not in self._stocks:
            raise _invalid("resource", f"must be one of {', '.join(self._stocks)}")
        return Selection(self._stocks[resource], Options.of(resource, options, strict=self._knobs.strict))

    def _listed(self, params: Params) -> list[Export]:
        order_by = params.choice("order_by", _ORDERS, "created_at")
        descending = params.choice("direction", ("asc", "desc"), "asc") == "desc"
        resource = params.choice("resource", _LISTED, "")
        statuses = [text for text in (params.text("statuses") or "").split(",") if text]
        if any(status not in _STATUSES for status in statuses):
            raise _invalid("statuses", f"must be among {', '.join(_STATUSES)}")
        search = (params.text("search") or "").lower()
        kept = []
        for job in self._exports.known(removed=self._knobs.removed == "listed"):
            record = job.record()
            if resource in {"", record["resource"]} and search in record["name"].lower():
                kept.extend([(record[order_by], job)] if not statuses or record["status"] in statuses else [])
        return [job for _, job in sorted(kept, key=lambda pair: pair[0], reverse=descending)]

    def _record(self, export: Export) -> Row:
        record: Row = shown(export.record(self._knobs.count_error), self._knobs.timestamps)
        return record

    def _urls(self, export: Export, wanted: Mapping[str, bool]) -> Row:
        urls = {}
        for field in _URLS:
            kind = "json" if (field == "_json_url") == (self._knobs.flags == "new") else "csv"
            url = self._exports.url(export, field) if wanted[kind] else None
            if wanted[kind] and (url or self._knobs.no_url == "null"):
                urls[field] = url
        return urls

    def _single(self, request: Request, record: Row, status: int = 200) -> Response:
        bare = self._knobs.envelope == "bare"
        return json_response(record if bare else self._enveloped(request, record, status, None), status)

    def _enveloped(self, request: Request, data: Any, status: int, pagination: Row | None) -> Row:
        head = {"data": data, "message": "Success", "status": status, "errors": []}
        return {**head, self._knobs.error_key: None, "pagination": pagination, "endpoint": request.path}

    def _foreign_life(self, foreign: Foreign) -> Life:
        if foreign.status == "processing":
            return at_work(self.world.clock, self._knobs.processing_seconds)
        created = self.world.clock.now() - timedelta(hours=foreign.hours)
        return Ended(created, Phase(foreign.status, 1.0, created + timedelta(seconds=90), foreign.reason))

    def _add_foreign(self, export_id: str, resource: str, options: Row, life: Life) -> Export:
        order = Order(resource, options, {}, self._selection(resource, options), Format.of({}))
        return self._exports.add(export_id, order, self._exports.contents(export_id, order), life)


def _invalid(name: str, what: str) -> Refusal:
    return Refusal(400, f"{name} {what}", code="validation_error", details=[name])
