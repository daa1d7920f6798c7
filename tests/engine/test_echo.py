from __future__ import annotations

import pytest

from tap_exports.engine.jobs.echo import different, means_same


@pytest.mark.parametrize(
    ("asked", "echoed"),
    [
        ("2026-07-01T00:00:00.000Z", "2026-07-01T00:00:00Z"),
        ("2026-07-01T00:00:00.000Z", "2026-07-01T02:00:00+02:00"),
        ("2026-07-01T00:00:00.000Z", "2026-07-01"),
        ("bwi:2026-07-01T00:00:00.000Z,2026-07-02T00:00:00.000Z", "bwi:2026-07-01T00:00:00+00:00,2026-07-02 00:00"),
        ({"a": 1, "b": [True, "x"]}, {"b": ["true", "x"], "a": "1"}),
        ({"a": 1}, {"a": 1.0, "added by the provider": 5}),
        ({"a": {"b": 1}}, {"a": {"c": 2, "b": 1}}),
        (None, ""),
    ],
)
def test_an_echo_is_compared_by_its_meaning(asked: object, echoed: object) -> None:
    """Instants as instants, numbers by value; keys have no order, and defaults that were added do not matter."""
    assert means_same(asked, echoed)


@pytest.mark.parametrize(
    ("asked", "echoed"),
    [
        ("2026-07-01T00:00:00.000Z", "2026-07-01T00:00:01Z"),
        ("bwi:2026-07-01,2026-07-02", "bwi:2026-07-01,2026-07-03"),
        ({"a": 1}, {}),
        ({"a": 1}, None),
        ([1, 2], [1]),
        ("x", "X"),
        ("2026-13-01", "2026-13-02"),
    ],
)
def test_another_meaning_is_another_echo(asked: object, echoed: object) -> None:
    """What was asked for must be there, with its value."""
    assert not means_same(asked, echoed)


def test_what_is_not_echoed_contradicts_nothing() -> None:
    """A provider that shows less than was sent says nothing of the rest."""
    assert different({"a": 1, "b": 2, "c": 3}, {"a": "1", "b": 5, "c": None}) == ["b"]
