"""Lists that move while their pages are read: each way, at all providers that have lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox.client import Client, Clients

Keys = list[str]
Read = Callable[[Client], tuple[list[Keys], list[Any]]]


def _pages(path: str, rows: Callable[[Any], Any], total: Callable[[Any], Any], key: str, **query: object) -> Read:
    def read(client: Client) -> tuple[list[Keys], list[Any]]:
        told = [client.get(path, page=page, **query) for page in (1, 2)]
        return [[str(row[key]) for row in rows(each)] for each in told], [total(each) for each in told]

    return read


def _search(client: Client) -> tuple[list[Keys], list[Any]]:
    first = client.ask("POST", "/api/v1/companies/search", json={}).json()
    second = client.ask("POST", "/api/v1/companies/search", json={"cursor": first["next_cursor"]}).json()
    return [[row["id"] for row in each["items"]] for each in (first, second)], [
        each.get("total") for each in (first, second)
    ]


READS: dict[str, tuple[str, Read]] = {
    "cension export": (
        "cension",
        _pages("/api/export/459", lambda r: r["data"]["items"], lambda r: r["data"].get("total_count"), "company"),
    ),
    "cension query": (
        "cension",
        _pages("/api/queries/12", lambda r: r["data"], lambda r: r["pagination"].get("total_count"), "id", limit=5),
    ),
    "exelensia results": (
        "exelensia",
        _pages("/v1/results", lambda r: r["data"], lambda r: r["meta"].get("total"), "id", limit=8),
    ),
    "exelensia files": (
        "exelensia",
        _pages("/v1/files", lambda r: r["data"], lambda r: r["meta"].get("total"), "id", limit=8),
    ),
    "exelensia exports": (
        "exelensia",
        _pages("/v1/exports", lambda r: r["data"], lambda r: r["meta"].get("total"), "id", limit=2),
    ),
    "packagex exports": (
        "packagex",
        _pages("/v1/exports", lambda r: r["data"], lambda r: r["pagination"].get("total_count"), "id", limit=2),
    ),
    "cornect search": ("cornect", _search),
}
each_list = pytest.mark.parametrize("which", READS)


def moved(clients: Clients, which: str, action: dict[str, Any] | None) -> tuple[list[Keys], list[Any]]:
    provider, read = READS[which]
    plan = {"faults": [{"match": {"origin": "api"}, "action": action}]} if action else None
    return read(clients(provider, faults=plan))


@each_list
def test_a_record_deleted_between_pages(clients: Clients, which: str) -> None:
    """The first record goes once the second page is asked for, so that the list moves up by one."""
    (first, second), (total, after) = moved(clients, which, None)
    pages, totals = moved(clients, which, {"delete": 1})
    assert (pages[0], pages[1][:-1] if len(second) == len(pages[1]) else pages[1]) == (first, second[1:])
    assert totals == [total, after - 1]


@each_list
def test_a_record_that_comes_between_pages(clients: Clients, which: str) -> None:
    """The first record is there with the second page only, so that the list moves down by one."""
    (first, second), (total, _) = moved(clients, which, None)
    pages, totals = moved(clients, which, {"insert": 1})
    assert pages == [[*first[1:], second[0]], second]
    assert totals == [total - 1, total]


@each_list
@pytest.mark.parametrize(("value", "said"), [(0, 0), (7, 7), (-2, -2), ("absent", None)])
def test_a_total_that_is_not_true(clients: Clients, which: str, value: object, said: int | None) -> None:
    """The pages hold the same records whatever total is said."""
    pages, totals = moved(clients, which, None)
    expected = totals[0] + said if said is not None and said < 0 else said
    assert moved(clients, which, {"total": value}) == (pages, [expected, expected])


@each_list
def test_a_page_that_is_ignored(clients: Clients, which: str) -> None:
    (first, _), totals = moved(clients, which, None)
    assert moved(clients, which, {"ignore_page": True}) == ([first, first], totals)


@pytest.mark.parametrize("which", ["cension export", "exelensia results", "cornect search"])
def test_ties_come_in_another_order(clients: Clients, which: str) -> None:
    """Two pages may hold a record twice and leave another one out; the total is right."""
    plain, totals = moved(clients, which, None)
    shuffled, said = moved(clients, which, {"ties": True})
    assert (shuffled != plain, list(map(len, shuffled)), said) == (True, list(map(len, plain)), totals)


def test_what_became_of_a_list_lasts_as_long_as_the_plan(clients: Clients) -> None:
    """A deleted record stays away, and is there again under another plan; the truth never misses it."""
    client = clients("exelensia")
    _, read = READS["exelensia files"]
    (first, _), totals = read(client)
    client.box.set_faults({"faults": [{"action": {"delete": 1}}]})
    read(client)
    assert read(client)[0][0] == [*first[1:], read(client)[0][0][-1]]
    assert len(client.box.truth("exelensia/files")) == totals[0]
    client.box.set_faults(None)
    assert read(client)[0][0] == first
