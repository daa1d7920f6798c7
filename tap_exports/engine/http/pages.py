"""Numbered pages, read ahead by several requests and handed on in order."""

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

    The first page tells how many there are; then up to `concurrency` requests run ahead. A list that tells nothing is
    read one by one. The end is an empty page, the provider's own word, or as many rows as it counts; a short page alone
    is no end where a count says otherwise, since servers cap `limit` silently.

    Args:
        fetch: Returns the reply with one page, by its 1-based number; runs in threads.
        parse: Returns the page of a reply; runs where the page is used, while its values are still in the cache.
        limit: Items asked for per page.
        concurrency: Requests in flight.
        where: What is read, for messages.

    Raises:
        StopError: A page repeats the one before it.
        BadContentError: A page is empty although the provider says that more follow.
    """
    first = parse(fetch(1))
    before = first.items
    yield first
    last = _last_page(first, limit)
    pages = _ahead(fetch, last, concurrency) if last else (fetch(number) for number in _numbers_from(2))
    seen = len(first.items)
    if _ends(first, 1, seen, limit, where):
        return
    with closing(pages):  # not left to the finaliser: a signal that comes within one is lost
        for number, page in enumerate(map(parse, pages), start=2):
            if _repeats(page, before):
                msg = f"{where}: page {number} repeats page {number - 1}; the provider does not turn pages"
                raise StopError(msg)
            before = page.items
            yield page
            seen += len(page.items)
            if _ends(page, number, seen, limit, where):
                return


def _numbers_from(start: int) -> Iterator[int]:
    number = start
    while True:
        yield number
        number += 1


def _last_page(first: Page, limit: int) -> int | None:
    """Return the number of the last page as the first one tells it; the server's own page size counts, not ours."""
    if first.pages is not None:
        return max(first.pages, 1)
    if first.total is not None and first.items:
        return max(1, math.ceil(first.total / min(limit, len(first.items))))
    return None


def _repeats(page: Page, before: Sequence[Row]) -> bool:
    """Tell whether a page is the one before it; where a count ends the list, pages of equal rows may well be equal."""
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
    """Yield the replies of pages 2, 3, … with requests running ahead; past `last` one by one, for a list that grows."""
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
