from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import pytest

from tap_exports.engine.http.pages import read_pages
from tap_exports.engine.model import Page
from tap_exports.engine.workers import Workers
from tap_exports.errors import (
    BadContentError,
    NotFoundError,
    RefusedError,
    StopError,
    TapError,
    Terminated,
    TryAgainError,
)

FOREVER = 50


class Server:
    """Serves pages of numbered items.

    Attributes:
        asked: The pages that were asked for, in the order of the calls.
    """

    def __init__(self, sizes: Sequence[int], **counts: Any) -> None:  # noqa: ANN401 - of `Page`
        self.asked: list[int] = []
        self._counts = counts
        self._sizes = sizes
        self._lock = threading.Lock()

    def __call__(self, number: int) -> Page:
        with self._lock:
            self.asked.append(number)
        assert number < FOREVER
        before = sum(self._sizes[: number - 1])
        size = self._sizes[number - 1] if number <= len(self._sizes) else 0
        return Page([{"n": before + n} for n in range(size)], **self._counts)


def as_it_is(page: Page) -> Page:
    return page


def read(fetch: Callable[[int], Page], limit: int = 2, concurrency: int = 1) -> list[int]:
    return [row["n"] for page in read_pages(fetch, as_it_is, limit, concurrency, "s /list") for row in page.items]


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize(
    ("sizes", "counts", "asked"),
    [
        ([2, 2, 1], {}, 3),
        ([2, 2], {}, 3),
        ([0], {}, 1),
        ([1], {}, 2),
        ([2, 2, 1], {"total": 5}, 3),
        ([2, 2], {"total": 4}, 3),
        ([2, 2], {"total": 2}, 3),
        ([2, 2, 1], {"total": 0}, 4),
        ([2, 2, 1], {"total": 3}, 4),
        ([2, 2, 1], {"total": 2, "pages": 1}, 4),
        ([2, 2, 2], {"pages": 1}, 4),
        ([0], {"total": 0, "pages": 0}, 1),
        ([0], {"total": 0, "pages": 1}, 1),
        ([2, 2, 1], {"pages": 3}, 3),
        ([2, 1, 2], {"pages": 3}, 4),
    ],
)
def test_a_list_is_read_to_its_end(sizes: list[int], counts: dict[str, int], asked: int, concurrency: int) -> None:
    """A full page never ends it, whatever is counted; a short one does where the count agrees; no page comes twice."""
    server = Server(sizes, **counts)
    assert read(server, concurrency=concurrency) == list(range(sum(sizes)))
    assert sorted(server.asked) == list(range(1, asked + 1))


def test_a_limit_that_the_server_caps_is_no_end() -> None:
    """A short page ends nothing whatever a count says: the last page may be a full one."""
    server = Server([2, 2, 2], total=6)
    assert read(server, limit=100) == [0, 1, 2, 3, 4, 5]
    assert server.asked == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("counts", "asked"),
    [
        ({"total": 2}, 4),
        ({"total": 2, "pages": 1}, 4),
        ({"pages": 1}, 3),
        ({"total": 2, "size": 2}, 4),
        ({"total": 5}, 3),
        ({"total": 5, "size": 2}, 3),
    ],
)
@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_capped_page_under_a_total_that_is_too_low_is_no_end(
    counts: dict[str, int], asked: int, concurrency: int
) -> None:
    """Whether a page is full is not known by what was asked for: content ends a list, not a count."""
    server = Server([2, 2, 1], **counts)
    assert read(server, limit=100, concurrency=concurrency) == [0, 1, 2, 3, 4]
    assert len(server.asked) == asked


@pytest.mark.parametrize(("counts", "asked"), [({"total": 2}, 2), ({"total": 2, "size": 100}, 1)])
def test_the_size_of_a_full_page_spares_a_request(counts: dict[str, int], asked: int) -> None:
    """Where the provider tells it, the only page is known to be short."""
    server = Server([2], **counts)
    assert read(server, limit=100) == [0, 1]
    assert len(server.asked) == asked


def test_a_limit_that_the_server_caps_is_no_end_without_a_count() -> None:
    """Only a page that is shorter than the first one ends such a list."""
    assert read(Server([2, 2, 1]), limit=100) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("error", [NotFoundError("404"), RefusedError("422", 422)])
@pytest.mark.parametrize("counts", [{"total": 4}, {"pages": 2}, {"total": 4, "pages": 2}])
def test_a_page_behind_the_end_may_be_refused(error: TapError, counts: dict[str, int]) -> None:
    """Where all that is declared was read the provider need not know a further page; before that it is an error."""

    def served(server: Server) -> Callable[[int], Page]:
        def fetch(number: int) -> Page:
            if number > 2:
                raise error
            return server(number)

        return fetch

    assert read(served(Server([2, 2], **counts))) == [0, 1, 2, 3]
    with pytest.raises(type(error)):
        read(served(Server([2, 2], total=5)))


@pytest.mark.parametrize("counts", [{"total": 2}, {"pages": 1}])
@pytest.mark.parametrize("refusals", [1, 2])
def test_a_refusal_that_passes_ends_no_list(counts: dict[str, int], refusals: int) -> None:
    """The count is too low, and the next page is refused for a moment: it is asked for again, and others follow."""
    server, left = Server([2, 2, 2, 1], **counts), [refusals]

    def fetch(number: int) -> Page:
        if number > 1 and left[0]:
            left[0] -= 1
            raise NotFoundError("404")
        return server(number)

    assert read(fetch) == list(range(7))


def test_a_server_may_answer_with_the_last_page_behind_the_end() -> None:
    """The page that comes again ends a list whose count is reached."""
    server = Server([2, 2], total=4)
    assert read(lambda number: server(min(number, 2))) == [0, 1, 2, 3]


