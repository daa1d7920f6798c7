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
        sides: Returns the tap's figure and the peer's in words, where the figure is the ratio of both.
    """

    path: str
    against: str
    limit: float
    measure: Measure
    at_least: bool = False
    unit: str = "×"
    sides: Callable[[Results], tuple[str, str]] | None = None

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


UNITS = {"cpu": "s CPU", "wall": "s", "peak_mb": "MB"}


def both(row: str, figure: str, *peers: str, ours: str = "tap") -> Callable[[Results], tuple[str, str]]:
    """Return what the tap and the best of its peers take, in words."""

    def words(results: Results) -> tuple[str, str]:
        found, unit = results.rows[row], UNITS[figure]
        best = min(peers, key=lambda peer: found.median(peer, figure))
        return f"{found.median(ours, figure):.3g} {unit}", f"{best}: {found.median(best, figure):.3g} {unit}"

    return words


def counted(first: str, second: str, part: str = "each") -> Measure:
    """Return how many times the instructions of the second the first takes."""

    def measure(results: Results) -> float:
        facts = results.rows["instructions"].facts
        return float(facts[first][part] / facts[second][part])

    return measure


def millions(name: str, part: str) -> Measure:
    """Return instructions, in millions."""
    return lambda results: float(results.rows["instructions"].facts[name][part]) / 1e6


def counted_sides(name: str, ours: str, peer: str) -> Callable[[Results], tuple[str, str]]:
    """Return the instructions of the tap and of a peer, in words."""

    def words(results: Results) -> tuple[str, str]:
        facts = results.rows["instructions"].facts[name]
        return f"{facts[ours] / 1e6:,.0f} M", f"{facts[peer] / 1e6:,.0f} M"

    return words


def page_cost(results: Results) -> float:
    """Return the CPU milliseconds of one more page, of the cheapest runs."""
    row = results.rows["page-cost"]
    least = {side: min(row.all(side, "cpu")) for side in ("tenth", "all")}
    count = row.facts["count"]
    return float(1000 * (least["all"] - least["tenth"]) / (count["all"] - count["tenth"]))


def pipeline_cpu(side: str) -> Measure:
    """Return the CPU seconds of tap and loader together."""
    return lambda results: results.rows["exports"].median(side, "cpu")


def loader_peak(results: Results) -> float:
    """Return the greatest peak of the loader that comes with the tap."""
    row = results.rows["exports"]
    return max(max(row.all(f"{side}: target", "peak_mb")) for side in ("tap-records", "tap-batches"))


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
    """Return how much more a row costs from 1 to 10 million rows of one file than from 100,000 to 1 million, in %.

    Slopes, so that what a start, a stream and a file cost takes no part; of the cheapest runs.
    """
    row = results.rows["sizes"]
    cost, rows = {side: min(row.all(side, "cpu")) for side in ("one", "1M", "10M")}, row.facts["rows"]
    first = (cost["1M"] - cost["one"]) / (rows["1M"] - rows["one"])
    return float(100 * abs((cost["10M"] - cost["1M"]) / (rows["10M"] - rows["1M"]) / first - 1))


def file_cost(results: Results) -> tuple[float, float]:
    """Return the instructions of a file beside start and rows, and those of 100,000 rows; CPU time varies by more.

    A run of one row is the start, and what a run of some thousand takes beside its rows is start and file.
    """
    found = results.rows["instructions"].facts["record"]
    return float(found["rest"] + found["each"] - found["one row"]), float(100_000 * found["each"])


def file_share(results: Results) -> float:
    """Return what a file costs beside its rows as a share of 100,000 of them, in %."""
    beside, in_rows = file_cost(results)
    return 100 * beside / in_rows


def file_words(results: Results) -> tuple[str, str]:
    """Return what a file and its rows cost, in words."""
    beside, in_rows = file_cost(results)
    return f"{beside / 1e6:.3g} M", f"its rows: {in_rows / 1e6:,.0f} M"


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


def greatest_states(row: str) -> Callable[[Results], tuple[str, str]]:
    """Return the bytes of STATE of all and of a tenth, the greatest and all of a run together, in words."""

    def words(results: Results) -> tuple[str, str]:
        found = results.rows[row].facts["STATE"]
        all_, tenth = (
            f"{each['greatest']:,} B, {each['all']:,} B in {each['messages']:,}"
            for each in (found["all"], found["tenth"])
        )
        return all_, f"a tenth: {tenth}"

    return words


def share_of_ideal(results: Results) -> float:
    """Return the wait for the jobs as a multiple of the shortest possible."""
    row: Row = results.rows["jobs"]
    return row.median("tap") / float(row.facts["ideal"])


RECORDS, PARQUET, PAGES_READ, JOBS = "CSV → RECORD lines", "CSV → Parquet batches", "JSON pages", "jobs"
PIPELINE = "tap and target-exports, 1,000,000 rows"
LOCAL = ("duckdb", "polars")
BARS = (
    Bar(PIPELINE, "RECORD, CPU of both", 12, pipeline_cpu("tap-records"), unit="s"),
    Bar(PIPELINE, "Parquet BATCH, CPU of both", 7, pipeline_cpu("tap-batches"), unit="s"),
    Bar(PIPELINE, "peak of the loader", 300, loader_peak, unit="MB"),
    Bar(
        "tap, target-postgres, 200,000 rows",
        "plain tap, records, CPU of both",
        4,
        times_less("postgres", "plain", "cpu", "tap-batches"),
        at_least=True,
        sides=both("postgres", "cpu", "plain", ours="tap-batches"),
    ),
    Bar(
        RECORDS,
        "plain singer-sdk tap, CPU",
        12,
        times_less("records", "sdk", "cpu"),
        at_least=True,
        sides=both("records", "cpu", "sdk"),
    ),
    Bar(
        RECORDS,
        "airbyte-cdk, untyped, CPU",
        8,
        times_less("airbyte-untyped", "airbyte", "cpu"),
        at_least=True,
        sides=both("airbyte-untyped", "cpu", "airbyte"),
    ),
    Bar(
        RECORDS,
        "airbyte-cdk, typed, CPU",
        20,
        times_less("airbyte-typed", "airbyte", "cpu"),
        at_least=True,
        sides=both("airbyte-typed", "cpu", "airbyte"),
    ),
    Bar(
        RECORDS,
        "pyarrow's bare parse over HTTP, CPU",
        3,
        share("records", "cpu", "pyarrow"),
        sides=both("records", "cpu", "pyarrow"),
    ),
    Bar(
        PARQUET,
        "better of DuckDB and Polars over HTTP, CPU",
        1,
        share("parquet", "cpu", *LOCAL),
        sides=both("parquet", "cpu", *LOCAL),
    ),
    Bar(
        PARQUET,
        "better of DuckDB and Polars over HTTP, peak",
        0.8,
        share("parquet", "peak_mb", *LOCAL),
        sides=both("parquet", "peak_mb", *LOCAL),
    ),
    Bar(PARQUET, "dlt with Arrow, CPU", 1, share("parquet", "cpu", "dlt"), sides=both("parquet", "cpu", "dlt")),
    Bar(
        "CSV → jsonl.gz batches",
        "SDK's own batcher, instructions of a row",
        10,
        counted("jsonl sdk", "jsonl tap"),
        at_least=True,
    ),
    Bar(PAGES_READ, "CPU of a page of 100 records, no latency", 0.7, page_cost, unit="ms"),
    Bar(PAGES_READ, "instructions of a page of 100 records", 8, millions("page", "each"), unit="M"),
    Bar(
        PAGES_READ,
        "SDK's RESTStream, 20 ms, 64 in flight, wall of a page",
        35,
        times_less_a_page("tap-64"),
        at_least=True,
    ),
    Bar(JOBS, "ideal makespan", 1.08, share_of_ideal),
    Bar(
        "process start to the first RECORD",
        "`import singer_sdk`, instructions",
        1500,
        millions("start", "tap"),
        unit="M",
        sides=counted_sides("start", "tap", "import"),
    ),
    Bar("memory", "RECORD, 1 and 10 million rows", 150, peak("sizes"), unit="MB"),
    Bar("memory", "RECORD, 10 against 1 million rows", 10, peak_growth("sizes"), unit="%"),
    Bar("memory", "Parquet, 1 and 10 million rows", 230, peak("memory-parquet"), unit="MB"),
    Bar("memory", "Parquet, 10 against 1 million rows", 10, peak_growth("memory-parquet"), unit="%"),
    Bar("growth", "CPU of a row of one file, 0.1–1 against 1–10 million", 5, row_growth, unit="%"),
    Bar("growth", "instructions of a file beside its 100,000 rows", 5, file_share, unit="%", sides=file_words),
    Bar("growth", "CPU per operation, 1,000 to 10,000", 15, cost_growth("operations"), unit="%"),
    Bar(
        "growth",
        "greatest STATE, 1,000 to 10,000 operations",
        1,
        state_growth("operations", each=False),
        unit="%",
        sides=greatest_states("operations"),
    ),
    Bar("growth", "CPU per stream, 100 to 1,000", 15, cost_growth("streams"), unit="%"),
    Bar(
        "growth",
        "greatest STATE by stream, 100 to 1,000",
        1,
        state_growth("streams", each=True),
        unit="%",
        sides=greatest_states("streams"),
    ),
)
