"""The plots of docs/performance.md, as SVG that is the same for the same figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from bench.bars import BARS, costs_per_row
from bench.results import Results

Draw = Callable[[Results, Any], None]
OURS, PEER = "#1b6ca8", "#b0b7bf"


def draw(results: Results, folder: Path) -> Iterator[tuple[str, str]]:
    """Draw what was measured and yield file name and title of each plot."""
    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False})
    for name, (title, plot) in PLOTS.items():
        figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
        try:
            plot(results, axes)
        except KeyError:
            continue  # not measured
        finally:
            plt.close(figure)
        axes.set_title(title, loc="left")
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        yield f"{name}.svg", title


def bars(results: Results, axes: Any) -> None:  # noqa: ANN401 - matplotlib's Axes, whose types are not everywhere
    """Draw how many times each bar is met, 1 being just met; bars in % say little as multiples and are left out."""
    names, factors = [], []
    for bar in (each for each in BARS if each.unit != "%"):
        if _measured(bar.measure, results):
            figure = bar.measure(results)
            names.append(f"{bar.path}: {bar.against}")
            factors.append(figure / bar.limit if bar.at_least else bar.limit / figure)
    axes.figure.set_size_inches(7, 0.6 + 0.22 * len(names))
    axes.barh(names[::-1], factors[::-1], color=[OURS if each >= 1 else "#c0392b" for each in factors[::-1]])
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("times better than the bar")


def _measured(measure: Callable[[Results], float], results: Results) -> bool:
    try:
        measure(results)
    except KeyError:
        return False
    return True


def sides(row: str, xlabel: str) -> Draw:
    """Return a plot of the wall time of a row's sides with their spread."""

    def plot(results: Results, axes: Any) -> None:  # noqa: ANN401 - as above
        found = results.rows[row]
        names = list(found.sides)
        middle = [found.median(name) for name in names]
        below = [value - found.spread(name)[0] for name, value in zip(names, middle, strict=True)]
        above = [found.spread(name)[1] - value for name, value in zip(names, middle, strict=True)]
        colors = [OURS if name.startswith("tap") else PEER for name in names]
        axes.barh(names[::-1], middle[::-1], xerr=[below[::-1], above[::-1]], color=colors[::-1])
        axes.set_xlabel(xlabel)

    return plot


def cost(results: Results, axes: Any) -> None:  # noqa: ANN401 - as above
    """Draw the cost per row."""
    costs = costs_per_row(results)
    axes.plot(list(costs), list(costs.values()), marker="o", color=OURS)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.3 * max(costs.values()))
    axes.set_xlabel("rows of a file")
    axes.set_ylabel("µs of CPU per row")


def memory(results: Results, axes: Any) -> None:  # noqa: ANN401 - as above
    """Draw the peak for 1 and 10 million rows."""
    for row, label in (("sizes", "RECORD"), ("memory-parquet", "Parquet")):
        found = results.rows[row]
        axes.plot([1e6, 1e7], [found.median(side, "peak_mb") for side in ("1M", "10M")], marker="o", label=label)
    axes.set_xscale("log")
    axes.set_ylim(0, 320)
    axes.set_xlabel("rows")
    axes.set_ylabel("peak, MB")
    axes.legend()


PLOTS: dict[str, tuple[str, Draw]] = {
    "bars": ("How far above each bar", bars),
    "records": ("CSV of 1,000,000 rows to RECORD lines", sides("records", "seconds")),
    "parquet": ("CSV of 1,000,000 rows to Parquet", sides("parquet", "seconds")),
    "pages": ("Pages of 100 items, each after 20 ms", sides("pages", "seconds")),
    "cost": ("Cost of a row, start and streams taken off", cost),
    "memory": ("Peak of memory", memory),
}
