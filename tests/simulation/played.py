"""A story that was played, and its runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.simulation.cornect import Cornect
from tests.simulation.exelensia import Exelensia
from tests.simulation.story import Story
from tests.simulation.target import Target
from tests.simulation.world import Json, World


@dataclass(eq=False)
class Ran:
    """How one run ended.

    Attributes:
        failures: Messages by failed stream; `*` for the whole run.
        warnings: What it logged as a warning or an error.
    """

    number: int
    config: Json
    failures: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    ending: str = "ended"


@dataclass(eq=False)
class History:
    """A story that was played.

    Attributes:
        began: When each run began, in seconds.
    """

    story: Story
    world: World
    account: Exelensia | Cornect
    target: Target
    runs: list[Ran] = field(default_factory=list)
    began: dict[int, float] = field(default_factory=dict)

    @property
    def ended(self) -> float:
        """Return when the last run began."""
        return max(self.began.values())
