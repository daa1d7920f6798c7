"""Stories that were found once: the numbers of the issue that asked for the simulation, each in its shortest form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.simulation.drawn import FILTERS, ORGANIZATIONS
from tests.simulation.story import HOUR, Story
from tests.simulation.troubles import KILLED_LOADER
from tests.simulation.world import Json, Trouble

SIDES = ("packagex_export_rows", "packagex_export_rows_errors", "packagex_export_rows_sanitized")
CALM: Json = {
    "start_date": "2026-05-29T00:00:00Z",
    "settling_seconds": 60,
    "job_stall_timeout_seconds": 120,
    "job_wait": "wait",
    "max_concurrent_jobs": 4,
    "max_concurrent_requests": 1,
    "poll_interval_seconds": 2,
    "max_attempts": 3,
    "progress": "never",
}
ENTRY = {"schema_id": "s1", "name": "rows", "mode": "create", "max_window_days": 31, "primary_keys": ["number"]}


def exelensia(*troubles: Trouble, stream: str = "export_rows", runs: int = 1, entry: Json | None = None) -> Story:
    """Return a story of ten results, seven of one instant, three in a page."""
    times = (*[-HOUR] * 7, *(-HOUR * hours for hours in range(2, 5)))
    records = tuple((at, 0.0, "s2" if number == 9 else "s1") for number, at in enumerate(times))
    config = {**CALM, "exelensia": {"api_key": "key-of-a-test", "exports": [{**ENTRY, **(entry or {})}]}}
    return Story(1, "exelensia", config, (f"exelensia_{stream}",), records, (HOUR,) * runs, 3, troubles)


def cornect(*troubles: Trouble, stream: str = "export_rows") -> Story:
    """Return a story of ten companies, three in a page, and as many credits."""
    exports = [{"name": "rows", "search_filters": FILTERS, "primary_keys": ["id"]}]
    searches = [{"name": "north", "search_filters": FILTERS}]
    block: dict[str, Any] = {"api_token": "token-of-a-test", "max_credits": 10}
    config = {**CALM, "cornect": {**block, "exports": exports, "searches": searches}}
    records = tuple((-HOUR * number, 0.0, "s1") for number in range(1, 11))
    return Story(1, "cornect", config, (f"cornect_{stream}",), records, (HOUR,), 3, troubles)


def packagex(*troubles: Trouble, streams: tuple[str, ...] = SIDES, runs: int = 1) -> Story:
    """Return a story of nine shipments, two of which cannot be exported and one of which is held out."""
    block = {"api_key": "key-of-a-test", "exports": [{"resource": "shipment", "name": "rows", "mode": "create"}]}
    kinds = ("s1", "s2", "s1", "s3", "s1", "s2", "s1", "s1", "s1")
    records = tuple((-HOUR * number, 0.0, kind) for number, kind in enumerate(kinds, 1))
    return Story(1, "packagex", {**CALM, "packagex": block}, streams, records, (HOUR,) * runs, 3, troubles)


def closient(*troubles: Trouble, stream: str = "export_records", organizations: int = 1, runs: int = 1) -> Story:
    """Return a story of nine items in three sections of an archive."""
    block = {"api_key": "key-of-a-test", "organization_ids": list(ORGANIZATIONS[:organizations])}
    records = tuple((-HOUR * number, 0.0, f"s{number % 3 + 1}") for number in range(1, 10))
    config = {**CALM, "closient": block}
    return Story(1, "closient", config, (f"closient_{stream}",), records, (HOUR,) * runs, 3, troubles)


def cension(*troubles: Trouble, stream: str = "export_rows", runs: int = 1, entry: Json | None = None) -> Story:
    """Return a story of three runs with three rows each."""
    export = {"export_id": 7, "name": "rows", "primary_keys": ["id"], **(entry or {})}
    query = {"query_id": 12, "name": "recent", "primary_keys": ["id"], "replication_key": "created_at"}
    block = {"api_key": "key-of-a-test", "operation_ids": [1, 2, 3], "exports": [export], "queries": [query]}
    records = tuple((-HOUR * number, 0.0, f"s{number % 3 + 1}") for number in range(1, 10))
    config = {**CALM, "cension": block}
    return Story(1, "cension", config, (f"cension_{stream}",), records, (HOUR,) * runs, 3, troubles)


def _beside(story: Story) -> Story:
    """Return a story with a second tap, whose runs begin when those of the first do."""
    return replace(story, twin=story.gaps)


def _detached(story: Story) -> Story:
    return replace(story, config={**story.config, "job_wait": "detach", "max_concurrent_jobs": 1})


def _soon(story: Story) -> Story:
    """Return a story whose last run follows a minute after the one before, over the same range."""
    gaps = (*story.gaps[:-1], 60.0)
    return replace(story, gaps=gaps, config={**story.config, "end_date": "2026-06-01T00:30:00Z"})


CLOCK = "provider's clock ahead by"
LAG, LOST = "replicas lag by", Trouble("lose the reply to creation", 1, "after")
STORIES = {
    "calm exelensia": exelensia(),
    "calm cornect": cornect(),
    "calm packagex": packagex(),
    "calm closient": closient(organizations=2),
    "calm cension": cension(),
    "two taps at once": _beside(exelensia(runs=2)),
    "two taps at once, and one loses a reply": _beside(packagex(LOST, runs=2)),
    "a reply is lost, and the job is found": exelensia(LOST),
    "a reply of a paid job is lost, and the job is found": cornect(LOST),
    "a process dies between POST and STATE": exelensia(Trouble("kill", 1, ("state", 2))),
    "a run is told to end while it waits": exelensia(Trouble("SIGTERM", 1, 2), Trouble("job", 1, "is slow")),
    "12.12 an older STATE": exelensia(
        Trouble("kill", 1, ("state", 4)), Trouble("older STATE", 2, 3), runs=2, entry={"max_window_days": 1}
    ),
    "12.12 STATE is lost": _soon(exelensia(Trouble("older STATE", 2, 99), runs=2)),
    "12.12 STATE is lost while a job runs": _soon(
        exelensia(Trouble("job", 1, "is slow"), Trouble("SIGTERM", 1, 3), Trouble("older STATE", 2, 99), runs=2)
    ),
    "12.16 the loader is killed before it keeps anything": exelensia(
        Trouble(KILLED_LOADER, 1), Trouble(KILLED_LOADER, 2), runs=2, entry={"max_window_days": 1}
    ),
    "12.16 tap and loader are killed while a paid job is read": cornect(
        Trouble("kill", 1, ("message", 4)), Trouble(KILLED_LOADER, 1)
    ),
    "12.1 a job is not readable at once": exelensia(Trouble(LAG, 0, 3.0)),
    "12.1 a paid job is not readable at once": cornect(Trouble(LAG, 0, 3.0)),
    "12.1 a job is seen by one replica and not yet by another": exelensia(
        Trouble("one of the replicas lags by", 0, 15.0)
    ),
    "12.2 a lost reply and a lag": exelensia(Trouble(LAG, 0, 15.0), LOST),
    "12.2 a lost reply of a paid job and a lag": cornect(Trouble(LAG, 0, 15.0), LOST),
    "12.3 a record is deleted between pages": exelensia(
        Trouble("a record is deleted after page", 1, "results"), stream="results"
    ),
    "a company is deleted between pages": cornect(
        Trouble("a record is deleted after page", 1, "search"), stream="companies"
    ),
    "12.3 ties come in another order": exelensia(Trouble("ties in any order"), stream="results"),
    "12.3 companies come in another order": cornect(Trouble("ties in any order"), stream="companies"),
    "12.3 a total is too low": exelensia(Trouble("totals", 0, "low"), stream="results"),
    "12.3 a total is zero": exelensia(Trouble("totals", 0, "zero"), stream="results"),
    "12.3 no total, and pages shorter than asked for": exelensia(Trouble("totals", 0, "absent"), stream="results"),
    "12.5 another schema under one name": exelensia(Trouble("settings", 2, {"schema_id": "s2"}), runs=2),
    "12.5 collect becomes create": exelensia(
        Trouble("settings", 2, {"mode": "create"}), runs=2, entry={"mode": "collect"}
    ),
    "12.6 an unknown status in a list": exelensia(Trouble("foreign", 1, "is odd for a while"), stream="exports"),
    "12.6 a job of others that never ends": exelensia(
        Trouble("foreign", 1, "hangs"), Trouble("foreign", 2, "completes"), runs=2, entry={"mode": "collect"}
    ),
    "12.11 detach": _detached(
        exelensia(*[Trouble("job", number, "is slow") for number in (1, 2, 3)], entry={"max_window_days": 1})
    ),
    "12 a clock that is behind": replace(
        exelensia(Trouble(CLOCK, 0, -600.0), stream="results", runs=2), records=((HOUR + 60, 0.0, "s1"),)
    ),
    "12 a clock that is ten minutes behind, and a lost reply": exelensia(Trouble(CLOCK, 0, -600.0), LOST),
    "14.1 a job hangs": exelensia(Trouble("job", 1, "hangs")),
    "14.1 a job hangs that was left to the next run": _detached(exelensia(Trouble("job", 1, "hangs"))),
    "14.3 a job ends with an unknown word": exelensia(Trouble("job", 1, "ends odd")),
    "P1 one line of text comes as the file": exelensia(Trouble("download", 1, "is one line of error")),
    "12.1 a job is not readable at once, after minutes of waiting to create it": packagex(
        Trouble(LAG, 0, 15.0), Trouble("error 429 at request", 2, 400)
    ),
    "12.3 rows of a query come in another order": cension(Trouble("ties in any order"), stream="query_recent"),
    "12.11 detach with two organizations": _detached(closient(organizations=2)),
    "13.1 the streams beside an export": packagex(streams=(*SIDES, "packagex_exports")),
    "13.3 a window is read again from another job": exelensia(
        Trouble("older STATE", 2, 2),
        *[Trouble("download", n, "is one line of error") for n in (2, 4)],  # the first job's, in runs 2 and 3
        runs=3,
        entry={"primary_keys": None},
    ),
    "13.7 a section of an archive fails": closient(Trouble("a section fails in job", 1)),
    "13.8 one passing 404 of a paid job": cornect(Trouble("a passing 404 at request", 8)),
    "a file changes between two downloads": exelensia(Trouble("download", 1, "is cut, then changes")),
    "a file changes under a weak tag": exelensia(Trouble("download", 1, "is cut, then changes under a weak tag")),
    "a file changes within its second": exelensia(Trouble("download", 1, "is cut, then changes without a tag")),
    "a quota is used up": closient(Trouble("quota of requests in seconds", 0, (5, 20)), organizations=2),
    "requests are refused for minutes": packagex(*[Trouble("error 429 at request", n, 400) for n in range(2, 9)]),
    "requests are refused without a word of how long": packagex(*[Trouble("error 429 at request", n) for n in (2, 3)]),
    "a target dies": exelensia(Trouble("target dies", 1, 9), runs=2, entry={"max_window_days": 1}),
    "a clock gains half a minute a day": exelensia(Trouble("provider's clock gains a day", 0, 30.0), runs=3),
    "a configured run hangs": cension(Trouble("run", 2, "hangs")),
}
