"""Instants as numbers, and bookmarks at providers whose instants are whole seconds."""

from __future__ import annotations

from typing import Any

import pytest

from tap_exports.engine.changes import Changes
from tap_exports.engine.clock import to_text
from tap_exports.engine.decode import Layout, conform
from tap_exports.engine.decode.instants import instant_text
from tap_exports.engine.ledger.seconds import WholeSeconds
from tap_exports.engine.model import Column, Kind, Rows

NOON = "2026-07-01T12:00:00.000Z"


@pytest.mark.parametrize("value", [1782907200, "1782907200", 1782907200.0])
def test_seconds_become_text(value: object) -> None:
    assert instant_text(value) == NOON


@pytest.mark.parametrize("value", [None, True, "2026-07-01T12:00:00+00:00", "", "-5", "soon", {"a": 1}, 10**30])
def test_everything_else_stays(value: object) -> None:
    assert instant_text(value) == value


def test_only_the_named_columns_of_rows_change() -> None:
    """A number in another column is a number, also where it looks like an instant."""
    rows: list[dict[str, Any]] = [{"created_at": 1782907200, "count": 1782907200}, {"count": 1}]
    columns = {"created_at": Column("created_at", Kind.DATETIME), "count": Column("count", Kind.INTEGER)}
    layout = Layout(columns=columns, instants=frozenset({"created_at"}))
    (batch,) = conform(rows, layout, 1, "page")
    assert isinstance(batch, Rows)
    assert batch.data == [{"created_at": NOON, "count": 1782907200, "_sdc_row": 1}, {"count": 1, "_sdc_row": 2}]


@pytest.mark.parametrize(
    ("bookmark", "overlaps", "seen"),
    [
        ("2026-07-01T12:00:00.500Z", True, "2026-07-01T11:59:59.999Z"),
        ("2026-07-01T12:00:00.999Z", True, "2026-07-01T12:00:00.999Z"),
        ("2026-07-01T12:00:00.500Z", False, "2026-07-01T12:00:00.500Z"),
    ],
)
def test_the_second_of_a_bookmark_is_read_again(bookmark: str, overlaps: bool, seen: str) -> None:  # noqa: FBT001 - a parameter of the table above
    """What is created at .700 counts as created at .000, which a bookmark at .500 has passed."""
    state = WholeSeconds("s", {"replication_key_value": bookmark}, Changes(), overlaps=overlaps)
    assert state.instant is not None
    assert to_text(state.instant) == seen
