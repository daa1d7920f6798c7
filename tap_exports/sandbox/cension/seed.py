"""The state that Cension starts with: a dataset of real companies, runs of every status, saved queries.

The rows carry nested objects, lists, numbers, booleans, nulls, empty texts, and keys that only some rows have, the
first of them on a late page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from tap_exports.sandbox.cension.dataset import Dataset, Generated, Item, Operation
from tap_exports.sandbox.clock import iso_ms, parse_iso
from tap_exports.sandbox.companies import companies
from tap_exports.sandbox.jobs import CANCELLED, COMPLETED, FAILED, Ended, Life, Phase

FEED_ID, PROJECT_ID, EXPORT_ID = 123, 456, 459
EMPTY_FEED_ID, EMPTY_EXPORT_ID = 124, 460
LOAD_FEED_ID, LOAD_EXPORT_ID, LOAD_OPERATION_ID = 900, 900, 9000
QUERY_ID, EMPTY_QUERY_ID = 12, 13
RUNNING_ID = 4842
QUERY_ROWS = 250

_RARE_FROM = 180


@dataclass(frozen=True, slots=True)
class _Seed:
    id: int
    first: int
    last: int
    status: str
    reaches: float = 1.0
    reason: str | None = None


# 4840 works on three companies of 4836 again, so that a key comes in two runs. 4836 is the run of the documents.
_RUNS = (
    _Seed(4801, 250, 503, COMPLETED),
    _Seed(4836, 0, 50, COMPLETED),
    _Seed(4837, 200, 250, FAILED, 0.6, "Model quota exceeded"),
    _Seed(4838, 200, 250, CANCELLED, 0.2),
    _Seed(4840, 47, 200, COMPLETED),
)
_FIRST = parse_iso("2026-06-01T05:23:00Z")


def datasets(rows: int) -> dict[int, Dataset]:
    """Return the datasets by the id of the export that shows them."""
    real = Dataset(FEED_ID, PROJECT_ID, [item(number) for number in range(len(companies()))])
    load = Dataset(LOAD_FEED_ID, PROJECT_ID, Generated(rows))
    return {EXPORT_ID: real, EMPTY_EXPORT_ID: Dataset(EMPTY_FEED_ID, PROJECT_ID, []), LOAD_EXPORT_ID: load}


def operations(rows: int, running: Life) -> dict[int, Operation]:
    """Return the operations by id; `running` is the life of the one that has not ended yet."""
    runs = [_operation(run, _FIRST + timedelta(hours=number - 1)) for number, run in enumerate(_RUNS)]
    runs.append(Operation(RUNNING_ID, FEED_ID, PROJECT_ID, "horizontal", range(100, 140), running))
    ended = Ended(parse_iso("2026-06-02T05:23:00Z"), Phase(COMPLETED, 1.0, parse_iso("2026-06-02T06:24:15Z")))
    runs.append(Operation(LOAD_OPERATION_ID, LOAD_FEED_ID, PROJECT_ID, "vertical", range(rows), ended))
    return {run.id: run for run in runs}


def item(number: int) -> Item:
    """Return the `number`-th company as a row of the dataset."""
    company = companies()[number]
    symbol = company["Symbol"].lower()
    row: Item = {
        "company": company["Security"],
        "website": f"{symbol}.example",
        "ceo_name": None if number % 7 == 0 else f"Chief of {company['Security']}",
        "linkedin_url": "" if number % 11 == 0 else f"https://linkedin.example/company/{symbol}",
        "cik": company["CIK"].zfill(10),
        "founded": company["Founded"],
        "score": Decimal(number * 37 % 1000) / 10,
        "verified": number % 2 == 0,
        "hq": {"city": company["Headquarters Location"].split(",")[0], "sector": {"name": company["GICS Sector"]}},
        "tags": [company["GICS Sub-Industry"], "S&P 500"][: number % 3],
    }
    return {**row, "late_column": f"only from {_RARE_FROM} on"} if number >= _RARE_FROM and number % 5 == 0 else row


def new_item(number: int) -> Item:
    """Return the `number`-th row that a run has found or added (from 1)."""
    return {
        "company": f"Newcomer {number}, Inc.",
        "website": f"newcomer-{number}.example",
        "ceo_name": f"Zoë Núñez {number}",
        "linkedin_url": None,
        "cik": f"{number:010d}",
        "founded": str(1990 + number % 30),
        "score": Decimal(number) / 4,
        "verified": None,
        "hq": {"city": "Tromsø", "sector": None},
        "tags": [],
    }


def queries() -> dict[int, list[Item]]:
    """Return the rows of the saved queries by id."""
    return {
        QUERY_ID: [query_row(number, iso_ms(_minute(number))) for number in range(1, QUERY_ROWS + 1)],
        EMPTY_QUERY_ID: [],
    }


def query_row(number: int, created: str) -> Item:
    """Return the `number`-th row (from 1) of the saved query."""
    names: Sequence[dict[str, str]] = companies()
    return {"id": number, "company": names[number % len(names)]["Security"], "created_at": created}


def _minute(number: int) -> datetime:
    return parse_iso("2026-05-01T00:00:00Z") + timedelta(minutes=number)


def _operation(run: _Seed, started: datetime) -> Operation:
    phase = Phase(run.status, 1.0, started + timedelta(seconds=75), run.reason)
    return Operation(
        run.id,
        FEED_ID,
        PROJECT_ID,
        "horizontal",
        range(run.first, run.last),
        Ended(started, phase),
        run.reaches,
    )
