"""The place of a row: its digest, and its ordinal among equal rows."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from tap_exports.engine.model import Row
from tap_exports.engine.place import ColumnDigests, Places, digests_of_records
from tap_exports.engine.place import places as places_module
from tap_exports.engine.place import seen as seen_module
from tap_exports.errors import StopError

Columns = dict[str, list[str | None]]
ROWS: Columns = {"a": ["1", "2", None], "b": ["x", None, "z"], "c": [None, None, None]}
PINNED = [
    "e9c0757bde5682bcc54b698fefa465d1",
    "748ce9f1bb1cac6077de3658b6b81cec",
    "b79e59b34d510d88b0b3fc346850c483",
]
PINNED_RECORD = "4f8faf70fb2dd1fe8d01e513c30c69ae"


def digests(columns: Columns) -> list[bytes]:
    return list(ColumnDigests(list(columns)).of([pa.array(values, pa.string()) for values in columns.values()]))


def scratch(folder: Path) -> Callable[[], Path]:
    """Return what gives a new path each time."""
    made: list[int] = []

    def path() -> Path:
        made.append(len(made))
        return folder / f"digests-{len(made)}"

    return path


def test_digests_are_those_of_earlier_versions() -> None:
    """They stand in tables: they must never change."""
    assert [d.hex() for d in digests(ROWS)] == PINNED
    assert digests_of_records([{"b": "x", "a": 1}])[0].hex() == PINNED_RECORD


def test_the_order_of_columns_does_not_matter() -> None:
    assert digests(dict(reversed(ROWS.items()))) == digests(ROWS)


def test_a_column_of_nulls_does_not_matter() -> None:
    assert digests({"a": ROWS["a"], "b": ROWS["b"]}) == digests(ROWS)
    assert digests_of_records([{"a": 1, "b": None}]) == digests_of_records([{"a": 1}])


@pytest.mark.parametrize(
    "other",
    [
        {"a": ["1"], "b": [""]},
        {"a": [""], "b": ["1"]},
        {"b": ["1"]},
        {"a": ["1\x1eb\x1f"]},
        {"a": ["1\x1e"]},
        {"a": ["1\x1c1"]},
        {"a": ["1\x1c"]},
        {"a": ["1", "1"]},
        {"a": ["1 "]},
        {"A": ["1"]},
        {"a\x1f1": [""]},
    ],
)
def test_other_values_have_other_digests(other: Columns) -> None:
    """An empty text is not null, a value is not in another column, and no mark in a value looks like a border."""
    known = set(digests({"a": ["1"]}))
    assert other == {"a": ["1", "1"]} or known.isdisjoint(digests(other))


def test_a_marked_value_does_not_change_its_neighbours() -> None:
    """What rows stand beside a row in a batch does not matter, also where their values hold the marks."""
    plain = ["1", "2", "\x1c0", "\x1f"]
    assert [digests({"a": [value]})[0] for value in plain] == digests({"a": [*plain]})


def test_columns_of_one_name_are_told_apart() -> None:
    def of(*values: str | None) -> list[bytes]:
        return list(ColumnDigests(["a", "a"]).of([pa.array([value], pa.string()) for value in values]))

    assert of("1", "2") != of("2", "1")
    assert of("1", None) != of(None, "1")


def test_bytes_that_are_no_text_count() -> None:
    """Columns that are not selected are not decoded."""
    columns = ColumnDigests(["a", "b"])
    (first,) = columns.of([pa.array(["1"]), pa.array([b"\xff"], pa.binary())])
    (other,) = columns.of([pa.array(["1"]), pa.array([b"\xfe"], pa.binary())])
    (text,) = columns.of([pa.array(["1"]), pa.array(["x"])])
    (same,) = columns.of([pa.array([b"1"], pa.binary()), pa.array([b"x"], pa.binary())])
    assert (first != other, text) == (True, same)


def test_records_by_value() -> None:
    """Keys have no order, at any depth; lists have one; digits beyond a float count."""
    rows: list[Row] = [{"a": {"x": 1, "y": [1, 2]}}, {"a": {"y": [1, 2], "x": 1}}, {"a": {"y": [2, 1], "x": 1}}]
    nested = digests_of_records(rows)
    assert (nested[0] == nested[1], nested[0] == nested[2]) == (True, False)
    long: list[Row] = [
        {"a": Decimal("0.12345678901234567890")},
        {"a": Decimal("0.12345678901234567891")},
        {"a": "1"},
        {"a": 1},
    ]
    assert len(set(digests_of_records(long))) == 4


def numbered(places: Places, values: Sequence[int], at_once: int = 100) -> list[int]:
    found: list[int] = []
    for start in range(0, len(values), at_once):
        rows = [value.to_bytes(8, "big") * 2 for value in values[start : start + at_once]]
        found += places.copies(rows)
    return found


def expected(values: Sequence[int]) -> list[int]:
    counts, found = Counter[int](), list[int]()
    for value in values:
        counts[value] += 1
        found.append(counts[value])
    return found


@pytest.mark.parametrize("spread", [1, 40, 5_000, 2**63])
def test_copies_count_equal_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spread: int) -> None:
    """Exactly, whatever the multiplicity, in memory as well as in the file, and after more rows than are remembered."""
    monkeypatch.setattr(seen_module, "MEMORY_BITS", 12)
    monkeypatch.setattr(places_module, "MOST_COUNTS", 10)
    drawn, step = random.Random(spread), 2**63 // spread  # noqa: S311 - the same draw each time
    values = [drawn.randrange(spread) * step for _ in range(12_000)]
    places = Places(scratch(tmp_path))
    assert numbered(places, values) == expected(values)
    assert len(list(tmp_path.iterdir())) == 1
    places.close()
    assert list(tmp_path.iterdir()) == []


def test_numbers_at_the_edges_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of one bucket, the last ones and zero: places wrap around and buckets overflow."""
    monkeypatch.setattr(seen_module, "MEMORY_BITS", 12)
    values = [*range(300), *range(2**64 - 300, 2**64), *[value << 50 for value in range(1, 4_000)]]
    places = Places(scratch(tmp_path))
    assert numbered(places, values) == [1, 2, *[1] * (len(values) - 2)]  # 0 and 1 share a number
    assert numbered(places, values[5:]) == [2] * (len(values) - 5)
    places.close()


