"""The compiled check of a page: it says yes only where the look at each value finds nothing to do."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_exports.engine.clock import from_text
from tap_exports.engine.decode import Layout, conform, fit
from tap_exports.engine.decode.conform import Numbered, conformed
from tap_exports.engine.model import Column, Contract, Kind, Rows

KINDS = list(Kind)
TEXTS = [
    "",
    "x",
    "7",
    "2026-01-01",
    "0000-01-01",
    "2026-02-29",
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00.123Z",
    "2026-01-01t00:00:00z",
    "2026-01-01 00:00:00+02:00",
    "2026-01-01T00:00:00",
    "2026-01-01T00:00Z",
    "2026-01-01T23:59:59.9999999Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T00:00:00+24:00",
]
VALUES = [None, True, False, 0, -1, 2**70, 1.0, 1.5, Decimal("0.1"), *TEXTS, [], [1], {}, {"k": {"z": 1}}]
NAMES = ["a", "b", 'q"', "é", "_sdc_row", "c"]

layouts = st.builds(
    lambda kinds, deselected, aliases, numbered: Layout(
        {name: Column(name, kind) for name, kind in kinds.items()},
        deselected & frozenset(kinds),
        aliases,
        Contract.DISCARD,
        numbered=numbered,
    ),
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(KINDS), max_size=4),
    st.frozensets(st.sampled_from(NAMES), max_size=2),
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(NAMES), max_size=1),
    st.booleans(),
)
pages = st.lists(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES), max_size=4), min_size=1, max_size=3)


@given(layouts, pages, st.integers(0, 2))
def test_the_check_changes_nothing(layout: Layout, page: list[dict[str, Any]], skipped: int) -> None:
    """With and without it the same rows and rejects come, and the page stays as it is."""
    before = deepcopy(page)
    looked = conformed(Numbered(range(skipped + 1, skipped + 1 + len(page)), deepcopy(page)), layout, "p")
    assert list(conform(page, layout, skipped + 1, "p")) == list(looked)
    assert page == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_fits_only_its_type(kind: Kind, value: object) -> None:
    layout = Layout({"a": Column("a", kind)}, numbered=False)
    fits = list(conformed(Numbered([1], [{"a": value}]), layout, "p")) == [Rows([{"a": value}])]
    assert fits or fit([{"a": value}], layout) is None


@pytest.mark.parametrize(
    "page",
    [
        [{"id": "1", "n": 1, "f": 1.5, "at": "2026-01-01T00:00:00.000Z", "o": {"x": [1]}, "l": [], "b": True}],
        [{"id": None}, {}, {"at": None}],
        [{"at": "2026-01-01T00:00:00+02:00", "d": "2026-02-28"}],
    ],
)
def test_what_lists_hold_is_seen_to_fit(page: list[dict[str, Any]]) -> None:
    """The check is worth having: usual records pass it."""
    kinds = {"id": Kind.STRING, "n": Kind.INTEGER, "f": Kind.NUMBER, "at": Kind.DATETIME, "d": Kind.DATE}
    kinds |= {"o": Kind.OBJECT, "l": Kind.ARRAY, "b": Kind.BOOLEAN}
    assert fit(page, Layout({name: Column(name, kind) for name, kind in kinds.items()})) is not None


@pytest.mark.parametrize("text", [each for each in TEXTS if "T" in each or " " in each])
def test_an_instant_is_the_one_that_its_text_names(text: str) -> None:
    """Or there is none: what msgspec rounds or reads otherwise is looked at by the tap's own rules."""
    fitting = fit([{"at": text}], Layout({"at": Column("at", Kind.DATETIME)}))
    found = fitting.instants("at") if fitting else None
    assert found is None or found == [from_text(text)]


@pytest.mark.parametrize(
    ("layout", "page", "expected"),
    [
        (Layout({"_sdc_row": Column("_sdc_row", Kind.ANY)}), [{"_sdc_row": 1}], [{"_sdc_row_2": 1}]),
        (Layout({"a": Column("a", Kind.ANY)}, aliases={"a": "b"}), [{"a": 1}], [{"b": 1}]),
    ],
    ids=["reserved", "alias"],
)
def test_a_name_that_has_to_change_is_changed(layout: Layout, page: list[dict[str, Any]], expected: object) -> None:
    """Such a page may fit as it is, and still needs its look."""
    layout = replace(layout, numbered=False)
    *_, rows = conform(page, layout, 1, "p")
    assert isinstance(rows, Rows)
    assert rows.data == expected


def test_instants_of_a_column_that_has_none() -> None:
    fitting = fit([{"at": "2026-01-01T00:00:00Z"}, {}], Layout({"at": Column("at", Kind.DATETIME)}))
    assert fitting is not None
    assert fitting.instants("at") is None
    assert fitting.instants("other") is None
