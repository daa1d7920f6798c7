"""The state that Exelensia starts with: two schemas with results, one without, and their traps.

Invoices carry what breaks careless readers: leading zeros, text that looks like a number, `NA`, quotes, commas, both
kinds of line ends, other scripts, empty text beside null, long decimals, empty arrays, and creation times that sit
exactly on the bounds of months. Companies are the real rows of the packaged dataset, five per instant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tap_exports.sandbox.clock import iso_ms, parse_iso
from tap_exports.sandbox.companies import companies
from tap_exports.sandbox.exelensia.results import GENERATED_FROM, GENERATED_SCHEMA_ID, Row
from tap_exports.sandbox.ids import uuids

PREFIX = "019760a0"
TEAM_ID = f"{PREFIX}-0000-7000-8000-000000000000"
INVOICES_ID, COMPANIES_ID, RECEIPTS_ID = (f"{PREFIX}-0001-7000-8000-{number:012x}" for number in (1, 2, 3))
INVOICES = 40

_REFERENCES = ("007", "1e5", "+1", "1.0", "NA", "null", "", None, "12345678901234567890", "-0", "0x1F", "TRUE")
_NOTES = (
    "plain",
    'He said "fine", then left',
    "first line\nsecond line",
    "carriage return\r\nand line feed",
    "",
    None,
    " leading and trailing ",
    "tab\there; semicolon",
    "Grüße aus Köln – 東京 🚀",
    "=SUM(A1:A2)",
    "back\\slash",
    "''",
)
_TOTALS = ("1250.00", "0.10", "12345678901234567890.123456789", "-3.5", "0", "1000000", "99.990")
_BOUNDS = (
    "2024-01-01T00:00:00.000Z",
    "2024-01-31T23:59:59.999Z",
    "2024-02-01T00:00:00.000Z",
    "2024-02-29T23:59:59.999Z",
)


def _field(key: str, kind: str, **more: object) -> dict[str, Any]:
    return {"key": key, "type": kind, "label": key.replace("_", " ").capitalize(), **more}


_LINES = {"fields": [_field("description", "string"), _field("quantity", "number"), _field("amount", "number")]}
_INVOICE_FIELDS = [
    _field("invoice_number", "string"),
    _field("date", "date"),
    _field("total", "number"),
    _field("vendor_name", "string"),
    _field("reference", "string"),
    _field("notes", "string"),
    _field("tags", "array"),
    _field("lines", "array", items=_LINES),
]
_COMPANY_KEYS = {
    "symbol": "Symbol",
    "security": "Security",
    "gics_sector": "GICS Sector",
    "gics_sub_industry": "GICS Sub-Industry",
    "headquarters_location": "Headquarters Location",
    "date_added": "Date added",
    "cik": "CIK",
    "founded": "Founded",
}
_COMPANY_FIELDS = [_field(key, {"date_added": "date", "cik": "number"}.get(key, "string")) for key in _COMPANY_KEYS]
_LOAD_TYPES = {"quantity": "number", "price": "number", "ratio": "number", "active": "boolean", "due": "date"}
_LOAD_KEYS = [
    "record_id",
    "code",
    "name",
    "note",
    "quantity",
    "price",
    "ratio",
    "active",
    "due",
    "seen_at",
    "place",
    "remark",
]


@dataclass(slots=True)
class Account:
    """The lists of one team, each in the order of creation."""

    schemas: list[Row] = field(default_factory=list)
    templates: list[Row] = field(default_factory=list)
    files: list[Row] = field(default_factory=list)
    processes: list[Row] = field(default_factory=list)
    results: list[Row] = field(default_factory=list)
    file_ids: Iterator[str] = field(default_factory=lambda: uuids(PREFIX, 0x10))
    process_ids: Iterator[str] = field(default_factory=lambda: uuids(PREFIX, 0x20))
    result_ids: Iterator[str] = field(default_factory=lambda: uuids(PREFIX, 0x30))

    def add_file(self, filename: str, created: str, status: str = "READY") -> Row:
        """Add a file."""
        row = {
            "id": next(self.file_ids),
            "filename": filename,
            "mimetype": "application/pdf",
            "bytes": 20_000 + 7 * len(self.files),
            "status": status,
            **_times(created),
        }
        self.files.append(row)
        return row

    def add_process(self, file_id: str, schema_id: str, created: str, status: str = "COMPLETED") -> Row:
        """Add a process of a file."""
        ids = {"id": next(self.process_ids), "file_id": file_id, "schema_id": schema_id}
        row = {**ids, "status": status, **_times(created)}
        self.processes.append(row)
        return row

    def new_result(self, filename: str, schema_id: str, created: str, extraction: Row) -> Row:
        """Return a new result, whose file and process are added."""
        file = self.add_file(filename, created)
        process = self.add_process(file["id"], schema_id, created)
        return {
            "id": next(self.result_ids),
            "process_id": process["id"],
            "file_id": file["id"],
            "schema_id": schema_id,
            "status": "SUCCESS",
            "extraction": extraction,
            **_times(created),
        }


def seeded(rows: int) -> Account:
    """Return the account at the start; with `rows` the schema of the generated results is there too."""
    account = Account(schemas=_schemas(rows), templates=_templates())
    for number in range(INVOICES):
        created = _BOUNDS[number // 10] if number % 10 == 0 else _hours("2024-01-02T08:00:00Z", 35 * number)
        account.results.append(account.new_result(f"invoice-{number:04d}.pdf", INVOICES_ID, created, invoice(number)))
    for number, company in enumerate(companies()):
        created = _hours("2024-04-01T00:00:00Z", 20 * (number // 5))
        extraction = company_row(company)
        account.results.append(account.new_result(f"{company['Symbol']}.pdf", COMPANIES_ID, created, extraction))
    for rows_of in (account.results, account.files, account.processes):
        rows_of.sort(key=lambda row: row["createdAt"])
    _add_unfinished(account)
    return account


def invoice(number: int) -> Row:
    """Return the extraction of the `number`-th invoice; equal numbers give equal rows."""
    lines = [
        {"description": f'Part {line}, 5" long', "quantity": line + 1, "amount": Decimal(line * 100 + number) / 100}
        for line in range(number % 4)
    ]
    return {
        "invoice_number": f"INV-{number:04d}",
        "date": f"2024-{1 + number % 12:02d}-{1 + number % 28:02d}",
        "total": Decimal(_TOTALS[number % len(_TOTALS)]),
        "vendor_name": None if (number + 1) % 9 == 0 else companies()[number % 503]["Security"],
        "reference": _REFERENCES[number % len(_REFERENCES)],
        "notes": _NOTES[number % len(_NOTES)],
        "tags": None if number % 5 == 0 else ["paid", "älter"][: number % 3],
        "lines": lines,
    }


def company_row(company: dict[str, str]) -> Row:
    """Return the extraction of one company of the dataset."""
    row: Row = {key: company[column] for key, column in _COMPANY_KEYS.items()}
    return {**row, "cik": int(row["cik"])}


def _schemas(rows: int) -> list[Row]:
    schemas = [
        _schema(INVOICES_ID, "Invoices", _INVOICE_FIELDS, "2023-12-01T09:00:00.000Z"),
        _schema(COMPANIES_ID, "Companies", _COMPANY_FIELDS, "2023-12-02T09:00:00.000Z"),
        _schema(RECEIPTS_ID, "Receipts", _INVOICE_FIELDS[:4], "2023-12-03T09:00:00.000Z"),
    ]
    fields = [_field(key, _LOAD_TYPES.get(key, "string")) for key in _LOAD_KEYS]
    load = [_schema(GENERATED_SCHEMA_ID, "Load", fields, iso_ms(GENERATED_FROM))] if rows else []
    return schemas + load


def _templates() -> list[Row]:
    ids = uuids(PREFIX, 0x02)
    return [
        _schema(next(ids), "Invoice", _INVOICE_FIELDS[:4], "2023-06-01T00:00:00.000Z"),
        _schema(next(ids), "Receipt", _INVOICE_FIELDS[:3], "2023-06-02T00:00:00.000Z"),
    ]


def _schema(schema_id: str, name: str, fields: list[dict[str, Any]], created: str) -> Row:
    description = None if name == "Receipts" else f"{name} of the sandbox"
    return {"id": schema_id, "name": name, "description": description, "schema": {"fields": fields}, **_times(created)}


def _add_unfinished(account: Account) -> None:
    created = "2024-07-01T00:00:00.000Z"
    for status in ("PENDING", "PROCESSING", "FAILED"):
        file = account.add_file(f"{status.lower()}.pdf", created, "FAILED" if status == "FAILED" else "READY")
        account.add_process(file["id"], INVOICES_ID, created, status)
    account.add_file("upload-begun.pdf", created, "PENDING")
    # A process whose file was deleted: the documents say that it stays.
    account.add_process(f"{PREFIX}-0010-7000-8000-ffffffffffff", INVOICES_ID, created)


def _hours(start: str, hours: int) -> str:
    moment: datetime = parse_iso(start) + timedelta(hours=hours)
    return iso_ms(moment)


def _times(created: str) -> Row:
    return {"createdAt": created, "updatedAt": created}
