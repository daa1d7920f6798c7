"""Writes docs/duel.md from what was played."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.duel.sides import ROOT, SIDES
from tools.markdown import table

Verdicts = Sequence[Mapping[str, Any]]
Results = Mapping[str, Mapping[str, Any]]
CAUSES = Path(__file__).with_name("causes.md")
INTRO = """# Duel

Written by `make duel` (`bench/duel/`); the causes are by hand, from the source of each version. One declaration,
`shipped/stripe.yaml`, written in the way of each tool, reads the same {rows} rows in three windows from one sandbox
through the same cases: those of `tap-exports prove`. The first run of a case is disturbed, up to four others follow
undisturbed, until one ends with exit code 0; each goes on from the state of the last one. Only waits are shortened: no
peer sleeps longer than 0.05 s at a time, a job is given up after ten seconds, a run is killed after sixty; the tap has
settings for its waits. A target upserts by `row_id` and keeps what each tool calls state: the last STATE, also of a run
that failed; dlt loads into DuckDB, by merge.

| column | counts |
| --- | --- |
| held | cases in which nothing of what follows happened |
| lost | rows that are not at the target in the end; *silently*: the last run ended with exit code 0 |
| invented | rows at the target that the source does not have |
| changed | rows of the undisturbed case whose values are not those of the source; empty text counts as null |
| jobs twice | jobs beyond those of the undisturbed case, where the first ones would have done; see below |
| secrets | cases that show the key or a signed URL's query in output, state or files |
| failed runs | runs that ended with another exit code than 0, kills of the case apart |
"""
HOW = """## Commands
`make duel` makes the environments from pins with hashes, plays all sides and writes this page;
`make duel DUEL="--only dlt"` plays one side again. Lines are those of the whole file, comments included.
"""


def write_page(results: Results) -> None:
    """Write the page."""
    there = [name for name in SIDES if name in results]
    rows = results[there[0]]["rows"]
    parts = [INTRO.format(rows=rows), summary(results, there), CAUSES.read_text(encoding="utf-8")]
    parts += [cases(results, there), HOW, commands(there)]
    (ROOT / "docs" / "duel.md").write_text("\n".join(parts), encoding="utf-8")


def summary(results: Results, names: Sequence[str]) -> str:
    """Return the table of the sides."""
    head = ("side", "played", "held", "lost", "silently", "invented", "changed", "jobs twice", "secrets", "failed runs")
    return "## What came of it\n\n" + table(head, [list(_summary(results[name])) for name in names]) + "\n"


def _summary(result: Mapping[str, Any]) -> Iterator[str]:
    verdicts: Verdicts = result["verdicts"]
    yield result["package"]
    yield result["at"]
    yield f"{sum(map(holds, verdicts))} of {len(verdicts)}"
    yield str(sum(each["lost"] for each in verdicts))
    yield str(sum(each["lost"] for each in verdicts if each["codes"][-1] == 0))
    yield str(sum(each["invented"] for each in verdicts))
    yield str(verdicts[0]["changed"])
    yield str(sum(each["twice"] for each in verdicts))
    yield str(sum(bool(each["secrets"]) for each in verdicts))
    yield str(sum(code > 0 for each in verdicts for code in each["codes"]))


def holds(verdict: Mapping[str, Any]) -> bool:
    """Return whether a case held; values that a tool changes in every case do not count again in each."""
    return not any(verdict[name] for name in ("lost", "invented", "twice", "secrets", "stuck"))


def cases(results: Results, names: Sequence[str]) -> str:
    """Return the table of the cases."""
    found = [results[name]["verdicts"] for name in names]
    rows = [[_of_each(line[0]["case"]), *map(_said, line)] for line in zip(*found, strict=True)]
    return "## Case by case\nAn empty cell held.\n\n" + table(("case", *names), rows) + "\n"


def _of_each(case: str) -> str:
    """Return the name of a case as it is true of every side: each writes its own number of lines."""
    return re.sub(r"line (\d+) of (\d+)", lambda found: _place(int(found[1]), int(found[2])), case)


def _place(line: int, lines: int) -> str:
    named = {1: "the first line", 2: "the second line", lines - 1: "the last line but one"}
    return named.get(line, f"{round(4 * line / lines)}/4 of the lines")


def _said(verdict: Mapping[str, Any]) -> str:
    silently = " silently" if verdict["codes"][-1] == 0 else ""
    words = {
        f"lost{silently}": verdict["lost"],
        "invented": verdict["invented"],
        "jobs twice": verdict["twice"],
        "secrets": verdict["secrets"],
        "never ends well": verdict["stuck"],
    }
    return ", ".join(what if what == "never ends well" else f"{count} {what}" for what, count in words.items() if count)


def commands(names: Sequence[str]) -> str:
    """Return the commands of the peers, and the lines of what is written."""
    rows = [
        (name, f"`{side.written.relative_to(ROOT)}`", str(side.lines), f"`{side.environment or '.venv'}`")
        for name, side in SIDES.items()
        if name in names
    ]
    return table(("side", "written in", "lines", "environment"), rows) + "\n"
