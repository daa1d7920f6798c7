"""P1: a list is whole when its distinct records are, whatever moves while its pages are read."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, cycle, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_exports.engine.http.pages import read_pages
from tap_exports.engine.http.whole import MOST_READS, WholeList, digest_of
from tap_exports.engine.model import Page, Row
from tap_exports.errors import CountError, StopError

LIMIT = 2
ENDLESS = 400


@dataclass(slots=True)
class Server:
    """A list that moves between two requests.

    Attributes:
        rows: What stands in it now.
        total: `true`, `none`, `zero` or `high`: what it says of its length.
        order: Returns the rows in the order of this request.
        gone: The place of the row that is deleted after each request, in turn; None or an end: none is.
        asked: The pages that were asked for.
    """

    rows: list[Row]
    total: str = "true"
    order: Callable[[list[Row]], list[Row]] = list
    gone: list[int | None] = field(default_factory=list)
    limit: int = LIMIT
    asked: list[int] = field(default_factory=list)

    def page(self, number: int) -> Page:
        self.asked.append(number)
        assert len(self.asked) < ENDLESS
        totals = {"true": len(self.rows), "none": None, "zero": 0, "high": 1000}
        items = self.order(self.rows)[(number - 1) * self.limit : number * self.limit]
        page = Page(items, total=totals[self.total])
        place = self.gone.pop(0) if self.gone else None
        if place is not None and place < len(self.rows):
            del self.rows[place]
        return page


def numbered(count: int) -> list[Row]:
    return [{"id": str(n), "v": n % 2} for n in range(count)]


def as_it_is(page: Page) -> Page:
    return page


def whole(fetch: Callable[[int], Page], key: Sequence[str] = ("id",), limit: int = LIMIT) -> WholeList:
    return WholeList(partial(read_pages, fetch, as_it_is, limit, 1, "here"), key, "here")


def read(found: WholeList) -> list[Row]:
    return [row for page in found.pages() for row in page.items]


def shuffled(seed: int) -> Callable[[list[Row]], list[Row]]:
    chance = random.Random(seed)  # noqa: S311 - a case, not a secret
    return lambda rows: chance.sample(rows, len(rows))


def ids(rows: Sequence[Row]) -> list[str]:
    return [str(row["id"]) for row in rows]


# Lists that keep still ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [("id",), ()])
@pytest.mark.parametrize("count", range(6))
@pytest.mark.parametrize(("total", "proof", "reads"), [("true", "A", 1), ("none", "B", 2), ("zero", "B", 2)])
def test_a_still_list_is_read_once_where_its_total_agrees(
    key: Sequence[str], count: int, total: str, proof: str, reads: int
) -> None:
    """Without a total, or with a wrong one, a second read has to agree; each row comes once, in order."""
    server = Server(numbered(count), total)
    found = whole(server.page, key)
    assert read(found) == numbered(count)
    expected = "A" if total == "zero" and not count else proof
    assert (found.proof, found.distinct, server.asked.count(1)) == (expected, count, 1 if expected == "A" else reads)


@pytest.mark.parametrize(("size", "reads"), [(LIMIT, 3), (None, 1)])
def test_a_total_that_is_that_of_a_full_page_proves_nothing(size: int | None, reads: int) -> None:
    """It may count the page. A record that moves onto a page that was read is missing then, and the counts agree."""
    server = Server(numbered(LIMIT + 1), gone=[0])

    def counts_pages(number: int) -> Page:
        return replace(server.page(number), total=LIMIT, size=size)

    found = whole(counts_pages)
    is_found = "2" in ids(read(found))
    assert (is_found, server.asked.count(1)) == (size is not None, reads)  # without a size no page is known to be full


def test_a_total_that_is_that_of_a_first_page_with_more_behind_it_proves_nothing() -> None:
    """By the provider's cursor a page is full, whatever it tells of its size; what was behind it moved onto it."""
    reads = chain([["ab", ""]], repeat(["bc"]))

    def pages() -> list[Page]:
        turned = next(reads)
        return [Page([{"id": i} for i in page], total=2, last=n == len(turned)) for n, page in enumerate(turned, 1)]

    found = WholeList(pages, ("id",), "here")
    assert (ids(read(found)), found.proof) == (["a", "b", "c"], "A")


