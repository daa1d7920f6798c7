"""The list of jobs of a declared provider is read until it is proven whole: one that moves hides no job (P1, P2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.declared.vendors import (
    NAME,
    STREAM,
    VENDOR,
    config,
    landed,
    made_by_others,
    paths,
    receipts,
    served,
    truth,
    vendor,
)
from tests.tap.harness import Json, Ran, tap

PAGED = {"get": "/exports", "params": {"page": "{page}"}, "items": "data"}
LISTS: dict[str, Json] = {
    "numbered": PAGED,
    "numbered, counted": {**PAGED, "total": "meta.total", "size": "meta.size"},
    "numbered, says that more follow": {**PAGED, "more": "meta.more", "size": 2, "first_page": 0},
    "chained in the body": {"get": "/exports", "items": "data", "pages": {"next": "meta.next", "param": "after"}},
    "chained in a header": {"get": "/exports", "items": "data", "pages": {"next": "header:X-Next", "param": "after"}},
}
MOVES: dict[str, Json] = {
    "a job is deleted between two pages": {"delete": 1},
    "a job comes between two pages": {"insert": 1},
    "a deleted job, and no total": {"delete": 1, "total": "absent"},
}
LISTED = {"origin": "api", "method": "GET", "path": "/exports"}
QUIET: Json = {"job_grace_seconds": 0, "lost_reply_search_seconds": 0}


def collected(tmp_path: Path, spec: Json, moves: Json, jobs: int) -> tuple[Ran, list[str]]:
    """Return a run that collects the jobs of others from a list that moves, and their ids."""
    with served(spec, knobs={"page_jobs": 2, "rows": 40}) as box:
        made = made_by_others(box, jobs)
        box.set_faults({"faults": [{"match": LISTED, "action": moves}]})
        given = config(box, entry={"mode": "collect"}, **QUIET)
        del given["end_date"]
        return tap(tmp_path, given), made


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("kind", LISTS)
def test_a_list_that_moves_hides_no_job_of_others(tmp_path: Path, kind: str, move: str) -> None:
    """All jobs that exist are read in one run; only the one that was deleted in front of the second page may be not."""
    ran, made = collected(tmp_path, vendor(list=LISTS[kind]), MOVES[move], 7)
    gone = set(made[-1:]) if "delete" in MOVES[move] else set[str]()  # the newest: the list begins with it
    read = {receipt["job_id"] for receipt in receipts(ran) if receipt["status"] == "completed"}
    assert set(made) - gone <= read, ran.stderr
    assert ran.code == 0, ran.stderr


def test_a_list_that_is_never_proven_stops_the_stream(tmp_path: Path) -> None:
    """Its total is too high for ever: no bookmark moves, since a job may be hidden."""
    counted = vendor(list=LISTS["numbered, counted"])
    ran, _ = collected(tmp_path, counted, {"ignore_page": True}, 7)
    assert ran.code == 1
    assert receipts(ran) == []
    assert "replication_key_value" not in str(ran.states)


@pytest.mark.parametrize("kind", LISTS)
def test_a_job_whose_creation_got_no_reply_is_found_in_a_list_that_moves(tmp_path: Path, kind: str) -> None:
    """Eight jobs of others are newer, one of which is deleted while the list is read: no second job is made."""
    spec = vendor(list=LISTS[kind], window={"key": "moment"})
    with served(spec, knobs={"page_jobs": 2}) as box:
        made_by_others(box, 8, type="another type")
        lost = {"match": {"origin": "api", "method": "POST", "nth": 1}, "action": {"lose_reply": True}}
        box.set_faults({"faults": [lost, {"match": LISTED, "action": {"delete": 1}}]})
        ran = tap(tmp_path, config(box, job_grace_seconds=0, lost_reply_search_seconds=1)).succeeded()
        assert landed(ran) == truth(box)
        assert box.spend()[NAME]["jobs_created"] == 9


def test_a_job_that_is_polled_in_the_list_is_not_lost_where_it_moves(tmp_path: Path) -> None:
    """A page that moved up hides it from one read: another read shows it, so that it is not created again."""
    spec = vendor(poll={"list": True}, window={"key": "moment"}, files={"get": "/exports/{id}/file", "url": "url"})
    with served(spec, knobs={"page_jobs": 1}) as box:
        box.set_faults({"faults": [{"match": LISTED, "action": {"ties": True}}]})
        made_by_others(box, 5, type="another type")
        ran = tap(tmp_path, config(box, **QUIET, job_reuse_seconds=0)).succeeded()
        assert landed(ran) == truth(box)
        assert box.spend()[NAME]["jobs_created"] == 6
        assert len(paths(box, "POST")) == 6


def test_what_was_not_asked_for_must_not_be_echoed(tmp_path: Path) -> None:
    """A job of the same type and window with another filter is not taken for the lost one."""
    spec = vendor(
        submit={"post": "/exports", "json": {**VENDOR["submit"]["json"], "filter": "{filter}"}},
        find={**VENDOR["find"], "filter": "{filter}"},
        window={"key": "moment"},
        example={"name": "rows", "params": {"type": "some type"}},
    )
    with served(spec) as box:
        given = config(box, entry={"params": {"type": "some type"}}, lost_reply_search_seconds=1, job_grace_seconds=0)
        span = {"from": "2026-01-01T00:00:00.000Z", "to": "2026-03-31T00:00:00.000Z"}
        (foreign,) = made_by_others(box, 1, filter="some filter", **span)
        ran = tap(tmp_path, given).succeeded()
        assert landed(ran) == truth(box)
        assert foreign not in {receipt["job_id"] for receipt in receipts(ran)}


def test_collecting_needs_a_list_with_an_echo_and_an_instant(tmp_path: Path) -> None:
    """Without these nobody knows which jobs are meant: a configuration error, and no job is created."""
    job = {key: value for key, value in VENDOR["job"].items() if key != "created"}
    for spec in (vendor(find=None), vendor(list=None, find=None), vendor(job=job)):
        with served(spec) as box:
            ran = tap(tmp_path, config(box, entry={"mode": "collect"}))
            assert ran.code == 1
            assert "`mode: collect` needs `list`, `find` and `job.created` of vendor" in ran.stderr
            assert paths(box, "POST") == []


def test_a_chain_of_pages_that_leads_in_a_circle_ends(tmp_path: Path) -> None:
    """With an error instead of for ever."""
    spec = vendor(list=LISTS["chained in the body"])
    with served(spec, knobs={"page_jobs": 2}) as box:
        made_by_others(box, 5)
        box.set_faults({"faults": [{"match": LISTED, "action": {"ignore_page": True}}]})
        given = config(box, entry={"mode": "collect"}, **QUIET)
        del given["end_date"]
        ran = tap(tmp_path, given)
        assert (ran.code, ran.records[STREAM]) == (1, [])
        assert "leads in a circle" in ran.stderr
