"""The routes of Exelensia's API, as its documents describe them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar

from tap_exports.sandbox.clock import iso_ms, parse_iso
from tap_exports.sandbox.exelensia import seed
from tap_exports.sandbox.exelensia.exports import Exports, Order
from tap_exports.sandbox.exelensia.listing import Query
from tap_exports.sandbox.exelensia.results import Results, Row, Selection
from tap_exports.sandbox.exelensia.table import Layout, Table
from tap_exports.sandbox.jobs import COMPLETED, FAILED
from tap_exports.sandbox.params import Params
from tap_exports.sandbox.provider import Provider
from tap_exports.sandbox.web import Refusal, Request, Response, json_response, route, truth

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_BODY = {"schema_id", "start_date", "end_date", "expand_array"}
_JANUARY = ("2024-01-01T00:00:00.000Z", "2024-01-31T23:59:59.999Z")


@dataclass(frozen=True, slots=True)
class Knobs:
    """How to behave where the documents leave it open.

    Attributes:
        inclusive: whether `created_after` and `created_before` include their instant.
        pages_of_none: `totalPages` of an empty list.
        strict: whether unknown parameters and body fields are refused.
        csv_header: what the header of the CSV shows of a field: `key` or `label`.
        csv_newline: line ending of the CSV.
        expanded: `dotted` or `plain` names of the columns of an expanded array.
        keep_empty: whether an empty array keeps one row when it is expanded.
        named_ids: whether the id of a job follows from what it exports: jobs that are created at once, in any order,
            then have the ids that they have when they are created in turn.
    """

    inclusive: bool = True
    pages_of_none: int = 1
    strict: bool = True
    csv_header: str = "key"
    csv_newline: str = "\n"
    expanded: str = "dotted"
    keep_empty: bool = False
    named_ids: bool = False


class Exelensia(Provider):
    """Schemas, templates, files, processes, results and exports of one team."""

    name: ClassVar[str] = "exelensia"
    key: ClassVar[str] = "sandbox-exelensia-key"
    auth_header: ClassVar[str] = "x-api-key"
    knobs_type: ClassVar[type] = Knobs

    def seed(self) -> None:
        """Set up the account and three exports that somebody else made."""
        self._knobs: Knobs = self.settings
        self._account = seed.seeded(self.world.options.rows)
        self._results = Results(self._account.results, self.world.options.rows)
        self._exports = Exports(self.world.files, named_ids=self._knobs.named_ids)
        self._created = 0
        self._grown = seed.INVOICES
        for expand, name in ((None, COMPLETED), (None, FAILED), ("lines", COMPLETED)):
            order = Order(seed.INVOICES_ID, *_JANUARY, expand)
            self._exports.add_foreign(order, self._exports.content(order, *self._table(order)), name)

    def envelope(self, refusal: Refusal) -> Response:
        """Return the error body; its form is not documented."""
        reason = HTTPStatus(refusal.status).phrase
        return json_response(
            {"statusCode": refusal.status, "message": refusal.message, "error": reason}, refusal.status
        )

    @route("GET", "/v1/schemas")
    def schemas(self, request: Request) -> Response:
        """List the schemas."""
        return self._list(request, self._account.schemas)

    @route("GET", "/v1/schemas/{schema_id}")
    def schema(self, _request: Request, schema_id: str) -> Response:
        """Return one schema."""
        return json_response(self._schema(schema_id))

    @route("GET", "/v1/templates")
    def templates(self, request: Request) -> Response:
        """List the templates."""
        return self._list(request, self._account.templates)

    @route("GET", "/v1/files")
    def files(self, request: Request) -> Response:
        """List the files."""
        return self._list(request, self._account.files)

    @route("DELETE", "/v1/files/{file_id}")
    def delete_file(self, _request: Request, file_id: str) -> Response:
        """Delete a file; its processes and results stay."""
        kept = [row for row in self._account.files if row["id"] != file_id]
        if len(kept) == len(self._account.files):
            raise Refusal(404, "File not found")
        self._account.files = kept
        return json_response({"message": "File deleted successfully"})

    @route("GET", "/v1/process")
    def processes(self, request: Request) -> Response:
        """List the processes, of one file where `file_id` says so."""
        file_id = Params(request).text("file_id")
        rows = [row for row in self._account.processes if file_id in {None, row["file_id"]}]
        return self._list(request, rows, "file_id")

    @route("GET", "/v1/results")
    def results(self, request: Request) -> Response:
        """List the results; the extraction comes only when it is asked for."""
        params = Params(request)
        schema_id, wanted = params.text("schema_id"), params.boolean("include_extraction")
        query = Query.of(request, "schema_id", "include_extraction", strict=self._knobs.strict)
        rows: Sequence[Row] = self._results.between(schema_id, query.after, query.before)
        if query.search or not self._knobs.inclusive:
            rows = [row for row in rows if query.selects(row, inclusive=self._knobs.inclusive)]
        page = query.page_of(rows, request.listing)
        shown = [row if wanted else _bare(row) for row in page.rows]
        return _page(query.shown(shown), query.meta(page, self._knobs.pages_of_none))

    @route("GET", "/v1/results/{result_id}")
    def result(self, _request: Request, result_id: str) -> Response:
        """Return one result with its extraction."""
        row = self._results.find(result_id)
        if row is None:
            raise Refusal(404, "Result not found")
        return json_response(row)

    @route("POST", "/v1/exports")
    def create_export(self, request: Request) -> Response:
        """Create a job over the results that stand at the source now."""
        body = request.json_object()
        if self._knobs.strict and (unknown := sorted(set(body) - _BODY)):
            raise Refusal(400, f"property {unknown[0]} should not exist")
        start, end = _moment(body, "start_date"), _moment(body, "end_date")
        if end < start:
            raise Refusal(400, "end_date must not be before start_date")
        order = Order(_schema_id(body), iso_ms(start), iso_ms(end), body.get("expand_array"))
        content = self._exports.content(order, *self._table(order))
        self._created += 1
        return json_response(self._exports.add(order, content, self.job(content.ready)).record(), 201)

    @route("GET", "/v1/exports")
    def exports(self, request: Request) -> Response:
        """List the jobs; a job on the page counts as read."""
        query = Query.of(request, strict=self._knobs.strict)
        jobs = [export.record() for export in self._exports.known()]
        page = query.page_of(self._selected(query, jobs), request.listing)
        shown = [self._exports.observed(row["id"]).record() for row in page.rows]
        return _page(query.shown(shown), query.meta(page, self._knobs.pages_of_none))

    @route("GET", "/v1/exports/{export_id}/download")
    def download(self, _request: Request, export_id: str) -> Response:
        """Return a signed URL once the job is completed."""
        return json_response({"url": self._exports.download_url(self._exports.find(export_id))})

    @route("DELETE", "/v1/exports/{export_id}")
    def delete_export(self, _request: Request, export_id: str) -> Response:
        """Delete a job and its file."""
        self._exports.delete(self._exports.find(export_id))
        return json_response({"message": "Export deleted successfully"})

    @truth("/{resource}")
    def rows_of(self, _request: Request, resource: str) -> list[Row]:
        """Return all rows of schemas, templates, files, processes, results or exports."""
        if resource == "results":
            return list(self._results.between(None, "", ""))
        if resource == "exports":
            return [export.record() for export in self._exports.known()]
        if resource not in {"schemas", "templates", "files", "processes"}:
            raise Refusal(404, f"no truth about {resource}")
        rows: list[Row] = getattr(self._account, resource)
        return rows

    @truth("/export")
    def rows_of_export(self, request: Request) -> Row:
        """Return columns and rows of an export, requested now; cells are text or null.

        The query takes `schema_id`, `start_date`, `end_date` and `expand_array`.
        """
        query = dict(request.query)
        bounds = (query.get("start_date", ""), query.get("end_date", ""))
        table, results = self._table(Order(query.get("schema_id", ""), *bounds, query.get("expand_array")))
        return {"columns": table.columns, "rows": list(table.rows(results))}

    def grow(self) -> dict[str, Any]:
        """Add three invoices and what belongs to them."""
        account, now = self._account, iso_ms(self.world.clock.now())
        added = []
        for number in range(self._grown, self._grown + 3):
            added.append(account.new_result(f"invoice-{number:04d}.pdf", seed.INVOICES_ID, now, seed.invoice(number)))
            self._results.append(added[-1])
        self._grown += 3
        return {"files": account.files[-3:], "processes": account.processes[-3:], "results": added}

    def spend(self) -> dict[str, int]:
        """Return the number of jobs that were created."""
        return {"jobs_created": self._created}

    def config(self) -> dict[str, Any]:
        """Return exports of both schemas, plain and expanded."""
        window = {"max_window_days": 1000}
        return {
            "exports": [
                {"schema_id": seed.INVOICES_ID, "name": "invoices", "primary_keys": ["invoice_number"], **window},
                {"schema_id": seed.INVOICES_ID, "name": "invoice lines", "expand_array": "lines", **window},
                {"schema_id": seed.COMPANIES_ID, "name": "companies", "primary_keys": ["symbol"], **window},
            ],
        }

    def _list(self, request: Request, rows: Sequence[Row], *extra: str) -> Response:
        query = Query.of(request, *extra, strict=self._knobs.strict)
        page = query.page_of(self._selected(query, rows), request.listing)
        return _page(query.shown(page.rows), query.meta(page, self._knobs.pages_of_none))

    def _selected(self, query: Query, rows: Sequence[Row]) -> Sequence[Row]:
        return [row for row in rows if query.selects(row, inclusive=self._knobs.inclusive)]

    def _schema(self, schema_id: str) -> Row:
        for schema in self._account.schemas:
            if schema["id"] == schema_id:
                return schema
        raise Refusal(404, "Schema not found")

    def _table(self, order: Order) -> tuple[Table, Selection]:
        fields, expand = self._schema(order.schema_id)["schema"]["fields"], order.expand_array
        if expand is not None and not any(field["key"] == expand and field["type"] == "array" for field in fields):
            raise Refusal(400, f"expand_array {expand} is not an array field of the schema")
        knobs = self._knobs
        layout = Layout(knobs.csv_header, knobs.csv_newline, knobs.expanded, knobs.keep_empty)
        return Table(fields, expand, layout), self._results.between(order.schema_id, order.start_date, order.end_date)


def _page(rows: Sequence[Row], meta: dict[str, int]) -> Response:
    return json_response({"data": list(rows), "meta": meta})


def _bare(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "extraction"}


def _schema_id(body: Row) -> str:
    schema_id = body.get("schema_id")
    if not isinstance(schema_id, str) or not _UUID.fullmatch(schema_id):
        raise Refusal(400, "schema_id must be a UUID")
    return schema_id.lower()


def _moment(body: Row, name: str) -> datetime:
    try:
        return parse_iso(body.get(name, ""))
    except (TypeError, AttributeError, ValueError):
        raise Refusal(400, f"{name} must be a valid ISO 8601 date string") from None
