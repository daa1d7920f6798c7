"""P1: a bookmark moves and a version is activated on an explicit proof only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tap_exports.engine.jobs import Outcome
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Event, Page, Rows, Status, Window
from tap_exports.engine.read.tally import Limits, Tally
from tap_exports.engine.run.created import Export, ExportRun
from tap_exports.engine.run.listed import Listing, ListRun
from tests.engine.fakes import FakeClock
from tests.engine.scripted import NOW, Files, ScriptedApi, job, layout, lifecycle, message, play, reader

TOLERANT = [Limits(verify_counts="warn"), Limits(verify_counts="off")]
ROWS = b"a\n1\n2\n"


def full_export(folder: Path, api: ScriptedApi, limits: Limits) -> tuple[list[bool], str]:
    """Return the proofs of a run over one full export, and what stopped it."""
    clock, proofs, bookmark = FakeClock(NOW), list[bool](), dict[str, Any]()
    read = reader(api, Files(folder, {"j1": ROWS}), clock, limits)
    run = ExportRun(Export("p", "s", {}), lifecycle(api, clock), read, StreamState.detached("s", bookmark), clock)
    _, error = play(run, bookmark, proofs)
    return proofs, message(error) if error else ""


def api_of(**seen: Any) -> ScriptedApi:  # noqa: ANN401 - of `Job`
    return ScriptedApi([job("j1", Status.PENDING)], {"j1": [job("j1", **seen)]})


@pytest.mark.parametrize("limits", TOLERANT)
@pytest.mark.parametrize("count", [0, 1, 3, 10_000])
def test_a_count_that_differs_is_never_the_whole(tmp_path: Path, limits: Limits, count: int) -> None:
    """Whatever `verify_counts` tolerates of a window, no version is activated over a count that differs."""
    assert full_export(tmp_path, api_of(rows=count), limits) == ([], "")


@pytest.mark.parametrize("limits", [*TOLERANT, Limits()])
@pytest.mark.parametrize("count", [None, 2])
def test_an_equal_count_or_none_is_the_whole(tmp_path: Path, limits: Limits, count: int | None) -> None:
    assert full_export(tmp_path, api_of(rows=count), limits) == ([True], "")


def test_a_capped_export_is_not_the_whole(tmp_path: Path) -> None:
    """A provider's own limit leaves rows out: those of earlier reads must stay at the target."""
    assert full_export(tmp_path, api_of(rows=2, is_capped=True), Limits()) == ([], "")


def test_what_the_reply_to_a_creation_leaves_out_is_known_to_the_next_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No later reply may say that rows are missing: STATE keeps it, so that no version is activated over the rest."""
    clock, proofs, bookmark = FakeClock(NOW), list[bool](), dict[str, Any]()
    short = job("j1", Status.PENDING, is_capped=True, warnings=("80 companies are missing",))
    api = ScriptedApi([short], {"j1": [job("j1", rows=2)]})
    for detach in (True, False):
        read = reader(api, Files(tmp_path, {"j1": ROWS}), clock)
        state = StreamState.detached("s", bookmark)
        run = ExportRun(Export("p", "s", {}), lifecycle(api, clock, detach=detach), read, state, clock)
        assert play(run, bookmark, proofs)[1] is None
    assert (api.calls.count("submit"), proofs) == (1, [])
    assert "s: job j1: 80 companies are missing" in caplog.text


class Careless:
    """A reader that ends without a proof."""

    def read(self, outcome: Outcome, state: StreamState, tally: Tally) -> Iterator[Event]:
        yield Rows([{"a": "1"}])


def test_a_reader_without_a_proof_moves_nothing() -> None:
    """A bookmark never moves because nothing was complained of."""
    clock, bookmark, proofs = FakeClock(NOW), dict[str, Any](), list[bool]()
    export = Export("p", "s", {}, replication_key="c")
    run = ExportRun(export, lifecycle(api_of(), clock), Careless(), StreamState.detached("s", bookmark), clock)
    _, error = play(run, bookmark, proofs)
    assert "read without a proof of its end; the bookmark stays" in str(error)
    assert ("replication_key_value" in bookmark, proofs) == (False, [])


@pytest.mark.parametrize("limits", TOLERANT)
@pytest.mark.parametrize(("total", "whole"), [(None, True), (2, True), (3, False), (1, False), (0, False)])
def test_a_list_is_whole_where_its_total_agrees(limits: Limits, total: int | None, whole: bool) -> None:  # noqa: FBT001 - a parameter of the table above
    """A total that is too low is as wrong as one that is too high: it says that the list is another one."""
    proofs: list[bool] = []

    def pages(window: Window | None) -> Iterable[Page]:
        yield Page([{"a": "1"}, {"a": "2"}], total)

    run = ListRun(
        Listing("s", lambda window: [partial(pages, window)]),
        layout,
        limits,
        StreamState.detached("s", {}),
        FakeClock(NOW),
    )
    play(run, {}, proofs)
    assert proofs == [whole]