@pytest.mark.parametrize("total", ["none", "true"])
def test_reads_that_repeat_rows_do_not_agree_by_chance(total: str) -> None:
    """Without a key nobody can tell a second row from one that moved: then more than two reads must agree."""
    orders = iter([["0", "1", "1", "2"]] * 6)  # read and checked page by page, "3" is on neither
    rows = numbered(4)

    def moved(standing: list[Row]) -> list[Row]:
        return [standing[int(n)] for n in next(orders, "0123")]

    found = whole(Server(rows, total, moved).page, ())
    assert {row["id"] for row in read(found)} == {"0", "1", "2", "3"}


@pytest.mark.parametrize("total", ["none", "true"])
@pytest.mark.parametrize(("count", "reads"), [(11, 6), (12, 2)])
def test_many_rows_in_one_order_are_no_chance(count: int, reads: int, total: str) -> None:
    """Two reads tell that a list with repeated rows keeps still, where they show enough rows in the same order."""
    server = Server([*numbered(count - 1), numbered(1)[0]], total)
    assert Counter(ids(read(whole(server.page, ())))) == Counter(["0", *map(str, range(count - 1))])
    assert server.asked.count(1) == reads


@pytest.mark.parametrize("counts", [{"last": True}, {"pages": 1}, {"pages": 0}])
def test_one_reply_needs_no_second_read(counts: dict[str, int]) -> None:
    """Nothing moves within one reply that is, by the provider's word, all there is."""
    asked: list[int] = []

    def pages() -> Iterator[Page]:
        asked.append(1)
        yield Page([{"id": "1"}], **counts)  # type: ignore[arg-type] # of one field

    found = WholeList(pages, ("id",), "here")
    assert (ids(read(found)), found.proof, asked) == (["1"], "B", [1])


def test_a_total_above_the_rows_is_told() -> None:
    """Two reads agree, and the complaint holds both numbers."""
    found = whole(Server(numbered(3), "high").page)
    assert (ids(read(found)), found.proof, found.distinct, found.total) == (["0", "1", "2"], "B", 3, 1000)
    assert found.complaint == "here: 3 different records read, the provider counts 1000"


# Lists that move ------------------------------------------------------------------------------------------------------


def test_a_deleted_record_hides_no_other() -> None:
    """Record 2 moves onto page 1 once record 0 is gone: total and count agree afterwards, but the total has changed."""
    found = whole(Server(numbered(5), gone=[0]).page)
    assert (ids(read(found)), found.proof, found.distinct) == (["0", "1", "3", "4", "2"], "A", 4)


def test_a_deleted_record_hides_no_other_without_a_total() -> None:
    """The read that showed the deleted record agrees with no later one."""
    server = Server(numbered(5), "none", gone=[0])
    assert (set(ids(read(whole(server.page)))), server.asked.count(1)) == (set("01234"), 3)


@pytest.mark.parametrize(("grows", "reads"), [(False, 1), (True, 2)])
def test_a_record_that_comes_hides_one_that_moved(grows: bool, reads: int) -> None:  # noqa: FBT001 - a parameter of the table above
    """One goes and one comes: the total stays. Only who knows that records come can tell, and reads once more."""
    rows = numbered(4)

    def comes(standing: list[Row]) -> list[Row]:
        return [*standing, {"id": "new", "v": 0}][:4]

    server = Server(rows, "high", comes, gone=[0])
    found = whole(lambda number: replace(server.page(number), total=4))
    shown = set()
    for page in found.pages():
        found.grows = grows
        shown |= set(ids(page.items))
    assert ("2" in shown, server.asked.count(1), found.proof) == (grows, reads, "A")


