"""Readers of jobs whose rows come as JSON pages instead of files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from tap_exports.engine import decode
from tap_exports.engine.clock import Clock
from tap_exports.engine.http.whole import COUNTED, UNPROVEN, WholeList
from tap_exports.engine.jobs import Outcome, describe
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import OPERATION_ID, Event, Job, Page, Proven, Reject, Rejected, Rows
from tap_exports.engine.place import Places
from tap_exports.engine.read.files import Layouts
from tap_exports.engine.read.tally import Limits, Tally
from tap_exports.errors import CountError

LOGGER = logging.getLogger("tap-exports.run")
SHARES_BETWEEN_READS = (1 / 50, 2 / 50, 3 / 50)  # of the grace, by reads in a row that showed nothing new
SHARES_OF_GRACE = (1 / 300, 4 / 300, 15 / 300)  # waits for a replica that does not show all rows of a job yet


@dataclass(frozen=True, slots=True)
class PageReader:
    """Reads the rows of one run page by page.

    Attributes:
        pages: Yields the pages of a job, each time from the beginning.
        layout: Columns, selection and contract of the stream.
        limits: Rejects allowed, and how counts are verified.
        clock: Measures `read_seconds`.
        key: Fields that identify a row; without any, whole rows are compared between two reads.
        places: Returns what gives the rows of one job their places, or None: rows carry none.
        grace_seconds: As in `JobSettings`: a replica may lag so long.
    """

    pages: Callable[[Job], Iterator[Page]]
    layout: Layouts
    limits: Limits
    clock: Clock
    key: Sequence[str] = ()
    places: Callable[[], Places] | None = None
    grace_seconds: float = 300

    def read(self, outcome: Outcome, state: StreamState, tally: Tally) -> Iterator[Event]:
        """Yield the rows of a job. A broken read restarts at page 1: nothing proves that the pages are unchanged.

        Raises:
            TapError: A page cannot be read, or the counts are wrong.
        """
        del state
        began, job, stream = self.clock.monotonic(), outcome.job, outcome.request.stream
        places = self.places() if self.places else None
        try:
            looks = _Looks(self.clock, self.grace_seconds)
            where, known_of = describe(stream, job, None), job.rows or 0
            settled = partial(self._settled, job, looks)
            found = WholeList(settled, self.key, where, looks.between_reads, least=known_of)
            yield from self._read(found, job, stream, tally, places)
            if found.total is None and found.distinct < known_of:
                _warn_of_fewer(job, found.distinct)
            tally.end_file(stream, self.limits)
            tally.ended, tally.counted = found.proof != UNPROVEN, found.proof == COUNTED
            tally.agrees = check_list(found, self.limits)
            yield Proven(tally.agrees)
        finally:
            if places:
                places.close()
            tally.read_seconds = self.clock.monotonic() - began

    def _settled(self, job: Job, looks: _Looks) -> Iterator[Page]:
        """Yield the pages, once their total reaches the items that the job counts, or the waits, in all, are over.

        What a job counts need not be rows, so that a smaller total is told and stops nothing.
        """
        while True:
            pages = self.pages(job)
            first = next(pages, None)
            if first is None:
                return
            is_behind = job.rows is not None and first.total is not None and first.total < job.rows
            if not is_behind or not looks.wait():
                break
        if is_behind:
            _warn_of_fewer(job, first.total)
        yield first
        yield from pages

    def _read(self, found: WholeList, job: Job, stream: str, tally: Tally, places: Places | None) -> Iterator[Event]:
        tally.begin_file()
        for page in found.pages():
            first = tally.file_rows + tally.file_rejects + 1
            placed = places.of_records(page.items) if places else None
            for item in decode.conform(page.items, self.layout(), first, stream, placed):
                yield from self._item(item, job, stream, tally)

    def _item(self, item: decode.Decoded, job: Job, stream: str, tally: Tally) -> Iterator[Event]:
        if isinstance(item, Reject):
            tally.reject(stream, item, self.limits)
            yield Rejected(job.id, item)
        elif isinstance(item, Rows):
            yield Rows(item.data, {OPERATION_ID: int(job.id)})
            tally.add(len(item))
        else:
            yield item


def _warn_of_fewer(job: Job, rows: int | None) -> None:
    LOGGER.warning("job %s counts %s items, its rows are %s", job.id, job.rows, rows)


class _Looks:
    """Waits between the reads of one list: replicas that lag disagree for a while.

    Args:
        clock: Waits.
        grace_seconds: As in `JobSettings`.
    """

    def __init__(self, clock: Clock, grace_seconds: float) -> None:
        self._clock, self._grace = clock, grace_seconds
        self._waits = [share * grace_seconds for share in SHARES_OF_GRACE]

    def between_reads(self, idle: int) -> None:
        """Wait the longer, the more reads in a row showed nothing new; not while reads show more."""
        if idle:
            self._clock.sleep(SHARES_BETWEEN_READS[min(idle, len(SHARES_BETWEEN_READS)) - 1] * self._grace)

    def wait(self) -> bool:
        """Wait for more rows; return False once the waits, in all, are over."""
        if not self._waits:
            return False
        self._clock.sleep(self._waits.pop(0))
        return True


def check_list(found: WholeList, limits: Limits) -> bool:
    """Return whether a list that was read is whole: its reads agree, and so does the provider's total, if there is one.

    A total below what two reads agree on is wrong by itself: it stops nothing, but no version is activated over it.

    Raises:
        CountError: The list is not proven whole, or shows less than its total, and `verify_counts` is `fail`.
    """
    if found.proof != UNPROVEN and found.total in {None, found.distinct}:
        return True
    message = f"{found.complaint} (verify_counts: {limits.verify_counts})"
    is_longer = found.proof != UNPROVEN and found.total is not None and found.distinct > found.total
    if limits.verify_counts == "fail" and not is_longer:
        raise CountError(message)
    if limits.verify_counts != "off":
        LOGGER.warning("%s", message)
    return False
