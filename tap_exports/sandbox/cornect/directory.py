"""Cornect's companies: the real ones of the packaged dataset, generated ones in Norway, and newcomers."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tap_exports.sandbox.companies import companies
from tap_exports.sandbox.cornect.filters import Filters
from tap_exports.sandbox.ids import named_uuid

Row = dict[str, Any]

LOAD_COUNTRY = "Norway"
# Shown by exports only: the documents leave open what a search hides.
_PAID = ("phone", "postal_code", "revenue_usd", "notes")
_ABROAD = {"Ireland", "United Kingdom", "Switzerland", "Bermuda", "Netherlands", "Canada"}
_TECHNOLOGIES = (("Kafka", "streaming"), ("PostgreSQL", "database"), ("Salesforce", "crm"), ("Snowflake", "database"))
_NOTES = ("", None, 'says "hello", twice', "two\nlines", "carriage\r\nreturn", "NA", "Grüße 🚀", "007")


class Directory:
    """All companies, by position."""

    def __init__(self, generated: int) -> None:
        """Start with the real companies and a number of generated ones."""
        self._real = len(companies())
        self._generated = generated
        self._newcomers = 0
        self._found: dict[tuple[str, int], Sequence[int]] = {}

    def __len__(self) -> int:
        """Return the number of companies."""
        return self._real + self._generated + self._newcomers

    def row(self, position: int) -> Row:
        """Return a company as an export shows it."""
        if position < self._real:
            return _real(position)
        number = position - self._real
        return _generated(number) if number < self._generated else _newcomer(number - self._generated + 1)

    def shown(self, position: int) -> Row:
        """Return a company as the search shows it."""
        return {name: value for name, value in self.row(position).items() if name not in _PAID}

    def find(self, filters: Filters) -> Sequence[int]:
        """Return the positions of the companies that match, in the order of the directory."""
        key = (filters.digest, len(self))
        if key not in self._found:
            self._found[key] = [place for place in self._candidates(filters) if filters.match(self.row(place))]
        return self._found[key]

    def position(self, company_id: str) -> int | None:
        """Return the position of a company by its id, None when there is none."""
        return next((place for place in range(len(self)) if self.row(place)["id"] == company_id), None)

    def grow(self, count: int) -> range:
        """Add companies; return their positions."""
        self._newcomers += count
        return range(len(self) - count, len(self))

    def _candidates(self, filters: Filters) -> Sequence[int]:
        places = range(len(self))
        generated = range(self._real, self._real + self._generated)
        if LOAD_COUNTRY in filters.countries:
            return generated
        return [*places[: generated.start], *places[generated.stop :]] if filters.countries else places


@functools.cache
def _real(number: int) -> Row:
    company = companies()[number]
    city, _, place = company["Headquarters Location"].split("[")[0].partition(", ")
    # A city may stand with its district: the last part is the state or the country.
    place = place.rpartition(", ")[2]
    symbol = company["Symbol"].lower()
    return {
        "id": str(named_uuid(f"cornect company {number}")),
        "name": company["Security"],
        "domain": f"{symbol}.example",
        "description": f"{company['Security']}: {company['GICS Sub-Industry'].lower()}",
        "country": place if place in _ABROAD else "United States",
        "state": None if place in _ABROAD else place or None,
        "city": city,
        "industry": company["GICS Sub-Industry"],
        "naics_codes": [f"{number % 90 + 10:02d}{number % 7}"],
        "technologies": [name for name, _ in _TECHNOLOGIES[: number % 4]],
        "technology_categories": sorted({category for _, category in _TECHNOLOGIES[: number % 4]}),
        "employee_count": None if number % 13 == 0 else 50 + number * 997 % 100_000,
        "founded_year": int(company["Founded"][:4]) if company["Founded"][:4].isdecimal() else None,
        "keywords": [company["GICS Sector"].lower(), "listed"],
        "connections": [{"category": "vendor", "connected_domain": "mmm.example"}] if number % 20 == 1 else [],
        "phone": f"+1555{number:07d}",
        "postal_code": f"{number * 31 % 100_000:05d}",
        "revenue_usd": Decimal(number * 7919 % 10**9) / 100,
        "notes": _NOTES[number % len(_NOTES)],
    }


def _generated(number: int) -> Row:
    mixed = number * 2654435761 % 2**32
    plain = {"state": None, "city": f"By {mixed % 97}", "industry": "Fish Farming"}
    return {
        **_real(0),
        **plain,
        "id": f"00000000-0000-4000-8000-{number:012x}",
        "name": f"Generert Selskap {number:08d}",
        "domain": f"g{number}.example",
        "description": f"generated company {number}",
        "country": LOAD_COUNTRY,
        "employee_count": number,
        "postal_code": f"{mixed % 10_000:04d}",
    }


def _newcomer(number: int) -> Row:
    return {
        **_real(number),
        "id": str(named_uuid(f"cornect newcomer {number}")),
        "name": f"Newcomer {number}, Inc.",
        "domain": f"newcomer-{number}.example",
        "description": "application software",
        "country": "United States",
        "state": "California",
        "industry": "Application Software",
    }
