"""The same data gives the same messages, however the requests overlap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.scenarios import SCENARIOS
from tests.crash.victim import Nursery
from tests.soak.parts import PARTS, ROWS_PER_WINDOW, Part
from tests.soak.story import SPEED
from tests.tap.harness import Json, Ran, arguments_of

JOBS = 8
SLOW: list[Json] = [{"slow": {"delay_seconds": seconds}} for seconds in (0.01, 0.03, 0.3)]
# The job that is created first is named first, and pays for the companies that it shares with others.
AS_CREATED = ("cornect_exports", "cornect_credit")


def run(part: Part, nursery: Nursery, at_once: int, seed: int) -> Ran:
    """Run the tap with some jobs and requests at once, where a third of all answers comes late."""
    scenario = SCENARIOS[part.provider]
    with scenario.sandbox(rows=JOBS * ROWS_PER_WINDOW) as box:
        config = part.config(scenario.config(box), JOBS)
        config |= {
            "max_concurrent_jobs": at_once,
            "max_concurrent_requests": at_once,
            "poll_interval_seconds": 1,
            "ledger": "none",
        }
        box.set_faults({"random": {"probability": 0.3, "seed": seed, "actions": SLOW}})
        return nursery.start(arguments_of(nursery.folder, config), speed=SPEED).wait().succeeded()


def messages(part: Part, ran: Ran) -> Iterator[object]:
    """Yield all messages but STATE, which shows jobs as they are created, without what no two runs share."""
    for message in ran.messages:
        if message["type"] == "STATE" or message.get("stream", "").startswith(AS_CREATED):
            continue
        if message["type"] == "RECORD":
            yield message["stream"], SCENARIOS[part.provider].clean(message["stream"], message["record"])
        else:
            yield {name: value for name, value in message.items() if name != "version"}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.provider)
def test_order_does_not_depend_on_concurrency(part: Part, tmp_path: Path) -> None:
    """One job and one request at a time, or eight, in whatever order they end: the same messages (P9)."""
    with Nursery(tmp_path) as nursery:
        alone, *others = (list(messages(part, run(part, nursery, *each))) for each in ((1, 1), (8, 2), (8, 3)))
    assert any(isinstance(message, tuple) for message in alone)
    assert others == [alone, alone]
