"""The bookmark never passes a record that may still change: one rule for all lists, from one place."""

from __future__ import annotations

import pytest

from tap_exports.engine.http import fields
from tap_exports.providers.cornect.streams import Exports as CornectExports
from tap_exports.providers.exelensia.streams import Exports, Files, Processes, Results, Schemas, Templates
from tap_exports.providers.packagex.streams import Exports as PackagexExports
from tap_exports.singer.streams.kinds import ListStream

LISTS = {
    Exports: ({"PENDING", "PROCESSING"}, {"COMPLETED", "FAILED"}),
    Processes: ({"PENDING", "PROCESSING"}, {"COMPLETED", "FAILED"}),
    Files: ({"PENDING"}, {"READY", "FAILED"}),
    Results: ({"PENDING", "PROCESSING"}, {"SUCCESS", "COMPLETED", "FAILED"}),
    PackagexExports: ({"queued", "processing"}, {"completed", "failed", "timed_out"}),
    CornectExports: ({"pending", "processing"}, {"completed", "failed"}),
}


@pytest.mark.parametrize("stream", LISTS)
def test_every_status_that_is_not_terminal_is_open(stream: type[ListStream]) -> None:
    """An unknown status counts as open at every provider, and so does a record without any."""
    assert stream.statuses is not None
    may_change, done = LISTS[stream]
    for status in (*may_change, "ARCHIVED", "", None):
        assert not fields.status(stream.statuses, status).is_terminal, status
    for status in done:
        assert fields.status(stream.statuses, status).is_terminal, status
        assert fields.status(stream.statuses, status.swapcase()).is_terminal, status


@pytest.mark.parametrize("stream", [Schemas, Templates])
def test_definitions_are_full_tables(stream: type[ListStream]) -> None:
    """They are few and change: no bookmark, and no start_date, cuts them."""
    assert not any("replication_key" in vars(kind) for kind in (stream, Schemas))
    assert not stream.ordered
