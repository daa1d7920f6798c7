"""The bars: what is measured against what, and how near it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.results import Results, Row
from bench.work.pages import PAGES, SERIAL_PAGES

Measure = Callable[[Results], float]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes:
        path: What the tap does.
        against: What it is held against.
        limit: The bar.
        measure: Returns the figure from the results; `KeyError` where it was not measured.
        at_least: Whether the figure must be at least the limit, else at most.
        unit: After the figures.
    """

    path: str
    against: str
    limit: float
    measure: Measure
    at_least: bool = False
    unit: str = "×"

    @property
    def text(self) -> str:
        """Return the bar in words."""
        return f"at {'least' if self.at_least else 'most'} {self.limit:g} {self.unit}"

    def is_met(self, figure: float) -> bool:
        """Tell whether a figure meets the bar."""
        return figure >= self.limit if self.at_least else figure <= self.limit


def times_less(row: str, peer: str, figure: str, ours: str = "tap") -> Measure:
    """Return how many times less the tap takes than a peer."""
    return lambda results: results.rows[row].ratio(peer, ours, figure)


def share(row: str, figure: str, *peers: str, ours: str = "tap") -> Measure:
    """Return the tap's share of what the best of the peers takes."""

    def measure(results: Results) -> float:
        found = results.rows[row]
        return found.median(ours, figure) / min(found.median(peer, figure) for peer in peers)

    return measure


def times_less_a_page(ours: str) -> Measure:
    """Return how many times less the tap takes for a page; serial requests are so slow that they get fewer pages."""

    def measure(results: Results) -> float:
        peer = results.rows["pages"].median("sdk") / SERIAL_PAGES
        return peer / (results.rows["pages-many"].median(ours) / PAGES)

    return measure


def peak(row: str) -> Measure:
    """Return the greatest peak of any size."""
    return lambda results: max(max(results.rows[row].all(side, "peak_mb")) for side in ("1M", "10M"))


def peak_growth(row: str) -> Measure:
    """Return how much the peak differs between 1 and 10 million rows, in %."""
    return lambda results: 100 * abs(results.rows[row].ratio("10M", "1M", "peak_mb") - 1)


def costs_per_row(results: Results) -> dict[int, float]:
    """Return CPU microseconds per row by the number of rows of a file, start and streams taken off."""
    row = results.rows["sizes"]
    sides = {10_000: "10k", 100_000: "100k", 1_000_000: "1M", 10_000_000: "10M"}
    rows, starts = row.facts["rows"], row.facts["start"]
    return {
        size: 1e6 * (row.median(side, "cpu") - row.median(starts[side], "cpu")) / rows[side]
        for size, side in sides.items()
    }


def row_growth(results: Results) -> float:
    """Return how much more the most expensive row costs than the cheapest, in %."""
    costs = costs_per_row(results).values()
    return 100 * (max(costs) / min(costs) - 1)


def cost_growth(row: str) -> Measure:
    """Return how much more each of many costs than each of a tenth of them, in %; the start taken off."""

    def measure(results: Results) -> float:
        found, start = results.rows[row], results.rows[row].median("one", "cpu")
        cost = {side: (found.median(side, "cpu") - start) / found.facts["count"][side] for side in ("tenth", "all")}
        return float(100 * (cost["all"] / cost["tenth"] - 1))

    return measure


def state_growth(row: str, *, each: bool) -> Measure:
    """Return how much the greatest STATE grows from a tenth to all, in %; `each`: by stream."""

    def measure(results: Results) -> float:
        facts = results.rows[row].facts
        size = {
            side: facts["STATE"][side]["greatest"] / (facts["count"][side] if each else 1) for side in ("tenth", "all")
        }
        return float(100 * (size["all"] / size["tenth"] - 1))

    return measure


def share_of_ideal(results: Results) -> float:
    """Return the wait for the jobs as a multiple of the shortest possible."""
    row: Row = results.rows["jobs"]
    return row.median("tap") / float(row.facts["ideal"])


def to_first(results: Results) -> float:
    """Return the time to the first RECORD as a multiple of the SDK's import."""
    row = results.rows["start"]
    return row.median("tap", "first") / row.median("import")


RECORDS, PARQUET, PAGES_READ, JOBS = "CSV → RECORD lines", "CSV → Parquet batches", "JSON pages", "jobs"
BARS = (
    Bar(RECORDS, "plain singer-sdk tap, CPU", 12, times_less("records", "sdk", "cpu"), at_least=True),
    Bar(RECORDS, "plain singer-sdk tap, wall", 15, times_less("records", "sdk", "wall"), at_least=True),
    Bar(RECORDS, "airbyte-cdk, untyped, wall", 8, times_less("airbyte-untyped", "airbyte", "wall"), at_least=True),
    Bar(RECORDS, "airbyte-cdk, typed, wall", 20, times_less("airbyte-typed", "airbyte", "wall"), at_least=True),
    Bar(RECORDS, "pyarrow's bare parse over HTTP, CPU", 3, share("records", "cpu", "pyarrow")),
    Bar(PARQUET, "dlt with Arrow, wall", 0.6, share("parquet", "wall", "dlt")),
    Bar(PARQUET, "better of DuckDB and Polars, local file, wall", 1, share("parquet", "wall", "duckdb", "polars")),
    Bar("CSV → jsonl.gz batches", "SDK's own batcher, CPU", 10, times_less("jsonl", "sdk", "cpu"), at_least=True),
    Bar(
        PAGES_READ,
        "SDK's RESTStream, 8 in flight, wall of a page (10,000; 3,000 of the peer)",
        8,
        times_less_a_page("tap-8"),
        at_least=True,
    ),
    Bar(
        PAGES_READ,
        "SDK's RESTStream, 32 in flight, wall of a page (10,000; 3,000 of the peer)",
        20,
        times_less_a_page("tap-32"),
        at_least=True,
    ),
    Bar(JOBS, "ideal makespan", 1.08, share_of_ideal),
    Bar(JOBS, "airbyte-cdk, 5 concurrent jobs, wall", 0.75, share("jobs", "wall", "airbyte")),
    Bar("start to first RECORD", "`import singer_sdk`, wall", 2, to_first),
    Bar("memory", "RECORD, 1 and 10 million rows", 200, peak("sizes"), unit="MB"),
    Bar("memory", "RECORD, 10 against 1 million rows", 10, peak_growth("sizes"), unit="%"),
    Bar("memory", "Parquet, 1 and 10 million rows", 300, peak("memory-parquet"), unit="MB"),
    Bar("memory", "Parquet, 10 against 1 million rows", 10, peak_growth("memory-parquet"), unit="%"),
    Bar("growth", "CPU per row, 10 thousand to 10 million", 15, row_growth, unit="%"),
    Bar("growth", "CPU per operation, 1,000 to 10,000", 15, cost_growth("operations"), unit="%"),
    Bar("growth", "greatest STATE, 1,000 to 10,000 operations", 15, state_growth("operations", each=False), unit="%"),
    Bar("growth", "CPU per stream, 100 to 1,000", 15, cost_growth("streams"), unit="%"),
    Bar("growth", "greatest STATE by stream, 100 to 1,000", 15, state_growth("streams", each=True), unit="%"),
    Bar(
        "end to end",
        "plain tap, records, target-postgres, wall",
        4,
        times_less("postgres", "plain", "wall", "tap-batches"),
        at_least=True,
    ),
)
