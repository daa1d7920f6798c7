"""A run over lists whose rows have to meet guards before they count as whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Checkpoint, Event, Proven, Rows, Step
from tap_exports.engine.read.guards import Guards, check_usual, lacking, names_of, refuse
from tap_exports.engine.read.tally import Tally
from tap_exports.errors import TooFewRowsError

WHOLE = "list"  # in place of a job's id


class Lists(Protocol):
    """A run that reads everything each time."""

    def start(self) -> None:
        """Begin what can run ahead."""

    def plan(self) -> Iterator[Step]:
        """Yield what the run is going to do."""

    def events(self) -> Iterator[Event]:
        """Yield the rows, then the proof."""


@dataclass(frozen=True, slots=True)
class GuardedRun:
    """Holds the rows of a full read against the guards of its export; there is no job that has an age.

    Attributes:
        stream: The stream's name.
        run: Reads the lists.
        guards: The conditions.
        state: Remembers what a guard refused: a later run that finds the same is believed.
    """

    stream: str
    run: Lists
    guards: Guards
    state: StreamState

    def start(self) -> None:
        """Begin what can run ahead."""
        self.run.start()

    def plan(self) -> Iterator[Step]:
        """Yield what the run is going to do."""
        yield from self.run.plan()

    def events(self) -> Iterator[Event]:
        """Yield the events of the run; the proof comes only where the guards hold.

        Raises:
            GuardError: They do not; that of `min_rows` in the first run only.
        """
        tally, missing = Tally(), set(self.guards.expect_columns)
        for event in self.run.events():
            if isinstance(event, Rows):
                missing -= names_of(event)
                tally.add(len(event))
            elif isinstance(event, Proven):
                if missing and tally.rows:
                    raise lacking(self.stream, missing)
                yield from self._check_rows(tally)
            yield event

    def _check_rows(self, tally: Tally) -> Iterator[Checkpoint]:
        is_few, was_few = tally.rows < (self.guards.min_rows or 0), WHOLE in self.state.refused
        if is_few != was_few:
            self.state.keep_refused([WHOLE] if is_few else [])
            yield Checkpoint()
        check_usual(self.stream, self.guards, self.state, tally.rows, None)
        if is_few:
            tally.waives = (TooFewRowsError,) if was_few else ()
            refuse(TooFewRowsError, f"{self.stream}: {tally.rows} rows, min_rows is {self.guards.min_rows}", tally)
