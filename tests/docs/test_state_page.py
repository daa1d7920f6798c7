"""The tables of docs/state.md: each row says what each of three runs does, and names what plays it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.engine.test_three_runs import CREATED

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "state.md").read_text(encoding="utf-8")
TABLES = PAGE.partition("## Three runs in a row")[2].partition("\n## ")[0]
ROWS = [
    line
    for line in TABLES.splitlines()
    if line.startswith("| ") and not re.match(r"\| (a|what|others)\b.*\| in this", line)
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split(" | ")[0][2:50])
def test_each_row_names_what_plays_it(row: str) -> None:
    """Cases of `test_three_runs_of_an_export` are in italics, tests and their files in backticks; all of them exist."""
    *_, named, _ = row.split("|")
    cases, tests = re.findall(r"\*([^*]+)\*", named), re.findall(r"`(test_\w+)(\.py)?`", named)
    assert cases or tests
    assert set(cases) <= CREATED.keys()
    assert [name for name, is_file in tests if not (_is_there(name) if is_file else name in DEFINED)] == []


def test_each_case_stands_in_a_table() -> None:
    """What is played is told: no knot is known to the tests alone."""
    assert [name for name in CREATED if f"*{name}*" not in TABLES] == []


def _is_there(name: str) -> bool:
    return any((ROOT / "tests").rglob(f"{name}.py"))


DEFINED = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
}