def test_few_rows_need_no_file(tmp_path: Path) -> None:
    places = Places(scratch(tmp_path))
    numbered(places, [value * 0x9E3779B97F4A7C15 % 2**64 for value in range(50_000)])  # spread, as digests are
    assert list(tmp_path.iterdir()) == []


MEASURED = """
import itertools, random, re, sys
from pathlib import Path
from tap_exports.engine.place import Places
from tap_exports.engine.place import seen
seen.MEMORY_BITS = 14
names, draw, peak = itertools.count(), random.Random(1), []
places = Places(lambda: Path(sys.argv[1], str(next(names))))
for count in (20_000, 380_000):
    for _ in range(count // 1_000):
        assert set(places.copies([draw.randbytes(16) for _ in range(1_000)])) == {1}
    peak.append(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]))
print(peak[1] - peak[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc; ru_maxrss would be that of the process before exec")
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """P5: once the table is a file, twenty times as many rows take no more memory; their numbers alone are 3 MB."""
    done = subprocess.run(  # a process of its own: the greatest memory of this one says nothing
        [sys.executable, "-c", MEASURED, str(tmp_path)], capture_output=True, check=True, text=True, timeout=60
    )
    assert int(done.stdout) < 1_024  # KiB


def test_a_disk_that_cannot_be_written_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_module, "MEMORY_BITS", 12)
    places = Places(lambda: tmp_path / "absent" / "digests")
    with pytest.raises(StopError, match="spool_dir"):
        numbered(places, [value << 40 for value in range(5_000)])
