"""The routes of Cension's API, as its documents describe them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tap_exports.sandbox.cension import seed
from tap_exports.sandbox.cension.dataset import Dataset, Item
from tap_exports.sandbox.cension.organization import Organization
from tap_exports.sandbox.jobs import Job, JobPlan
from tap_exports.sandbox.lists import paged, totals
from tap_exports.sandbox.params import Params
from tap_exports.sandbox.provider import Provider
from tap_exports.sandbox.web import Refusal, Request, Response, json_response, route, truth

_MAX_LIMIT = 10_000
_MODES = {"FillEmpty", "UpdateExisting", "Both", 0, 1, 2}
_FEED = {"feedId": int, "projectId": int}
_OPTIONAL = {"fieldIds": list, "processingMode": object, "languages": list}


@dataclass(frozen=True, slots=True)
class Knobs:
    """How to behave where the documents leave it open.

    Attributes:
        limit_cap: greatest `limit` of an export; a greater one is lowered silently.
        envelope: `data` (`{"success", "data": {"items", "total_count"}}`) or `list` (the bare array of older pages).
        start_envelope: where a new run's `operationId` stands: `data`, `operation` or `flat`.
        errors_as_200: answer errors with status 200 and `success: false`.
        strict: whether unknown parameters and body fields are refused.
        running_seconds: how long the seeded run 4842 goes on.
    """

    limit_cap: int = _MAX_LIMIT
    envelope: str = "data"
    start_envelope: str = "data"
    errors_as_200: bool = False
    strict: bool = True
    running_seconds: float = 3600.0


class Cension(Provider):
    """Exports, operations and saved queries of one organization."""

    name: ClassVar[str] = "cension"
    key: ClassVar[str] = "sandbox-cension-key"
    auth_header: ClassVar[str] = "authorization"
    knobs_type: ClassVar[type] = Knobs

    def seed(self) -> None:
        """Set up datasets, operations and queries."""
        self._knobs: Knobs = self.settings
        running = Job(self.world.clock, JobPlan(seconds=self._knobs.running_seconds))
        self._organization = Organization(self.world, running)

    def recognised(self, request: Request) -> str | None:
        """Accept the universal key everywhere, and an export's own key for that export."""
        export_id = request.path.removeprefix("/api/export/")
        keys = {self.key, export_key(int(export_id))} if export_id.isdecimal() else {self.key}
        return self.auth_header if request.headers.get(self.auth_header) in keys else None

    def envelope(self, refusal: Refusal) -> Response:
        """Return the error body; only `success: false` is certain."""
        status = 200 if self._knobs.errors_as_200 else refusal.status
        return json_response({"success": False, "message": refusal.message}, status)

    @route("GET", "/api/export/{export_id}")
    def export(self, request: Request, export_id: str) -> Response:
        """Return one page of an export, of one run where `operationId` says so."""
        params = Params(request, strict=self._knobs.strict)
        page, limit = params.integer("page", 1), min(params.integer("limit", 100), self._knobs.limit_cap)
        dataset, indices = self._selected(params, export_id)
        params.done()
        shown = paged(request.listing, indices, (page - 1) * limit, limit, key=int)
        items = [dataset.items[index] for index in shown.rows]
        if self._knobs.envelope == "list":
            return json_response(items)
        return json_response({"success": True, "data": {"items": items, **totals(total_count=shown.total)}})

    @route("GET", "/api/operations/{operation_id}")
    def operation(self, _request: Request, operation_id: str) -> Response:
        """Return the state of a run."""
        operation = self._organization.operation(_number(operation_id, "operationId"))
        operation.life.observe()
        return json_response({"success": True, "operation": operation.record()})

    @route("DELETE", "/api/operations/{operation_id}/cancel")
    def cancel(self, _request: Request, operation_id: str) -> Response:
        """Stop a run."""
        self._organization.cancel(self._organization.operation(_number(operation_id, "operationId")))
        return json_response({"success": True})

    @route("GET", "/api/queries/{query_id}")
    def query(self, request: Request, query_id: str) -> Response:
        """Return one page of a saved query."""
        params = Params(request, strict=self._knobs.strict)
        page, limit = params.integer("page", 1), params.integer("limit", 100, high=_MAX_LIMIT)
        params.done()
        rows = self._query_rows(query_id)
        shown = paged(request.listing, rows, (page - 1) * limit, limit, key=lambda row: str(row["id"]))
        said = totals(total_count=shown.total, total_pages=shown.pages(limit))
        return json_response(
            {"success": True, "data": shown.rows, "pagination": {"page": page, "limit": limit, **said}}
        )

    @route("POST", "/api/horizontal/upload")
    def upload(self, request: Request) -> Response:
        """Add rows without a run; this spends nothing."""
        body = self._body(request, {**_FEED, "dataItems": list}, {})
        positions = self._organization.upload(self._organization.feed(body), body["dataItems"])
        return json_response({"success": True, "data": {"uploaded": len(positions)}})

    @route("POST", "/api/horizontal/upload-and-process")
    def upload_and_process(self, request: Request) -> Response:
        """Add rows and start a run over them."""
        body = self._body(request, {**_FEED, "dataItems": list}, _OPTIONAL)
        dataset = self._organization.feed(body)
        return self._start(dataset, "horizontal", self._organization.upload(dataset, body["dataItems"]), new=True)

    @route("POST", "/api/horizontal/create")
    def horizontal(self, request: Request) -> Response:
        """Start a run over rows that are there; a seeded row's og id is its position, as text."""
        body = self._body(request, {**_FEED, "ogIds": list}, _OPTIONAL)
        dataset = self._organization.feed(body)
        positions = [dataset.position(og_id) for og_id in body["ogIds"]]
        if not positions:
            raise Refusal(400, "ogIds must not be empty")
        return self._start(dataset, "horizontal", positions, new=False)

    @route("POST", "/api/vertical/create")
    def vertical(self, request: Request) -> Response:
        """Start a run that finds new rows."""
        body = self._body(request, {**_FEED, "fieldContextId": int}, {"count": int})
        count = body.get("count", 10)
        if not 1 <= count <= _MAX_LIMIT:
            raise Refusal(400, f"count must be from 1 to {_MAX_LIMIT}")
        dataset = self._organization.feed(body)
        return self._start(dataset, "vertical", self._organization.newcomers(dataset, count), new=True)

    @truth("/export/{export_id}")
    def rows_of_export(self, request: Request, export_id: str) -> Sequence[Item]:
        """Return all items of an export, of one run where `operationId` says so."""
        dataset, indices = self._selected(Params(request), export_id)
        return [dataset.items[index] for index in indices]

    @truth("/operations")
    def all_operations(self, _request: Request) -> Sequence[Item]:
        """Return all operations, by ascending id."""
        return [operation.record() for operation in self._organization.operations()]

    @truth("/query/{query_id}")
    def rows_of_query(self, _request: Request, query_id: str) -> Sequence[Item]:
        """Return all rows of a saved query."""
        return self._query_rows(query_id)

    def grow(self) -> dict[str, Any]:
        """Add a completed run with new rows, and rows of the saved query."""
        return self._organization.grow()

    def spend(self) -> dict[str, int]:
        """Return the runs that were started and the credits they took."""
        return {"runs_started": self._organization.runs, "credits": self._organization.credits}

    def config(self) -> dict[str, Any]:
        """Return the export of the companies over two runs, and the saved query."""
        query = {"query_id": seed.QUERY_ID, "name": "recent", "primary_keys": ["id"], "replication_key": "created_at"}
        return {
            "operation_ids": [4836, 4840],
            "exports": [{"export_id": seed.EXPORT_ID, "name": "companies", "primary_keys": ["company"]}],
            "queries": [query],
        }

    def _selected(self, params: Params, export_id: str) -> tuple[Dataset, Sequence[int]]:
        dataset = self._organization.dataset(_number(export_id, "exportId"))
        return dataset, self._organization.indices(dataset, params.optional_integer("operationId"))

    def _query_rows(self, query_id: str) -> list[Item]:
        rows = self._organization.queries.get(_number(query_id, "savedQueryId"))
        if rows is None:
            raise Refusal(404, "Saved query not found")
        return rows

    def _body(self, request: Request, required: Mapping[str, type], optional: Mapping[str, type]) -> Item:
        body = request.json_object()
        for name, kind in {**required, **optional}.items():
            if (name in required or name in body) and not _is(body.get(name), kind):
                raise Refusal(400, f"{name} must be {kind.__name__}")
        unknown = sorted(set(body) - set(required) - set(optional))
        if unknown and self._knobs.strict:
            raise Refusal(400, f"unknown field: {', '.join(unknown)}")
        if body.get("processingMode", 0) not in _MODES:
            raise Refusal(400, "processingMode must be FillEmpty, UpdateExisting or Both")
        return body

    def _start(self, dataset: Dataset, kind: str, positions: Sequence[int], *, new: bool) -> Response:
        operation_id = self._organization.start(dataset, kind, positions, self.job(), new=new).id
        place = self._knobs.start_envelope
        content = {"operationId": operation_id}
        return json_response({"success": True, **(content if place == "flat" else {place: content})})


def export_key(export_id: int) -> str:
    """Return the key of one export: older documents give each export its own."""
    return f"export_{export_id:024x}"


def _is(value: object, kind: type) -> bool:
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _number(text: str, name: str) -> int:
    if not text.isdecimal():
        raise Refusal(400, f"{name} must be a number")
    return int(text)
