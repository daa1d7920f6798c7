"""Broken downloads: what mends itself loses no row and adds none; what does not leaves the window open."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.faults.witness import FILE_PROVIDERS, STREAMS, Witness, at_files, bookmark, rows_of
from tests.tap.harness import Json

Watched = Callable[..., Witness]
COMPANIES = STREAMS["exelensia"]
CUT = {"cut_after_bytes": 900}


def plan(*actions: Json) -> Json:
    """Return a plan in which the first requests for files go wrong, one after another."""
    return {"faults": [at_files(action, nth=n)["faults"][0] for n, action in enumerate(actions, 1)]}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Json]]:
    """Return the rows that come without any fault; `tests/tap` and `tests/providers` hold those against the truth."""

    @cache
    def rows(provider: str) -> list[Json]:
        watched = Witness.start()
        ran = watched.run(tmp_path_factory.mktemp("sound"), watched.config(provider)).succeeded()
        watched.box.stop()
        return rows_of(ran, STREAMS[provider])

    return rows


# Among polls, lists and requests for URLs; each is followed by one that is in order, by then.
BLIPS = [
    {"match": {"origin": "api", "method": "GET", "nth": nth}, "action": action}
    for nth, action in {2: {"html": True}, 4: {"challenge": True}, 6: {"status": 404, "body": "html"}}.items()
]
HEALED: dict[str, tuple[Json, Json]] = {
    "resumed": (plan(CUT, CUT), {}),
    "changed in between": (plan(CUT, {"change_etag": "b"}), {}),
    "no ranges": (plan(CUT, {"no_range": True}), {}),
    "another range": (plan(CUT, {"wrong_content_range": 7}), {}),
    "announced too long": (plan({"wrong_length": 10}), {}),
    "expired before": (plan({"expire": True}), {}),
    "expired in the middle": (plan(CUT, {"expire": True}), {}),
    "reset": (plan({"reset": True}), {}),
    "no reply": (plan({"lose_reply": True}), {}),
    "busy": (plan({"status": 503, "retry_after": 0}, {"status": 429, "retry_after_date": 0}), {}),
    "slow": (plan({"slow": {"delay_seconds": 0.3, "bytes_per_second": 200_000}}), {"request_timeout_seconds": 1}),
    "too slow once": (plan({"slow": {"delay_seconds": 3}}), {"request_timeout_seconds": 0.5}),
    "gzip of several members": (at_files({"gzip": {"members": 3}}), {}),
    "Content-Encoding": (at_files({"gzip_encoding": True}), {}),
    "byte order mark": (at_files({"bom": True}), {}),
    "UTF-16": (at_files({"recode": "utf-16"}), {}),
    "no length": (at_files({"unframed": True}, nth=1), {}),
    "no length, and cut at a row's end": (plan({"unframed": True, "cut_after_bytes": 900}), {}),
    "one page": (plan({"html": True}), {}),
    "one page in the middle": (plan(CUT, {"xml": True}), {}),
    "another digest": (plan({"digest": True}), {}),
    "a trickle": (plan({"slow": {"bytes_per_second": 40}}), {"request_timeout_seconds": 0.5}),
    "stored encoding": (at_files({"stored_encoding": "UTF-8, aws-chunked, gzip"}), {}),
    "busy without a wait": (plan({"status": 429, "retry_after": 0.5}, {"status": 503, "retry_after_date": -90}), {}),
    "blips of the API": ({"faults": BLIPS}, {}),
}


@pytest.mark.parametrize("case", HEALED)
def test_what_mends_itself(tmp_path: Path, witness: Watched, sound: Any, case: str) -> None:  # noqa: ANN401 - a fixture
    """The rows are those of an untroubled run, one job was made, and the window is proven."""
    faults, changes = HEALED[case]
    watched = witness(faults)
    ran = watched.run(tmp_path, watched.config(**changes)).succeeded()
    assert rows_of(ran, COMPANIES) == sound("exelensia")
    assert (watched.posts(), bookmark(ran, COMPANIES)["replication_key_value"]) == (1, "2026-01-01T00:00:00.000Z")
    assert {r["fault"] for r in watched.box.requests()} != {None}


def test_bytes_are_asked_for_once(tmp_path: Path, witness: Watched) -> None:
    """P3: after a break the rest is asked for, under the condition that the file is the same."""
    watched = witness(plan(CUT))
    watched.run(tmp_path, watched.config()).succeeded()
    first, second = (r for r in watched.box.requests() if r["origin"] == "files")
    assert (first["range"], second["range"], second["status"]) == (None, "bytes=900-", 206)
    assert second["if_range"].startswith('"')


STORM = plan(
    {"cut_after_bytes": 300},
    {"expire": True},
    {"reset": True},
    {"cut_after_bytes": 300},
    {"status": 503, "retry_after": 0},
)


@pytest.mark.parametrize("provider", FILE_PROVIDERS)
def test_a_storm(tmp_path: Path, witness: Watched, sound: Any, provider: str) -> None:  # noqa: ANN401 - a fixture
    """One fault after another, at each provider with files: nothing lost, nothing twice, one job."""
    watched = witness(STORM)
    before = watched.posts()
    ran = watched.run(tmp_path, watched.config(provider, max_attempts=6)).succeeded()
    assert rows_of(ran, STREAMS[provider]) == sound(provider)
    made = {r["job_id"] for r in ran.records["export_jobs"]}
    assert watched.posts() - before == len(made)
    assert [r["fault"] for r in watched.box.requests() if r["origin"] == "files"][:5] == [
        "cut_after_bytes",
        "expire",
        "reset",
        "cut_after_bytes",
        "status+retry_after",
    ]


OPEN: dict[str, tuple[Json, Json, str]] = {
    "refused for ever": ({"expire": True}, {}, "export.csv: the URL answered 403, also after 3 new ones"),
    "never whole": (
        {"wrong_length": 10},
        {"max_attempts": 2},
        "export.csv: no progress in 2 attempts: ",
    ),
    "silent": (
        {"slow": {"delay_seconds": 4}},
        {"request_timeout_seconds": 0.4, "max_attempts": 2},
        "export.csv: no progress in 2 attempts: no answer in time",
    ),
    "gone dumb": ({"reset": True}, {"max_attempts": 2}, "export.csv: no progress in 2 attempts: "),
    "HTML": ({"html": True}, {}, "export.csv: a page of type text/html came where a file is due"),
    "XML": ({"xml": True}, {}, "export.csv: a page of type application/xml came where a file is due"),
    "HTML as CSV": (
        {"replace": {"text": "<!DOCTYPE html><html><body>Sorry</body></html>"}},
        {},
        "export.csv: HTML or XML came where a file is due: <!DOCTYPE html><html><body>Sorry</body></html>",
    ),
    "no length, nothing told": (
        {"unframed": True, "no_range": True, "cut_after_bytes": 900},
        {},
        "export.csv: the server announces no length and answers no question for the end, so a cut would not be seen; ",
    ),
    "trickle": (
        {"slow": {"bytes_per_second": 40}},
        {"request_timeout_seconds": 0.5, "max_attempts": 2},
        "export.csv: no progress in 2 attempts: fewer than 100 bytes a second came",
    ),
    "false digest": ({"digest": True}, {}, "do not have the sha256 that the server gives (`verify_digests`)"),
    "half of the gzip": ({"gzip": {"drop_bytes": 10}}, {}, "export.csv: the gzip data is cut or damaged: "),
    "damaged gzip": ({"gzip": True, "flip_byte": 2000}, {}, "export.csv: the gzip data is cut or damaged: "),
    "cut in a row": ({"truncate": 9010}, {}, "export.csv, row "),
    "empty": ({"replace": {"text": ""}}, {}, "export.csv: empty file where a header is due"),
    "open quote": (
        {"replace": {"text": 'symbol\n"A\n'}},
        {},
        "export.csv, row 1: a quote is opened and never closed; the file may be cut",
    ),
    "another encoding": (
        {"recode": "utf-16-le"},
        {},
        'none of the known columns; 50 of its first 50 rows can be read with csv: {"encoding": "utf-16-le"}',
    ),
}


@pytest.mark.parametrize("case", OPEN)
def test_what_does_not_mend_itself(tmp_path: Path, witness: Watched, sound: Any, case: str) -> None:  # noqa: ANN401 - a fixture
    """The window stays open, the message says what and where, and the next run brings all rows from the same job."""
    action, changes, message = OPEN[case]
    watched = witness(at_files(action))
    ran = watched.run(tmp_path, watched.config(**changes))
    assert (ran.code, message in ran.errors[0], len(ran.errors)) == (1, True, 2), ran.errors
    assert ran.errors[1].endswith(
        "streams failed: exelensia_export_companies; the last STATE written holds what was proven"
    )
    assert "replication_key_value" not in bookmark(ran, COMPANIES)
    assert [r["status"] for r in ran.records["export_jobs"]] == ["failed"]
    watched.box.set_faults(None)
    again = watched.run(tmp_path, watched.config(), state=ran.states[-1]).succeeded()
    assert rows_of(again, COMPANIES) == sound("exelensia")
    assert watched.posts() == 1


BROKEN: dict[str, Json] = {
    "HTML": {"html": True},
    "page as file": {"replace": {"text": "<html>Sorry</html>"}},
    "cut without a word": {"truncate": 1500},
    "half of the gzip": {"gzip": {"drop_bytes": 10}},
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("provider", [p for p in FILE_PROVIDERS if p != "exelensia"])
def test_no_provider_books_broken_files(
    tmp_path: Path,
    witness: Watched,
    sound: Any,  # noqa: ANN401 - a fixture
    provider: str,
    case: str,
) -> None:
    """P1 holds for every provider with files, and the job that was made is the one that is read later."""
    watched, stream = witness(at_files(BROKEN[case])), STREAMS[provider]
    ran = watched.run(tmp_path, watched.config(provider))
    assert (ran.code, "Traceback" in "\n".join(ran.errors)) == (1, False)
    assert stream not in {m["stream"] for m in ran.messages if m["type"] == "ACTIVATE_VERSION"}
    assert "replication_key_value" not in bookmark(ran, stream)
    posts = watched.posts()
    watched.box.set_faults(None)
    again = watched.run(tmp_path, watched.config(provider), state=ran.states[-1]).succeeded()
    assert (rows_of(again, stream), watched.posts()) == (sound(provider), posts)


PAGES: dict[str, tuple[Json, str]] = {
    "HTML": ({"html": True}, "200: JSON expected, got text/html"),
    "cut without a word": ({"truncate": 50}, "200: "),
    "refused": ({"status": 418}, "418"),
    "always down": ({"status": 502, "body": "html"}, "after 2 attempts"),
}


@pytest.mark.parametrize("case", PAGES)
def test_pages_that_break(tmp_path: Path, witness: Watched, sound: Any, case: str) -> None:  # noqa: ANN401 - a fixture
    """A page that is no page ends its run's read, before the bookmark passes the run."""
    action, message = PAGES[case]
    match = {"provider": "cension", "path": "*/459*", "query": "*operationId=4840*"}
    watched, stream = witness({"faults": [{"match": match, "action": action}]}), STREAMS["cension"]
    ran = watched.run(tmp_path, watched.config("cension", max_attempts=2))
    assert (ran.code, message in ran.errors[0]) == (1, True), ran.errors
    assert bookmark(ran, stream)["replication_key_value"] == 4836
    watched.box.set_faults(None)
    again = watched.run(tmp_path, watched.config("cension"), state=ran.states[-1]).succeeded()
    assert rows_of(ran, stream) + rows_of(again, stream) == sound("cension")
