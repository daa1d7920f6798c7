"""Whether two programs did the same work: as many rows, and equal values in those that can be compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from bench.process import BrokenRunError, Ran
from bench.table import FIELDS

LEAST = 50
_AS: dict[str, Callable[[Any], object]] = {
    "string": str,
    "integer": lambda value: Decimal(str(value)),
    "number": lambda value: Decimal(str(value)),
    "boolean": lambda value: str(value).lower(),
    "date-time": lambda value: datetime.fromisoformat(value.replace("Z", "+00:00")),
}


def records(ran: Ran) -> dict[str, dict[str, Any]]:
    """Return the records at both ends of a run's output by their ids, of Singer's or Airbyte's messages."""
    found: dict[str, dict[str, Any]] = {}
    for line in (*ran.head, *ran.tail):
        message = json.loads(line) if line.startswith(b"{") else {}
        if message.get("type") == "RECORD":
            record = message["record"]
            data = record["data"] if "emitted_at" in record else record
            found[str(data["id"])] = data
    return found


def values(record: Mapping[str, Any]) -> dict[str, object]:
    """Return the values of a row of the table in one form, whatever form a program gives them."""
    return {name: _AS[kind](record[name]) for name, kind in FIELDS.items() if record.get(name) not in {None, ""}}


def same_rows(ours: str, peer: str) -> Callable[[Mapping[str, Ran]], None]:
    """Return a check that two sides wrote the same rows in the same order."""

    def check(runs: Mapping[str, Ran]) -> None:
        if ours not in runs or peer not in runs:
            return
        mine, theirs = records(runs[ours]), records(runs[peer])
        shared = [key for key in mine if key in theirs]
        if len(shared) < LEAST or shared != [key for key in theirs if key in mine]:
            raise BrokenRunError(f"{ours} and {peer} have {len(shared)} rows in common at their ends, or another order")
        for key in shared:
            _equal(key, mine[key], theirs[key])

    return check


def _equal(key: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    # Lists of results have other columns than the table; they are compared as they are.
    of_table = set(FIELDS) <= set(mine)
    left = values(mine) if of_table else {name: mine[name] for name in theirs}
    right = values(theirs) if of_table else dict(theirs)
    if left != right:
        raise BrokenRunError(f"row {key} differs: {left} and {right}")