@pytest.mark.parametrize("key", [("id",), ()])
def test_a_list_that_moved_is_counted_twice(key: Sequence[str]) -> None:
    """Its total fell; then replicas of which one still shows what was deleted agree in number, and one record hides."""
    replies = iter(["01", "34", "01", "34", "12", "34"])  # of four records; "0" was deleted in between

    def fetch(number: int) -> Page:
        shown = next(replies) if number < 3 else ""
        return Page([{"id": each, "v": each} for each in shown], total=5 if shown == "01" and not asked else 4)

    asked: list[str] = []

    def read_once() -> Iterator[Page]:
        yield from read_pages(fetch, as_it_is, LIMIT, 1, "here")
        asked.append("read")

    found = WholeList(read_once, key, "here")
    assert (set(ids(read(found))), found.proof, asked) == (set("01234"), "A", ["read"] * 3)


@pytest.mark.parametrize("key", [("id",), ()])
@pytest.mark.parametrize("seed", range(20))
def test_ties_in_another_order_each_time(seed: int, key: Sequence[str]) -> None:
    """The reads together show as many different records as the provider counts."""
    found = whole(Server(numbered(24), order=shuffled(seed), limit=10).page, key, 10)
    shown = ids(read(found))
    assert ({int(n) for n in shown}, found.proof) == (set(range(24)), "A")
    assert key or len(shown) == 24  # a row that comes twice is held back


@pytest.mark.parametrize("key", [("id",), ()])
def test_a_total_that_repeated_records_reach_proves_nothing(key: Sequence[str]) -> None:
    """Four rows of three records under a total of three: it is too low, and the fourth record is yet to come."""
    reads = iter(["aba b", "aba c", "ab c", "ab c"])

    def pages() -> Iterator[Page]:
        for text in next(reads).split():
            yield Page([{"id": letter} for letter in text], total=2)

    found = WholeList(pages, key, "here")
    got = [row["id"] for page in found.pages() for row in page.items]
    assert (set(got), found.proof) == ({"a", "b", "c"}, "B")


@pytest.mark.parametrize(
    ("reads", "total", "expected"),
    [
        (["ab? bc", "ab cd b"], 4, "abcd"),  # `b` moved in both reads, and one page tells no total
        (["aab", "aab b"], None, "aab"),  # what only one of two reads shows again moved as well
        (["aab", "aab"], None, "aab"),
        (
            ["aab", "abb", "abb", "aab", "bab", "bab", "abb"],
            9,
            "ab",
        ),  # the total is too high: all reads have to show it
    ],
)
def test_a_row_without_a_key_that_moved_is_no_second_one(reads: list[str], total: int | None, expected: str) -> None:
    """Rows come again as often as all reads show, and not at all where the different ones are as many as the total."""
    texts = chain(reads, repeat(reads[-1]))

    def pages() -> Iterator[Page]:
        for text in next(texts).split():
            letters, told = text.rstrip("?"), None if text.endswith("?") else total
            yield Page([{"v": letter} for letter in letters], total=told)

    found = WholeList(pages, (), "here")
    got = [row["v"] for page in found.pages() for row in page.items]
    assert (sorted(got), found.proof, found.distinct) == (sorted(expected), "B", len(expected))


@pytest.mark.parametrize(("total", "expected"), [(5, "abcd"), (6, "aabbcd"), (None, "aabbcd")])
def test_without_a_proof_no_row_comes_beyond_the_total(total: int | None, expected: str) -> None:
    """What came twice in the last two reads moved, if the total leaves no room for second ones."""
    reads = cycle(["aabbccd", "aabbcdd"])
    found = WholeList(lambda: [Page([{"v": letter} for letter in next(reads)], total=total)], (), "here")
    got = [row["v"] for row in read(found)]
    assert (sorted(got), found.proof) == (list(expected), "C")


@pytest.mark.parametrize("key", [("id",), ()])
@pytest.mark.parametrize("seed", range(20))
def test_a_list_in_random_order_is_read_until_all_have_come(key: Sequence[str], seed: int) -> None:
    """Eight reads of five pages would miss a row of one list in thirty."""
    server = Server(numbered(250), order=shuffled(seed), limit=50)
    found = whole(server.page, key, 50)
    got = ids(read(found))
    assert (sorted(set(got) if key else got, key=int), found.proof) == ([str(n) for n in range(250)], "A")


