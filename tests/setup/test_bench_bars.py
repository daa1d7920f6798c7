"""What the bars of the benchmark compute from figures; `make bench` takes the figures."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.bars import BARS, Bar, file_cost
from bench.instructions import instructions
from bench.process import BrokenRunError
from bench.results import Results, Row


def bar(against: str) -> Bar:
    return next(each for each in BARS if each.against == against)


def results(tmp_path: Path, name: str, facts: dict[str, Any], cpu: dict[str, list[float]]) -> Results:
    """Return results of one row."""
    found = Results(tmp_path / "results.json")
    sides = {side: [{"cpu": each} for each in all_] for side, all_ in cpu.items()}
    found.rows[name] = Row("work", "2026-11-29T00:00:00Z", quick=False, sides=sides, facts=facts)
    return found


def test_the_cost_of_a_file_is_told_apart_from_start_and_rows(tmp_path: Path) -> None:
    """A start of 0.5 s, 10 ms for a file, 3 µs for a row; of several runs the cheapest counts."""
    rows = {"one": 100_000, "1M": 1_000_000, "10M": 10_000_000}
    cpu = {side: [0.51 + 3e-6 * count, 99.0] for side, count in rows.items()}
    found = results(tmp_path, "sizes", {"rows": rows}, {**cpu, "start-1": [0.5, 99.0]})
    assert file_cost(found) == pytest.approx((0.01, 0.3))
    file, row = (
        bar("CPU of a file beside its 100,000 rows"),
        bar("CPU of a row of one file, 0.1–1 against 1–10 million"),
    )
    assert file.measure(found) == pytest.approx(100 * 0.01 / 0.3)
    assert row.measure(found) == pytest.approx(0, abs=1e-6)
    assert file.sides is not None
    assert file.sides(found) == ("10 ms", "its rows: 300 ms")


def test_state_is_told_in_bytes(tmp_path: Path) -> None:
    """Exactly, beside the ratio that the bar is for."""
    states = {"tenth": {"greatest": 1_000}, "all": {"greatest": 1_005, "all": 12_345, "messages": 13}}
    found = results(tmp_path, "operations", {"STATE": states, "count": {"tenth": 1, "all": 10}}, {})
    found.rows["streams"] = found.rows["operations"]
    growth, all_of_it = bar("greatest STATE, 1,000 to 10,000 operations"), bar("all STATE of 1,000 streams")
    assert growth.sides is not None
    assert all_of_it.sides is not None
    assert growth.measure(found) == pytest.approx(0.5)
    assert growth.sides(found) == ("1,005 B", "a tenth: 1,000 B")
    assert all_of_it.sides(found) == ("12,345 B in 13", "the greatest: 1,005 B")


@pytest.mark.process
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_instructions_are_counted_up_to_what_a_program_writes() -> None:
    """What comes after it does not count; a program that never writes it is an error."""
    lines = ["print('one', flush=True)", "sum(range(3_000_000))", "print('two', flush=True)"]
    program = [sys.executable, "-S", "-c", "\n".join([*lines, "import time; time.sleep(9)"])]
    assert instructions(program, b"one") * 2 < instructions(program, b"two")
    with pytest.raises(BrokenRunError, match="exit code 0"):
        instructions([sys.executable, "-S", "-c", "print('one')"], b"two")
