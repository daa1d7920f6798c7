"""Numbered pages, requested concurrently and yielded in order: one read of a list; `whole.py` proves it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, TypeVar

from tap_exports.engine.model import Page
from tap_exports.engine.workers import Workers
from tap_exports.errors import BadContentError, NotFoundError, RefusedError, StopError

T = TypeVar("T")
LOOKS = 3  # for a page beyond what is declared, which is refused


def read_pages(
    fetch: Callable[[int], T], parse: Callable[[T], Page], limit: int, concurrency: int, where: str
) -> Iterator[Page]:
    """Yield the pages of a list in order.

    If the first page declares the number of pages or rows, up to `concurrency` requests run ahead; otherwise pages are
    requested one by one. What a page holds ends the list, not what the provider counts: see `_Course.ends`.

    Args:
        fetch: Returns the reply with one page, by its 1-based number; runs in threads.
        parse: Returns the page of a reply; runs in the caller's thread, when the page is due.
        limit: Items requested per page.
        concurrency: Most requests in flight.
        where: Name of the list, for messages.

    Raises:
        StopError: A page repeats the one before it.
        BadContentError: A page is empty although the provider declares more.
    """
    first = parse(fetch(1))
    last = _last_page(first, limit)
    pages = _ahead(fetch, last, concurrency) if last else _one_by_one(fetch, 2)
    course = _Course(limit, where, fetch, parse, pages)
    yield first
    if course.ends(first):
        return
    with closing(pages):  # not left to the finaliser: a signal that comes within one is lost
        while (page := course.next()) is not None:
            yield page
            if course.ends(page):
                return


def _numbers_from(start: int) -> Iterator[int]:
    number = start
    while True:
        yield number
        number += 1


def _one_by_one(fetch: Callable[[int], T], start: int) -> Generator[T, None, None]:
    return (fetch(number) for number in _numbers_from(start))


def _last_page(first: Page, limit: int) -> int | None:
    """Return the last page's number as the first page declares it, or None; uses the page size that the server sent."""
    if first.pages is not None:
        return max(first.pages, 1)
    if first.total is not None and first.items:
        return max(1, math.ceil(first.total / min(limit, len(first.items))))
    return None


@dataclass(slots=True)
class _Course(Generic[T]):
    """Where one read of a list stands.

    Attributes:
        limit: Items requested per page.
        where: Name of the list, for messages.
        fetch: As in `read_pages`.
        parse: As in `read_pages`.
        replies: Those of the pages from the next one on.
        number: Number of the current page.
        seen: Items of all pages so far.
        total: The last count of the whole list that a page declared, or None.
        size: Items of a full page, as the first page shows or tells.
        before: The page before the next one.
    """

    limit: int
    where: str
    fetch: Callable[[int], T]
    parse: Callable[[T], Page]
    replies: Iterator[T]
    number: int = 0
    seen: int = 0
    size: int = 0
    total: int | None = None
    before: Page | None = None

    def next(self) -> Page | None:
        """Return the next page; None if all that is declared was read and the provider knows no further page.

        Raises:
            StopError: It repeats the page before it.
            BadContentError: It is empty and declares nothing, where an earlier one declared more rows.
        """
        page = self._next()
        if page is None:
            return None
        if not page.items and page.total is None and self.total is not None and self.seen < self.total:
            due = f"{self.total} records are due and {self.seen} came"
            raise BadContentError(f"{self.where}: page {self.number + 1} is empty, but {due}")
        if self.before is None or not page.items or list(page.items) != list(self.before.items):
            return page
        if self._is_complete() or self._is_unpaged(page):
            return None
        if self._is_uniform(page):
            return page
        number = self.number + 1
        msg = f"{self.where}: page {number} repeats page {self.number}; the provider ignores the page number"
        raise StopError(msg)

    def _next(self) -> Page | None:
        """Return the next page, None where the provider refuses it several times and all that is declared was read.

        The count may be as wrong as a single refusal.
        """
        for look in range(LOOKS):
            try:
                return self.parse(self.fetch(self.number + 1) if look else next(self.replies))
            except (NotFoundError, RefusedError):
                if not self._is_complete():
                    raise
            self.replies = _one_by_one(self.fetch, self.number + 2)  # those ahead ended with it
        return None

    def ends(self, page: Page) -> bool:
        """Return whether a page is the last one.

        The provider's word on this very page counts first. A full page never ends a list, whatever is counted: one more
        request shows whether the count is too low. A short page ends it where the count agrees, or where there is none.
        Servers cap `limit` silently, so a page is short only where the provider tells the size of a full one, or where
        the first page was longer. An empty page always ends the list.

        Raises:
            BadContentError: It is empty although the provider declares more.
        """
        self.number, self.seen, self.before = self.number + 1, self.seen + len(page.items), page
        self.size = self.size or min(self.limit, page.size or len(page.items))
        self.total = page.total if page.total is not None else self.total
        if not page.items:
            return self._ends_empty(page)
        if page.last is not None:
            return page.last
        if len(page.items) >= self.size or (page.pages is not None and self.number < page.pages):
            return False
        return page.total is None or self.seen == page.total

    def _ends_empty(self, page: Page) -> bool:
        if page.last is False or (page.pages is not None and self.number < page.pages):
            msg = f"{self.where}: page {self.number} is empty, but the provider says that more follow"
            raise BadContentError(msg)
        return True

    def _is_complete(self) -> bool:
        """Return whether exactly what the provider declares was read."""
        page = self.before
        if page is None or (page.total is None and page.pages is None):
            return False
        return page.total in {None, self.seen} and page.pages in {None, self.number}

    def _is_uniform(self, page: Page) -> bool:
        """Return whether all rows of a page are equal, so that it may look like the one before it, within the count."""
        within = self.seen < (page.total or 0) or self.number < (page.pages or 0)
        return within and len(page.items) > 1 and all(item == page.items[0] for item in page.items)

    def _is_unpaged(self, page: Page) -> bool:
        """Return whether the first page is the whole of a list that has no pages: it is short and comes again."""
        return self.number == 1 and page.total is page.pages is page.last is None and len(page.items) < self.limit


def _ahead(fetch: Callable[[int], T], last: int, concurrency: int) -> Generator[T, None, None]:
    """Yield the replies of pages 2, 3, …, concurrently up to `last`, then one by one, as the list may have grown."""
    workers: Workers[T] = Workers(concurrency, "pages")
    running: deque[Future[T]] = deque()
    numbers = _numbers_from(2)
    try:
        for number in numbers:
            running.append(workers.submit(lambda n=number: fetch(n)))  # type: ignore[misc] # the default binds `n`
            if len(running) > concurrency or number >= last:
                yield running.popleft().result()
            while running and number >= last:
                yield running.popleft().result()
    finally:
        for future in running:
            future.cancel()
        workers.close()
