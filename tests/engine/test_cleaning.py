from __future__ import annotations

import copy

import pytest

from tap_exports.engine.model import Row
from tap_exports.engine.secrets import Redactor
from tap_exports.singer.streams.cleaning import cleaned

KEY = "sk-4f1b9c77e2"
PLAIN: Row = {"id": "1", "name": "a = b", "url": "https://h.test/a?page=2", "deep": {"n": [1, None, "x"]}}


@pytest.fixture
def redactor() -> Redactor:
    made = Redactor()
    made.add(KEY)
    return made


class Counting(Redactor):
    """Counts what is cleaned value by value."""

    records = 0

    def cut_signed(self, value: object) -> object:
        self.records += isinstance(value, dict) and "id" in value
        return super().cut_signed(value)


@pytest.mark.parametrize(
    "said",
    [
        KEY,
        {"nested": [KEY]},
        {KEY: 1},
        "https://h.test/a?sig=ab",
        "line\npassword=ab",
        "Authorization: Bearer ab",
        "ends with half a pair \ud800 api_key=ab",
    ],
)
def test_a_record_with_a_secret_is_cleaned_among_others(redactor: Redactor, said: object) -> None:
    """As if each had been cleaned by itself; the page stays as it was."""
    page = [PLAIN, {"id": "2", "said": said}, {**PLAIN, "id": "3"}]
    before = copy.deepcopy(page)
    found = cleaned(page, redactor, (), ())
    assert found == [redactor.cut_signed(row) for row in page] != page
    assert page == before


def test_records_of_the_user_keep_their_fields(redactor: Redactor) -> None:
    page: list[Row] = [
        {"id": "1", "extraction": {"note": f"{KEY} password=ab"}, "said": KEY},
        {"id": "2", "extraction": KEY},
    ]
    assert cleaned(page, redactor, (), {"extraction"}) == [{**page[0], "said": "***"}, page[1]]


def test_free_texts_lose_any_query(redactor: Redactor) -> None:
    page = [{**PLAIN, "error": "see https://h.test/a?page=2"}, PLAIN]
    assert cleaned(page, redactor, {"error"}, ()) == [{**PLAIN, "error": "see https://h.test/a?***"}, PLAIN]


def test_only_records_with_something_to_cut_are_cleaned_value_by_value() -> None:
    """That took seven tenths of the processor time of a list."""
    redactor = Counting()
    redactor.add(KEY)
    page = [{**PLAIN, "id": str(number)} for number in range(100)]
    assert cleaned(page, redactor, (), ()) == page
    assert redactor.records == 0
    page[7]["said"] = KEY
    assert cleaned(page, redactor, (), ())[7]["said"] == "***"
    assert redactor.records == 1
