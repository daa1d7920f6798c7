from __future__ import annotations

import pytest

from bench.many import measure

COUNT = 200
MOST_STATE_BYTES = 250_000  # 200 intents, jobs and proofs in a STATE each of half their number would be 6 MB


@pytest.mark.process
def test_hundreds_of_organizations() -> None:
    """Open jobs are entries: few threads, and STATE that does not grow with the square of their number.

    The small form of `python -m bench.many organizations 10000`; it takes seconds, as so many requests do.
    """
    seen = measure("organizations", COUNT, COUNT, 0.5, with_archives=False)
    assert seen.records == COUNT
    assert seen.threads < 12
    assert sum(seen.states) < MOST_STATE_BYTES
