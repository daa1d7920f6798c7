"""The comparison of the demonstration sees each kind of loss, and folds only what it says."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tools.demo.compare import Comparison, Loader, Verdict
from tools.demo.landed import Table
from tools.demo.truth import Truth

TYPES = {
    "id": "VARCHAR",
    "note": "VARCHAR",
    "size": "BIGINT",
    "price": "DOUBLE",
    "at": "TIMESTAMP",
    "flag": "BOOLEAN",
    "tags": "JSON",
}
SOURCE = {"id": "a", "note": "x", "size": 1, "price": Decimal("0.1"), "at": "2024-01-31T23:59:59.999Z", "flag": True}
SOURCE |= {"tags": [{"n": Decimal("1.50")}, "007"]}
TARGET = {"id": "a", "note": "x", "size": 1, "price": Decimal("0.1"), "at": "2024-01-31 23:59:59.999000", "flag": True}
TARGET |= {"tags": '[{"n": 1.5}, "007"]'}
NOTHING = Loader()
DUCKDB = Loader(empty_is_null=True, keeps_old=True)


def judge(source: list[Any], target: list[Any], loader: Loader = NOTHING, keys: tuple[str, ...] = ("id",)) -> Verdict:
    """Compare one stream after one run."""
    truth = Truth("things", source, keys)
    return Comparison(loader).judge([truth], {"things": Table(TYPES, target)})[0]


@pytest.mark.parametrize("keys", [("id",), ()])
def test_equal_values_in_other_forms_are_equal(keys: tuple[str, ...]) -> None:
    """Instants and documents are compared as what they are, with or without a key."""
    assert judge([SOURCE], [TARGET], keys=keys) == Verdict("things", 1, 1, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"note": "X"},
        {"note": None},
        {"note": ""},
        {"size": 2},
        {"size": None},
        {"price": Decimal("0.10000001")},
        {"at": "2024-01-31 23:59:59.998000"},
        {"flag": False},
        {"tags": '[{"n": 1.5}, 7]'},
        {"tags": '["007", {"n": 1.5}]'},
        {"tags": None},
    ],
    ids=str,
)
def test_changed_value_is_seen(change: dict[str, Any]) -> None:
    """One other value makes the stream differ, and the difference names the column."""
    verdict = judge([SOURCE], [TARGET | change], DUCKDB)
    assert verdict.count == 1
    assert verdict.differences[0].startswith(f"('a',): {next(iter(change))} is ")


@pytest.mark.parametrize(
    ("source", "target"),
    [([SOURCE, SOURCE | {"id": "b"}], [TARGET]), ([SOURCE], [TARGET, TARGET | {"id": "b"}])],
    ids=["lost", "invented"],
)
def test_rows_that_one_side_lacks_are_seen(source: list[Any], target: list[Any]) -> None:
    """A row that is lost, and one that nobody sent, are differences."""
    assert judge(source, target, DUCKDB).count == 1


def test_rows_without_keys_are_counted() -> None:
    """Without a key, equal rows must be there as often as at the source."""
    assert judge([SOURCE, SOURCE], [TARGET], keys=()).count == 1


@pytest.mark.parametrize(("loader", "count"), [(NOTHING, 1), (DUCKDB, 0)])
def test_empty_text_is_null_only_where_a_loader_is_known_for_it(loader: Loader, count: int) -> None:
    assert judge([SOURCE | {"note": ""}], [TARGET | {"note": None}], loader).count == count


def test_text_in_place_of_a_number_is_seen() -> None:
    """A number that landed in a text column is not equal, however it looks."""
    assert judge([SOURCE | {"note": 7}], [TARGET | {"note": "7"}]).count == 1


def test_column_that_did_not_land_is_seen() -> None:
    """A column without a place at the target is a difference, unless it holds nothing."""
    assert judge([SOURCE | {"more": "x"}], [TARGET]).count == 1
    assert judge([SOURCE | {"more": None}], [TARGET]).count == 0


def test_column_names_differ_in_case_only() -> None:
    assert judge([{"ID": "a", "Note": "x"}], [TARGET], keys=("ID",)).count == 0


def test_table_without_truth_is_a_difference() -> None:
    """What nobody can vouch for is not equal."""
    verdicts = Comparison(NOTHING).judge([], {"stray": Table(TYPES, [TARGET])})
    assert [(each.stream, each.count) for each in verdicts] == [("stray", 1)]


@pytest.mark.parametrize(("loader", "count"), [(NOTHING, 1), (DUCKDB, 0)])
def test_old_full_reads_stay_only_where_a_loader_is_known_for_it(loader: Loader, count: int) -> None:
    """A loader that ignores ACTIVATE_VERSION keeps rows of the read before; they must be as they were."""
    comparison, table = Comparison(loader), Table(TYPES, [TARGET])
    comparison.judge([Truth("things", [SOURCE], ("id",), full=True)], {"things": table})
    second = comparison.judge([Truth("things", [], ("id",), full=True)], {"things": table})[0]
    assert (second.count, second.source) == (count, 0)


def test_new_rows_are_those_of_the_last_run() -> None:
    comparison = Comparison(NOTHING)
    more = (SOURCE | {"id": "b"}, TARGET | {"id": "b"})
    comparison.judge([Truth("things", [SOURCE], ("id",))], {"things": Table(TYPES, [TARGET])})
    truth, table = Truth("things", [SOURCE, more[0]], ("id",)), Table(TYPES, [TARGET, more[1]])
    assert comparison.judge([truth], {"things": table}) == [Verdict("things", 2, 2, 1)]
