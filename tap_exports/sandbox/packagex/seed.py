"""The rows that PackageX starts with, per resource, and the exports that somebody else made.

Shipments and contacts carry the traps: leading zeros, `NA`, quotes, line ends, other scripts, empty text beside null,
keys that only some rows have, formulas (the provider holds such rows out) and rows that it cannot export.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, overload

from tap_exports.sandbox.clock import parse_iso
from tap_exports.sandbox.companies import companies
from tap_exports.sandbox.ids import named_uuid, short

Row = dict[str, Any]

ORGANIZATION_ID = f"org_{short(named_uuid('packagex organization'))}"
EXPORT_ID = "exp_7xKyu1HYgPnSAXZhtdxFxk"
LOAD_RESOURCE = "item"
SHIPMENTS = 120
PREFIXES = {
    "contact": "contact",
    "group": "grp",
    "fulfillment": "ful",
    "item": "item",
    "location": "loc",
    "manifest": "mfst",
    "shipment": "ship",
    "tracker": "track",
    "shipping_label_inference": "inf_sl",
    "asset": "ast",
}
_SIZES = {"contact": 60, "group": 4, "location": 6, "shipment": SHIPMENTS, "shipping_label_inference": 9}
_STATUSES = ("pending", "delivered", "picked_up", "in_transit")
_NAMES = (
    "Zoë Núñez",
    'The "Corner" Shop, Ltd.',
    "O'Brien & Søn",
    "東京配送センター",
    " padded ",
    "NA",
    "line one\nline two",
    "carriage\r\nreturn",
)
_NOTES = ("", None, "leave at door", "+1", "1e5", "null", "TRUE", "Grüße 🚀")
_FROM = parse_iso("2024-01-01T00:00:00Z")
_LOAD_FROM = parse_iso("2025-01-15T00:00:00Z")


@dataclass(frozen=True, slots=True)
class Item:
    """One row, and what becomes of it in an export: exported, held out as a formula, or refused with an error."""

    row: Row
    formula: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Foreign:
    """An export that somebody else made, some hours before the sandbox started."""

    id: str
    resource: str
    status: str
    hours: float
    reason: str | None = None


FOREIGN = (
    Foreign(f"exp_{short(named_uuid('almost gone'))}", "group", "completed", 23.9),
    Foreign(EXPORT_ID, "shipment", "completed", 8),
    Foreign(f"exp_{short(named_uuid('failed'))}", "shipment", "failed", 7, "Export failed: too many columns"),
    Foreign(f"exp_{short(named_uuid('timed out'))}", "tracker", "timed_out", 6, "Export took too long"),
    *(
        Foreign(f"exp_{short(named_uuid(f'contacts {each}'))}", "contact", "completed", 5 - each / 4)
        for each in range(8)
    ),
    Foreign(f"exp_{short(named_uuid('running'))}", "location", "processing", 0.0),
)


class Stock(Sequence[Item]):
    """All rows of one resource in the order of their creation; generated ones are made when they are asked for."""

    def __init__(self, resource: str, generated: int = 0) -> None:
        """Start with the seeded rows and a number of generated ones."""
        self.resource = resource
        self._seeded = [seeded(resource, number) for number in range(_SIZES.get(resource, 5))]
        self._generated = generated
        self._grown: list[Item] = []

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._seeded) + self._generated + len(self._grown)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        """Return one row, or several."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        if index < len(self._seeded):
            return self._seeded[index]
        index -= len(self._seeded)
        return _generated(index) if index < self._generated else self._grown[index - self._generated]

    def grow(self, now: datetime, count: int) -> list[Item]:
        """Add rows that are created now; return them."""
        first = _SIZES.get(self.resource, 5) + len(self._grown)
        made = [seeded(self.resource, number) for number in range(first, first + count)]
        self._grown.extend(Item({**item.row, "created_at": now, "updated_at": now}) for item in made)
        return self._grown[-count:]


def seeded(resource: str, number: int) -> Item:
    """Return the `number`-th row of a resource; equal numbers give equal rows."""
    created = _FROM + timedelta(hours=71 * number, milliseconds=number)
    row = {
        "id": _id(resource, number),
        "object": resource,
        "organization_id": ORGANIZATION_ID,
        "name": _NAMES[number % len(_NAMES)],
        **_OWN.get(resource, _plain)(number),
        "created_at": created,
        "updated_at": created + timedelta(hours=number % 5),
    }
    held_out = resource in {"shipment", "contact"}
    if held_out and (number + 1) % 37 == 0:
        return Item({**row, "name": f"=HYPERLINK({number})"}, formula=True)
    return Item(row, error="recipient could not be resolved" if held_out and (number + 1) % 41 == 0 else None)


def _shipment(number: int) -> Row:
    row = {
        "status": _STATUSES[number % len(_STATUSES)],
        "tracking_number": f"{number * 7919:012d}",
        "notes": _NOTES[number % len(_NOTES)],
        "price": 1378 + number,
        "weight": Decimal(number * 37 % 1000) / 100 if number % 6 else None,
        "is_fragile": number % 3 == 0,
        "location": {"id": _id("location", number % 6), "name": f"Dock {number % 6}"},
        "groups": [_group(each) for each in range(number % 3)],
        "recipient": None
        if (number + 1) % 10 == 0
        else {"name": _NAMES[(number + 1) % len(_NAMES)], "phone": "0049170"},
        "metadata": {"gate": f"{number:03d}"} if number % 4 == 0 else {},
        "tags": ["cold", "älter"][: number % 3],
    }
    return {**row, "late_key": f"from 90 on: {number}"} if number >= SHIPMENTS - 30 else row


def _contact(number: int) -> Row:
    company = companies()[number]
    return {
        "name": company["Security"],
        "email": f"office@{company['Symbol'].lower()}.example",
        "phone": f"+1555{number:07d}",
        "id_number": company["CIK"].zfill(10),
        "address": {"city": company["Headquarters Location"].split(",")[0], "postal_code": f"{number:05d}"},
        "groups": [_group(each) for each in range(number % 4)],
        "is_primary": number % 5 == 0,
        "notes": _NOTES[number % len(_NOTES)],
    }


def _group(number: int) -> Row:
    return {"id": _id("group", number), "name": f"Group {'ABCD'[number]}"}


def _plain(number: int) -> Row:
    return {"external_id": f"{number:04d}", "location": {"id": _id("location", 0), "name": "Dock 0"}}


_OWN: dict[str, Callable[[int], Row]] = {
    "shipment": _shipment,
    "contact": _contact,
    "group": lambda number: {"name": f"Group {'ABCD'[number]}"},
}


def _generated(index: int) -> Item:
    mixed = index * 2654435761 % 2**32
    created = _LOAD_FROM + timedelta(milliseconds=5 * index)
    return Item(
        {
            "id": f"item_{index:022d}",
            "object": LOAD_RESOURCE,
            "organization_id": ORGANIZATION_ID,
            "name": f'Part "{mixed % 997}", size {index % 13}',
            "sku": f"{mixed % 100_000:05d}",
            "quantity": mixed % 10_000,
            "price": mixed % 1_000_000,
            "weight": Decimal(mixed % 100_000) / 1000,
            "location": {"id": _id("location", 0), "name": "Dock 0"},
            "notes": f"line one\r\nline two of {index}" if index % 10 == 0 else None,
            "created_at": created,
            "updated_at": created,
        },
    )


@functools.cache
def _id(resource: str, number: int) -> str:
    return f"{PREFIXES[resource]}_{short(named_uuid(f'{resource} {number}'))}"
