"""Numbered pages of a list from which records vanish while it is read.

A vanished record moves all later records forward, so that the next page would skip some. Pages therefore overlap: if a
page shares no record with those read before, there may be a gap, and the reader requests an earlier page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tap_exports.engine.model import Page, Row
from tap_exports.errors import StopError

SMALLEST_PAGE = 2  # one record of overlap and one new one
IDLE_PAGES = 10


def read_shifting(fetch: Callable[[int, int], Page], limit: int, where: str, key: str = "id") -> Iterator[Page]:
    """Yield the records of a list in its order, each once, without a gap, whatever vanishes meanwhile.

    A page begins at a multiple of its size, so overlap needs a different size for most pages. A server that caps the
    size silently is recognised by the length of its pages.

    Args:
        fetch: Returns one page by its 1-based number and the number of items per page.
        limit: Items per page at most.
        where: Name of the list, for messages.
        key: Field that identifies a record.

    Raises:
        StopError: Too many pages in a row hold no new record, or none that was read before.
    """
    seen: set[str] = set()
    offset = idle = 0
    while True:
        page, begin, size = _reach(fetch, offset, limit)
        rows = {str(row[key]): row for row in page.items}
        fresh = [row for name, row in rows.items() if name not in seen]
        has_gap = begin > 0 and len(fresh) == len(rows)
        idle = idle + 1 if has_gap or not fresh else 0
        if idle > IDLE_PAGES + len(seen) // limit:
            msg = f"{where}: {idle} pages in a row hold nothing new; the provider ignores the page number"
            raise StopError(msg)
        if has_gap:
            offset = max(0, begin - limit)
            continue
        last = ends(page, size, is_new=bool(fresh))
        if fresh:
            seen.update(str(row[key]) for row in fresh)
            yield Page(fresh, page.total, last=last)
        if last:
            return
        if len(page.items) < size:
            limit = max(SMALLEST_PAGE, min(limit, len(page.items)))
        offset = begin + len(page.items) - 1


def slot(offset: int, limit: int) -> tuple[int, int]:
    """Return number and size of the page that begins at or before `offset` and reaches farthest past it."""
    size = max(range(min(limit, SMALLEST_PAGE), limit + 1), key=lambda size: (offset // size * size + size, size))
    return offset // size + 1, size


def _reach(fetch: Callable[[int, int], Page], offset: int, limit: int) -> tuple[Page, int, int]:
    """Return a page around `offset`, the offset of its first item, and the number of items requested.

    If pages of every size end at `offset`, two pages are joined. The earlier one is fetched last: a record that
    vanishes in between moves its items towards the later one, so that no gap appears.
    """
    number, size = slot(offset, limit)
    begin = (number - 1) * size
    if not offset or begin + size > offset + 1:
        return fetch(number, size), begin, size
    later, earlier = fetch(number + 1, size), fetch(number, size)
    return Page([*earlier.items, *later.items], total=later.total, last=later.last), begin, 2 * size


def ends(page: Page, size: int, *, is_new: bool) -> bool:
    """Return whether a page is the last one: as the provider declares, else if it is short.

    Args:
        page: The page.
        size: Items requested. Where the provider does not tell the size of a full page, it may be smaller than that, so
            only a page that shows nothing new is short.
        is_new: Whether the page shows a record that no page before it showed.
    """
    if page.last is not None:
        return page.last
    return len(page.items) < min(size, page.size or size) and (page.size is not None or not is_new)


def newest_first(fetch: Callable[[int, int], Page], limit: int, where: str, key: str = "id") -> Iterator[Row]:
    """Yield the records of a list in descending order of creation, each once.

    Records added meanwhile only make later pages repeat some, and only the oldest vanish: no overlap is needed.

    Args:
        fetch: Returns one page by its 1-based number and the number of items per page.
        limit: Items per page.
        where: Name of the list, for messages.
        key: Field that identifies a record.

    Raises:
        StopError: Too many pages in a row hold no new record.
    """
    seen: set[str] = set()
    number, idle, last = 0, 0, False
    while not last:
        number += 1
        page = fetch(number, limit)
        fresh: Sequence[Row] = [row for row in page.items if str(row[key]) not in seen]
        idle = 0 if fresh else idle + 1
        if idle > IDLE_PAGES:
            msg = f"{where}: {idle} pages in a row hold nothing new; the provider ignores the page number"
            raise StopError(msg)
        seen.update(str(row[key]) for row in fresh)
        yield from fresh
        last = not page.items or ends(page, limit, is_new=bool(fresh))
