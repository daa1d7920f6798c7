"""Optional guards: conditions that the rows of an export must meet before its window is proven."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import pyarrow as pa

from tap_exports.engine.clock import Clock
from tap_exports.engine.jobs import Outcome, describe
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Event, Rows, Window
from tap_exports.engine.read.files import Reads, RunsAhead
from tap_exports.engine.read.tally import Tally
from tap_exports.errors import ColumnsError, GuardError, TooFewRowsError, TooOldError

LOGGER = logging.getLogger("tap-exports.run")
SECONDS_PER_HOUR = 3600
FEWEST_COUNTS = 3  # before a median says what is usual


@dataclass(frozen=True, slots=True)
class Guards:
    """Configured conditions of one export; the defaults check nothing.

    Attributes:
        expect_columns: Columns that the rows must have.
        min_rows: Least number of rows of a job.
        max_age_hours: Greatest age of a job when reading starts.
        min_rows_ratio: Least number of rows of a job, as a share of the median of the last ones; 0 only records them.
    """

    expect_columns: Collection[str] = ()
    min_rows: int | None = None
    max_age_hours: float | None = None
    min_rows_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class GuardedReader:
    """Wraps a reader and stops the stream when a guard fails; the window then stays open.

    Attributes:
        reader: Reads the rows of a job.
        guards: The conditions.
        clock: For the age of a job.
    """

    reader: Reads
    guards: Guards
    clock: Clock

    def read(self, outcome: Outcome, state: StreamState, tally: Tally) -> Iterator[Event]:
        """Yield the rows; a column missing from a file is raised before its first row, from pages after the last one.

        Raises:
            GuardError: A guard failed; the message gives the observed value.
            TapError: As the wrapped reader.
        """
        where = describe(outcome.request.stream, outcome.job, outcome.request.window)
        self._check_age(where, outcome, tally)
        missing = set(self.guards.expect_columns)
        try:
            for event in self.reader.read(outcome, state, tally):
                if isinstance(event, Rows):
                    missing -= names_of(event)
                    if missing and isinstance(event.data, pa.RecordBatch):
                        raise lacking(where, missing)
                yield event
        except ColumnsError as error:
            raise lacking(where, error.missing) from error
        if missing and tally.rows:
            raise lacking(where, missing)
        if self.guards.min_rows is not None and tally.rows < self.guards.min_rows:
            refuse(TooFewRowsError, f"{where}: {tally.rows} rows, min_rows is {self.guards.min_rows}", tally)
        check_usual(where, self.guards, state, tally.rows, length_of(outcome.request.window))

    def run_ahead(self, outcome: Outcome) -> None:
        """Pass on to the wrapped reader, if it can run ahead."""
        if isinstance(self.reader, RunsAhead):
            self.reader.run_ahead(outcome)

    def release(self) -> None:
        """Pass on to the wrapped reader, if it can run ahead."""
        if isinstance(self.reader, RunsAhead):
            self.reader.release()

    def _check_age(self, where: str, outcome: Outcome, tally: Tally) -> None:
        limit, created = self.guards.max_age_hours, outcome.job.created_at or outcome.requested_at
        hours = (self.clock.now() - created).total_seconds() / SECONDS_PER_HOUR
        if limit is not None and hours > limit:
            refuse(TooOldError, f"{where}: {hours:.1f} hours old, max_age_hours is {limit}", tally)


def check_usual(where: str, guards: Guards, state: StreamState, rows: int, seconds: float | None) -> None:
    """Hold rows against those of the last proven jobs (`min_rows_ratio`), then record them.

    Raises:
        GuardError: They are too few.
    """
    if (ratio := guards.min_rows_ratio) is None:
        return
    usual = usual_rows(state.counts, seconds)
    if usual is not None and rows < ratio * usual:
        raise GuardError(
            f"{where}: {rows} rows where {usual:,.0f} are usual, min_rows_ratio is {ratio}; the window stays open; "
            "to accept them, set min_rows_ratio to 0 for one run"
        )
    state.note_count(rows, seconds)


def refuse(kind: type[GuardError], message: str, tally: Tally) -> None:
    """Raise what a guard says of a job; log it where the same job was refused before and no other can be had.

    Raises:
        GuardError: It was not.
    """
    if kind not in tally.waives:
        raise kind(f"{message}; the window stays open")
    LOGGER.warning("%s; a second run finds the same, so it is read all the same", message)


def usual_rows(counts: Sequence[tuple[int, float | None]], seconds: float | None) -> float | None:
    """Return the rows that a job usually has, by the median of the last ones; None where fewer than three are known.

    Args:
        counts: Rows and window in seconds of the last proven jobs; None for a full export.
        seconds: Length of the window; rows per second count then, since windows differ in length.
    """
    if seconds is None:
        found = [float(rows) for rows, span in counts if span is None]
    else:
        found = [rows / span * seconds for rows, span in counts if span]
    return median(found) if len(found) >= FEWEST_COUNTS else None


def length_of(window: Window | None) -> float | None:
    """Return the length of a window in seconds, None for a full export or an open beginning."""
    return (window.end - window.start).total_seconds() if window and window.start else None


def names_of(rows: Rows) -> set[str]:
    """Return the columns of rows."""
    if isinstance(rows.data, pa.RecordBatch):
        return set(rows.data.schema.names)
    return set().union(*rows.data)


def lacking(where: str, missing: Collection[str]) -> GuardError:
    """Return the error of columns that are expected and missing."""
    names = ", ".join(f'"{name}"' for name in sorted(missing))
    return GuardError(f"{where}: expect_columns: {names} missing from the rows; the window stays open")
