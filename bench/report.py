"""Writes docs/performance.md and its plots from the figures that were measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import plots
from bench.bars import BARS, Bar
from bench.results import Results, Row
from bench.work.index import ROWS

DOCS = Path(__file__).resolve().parents[1] / "docs"
HALVE = Path(__file__).with_name("halve.md")
MANY = Path(__file__).with_name("many.md")
SCHEDULED = Path(__file__).parent / "scheduled" / "curve.md"
INTRO = """# Performance

Written by `make bench` (`bench/`) from one machine's figures; sections marked so are by hand. Every side of a
comparison is a process of its own, the sides take turns, and a figure is the median of its runs. The tap is the real
command with a catalog, its standard output drained by a reader that counts lines; CPU time and peak are what the
system counts for the process. Each comparison is checked: equal values in the first and last rows that both sides
wrote, in the same order, or equal counts and sums in files and tables.
"""
WAITS = """## Where the tap waits for the target
Seconds, medians. The tap waits where it takes longer than it computes.
"""
PROFILE = """## Where the time goes
Samples of threads that compute, by function, and behind `<` the function of the tap that called it (py-spy, 100 a
second).
"""
HOW = """## How to measure
`make bench` measures everything and writes this page. `make bench BENCH="--only records,parquet"` measures single rows
again, the others stay as they were. `make bench BENCH=--quick` tries every row at 1/20 of its size and leaves this page
alone. It needs Linux, Python 3.11 or newer, nginx, and PostgreSQL's server binaries, which it installs on Debian where
it may.
"""


def write_report(results: Results) -> None:
    """Write the page and its plots."""
    folder = DOCS / "performance"
    folder.mkdir(exist_ok=True)
    drawn = list(plots.draw(results, folder))
    parts = [INTRO, *bars(results), *waits(results), *server(results), *profile(results)]
    parts += [path.read_text(encoding="utf-8") for path in (HALVE, MANY, SCHEDULED)]
    parts += ["## Plots\n", *(f"![{title}](performance/{name})\n" for name, title in drawn)]
    parts += [*figures(results), *absent(results), *machine(results), HOW, *commands(results)]
    (DOCS / "performance.md").write_text("\n".join(parts), encoding="utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def bars(results: Results) -> Iterator[str]:
    """Yield the table of the bars."""
    rows = [(bar.path, *compared(bar, results), bar.text, *judged(bar, results)) for bar in BARS]
    met = sum(row[-1] == "yes" for row in rows)
    yield f"## Bars\n{met} of {len(rows)} are met.\n"
    yield table(("path", "ours", "peers", "limit", "figure or ratio", "met"), rows)


def compared(bar: Bar, results: Results) -> tuple[str, str]:
    """Return the tap's figure and what it is held against."""
    try:
        ours, peer = bar.sides(results) if bar.sides else ("", "")
    except KeyError:
        ours, peer = "not measured", ""
    return ours, f"{bar.against} ({peer})" if peer else bar.against


def judged(bar: Bar, results: Results) -> tuple[str, str]:
    """Return the figure and whether it meets its bar."""
    try:
        figure = bar.measure(results)
    except KeyError:
        return "not measured", "**no**"
    return f"{number(figure)} {bar.unit}", "yes" if bar.is_met(figure) else "**no**"


def ordered(results: Results) -> Iterator[tuple[str, Row]]:
    """Yield the rows in the order of the work."""
    for name in ROWS:
        if name in results.rows:
            yield name, results.rows[name]


def number(value: float) -> str:
    """Return a figure with three digits that count."""
    if abs(value) >= 100:  # noqa: PLR2004 - three digits
        return f"{value:,.0f}"
    return f"{value:.3g}" if value else "0"


def figures(results: Results) -> Iterator[str]:
    """Yield the table of all figures."""
    rows = []
    for name, row in ordered(results):
        for side in row.sides:
            spans = (span(row, side, "wall"), span(row, side, "cpu"), span(row, side, "peak_mb"))
            rows.append((name, row.work, side, str(len(row.sides[side])), *spans))
    yield "## Figures\nMedian, and in brackets the least and the greatest. Seconds; MB of greatest resident memory.\n"
    yield table(("row", "work", "side", "runs", "wall", "CPU", "peak MB"), rows)


def span(row: Row, side: str, figure: str) -> str:
    """Return a median with its spread."""
    least, most = row.spread(side, figure)
    return f"{number(row.median(side, figure))} ({number(least)}–{number(most)})"


def waits(results: Results) -> Iterator[str]:
    """Yield where the tap waits for the target."""
    rows = []
    for name in ("exports", "postgres", "duckdb"):
        if (row := results.rows.get(name)) is None:
            continue
        for side in [each for each in row.sides if f"{each}: tap" in row.sides]:
            tap, loader = f"{side}: tap", f"{side}: target"
            used, spent = row.median(tap, "cpu"), row.median(tap)
            shown = (row.median(side), spent, used, max(0.0, spent - used), row.median(loader, "cpu"))
            rows.append((row.work, side, *map(number, shown)))
    if rows:
        yield WAITS
        yield table(("work", "pipeline", "whole", "tap ends at", "tap's CPU", "tap waits", "target's CPU"), rows)


def server(results: Results) -> Iterator[str]:
    """Yield what the servers can do."""
    row = results.rows.get("server")
    if row is None:
        return
    speed, rate = row.facts["MB"] / row.median("download"), row.facts["pages"] / row.median("pages")
    yield "## The servers are not the limit\n"
    yield f"A bare download of the table with its bytes dropped: {number(speed)} MB/s, the client's start included."
    yield f"Bare requests of pages, 32 in flight, each answered after 20 ms: {number(rate)} pages/s.\n"


def profile(results: Results) -> Iterator[str]:
    """Yield where the time goes."""
    row = results.rows.get("profile")
    if row is None:
        return
    yield PROFILE
    for what, found in row.facts.items():
        yield f"{what}:\n"
        yield table(("share", "function"), [(f"{100 * part:.0f} %", f"`{name}`") for name, part in found])


def absent(results: Results) -> Iterator[str]:
    """Yield what could not be measured, and why."""
    rows = [
        (name, side, why.replace("|", "\\|")) for name, row in ordered(results) for side, why in row.missing.items()
    ]
    if rows:
        yield "## Not measured\n"
        yield table(("row", "side", "why"), rows)


def machine(results: Results) -> Iterator[str]:
    """Yield what the figures were taken on, and when."""
    taken = sorted(row.at for row in results.rows.values())
    yield "## Machine and versions\n"
    yield table(
        ("what", "which"), [*results.machine.items(), ("taken", f"{taken[0]} to {taken[-1]}" if taken else "never")]
    )


def commands(results: Results) -> Iterator[str]:
    """Yield the command of each side."""
    lines = [f"{name} {side}: {command}" for name, row in ordered(results) for side, command in row.commands.items()]
    yield (
        "## Commands\nPaths are below `.bench`, programs those of the environment.\n\n```text\n"
        + "\n".join(lines)
        + "\n```\n"
    )