@pytest.mark.parametrize("key", [("id",), ()])
def test_reads_that_agree_below_the_total_are_not_enough(key: Sequence[str]) -> None:
    """Ties in another order each time: three reads lack the same record, the fourth one shows it."""
    reads = chain(["ab", "ab", "ab"], repeat("bc"))
    found = WholeList(lambda: [Page([{"id": letter} for letter in next(reads)], total=3)], key, "here")
    assert (sorted(ids(read(found))), found.proof) == (["a", "b", "c"], "A")


@pytest.mark.parametrize("key", [("id",), ()])
def test_one_that_goes_as_another_one_comes_is_not_counted_with_it(key: Sequence[str]) -> None:
    """Reads in random order show three of four records each; `a` was deleted, `e` came, and the total stays."""
    reads = chain(["abc", "bcd"], cycle(["cde", "bce", "bde"]))
    found = WholeList(lambda: [Page([{"id": letter} for letter in next(reads)], total=4)], key, "here")
    assert (sorted(ids(read(found))), found.proof) == (["a", "b", "c", "d", "e"], "C")


def test_a_total_that_is_too_high_ends_the_reads() -> None:
    """Reads that agree prove the list after a while; its count is complained of."""
    asked = list[int]()

    def pages() -> list[Page]:
        asked.append(1)
        return [Page([{"id": letter} for letter in "ab"], total=3)]

    found = WholeList(pages, ("id",), "here")
    assert (ids(read(found)), found.proof, len(asked)) == (["a", "b"], "B", 6)


def test_reads_that_show_nothing_new_are_told() -> None:
    """Between them the reader may wait, the longer the more there were."""
    reads, idle = chain(["ab", "c"], cycle("ab")), list[int]()

    def pages() -> Iterator[Page]:
        yield Page([{"id": letter} for letter in next(reads)], total=4)

    found = WholeList(pages, ("id",), "here", idle.append)
    with pytest.raises(CountError):
        list(found.required())
    assert idle == [0, 0, 1, 2, 3, 4, 5, 6, 7]


def test_a_list_that_grows_at_its_end_is_read_once() -> None:
    """The count of the last page holds; a list that is never at rest would else never be proven."""
    server = Server(numbered(3))

    def fetch(number: int) -> Page:
        page = server.page(number)
        server.rows += [{"id": f"new {number}"}] if number < 3 else []
        return page

    found = whole(fetch)
    assert (ids(read(found)), found.proof, server.asked) == (["0", "1", "2", "new 1", "new 2"], "A", [1, 2, 3])


def test_a_list_without_a_total_may_grow_between_reads() -> None:
    """A read that shows all of the one before it proves that nothing was deleted, whatever is new."""
    server = Server(numbered(3), "none")

    def fetch(number: int) -> Page:
        server.rows += [{"id": f"new {len(server.asked)}"}] if number == 1 else []
        return server.page(number)

    found = whole(fetch)
    assert (ids(read(found)), found.proof) == (["0", "1", "2", "new 0", "new 3"], "B")


GONE = st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=12)
moving = st.one_of(
    st.builds(
        Server, st.integers(0, 9).map(numbered), st.sampled_from(["true", "none", "zero", "high"]), st.just(list), GONE
    ),
    st.builds(
        Server, st.integers(0, 9).map(numbered), st.sampled_from(["true", "none"]), st.integers(0, 99).map(shuffled)
    ),
    st.builds(
        Server,
        st.integers(0, 9).map(numbered),
        st.just("true"),
        st.integers(0, 99).map(shuffled),
        GONE,
    ),
)


