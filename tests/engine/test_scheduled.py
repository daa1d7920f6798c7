"""The simulation of `bench.scheduled` on a small scale: its scheduler is the tap's own."""

from __future__ import annotations

import pytest

from bench.scheduled.__main__ import ideal
from bench.scheduled.played import STALL_SECONDS
from bench.scheduled.run import Run
from tap_exports.engine import thrift
from tap_exports.engine.convert import elsewhere
from tap_exports.engine.jobs import journal

FILES = 400


@pytest.fixture(autouse=True)
def _real_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the modules back their own time, which a run takes away."""
    for module in (thrift, journal, elsewhere):
        monkeypatch.setitem(vars(module), "time", vars(module)["time"])


@pytest.mark.parametrize("workers", [10, 1000])
def test_every_file_is_read_within_the_bounds(workers: int) -> None:
    """No run is faster than all slots and workers together; no window is left open; no URL is signed in vain."""
    run = Run(FILES, workers, side_by_side=True)
    took = run.play()
    assert ideal(FILES, workers) <= took < 4 * ideal(FILES, workers) + STALL_SECONDS
    assert (run.open_jobs, FILES <= run.signed < 1.05 * FILES) == (0, True)
    assert run.calls > 3 * FILES


def test_streams_in_turn_leave_workers_idle() -> None:
    """Only the files of one stream are converted at a time, those of the others wait for its end."""
    assert Run(FILES, 1000, side_by_side=False).play() > Run(FILES, 1000, side_by_side=True).play()
