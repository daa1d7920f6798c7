"""Numbered pages of a list from which records vanish while it is read.

A record that vanishes moves all later ones forward, so that the next page begins too late. Pages therefore overlap: a
page that shares no record with what was read before may leave a gap, and the reader steps back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tap_exports.engine.model import Page, Row
from tap_exports.errors import StopError

SMALLEST_PAGE = 2  # one record of overlap and one new one
IDLE_PAGES = 10


def read_shifting(fetch: Callable[[int, int], Page], limit: int, where: str, key: str = "id") -> Iterator[Page]:
    """Yield the records of a list in its order, each once, without a gap, whatever vanishes meanwhile.

    The overlap takes a page size of its own for most pages, since a page always begins at a multiple of its size. A
    server that caps the size without a word is understood by the length of its pages.

    Args:
        fetch: Returns one page by its 1-based number and the number of items per page.
        limit: Items per page at most.
        where: What is read, for messages.
        key: Names the field that tells records apart.

    Raises:
        StopError: Pages repeat each other without an end.
    """
    seen: set[str] = set()
    offset = idle = 0
    while True:
        page, begin, size = _reach(fetch, offset, limit)
        rows = {str(row[key]): row for row in page.items}
        fresh = [row for name, row in rows.items() if name not in seen]
        idle = 0 if fresh else idle + 1
        if idle > IDLE_PAGES + len(seen) // limit:
            msg = f"{where}: {idle} pages in a row hold nothing new; the provider does not turn pages"
            raise StopError(msg)
        if begin and len(fresh) == len(rows):
            offset = max(0, begin - limit)
            continue
        if fresh:
            seen.update(str(row[key]) for row in fresh)
            yield Page(fresh)
        if ends(page, size):
            return
        if len(page.items) < size:
            limit = max(SMALLEST_PAGE, min(limit, len(page.items)))
        offset = begin + len(page.items) - 1


def slot(offset: int, limit: int) -> tuple[int, int]:
    """Return number and size of the page that begins at `offset` or before it and reaches farthest beyond it."""
    size = max(range(min(limit, SMALLEST_PAGE), limit + 1), key=lambda size: (offset // size * size + size, size))
    return offset // size + 1, size


def _reach(fetch: Callable[[int, int], Page], offset: int, limit: int) -> tuple[Page, int, int]:
    """Return a page around `offset`, where it begins, and how many items were asked for.

    Where a page of any size ends at `offset`, two are joined. The earlier one is fetched last: what vanishes in between
    moves it towards the other.
    """
    number, size = slot(offset, limit)
    begin = (number - 1) * size
    if not offset or begin + size > offset + 1:
        return fetch(number, size), begin, size
    later, earlier = fetch(number + 1, size), fetch(number, size)
    return Page([*earlier.items, *later.items], last=later.last), begin, 2 * size


def ends(page: Page, size: int) -> bool:
    """Tell whether nothing follows a page: by the provider's own word, else by its length."""
    return page.last if page.last is not None else len(page.items) < size


def newest_first(fetch: Callable[[int, int], Page], limit: int, key: str = "id") -> Iterator[Row]:
    """Yield the records of a list that shows the newest first, each once.

    What is added meanwhile only repeats records, and what vanishes are the oldest, so no overlap is needed.

    Args:
        fetch: Returns one page by its 1-based number and the number of items per page.
        limit: Items per page.
        key: Names the field that tells records apart.
    """
    seen: set[str] = set()
    number, last = 0, False
    while not last:
        number += 1
        page = fetch(number, limit)
        fresh: Sequence[Row] = [row for row in page.items if str(row[key]) not in seen]
        seen.update(str(row[key]) for row in fresh)
        yield from fresh
        last = not page.items or ends(page, limit)
