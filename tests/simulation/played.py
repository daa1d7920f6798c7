"""A story that was played: its taps, each with a target of its own, and their runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.simulation.jobs import Account
from tests.simulation.story import Story
from tests.simulation.target import Target
from tests.simulation.world import Json, Ran, World


@dataclass(frozen=True)
class Finding:
    """A promise that a history broke.

    Attributes:
        kind: Which, in a word or two; shrinking keeps it.
        stream: Where, or the empty text.
        text: What was seen.
    """

    kind: str
    stream: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}{f' ({self.stream})' if self.stream else ''}: {self.text}"


@dataclass(eq=False)
class Side:
    """One tap and its target.

    Attributes:
        config: Settings of the next run.
        target: What arrived.
        runs: What was run.
        beyond: What was wrong with a STATE when the target kept it.
        looked: Bookmarks by stream as they were last looked at.
    """

    config: Json
    target: Target
    runs: list[Ran] = field(default_factory=list)
    beyond: list[Finding] = field(default_factory=list)
    looked: dict[str, Json] = field(default_factory=dict)

    @property
    def last(self) -> Ran:
        """Return the last run."""
        return self.runs[-1]


@dataclass(eq=False)
class History:
    """A story that was played.

    Attributes:
        sides: The taps; mostly one, or two at once on one account.
    """

    story: Story
    world: World
    account: Account
    sides: list[Side] = field(default_factory=list)
