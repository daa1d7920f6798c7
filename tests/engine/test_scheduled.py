"""The simulation of `bench.scheduled` on a small scale: its scheduler is the tap's own."""

from __future__ import annotations

import pytest

from bench.scheduled import run
from bench.scheduled.__main__ import ideal
from bench.scheduled.played import STALL_SECONDS
from bench.scheduled.run import Run
from tap_exports.engine import thrift
from tap_exports.engine.convert import elsewhere
from tap_exports.engine.jobs import cadence, journal

FILES = 400


@pytest.fixture(autouse=True)
def _real_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the modules back their own time and jitter, which a run takes away."""
    for module, name in ((thrift, "time"), (journal, "time"), (elsewhere, "time"), (cadence, "random")):
        monkeypatch.setitem(vars(module), name, vars(module)[name])


@pytest.mark.parametrize("workers", [10, 1000])
def test_every_file_is_read_within_the_bounds(workers: int) -> None:
    """No run is faster than all slots and workers together; no window is left open; no URL is signed in vain."""
    played = Run(FILES, workers, side_by_side=True)
    took = played.play()
    assert ideal(FILES, workers) <= took < 4 * ideal(FILES, workers) + STALL_SECONDS
    assert (played.open_jobs, FILES <= played.signed < 1.05 * FILES) == (0, True)
    assert played.calls > 3 * FILES


def test_streams_in_turn_leave_workers_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream has so many windows in flight until its turn; what it has beyond them waits for that turn."""
    monkeypatch.setattr(run, "ACCOUNTS", 8)
    in_turn, side_by_side = (Run(FILES, 1000, side_by_side=order).play() for order in (False, True))
    assert in_turn > 1.5 * side_by_side


def test_one_seed_is_one_run() -> None:
    """Two runs take the same time to the second: nothing is drawn outside of the world."""
    assert Run(FILES, 100, side_by_side=True).play() == Run(FILES, 100, side_by_side=True).play()
