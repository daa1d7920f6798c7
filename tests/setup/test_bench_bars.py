"""What the bars of the benchmark compute from figures; `make bench` takes the figures."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.bars import BARS, Bar
from bench.instructions import instructions
from bench.process import BrokenRunError
from bench.results import Results, Row
from bench.work.counted import slope


def bar(against: str) -> Bar:
    return next(each for each in BARS if each.against == against)


def results(tmp_path: Path, name: str, facts: dict[str, Any], cpu: dict[str, list[float]]) -> Results:
    """Return results of one row."""
    found = Results(tmp_path / "results.json")
    sides = {side: [{"cpu": each} for each in all_] for side, all_ in cpu.items()}
    found.rows[name] = Row("work", "2026-11-29T00:00:00Z", quick=False, sides=sides, facts=facts)
    return found


def test_the_cost_of_a_file_is_told_apart_from_start_and_rows(tmp_path: Path) -> None:
    """2,000 million for a start, 6 for a file, 20,000 for a row."""
    counts = {"few": 2_046_000_000, "many": 2_246_000_000}
    record: dict[str, float] = {**slope(counts, {"few": 2_000, "many": 12_000}), "one row": 2_000_020_000}
    found, file = (
        results(tmp_path, "instructions", {"record": record}, {}),
        bar("instructions of a file beside its 100,000 rows"),
    )
    assert file.measure(found) == pytest.approx(100 * 6 / 2_000)
    assert file.sides is not None
    assert file.sides(found) == ("6 M", "its rows: 2,000 M")


def test_growth_is_the_slope_of_rows(tmp_path: Path) -> None:
    """A start of 0.5 s, 10 ms for a file, 3 µs for a row; of several runs the cheapest counts."""
    rows = {"one": 100_000, "1M": 1_000_000, "10M": 10_000_000}
    found = results(tmp_path, "sizes", {"rows": rows}, {side: [0.51 + 3e-6 * n, 99.0] for side, n in rows.items()})
    growth = bar("CPU of a row of one file, 0.1–1 against 1–10 million")
    assert growth.measure(found) == pytest.approx(0, abs=1e-6)


def test_state_is_told_in_bytes(tmp_path: Path) -> None:
    """Exactly, beside the ratio that the bar is for."""
    tenth, all_ = ({"greatest": n, "all": 12 * n, "messages": n} for n in (1_000, 1_005))
    states = {"STATE": {"tenth": tenth, "all": all_}, "count": {"tenth": 1, "all": 10}}
    found, growth = results(tmp_path, "operations", states, {}), bar("greatest STATE, 1,000 to 10,000 operations")
    assert growth.sides is not None
    assert growth.measure(found) == pytest.approx(0.5)
    assert growth.sides(found) == ("1,005 B, 12,060 B in 1,005", "a tenth: 1,000 B, 12,000 B in 1,000")


@pytest.mark.process
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_instructions_are_counted_up_to_what_a_program_writes() -> None:
    """What comes after it does not count; a program that never writes it is an error."""
    lines = ["print('one', flush=True)", "sum(range(3_000_000))", "print('two', flush=True)"]
    program = [sys.executable, "-S", "-c", "\n".join([*lines, "import time; time.sleep(9)"])]
    assert instructions(program, b"one") * 2 < instructions(program, b"two")
    with pytest.raises(BrokenRunError, match="exit code 0"):
        instructions([sys.executable, "-S", "-c", "print('one')"], b"two")
