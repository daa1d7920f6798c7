"""Numbered pages, requested concurrently and yielded in order."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from typing import TypeVar

from tap_exports.engine.model import Page, Row
from tap_exports.engine.workers import Workers
from tap_exports.errors import BadContentError, StopError

T = TypeVar("T")


def read_pages(
    fetch: Callable[[int], T], parse: Callable[[T], Page], limit: int, concurrency: int, where: str
) -> Iterator[Page]:
    """Yield the pages of a list in order.

    If the first page declares the number of pages or rows, up to `concurrency` requests run ahead; otherwise pages are
    requested one by one. The list ends with an empty page, with the page that the provider marks as the last one, or
    when all declared rows were read. A short page ends it only where nothing is declared: servers cap `limit` silently.

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
    before, total = first.items, first.total
    yield first
    last = _last_page(first, limit)
    pages = _ahead(fetch, last, concurrency) if last else (fetch(number) for number in _numbers_from(2))
    seen = len(first.items)
    if _ends(first, 1, seen, limit, where):
        return
    with closing(pages):  # not left to the finaliser: a signal that comes within one is lost
        for number, page in enumerate(map(parse, pages), start=2):
            if _repeats(page, before):
                msg = f"{where}: page {number} repeats page {number - 1}; the provider ignores the page number"
                raise StopError(msg)
            before, total = page.items, page.total if page.total is not None else total
            _refuse_early_end(page, number, total, seen, where)
            yield page
            seen += len(page.items)
            if _ends(page, number, seen, limit, where):
                return


def _refuse_early_end(page: Page, number: int, total: int | None, seen: int, where: str) -> None:
    """Stop at an empty page that declares nothing, where an earlier one declared more rows."""
    if not page.items and page.total is None and total is not None and seen < total:
        raise BadContentError(f"{where}: page {number} is empty, but {total} records are due and {seen} came")


def _numbers_from(start: int) -> Iterator[int]:
    number = start
    while True:
        yield number
        number += 1


def _last_page(first: Page, limit: int) -> int | None:
    """Return the last page's number as the first page declares it, or None; uses the page size that the server sent."""
    if first.pages is not None:
        return max(first.pages, 1)
    if first.total is not None and first.items:
        return max(1, math.ceil(first.total / min(limit, len(first.items))))
    return None


def _repeats(page: Page, before: Sequence[Row]) -> bool:
    """Return whether a page repeats the previous one; pages of equal rows do not, if a count ends the list."""
    counted = page.total is not None or page.pages is not None
    uniform = counted and len(page.items) > 1 and all(item == page.items[0] for item in page.items)
    return bool(page.items) and list(page.items) == list(before) and not uniform


def _ends(page: Page, number: int, seen: int, limit: int, where: str) -> bool:
    if not page.items:
        if page.last is False or (page.pages is not None and number < page.pages):
            msg = f"{where}: page {number} is empty, but the provider says that more follow"
            raise BadContentError(msg)
        return True
    if page.last:
        return True
    if page.last is False:
        return False
    if page.pages is not None:
        return number >= page.pages
    if page.total is not None:
        return seen >= page.total
    return len(page.items) < limit


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
