"""Lists that are read until they are proven whole: a list may change between two of its pages.

A record that is deleted moves another one onto a page that was read already; records of one instant may come in another
order with each request; a total may be too low, 0 or absent. So distinct records are counted instead of rows, and a
list whose count does not prove it is read again. A record that comes as another one goes leaves the total as it is: of
a list that is known to move, two reads in a row have to be proven by their count.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from tap_exports.engine.model import Page, Row
from tap_exports.errors import CountError, StopError

LOGGER = logging.getLogger("tap-exports.http")
IDLE_READS = 8  # in a row that show nothing new; of a list in random order, a read misses a third of the records
IDLE_READS_OF_JOINED = 2  # of a list that no read shows whole: one record may have gone, and another one come
IDLE_READS_OF_FEWER = 3  # of a list whose reads agree, and that shows fewer records than are known of
IDLE_READS_OF_AGREED = 5  # of a list whose reads agree, and whose total counts more, or which repeats rows in any order
ROWS_IN_ORDER = 12  # that two reads in random order do not show in the same order by chance
MOST_READS = 30
IDLE_PAGES = 3
BYTES = 16
COUNTED, AGREED, UNPROVEN = "A", "B", "C"


@dataclass(slots=True)
class _Read:
    """One read of a list.

    Attributes:
        digests: Distinct records; of the first read, the same set as that of the list, which grows later.
        distinct: Their number.
        confirmed: Those that the read before showed too.
        rows: Records, repeated ones included.
        repeats: How often a row without a key came beyond its first time.
        order: A mark of all rows in their order, for rows without a key.
        total: The last page's total, or None.
        totals: The totals of all pages.
        shrinks: Whether the total of a page is below that of the page before.
        page_marks: Sum of the digests of each page.
        count: Pages so far.
        full: Rows of the first page if it is full, or not the last one, by the provider's word; else 0.
        idle: Pages in a row that hold nothing new.
        is_one_reply: Whether the first page is, by the provider's word, all there is.
        follows: Whether records follow those of the first page, or the provider says so of a page.
    """

    digests: set[bytes]
    distinct: int = 0
    confirmed: int = 0
    rows: int = 0
    repeats: Counter[bytes] = field(default_factory=Counter)
    order: int = 0
    total: int | None = None
    totals: set[int | None] = field(default_factory=set)
    shrinks: bool = False
    page_marks: set[int] = field(default_factory=set)
    count: int = 0
    full: int = 0
    idle: int = 0
    is_one_reply: bool = False
    follows: bool = False

    @property
    def is_clean(self) -> bool:
        """Return whether no record came twice, apart from repeated rows without a key."""
        return self.rows == self.distinct + sum(self.repeats.values())

    def note(self, page: Page) -> None:
        """Note what a page says of the list."""
        if page.total is not None:
            self.shrinks = self.shrinks or page.total < (self.total or 0)
            self.total = page.total
        self.totals.add(page.total)
        only = page.last or (page.last is None and page.pages in {0, 1})
        self.is_one_reply = bool(not self.count and only)
        if not self.count and (page.last is False or (page.size and len(page.items) >= page.size)):
            self.full = len(page.items)
        self.follows = self.follows or page.last is False or bool(self.count and page.items)
        self.count += 1

    @property
    def exceeds(self) -> bool:
        """Return whether more rows came than the total counts: it is too low, and proves nothing."""
        return self.total is not None and self.rows > self.total

    @property
    def counts_a_page(self) -> bool:
        """Return whether the total is that of a full first page: it may count that page and not the list."""
        return bool(self.full) and self.total == self.full and self.count > 1

    def is_counted(self) -> bool:
        """Return whether its distinct records are as many as the total, which may have grown, but never fell."""
        return self.distinct == self.total and not (self.shrinks or self.exceeds or self.counts_a_page)

    def keeps_order(self, before: _Read | None) -> bool:
        """Return whether its rows come as in the read before, too many of them for chance."""
        return before is not None and self.order == before.order and self.rows >= ROWS_IN_ORDER

    def confirms(self, before: _Read) -> bool:
        """Return whether it shows all that the read before showed: then none of that read's records was deleted.

        A deleted record hides another one only after it was shown itself, so that nothing was hidden in that read.
        """
        same = self.confirmed == before.distinct
        same = same and all(self.repeats[digest] >= count for digest, count in before.repeats.items())
        return same and before.is_clean and not before.shrinks


def _no_pause(idle: int) -> None:
    """Do not wait."""
    del idle


@dataclass(slots=True)
class WholeList:
    """A list, read until it is proven whole.

    Attributes:
        read: Yields the pages of the list, from its beginning; called once per read.
        key: Fields that identify a record. Without any, whole rows are compared, and how often each one comes.
        where: Name of the list, for messages.
        pause: Called before each further read, with the number of reads in a row that showed nothing new; may wait.
        grows: Whether records come into the list while it is read, as who reads the pages found; set before their end.
        least: Records that are known of otherwise: while fewer show, and no total tells, reads that agree prove less.
        proof: Once `pages` has ended: `A` if the provider's total equals the number of distinct records, `B` if a read
            showed all that the one before it showed or one reply holds all, `C` if neither came about in `MOST_READS`
            reads, or before `IDLE_READS` in a row showed nothing new.
        distinct: Distinct records; repeated rows included where there is no key.
        total: The provider's own count in the last read, or None.
    """

    read: Callable[[], Iterable[Page]]
    key: Sequence[str]
    where: str
    pause: Callable[[int], None] = _no_pause
    grows: bool = False
    least: int = 0
    proof: str = UNPROVEN
    distinct: int = 0
    total: int | None = None
    _known: set[bytes] = field(default_factory=set, repr=False)
    _reads: int = 0
    _totals: set[int | None] = field(default_factory=set, repr=False)
    _exceeded: bool = False
    _repeated: dict[bytes, Row] = field(default_factory=dict, repr=False)
    _now: _Read | None = None
    _in_all: Counter[bytes] = field(default_factory=Counter, repr=False)
    _may_repeat: bool = False
    _is_joined: bool = False

    @property
    def is_steady(self) -> bool:
        """Return whether nothing has changed so far: no record came twice, and the total is the same on all pages.

        Then a list that the provider sorts has shown all records before the last one that was read: a record that was
        passed over would have changed the total, or have left its place to one that came before.
        """
        now = self._now
        if now is None or now.digests is not self._known or now.total is None or len(now.totals) > 1:
            return False
        return now.distinct == now.rows <= now.total

    @property
    def turns_uncounted(self) -> bool:
        """Return whether the last read had several pages and no total: what moves between them shows nowhere."""
        return self._now is not None and self._now.total is None and self._now.follows

    def pages(self) -> Iterator[Page]:
        """Yield the records, in the provider's order at first, then those that only a further read shows.

        Without a key, a row that comes twice in a read is held back until the list is proven: it stands twice in the
        list, or it moved to another page.

        Raises:
            StopError: The provider does not turn pages.
        """
        idle = 0
        while self._reads < MOST_READS and idle < IDLE_READS and not self._is_proven(idle):
            if self._reads:
                self.pause(idle)
            shown, self.proof = len(self._known), UNPROVEN
            before, now = self._now, _Read(set() if self._reads else self._known)
            self._now, self._reads = now, self._reads + 1
            yield from self._pages(now, before)
            self._totals |= now.totals
            self._exceeded = self._exceeded or now.exceeds
            self.proof = self._proof_of(now, before)
            idle = 0 if len(self._known) > shown else idle + 1
        yield from self._repetitions()

    def required(self) -> Iterator[Page]:
        """Yield the records as `pages` does, for those who cannot go on without all of them.

        Raises:
            CountError: The list is not proven whole.
        """
        yield from self.pages()
        if self.proof == UNPROVEN:
            raise CountError(self.complaint)
        if self.total not in {None, self.distinct}:
            LOGGER.warning("%s", self.complaint)

    @property
    def complaint(self) -> str:
        """Return what is wrong with the list, for messages."""
        counts = "gives no total" if self.total is None else f"counts {self.total}"
        if self.proof != UNPROVEN:
            return f"{self.where}: {self.distinct} different records read, the provider {counts}"
        advice = "" if self.key else "; without a key (primary_keys) repeated rows cannot be told apart"
        return (
            f"{self.where}: {self._reads} reads of this list differ, they show {self.distinct} different records, "
            f"the provider {counts}{advice}"
        )

    def _pages(self, now: _Read, before: _Read | None) -> Iterator[Page]:
        with closing(_generator(self.read())) as pages:
            for page in pages:
                now.note(page)
                fresh = self._fresh(page, now, before)
                if now.digests is self._known and self.key:
                    yield page
                elif fresh:
                    yield Page(fresh, page.total, page.pages, page.last)

    def _fresh(self, page: Page, now: _Read, before: _Read | None) -> list[Row]:
        """Return the records that no read has shown yet, and take note of all; a repeated row is held back."""
        digests = [digest_of(row, self.key) for row in page.items]
        if digests and self._is_new(digests, now):
            return self._taken(page, digests, now)
        fresh, page_mark, news = [], 0, False
        for row, digest in zip(page.items, digests, strict=True):
            page_mark += int.from_bytes(digest, "big")
            now.order = hash((now.order, digest))
            if digest in now.digests:
                self._repeat(digest, row, now)
                continue
            news = True
            now.confirmed += before is not None and digest in before.digests
            if digest not in self._known:
                fresh.append(row)
                self._known.add(digest)
            now.digests.add(digest)
            now.distinct += 1
        now.rows += len(page.items)
        self._check_idle(page, now, page_mark, news=news)
        return fresh

    def _is_new(self, digests: list[bytes], now: _Read) -> bool:
        """Return whether this is the first read, with a key, and no record of a page came before: the usual page."""
        if not self.key or now.digests is not self._known:
            return False
        new = set(digests)
        return len(new) == len(digests) and new.isdisjoint(self._known)

    def _taken(self, page: Page, digests: list[bytes], now: _Read) -> list[Row]:
        """Take note of a page of which all is new."""
        self._known.update(digests)
        now.distinct += len(digests)
        now.rows += len(digests)
        now.idle = 0
        return list(page.items)

    def _repeat(self, digest: bytes, row: Row, now: _Read) -> None:
        """Note a row that came before in this read; with a key it is the same record, whose number does not count."""
        if not self.key:
            now.repeats[digest] += 1
            self._repeated.setdefault(digest, row)

    def _check_idle(self, page: Page, now: _Read, page_mark: int, *, news: bool) -> None:
        """Count pages that hold nothing new; without a key, those that hold what another page of the read holds.

        Raises:
            StopError: There are too many in a row.
        """
        new = news if self.key else page_mark not in now.page_marks or self._is_uniform(page, now)
        now.page_marks.add(page_mark)
        now.idle = 0 if new or not page.items else now.idle + 1
        if now.idle > IDLE_PAGES:
            msg = f"{self.where}: {now.idle} pages in a row hold nothing new; the provider ignores the page number"
            raise StopError(msg)

    def _is_uniform(self, page: Page, now: _Read) -> bool:
        """Return whether a page of one repeated row is still within the total."""
        return now.total is not None and now.rows <= now.total and all(row == page.items[0] for row in page.items)

    def _is_proven(self, idle: int) -> bool:
        """Return whether to read on is in vain: two reads in random order may agree, and lack the same record."""
        lacks = self._may_repeat or (self.total is not None and self.distinct < self.total)
        fewer = self.total is None and self.distinct < self.least
        if self.proof == COUNTED:
            return not self._is_joined or idle >= IDLE_READS_OF_JOINED
        wanted = IDLE_READS_OF_AGREED if lacks else IDLE_READS_OF_FEWER if fewer else 0
        return self.proof == AGREED and idle >= wanted

    def _proof_of(self, now: _Read, before: _Read | None) -> str:
        """Return what the reads so far prove, and set the counts."""
        self.total, self.distinct, self._is_joined = now.total, now.distinct, False
        if now.is_counted() and (before.is_counted() if before else not self.grows):
            return COUNTED
        stays = before and len(self._totals) == 1 and now.total == len(self._known)
        if stays and not (self._exceeded or now.counts_a_page):
            self.distinct, self._is_joined = len(self._known), True
            return COUNTED
        is_one = now.is_one_reply and now.count == 1 and now.total is None
        self._in_all = now.repeats & self._in_all if before else now.repeats
        self._may_repeat = self._in_all.total() > 0 and not now.keeps_order(before)
        if is_one or (before and now.confirms(before)):
            self.distinct += self._repeats.total()
            return AGREED
        self.distinct = len(self._known)
        return UNPROVEN

    @property
    def _repeats(self) -> Counter[bytes]:
        """Return how often rows without a key came again: as often as all reads show, none where all rows are counted.

        A row that moved to another page comes twice in one read.
        """
        return Counter() if self.total == len(self._known) else self._in_all

    def _repetitions(self) -> Iterator[Page]:
        """Yield the rows without a key that stand more than once there; not where the total shows that they moved."""
        repeats = self._repeats
        beyond = self.total is not None and len(self._known) + repeats.total() > self.total
        moved = self.proof == COUNTED or (self.proof == UNPROVEN and beyond)
        for digest, row in self._repeated.items() if not moved else ():
            if count := repeats[digest]:
                yield Page([row] * count)


def digest_of(row: Row, key: Sequence[str]) -> bytes:
    """Return 16 bytes that identify a record by its key; by the whole row where a part of the key is missing."""
    parts = [row.get(name) for name in key]
    if not parts or None in parts:
        text = json.dumps(row, sort_keys=True, default=str)
    elif len(parts) == 1 and isinstance(parts[0], str):
        text = parts[0]
    else:
        text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=BYTES).digest()


def _generator(pages: Iterable[Page]) -> Generator[Page, None, None]:
    """Return a generator over pages, which can be closed."""
    yield from pages