@given(server=moving)
def test_whatever_moves_a_proven_list_lacks_nothing_that_stayed(server: Server) -> None:
    """What stands in the list from the first request to the last is there, or the list is not proven whole."""
    found = whole(server.page)
    shown: set[str] = set()
    try:
        for page in found.pages():
            shown |= set(ids(page.items))
    except StopError:  # in random order a page may look like the one before it
        assert found.proof == "C"
    assert found.proof == "C" or {row["id"] for row in server.rows} <= shown
    assert server.asked.count(1) <= MOST_READS


@given(
    values=st.lists(st.integers(0, 3), max_size=9),
    total=st.sampled_from(["true", "none", "high"]),
)
def test_rows_without_a_key_come_as_often_as_they_stand(values: list[int], total: str) -> None:
    """Equal rows are held back until the second read shows that they stand more than once."""
    found = whole(Server([{"v": value, "w": [value]} for value in sorted(values)], total).page, ())
    if total == "none" and any(values[n : n + 1] for n in range(len(values))) and _has_equal_pages(values):
        with pytest.raises(StopError):
            read(found)
        return
    assert Counter(row["v"] for row in read(found)) == Counter(values)
    assert (found.proof, found.distinct) in {("A", len(values)), ("B", len(values))}


def _has_equal_pages(values: list[int]) -> bool:
    """Return whether a page looks like the one before it, which without a total is a fault of the provider."""
    rows = sorted(values)
    return any(rows[n : n + LIMIT] == rows[n + LIMIT : n + 2 * LIMIT] for n in range(0, len(rows), LIMIT))


def test_a_list_that_is_never_the_same_is_not_proven() -> None:
    """After a bounded number of reads those who need all records are told so."""
    fresh = iter(range(10_000))
    found = WholeList(lambda: [Page([{"id": str(next(fresh))}], total=50)], ("id",), "here")
    with pytest.raises(CountError) as caught:
        list(found.required())
    told = "here: 30 reads of this list differ, they show 30 different records, the provider counts 50"
    assert (str(caught.value), next(fresh)) == (told, MOST_READS)


# Lists that do not end ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [("id",), ()])
@pytest.mark.parametrize("total", [None, 0, 10**9])
@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("mixed", [False, True])
def test_pages_that_repeat_end_with_an_error(key: Sequence[str], total: int | None, turns: int, *, mixed: bool) -> None:
    """A provider that ignores the page number, or alternates, in whatever order, is found out within few pages."""
    asked: list[int] = []
    mix = shuffled(turns) if mixed else list

    def page(number: int) -> Page:
        asked.append(number)
        assert len(asked) < 20
        rows = [{"id": f"{number % turns} {n}"} for n in range(LIMIT)]
        return Page(mix(rows), total=total)

    with pytest.raises(StopError, match="the provider ignores the page number"):
        read(whole(page, key))


# Steady ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "steady"),
    [
        (Server(numbered(5)), [True, True, True]),
        (Server(numbered(5), "none"), [False, False, False]),
        (Server(numbered(5), "zero"), [False, False, False, False]),
        (Server(numbered(5), gone=[0]), [True, False, False, False]),
        (Server([*numbered(3), *numbered(2)]), [True, False, False]),
    ],
)
def test_a_list_is_steady_while_nothing_shows_that_it_moves(server: Server, steady: list[bool]) -> None:
    """The total stays and no record comes twice: only then may a bookmark follow the pages of a sorted list."""
    found = whole(server.page)
    assert [found.is_steady for _ in found.pages()] == steady


@given(rows=st.lists(st.fixed_dictionaries({"a": st.integers(0, 2), "b": st.text(max_size=2)}), max_size=5))
def test_digests_are_equal_for_equal_keys_only(rows: list[Row]) -> None:
    """Keys of several fields, of other types than text, or with a part missing identify as well."""
    for key in (("a",), ("b",), ("a", "b"), ()):
        names = [tuple(row[name] for name in key or ("a", "b")) for row in rows]
        assert len({digest_of(row, key) for row in rows}) == len(set(names))
    assert digest_of({"a": None, "b": 1}, ("a",)) != digest_of({"a": None, "b": 2}, ("a",))
