"""The filters of the company search, which exports share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tap_exports.sandbox.web import Refusal

Row = dict[str, Any]
Test = Callable[[Row, Any], bool]


def _query(row: Row, text: str) -> bool:
    return text.lower() in f"{row['name']} {row['description']}".lower()


def _among(name: str) -> Test:
    return lambda row, wanted: row[name] in wanted


def _any_of(name: str) -> Test:
    return lambda row, wanted: not set(row[name]).isdisjoint(wanted)


def _none_of(test: Test) -> Test:
    return lambda row, wanted: not test(row, wanted)


def _at_least(name: str) -> Test:
    return lambda row, low: row[name] is not None and row[name] >= low


def _at_most(name: str) -> Test:
    return lambda row, high: row[name] is not None and row[name] <= high


def _connected(row: Row, wanted: list[Row]) -> bool:
    return any(each.items() <= connection.items() for each in wanted for connection in row["connections"])


# Countries and states are full names, exactly as written: "US" matches nothing.
_FILTERS: dict[str, tuple[str, Test]] = {
    "query": ("string", _query),
    "countries": ("texts", _among("country")),
    "states": ("texts", _among("state")),
    "cities": ("texts", _among("city")),
    "industries": ("texts", _among("industry")),
    "exclude_industries": ("texts", _none_of(_among("industry"))),
    "naics_codes": ("texts", _any_of("naics_codes")),
    "technologies": ("texts", _any_of("technologies")),
    "technology_categories": ("texts", _any_of("technology_categories")),
    "employee_count_min": ("integer", _at_least("employee_count")),
    "employee_count_max": ("integer", _at_most("employee_count")),
    "founded_year_min": ("integer", _at_least("founded_year")),
    "founded_year_max": ("integer", _at_most("founded_year")),
    "keywords": ("texts", _any_of("keywords")),
    "exclude_keywords": ("texts", _none_of(_any_of("keywords"))),
    "connections": ("objects", _connected),
}
_KINDS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "texts": lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    "objects": lambda value: isinstance(value, list) and all(isinstance(each, dict) for each in value),
}


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters that passed the check; an empty list filters nothing."""

    given: Mapping[str, Any]

    @classmethod
    def of(cls, given: Mapping[str, Any], place: tuple[str, ...], *, strict: bool) -> Filters:
        """Check filters.

        Args:
            given: name to value; null is as good as absent.
            place: where they stand, for the error's `loc`.
            strict: whether unknown names are refused.

        Raises:
            Refusal: 422.
        """
        unknown = sorted(set(given) - set(_FILTERS))
        if unknown and strict:
            raise invalid((*place, unknown[0]), "Extra inputs are not permitted")
        known = {name: given[name] for name in _FILTERS if given.get(name) is not None}
        for name, value in known.items():
            check_kind(value, _FILTERS[name][0], (*place, name))
        return cls({name: value for name, value in known.items() if value not in ([], "")})

    @property
    def countries(self) -> list[str]:
        """The countries, empty for all."""
        return list(self.given.get("countries", ()))

    @property
    def digest(self) -> str:
        """What tells these filters from others."""
        return hashlib.sha256(json.dumps(self.given, sort_keys=True).encode()).hexdigest()[:12]

    def match(self, row: Row) -> bool:
        """Return whether a company passes all filters."""
        return all(_FILTERS[name][1](row, value) for name, value in self.given.items())


def check_kind(value: Any, kind: str, place: tuple[str, ...]) -> None:
    """Refuse a value that is not of its kind.

    Raises:
        Refusal: 422.
    """
    if not _KINDS[kind](value):
        raise invalid(place, f"Input should be a valid {kind}")


def invalid(place: tuple[str, ...], message: str) -> Refusal:
    """Return a refusal in the form of FastAPI: a list of places and messages."""
    return Refusal(422, message, details=[{"loc": list(place), "msg": message, "type": "value_error"}])
