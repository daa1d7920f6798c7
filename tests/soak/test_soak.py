"""A short soak; `make soak` reads thousands of jobs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.crash.victim import Nursery
from tests.soak.parts import PARTS, Part
from tests.soak.samples import Samples
from tests.soak.story import Tale, soak

JOBS = 200


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.provider)
def test_short_soak(part: Part, tmp_path: Path) -> None:
    """With one request in twenty going wrong, no row is lost and none invented (P1, P2, P4)."""
    with Nursery(tmp_path) as nursery:
        tale = soak(part, nursery, round(JOBS * part.share), seed=3)
    assert tale.complaints() == []
    assert tale.jobs >= round(JOBS * part.share)
    assert tale.faulty > 0
    assert tale.rows > 0


def test_a_tale_tells_of_lost_and_invented_rows() -> None:
    tale = Tale()
    tale.compare({"s": Counter("aab")}, {"s": Counter("abc"), "t": Counter("d")})
    assert (tale.lost, tale.invented, tale.rows) == (2, 1, 3)
    assert tale.complaints() == ["2 rows lost, 1 invented"]


def test_samples_tell_of_growth() -> None:
    """What grows from the second quarter of a run to the last is a leak; what stays is not."""
    flat, leaky = Samples(), Samples()
    flat._taken = [(100.0, 10, 8)] * 100
    leaky._taken = [(100.0 + n, 10 + n // 10, 8 + n // 10) for n in range(100)]
    assert flat.complaints() == []
    assert leaky.complaints() == ["memory (MB) grew by 50.0", "files grew by 5.0", "threads grew by 5.0"]
