"""Ways in which a provider misbehaves all the time, beside what strikes the tap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.tap.harness import Json

LAG_SECONDS = 0.4
LISTS = {"origin": "api"}
# So that lists of the seeds have several pages.
SMALL_PAGES: Mapping[str, Json] = {"cension": {"limit_cap": 120}, "packagex": {"limit_cap": 2}}


@dataclass(frozen=True, slots=True)
class World:
    """What is wrong with a provider throughout a story.

    Attributes:
        moves: What its lists do, as an action of the fault plan.
        job: What its jobs do, as keys of a job's plan.
        clock: What its clock shows.
    """

    moves: Json = field(default_factory=dict)
    job: Json = field(default_factory=dict)
    clock: Json = field(default_factory=dict)

    def plan(self, provider: str) -> Json:
        """Return the fault plan."""
        moves = [{"match": LISTS, "action": self.moves}] if self.moves else []
        jobs = [{"provider": provider, **self.job}] if self.job else []
        clocks = {provider: self.clock} if self.clock else {}
        return {"faults": moves, "jobs": jobs, "clocks": clocks}

    def settings(self) -> Json:
        """Return the settings that such a provider needs: patience with jobs that are not there yet."""
        return {"job_grace_seconds": 5 * LAG_SECONDS} if self.job else {}

    def knobs(self, provider: str) -> Mapping[str, Any]:
        """Return the knobs of the sandbox."""
        return SMALL_PAGES.get(provider, {}) if self.moves else {}


WORLDS = {
    "lag": World(job={"lag_seconds": LAG_SECONDS}),
    "replicas": World(job={"lag_seconds": LAG_SECONDS, "replicas": 2}),
    "ties": World(moves={"ties": True}),
    "behind": World(clock={"skew_seconds": -45}),
    "ahead": World(clock={"skew_seconds": 45, "drift": 0.01}),
    "all": World({"ties": True}, {"lag_seconds": LAG_SECONDS}, {"skew_seconds": -45, "drift": 0.01}),
}