def test_a_list_without_pages_comes_once() -> None:
    """A short page that comes again, of a provider that declares nothing, is a list that has no pages."""
    assert read(lambda _: Page([{"n": 1}, {"n": 2}]), limit=3) == [1, 2]


def test_the_provider_says_what_is_last() -> None:
    """Its own word stands above all counting."""
    pages = [
        Page([{"n": 0}], last=False),
        Page([{"n": 1}, {"n": 2}], last=False),
        Page([{"n": 3}, {"n": 4}], last=True),
    ]
    assert read(lambda number: pages[number - 1]) == [0, 1, 2, 3, 4]


def test_a_list_that_grows_is_read_to_its_new_end() -> None:
    """Pages past the expected last one are read one by one, as long as the count asks for them."""
    totals = {1: 3, 2: 5, 3: 5}
    server = Server([2, 2, 1])
    assert read(lambda number: Page(server(number).items, total=totals[number]), concurrency=3) == [0, 1, 2, 3, 4]


def test_a_list_that_shrinks_ends_early() -> None:
    """Pages that are empty by the time they are read end the list; whether rows are missing is the count's matter."""
    server = Server([2, 0, 0], total=6)
    assert read(server) == [0, 1]


@pytest.mark.parametrize("limit", [2, 100])
def test_requests_run_ahead_in_bounds_and_rows_keep_their_order(limit: int) -> None:
    """As many requests as allowed are in flight, no more, and pages come in order, also where the server caps them."""
    lock, all_in = threading.Lock(), threading.Event()
    flying: set[int] = set()
    most: list[int] = []
    server = Server([2] * 9, total=18)

    def fetch(number: int) -> Page:
        with lock:
            flying.add(number)
            most.append(len(flying))
            if len(flying) == 3:
                all_in.set()
        if number > 1:
            assert all_in.wait(5)
        page = server(number)
        with lock:
            flying.discard(number)
        return page

    assert read(fetch, limit, concurrency=3) == list(range(18))
    assert max(most) == 3


def test_the_consumer_sets_the_pace() -> None:
    """A reader that stops after some pages leaves the rest unread: only a bounded number runs ahead."""
    server = Server([2] * 40, total=80)
    pages = read_pages(server, as_it_is, 2, 3, "s /list")
    for _ in range(3):
        next(pages)
    threading.Event().wait(0.05)
    pages.close()  # type: ignore[attr-defined] # a generator
    assert max(server.asked) <= 6


def test_a_failing_page_ends_the_list() -> None:
    """The error of a page comes in its turn, after the pages before it."""
    server = Server([2] * 5, total=10)

    def fetch(number: int) -> Page:
        if number == 3:
            raise TryAgainError("502")
        return server(number)

    pages = read_pages(fetch, as_it_is, 2, 3, "s /list")
    assert [len(next(pages).items) for _ in range(2)] == [2, 2]
    with pytest.raises(TapError, match=r"^502$"):
        next(pages)


@pytest.mark.parametrize("counts", [{}, {"total": 50}, {"pages": 25}, {"total": 0}, {"total": 1}])
def test_a_provider_that_does_not_turn_pages(counts: dict[str, Any]) -> None:
    """A page that repeats the one before it stops the list."""
    pages = read_pages(lambda _: Page([{"n": 1}, {"n": 2}], **counts), as_it_is, 2, 1, "s /list")
    next(pages)
    with pytest.raises(StopError) as caught:
        next(pages)
    assert str(caught.value) == "s /list: page 2 repeats page 1; the provider ignores the page number"


def test_a_provider_that_turns_one_page_only() -> None:
    """Every page is held against the one before it, not against the first."""
    pages = read_pages(lambda number: Page([{"n": min(number, 2)}, {"n": 0}]), as_it_is, 2, 1, "s /list")
    assert [page.items[0]["n"] for page in islice(pages, 2)] == [1, 2]
    with pytest.raises(StopError, match=r"^s /list: page 3 repeats page 2; "):
        next(pages)


def test_pages_of_equal_rows_are_not_taken_for_a_repetition() -> None:
    """Rows without an id may all be equal; where a count ends the list that is no fault."""
    assert read(lambda _: Page([{"n": 1}, {"n": 1}], total=6)) == [1] * 6
    with pytest.raises(StopError, match=r"^s /list: page 2 repeats page 1; "):
        read(lambda _: Page([{"n": 1}, {"n": 1}], total=0))


@pytest.mark.parametrize("counts", [{"pages": 3}, {"last": False}])
def test_an_empty_page_in_the_middle_is_no_end(counts: dict[str, Any]) -> None:
    """An empty page that is not the last one by the provider's own word cannot close a window."""
    with pytest.raises(BadContentError) as caught:
        read(Server([2, 0, 2], **counts))
    assert str(caught.value) == "s /list: page 2 is empty, but the provider says that more follow"


def test_a_signal_at_the_end_of_a_list_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a finaliser raises is printed and lost, so that a run would go on: readers ahead are let go before it."""

    def ended(_: Workers[Page]) -> None:
        raise Terminated(143)

    monkeypatch.setattr(Workers, "close", ended)
    with pytest.raises(Terminated):
        read(Server([2, 2], total=4))


def test_empty_body_in_the_middle_is_no_end() -> None:
    """A page of nothing, without a count of its own, ends no list of which fewer came than were counted."""
    answers = [Page([{"id": 1}, {"id": 2}], total=5), Page([{"id": 3}, {"id": 4}], total=5), Page([])]
    read = read_pages(lambda number: answers[number - 1], lambda page: page, 2, 1, "x /list")
    with pytest.raises(BadContentError, match=r"^x /list: page 3 is empty, but 5 records are due and 4 came$"):
        list(read)
