"""Cornect, the whole tap against the sandbox."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from tap_exports.engine.clock import from_text
from tap_exports.engine.read.samples import SamplingReader
from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.singer.streams.kinds import ExportStream
from tap_exports.tap import TapExports
from tests.tap.harness import Json, Ran, only, tap, without_lineage

SOFTWARE = {"countries": ["United States"], "industries": ["Application Software"]}
ROWS = "cornect_export_software"
NONE_SPENT = {"jobs_created": 0, "credits": 0}


def sandbox(*, faults: Json | None = None, knobs: Json | None = None, **options: Any) -> Sandbox:  # noqa: ANN401 - of `SandboxOptions`
    given = {"job_seconds": 0, "knobs": {"cornect": knobs or {}}, **options}
    return Sandbox(SandboxOptions(**given), faults=faults)


def config(box: Sandbox, *entries: Json, **changes: object) -> Json:
    """Return a configuration of one export of a search, changed."""
    whole = only(box.config("cornect"), "cornect")
    exports = list(entries) or [{"name": "software", "search_filters": SOFTWARE}]
    return {**whole, "progress": "never", "cornect": {**whole["cornect"], "exports": exports, **changes}}


def given_id(box: Sandbox) -> str:
    return str(next(e["export_id"] for e in box.config("cornect")["cornect"]["exports"] if "export_id" in e))


def receipt(ran: Ran, stream: str = ROWS) -> Json:
    return next(r for r in ran.records["export_jobs"] if r["stream"] == stream)


def activated(ran: Ran) -> set[str]:
    return {m["stream"] for m in ran.messages if m["type"] == "ACTIVATE_VERSION"}


def spent(box: Sandbox) -> Json:
    return dict(box.spend()["cornect"])


@pytest.mark.parametrize("knobs", [{}, {"json_root": "jsonl"}, {"json_root": "companies", "file": "gzip"}])
def test_rows_arrive_and_the_receipt_tells_the_charge(tmp_path: Path, knobs: Json) -> None:
    """JSON in every root, plain or gzip."""
    with sandbox(knobs=knobs) as box:
        ran = tap(tmp_path, config(box)).succeeded()
        told = receipt(ran)
        assert without_lineage(ran.records[ROWS]) == box.truth(f"cornect/export/{told['job_id']}")
        assert spent(box) == {"jobs_created": 1, "credits": told["credits_charged"]}
    assert (told["rows"], told["status"]) == (len(ran.records[ROWS]), "completed")
    assert ROWS in activated(ran)


@pytest.mark.parametrize("file", ["plain", "gzip"])
def test_csv_arrives(tmp_path: Path, file: str) -> None:
    with sandbox(knobs={"file": file}) as box:
        entry = {"name": "software", "search_filters": SOFTWARE, "export_format": "csv"}
        ran = tap(tmp_path, config(box, entry)).succeeded()
        there = box.truth(f"cornect/export/{receipt(ran)['job_id']}")
    assert [r["id"] for r in ran.records[ROWS]] == [r["id"] for r in there]


def test_without_credits_nothing_is_created(tmp_path: Path) -> None:
    """`max_credits: 0`: what is free arrives, an export that would be created stops with balance, need and setting."""
    with sandbox() as box:
        entries: list[Json] = [
            {"name": "software", "search_filters": SOFTWARE},
            {"name": "given", "export_id": given_id(box)},
        ]
        ran = tap(tmp_path, config(box, *entries, max_credits=0))
        assert spent(box) == NONE_SPENT
    need = "needs up to 14 credits, the balance is 1000 and cornect.max_credits is 0"
    assert ran.errors[0] == f"{ROWS}: {need}; nothing was created or spent"
    assert ran.code == 1
    assert len(ran.records["cornect_export_given"]) == 14
    assert ROWS not in activated(ran)


def test_an_existing_export_is_read_for_nothing(tmp_path: Path) -> None:
    """Reading what exists takes no credits and only the scope `read`."""
    with sandbox() as box:
        token = {"api_token": "cornect_sandbox_read_token"}
        ran = tap(
            tmp_path, config(box, {"name": "given", "export_id": given_id(box)}, max_credits=0, **token)
        ).succeeded()
        assert spent(box) == NONE_SPENT
        assert len(ran.records["cornect_export_given"]) == len(box.truth(f"cornect/export/{given_id(box)}"))


def test_creating_takes_the_larger_scope(tmp_path: Path) -> None:
    with sandbox() as box:
        ran = tap(tmp_path, config(box, api_token="cornect_sandbox_read_token"))
        assert spent(box) == NONE_SPENT
    assert "key setting `cornect.api_token` was refused, it may lack the scope for POST" in ran.errors[0]


def test_an_export_of_nothing_is_empty_and_proven(tmp_path: Path) -> None:
    """ISO codes match nothing: zero rows, a warning, no failure."""
    with sandbox() as box:
        ran = tap(
            tmp_path, config(box, {"name": "software", "search_filters": {"countries": ["US"]}}), fresh=True
        ).succeeded()
        assert spent(box) == NONE_SPENT
    assert (ran.records[ROWS], receipt(ran)["rows"], receipt(ran)["credits_charged"]) == ([], 0, 0)
    assert 'countries: "US" looks like a code and matches nothing' in ran.stderr
    assert receipt(ran)["warnings"] == ["no company matches: the export is empty (no_candidates)"]
    assert ROWS in activated(ran)


def test_a_lost_reply_is_found_and_not_paid_twice(tmp_path: Path) -> None:
    fault = {
        "match": {"provider": "cornect", "method": "POST", "path": "/api/v1/exports"},
        "action": {"lose_reply": True},
    }
    fault["match"]["nth"] = 1  # type: ignore[index] # of the match
    with sandbox(faults={"faults": [fault]}) as box:
        ran = tap(tmp_path, config(box)).succeeded()
        assert spent(box) == {"jobs_created": 1, "credits": receipt(ran)["credits_charged"]}
    assert len(ran.records[ROWS]) == 14


def test_a_crash_after_the_creation_keeps_job_and_charge(tmp_path: Path) -> None:
    with sandbox(job_seconds=2) as box:
        first = tap(tmp_path, {**config(box), "job_wait": "detach"}).succeeded()
        second = tap(tmp_path, config(box), state=first.states[-1]).succeeded()
        assert spent(box)["jobs_created"] == 1
        assert receipt(second)["credits_charged"] == spent(box)["credits"]
    assert ROWS not in activated(first)
    assert ROWS in activated(second)


def test_a_count_that_differs_is_a_warning(tmp_path: Path) -> None:
    """The documents contradict each other on `total_records`."""
    with sandbox(knobs={"count_error": 3}) as box:
        ran = tap(tmp_path, config(box)).succeeded()
        strict = tap(tmp_path, {**config(box), "verify_counts": "fail"})
    assert "14 rows read, the provider counts 17 (verify_counts: warn)" in ran.stderr
    assert strict.code == 1


def test_companies_come_once_per_search(tmp_path: Path) -> None:
    """One row per search and company; the search is free."""
    searches = [
        {"name": "california", "search_filters": {"states": ["California"]}},
        {"name": "software", "search_filters": SOFTWARE},
    ]
    with sandbox(knobs={"page_size": 10}) as box:
        ran = tap(tmp_path, config(box, {"name": "given", "export_id": given_id(box)}, searches=searches)).succeeded()
        there = {
            i["name"]: box._ask("GET", "/_truth/cornect/search", filters=json.dumps(i["search_filters"]))
            for i in searches
        }
        assert spent(box) == NONE_SPENT
    rows = ran.records["cornect_companies"]
    assert rows == [{"search_name": name, **row} for name, found in there.items() for row in found]
    keys = [(row["search_name"], row["id"]) for row in rows]
    assert len(set(keys)) == len(keys) > len({row["id"] for row in rows})


def test_transactions_come_once_and_later(tmp_path: Path) -> None:
    """The snapshot stands before this run's own charges, which come with the next run.

    Another provider's stream comes first and waits for its job, while the export is created and charged.
    """
    with sandbox(job_seconds=2) as box:
        first = tap(tmp_path, {**config(box), "closient": box.config("closient")["closient"]}).succeeded()
        second = tap(tmp_path, config(box), state=first.states[-1]).succeeded()
        there = [t["id"] for t in box.truth("cornect/transactions")]
    got = [[t["id"] for t in ran.records["cornect_credit_transactions"]] for ran in (first, second)]
    assert [*got[0], *got[1]] == there
    assert len(got[1]) == 1
    left = 1000 - receipt(first)["credits_charged"]
    assert [r["balance"] for ran in (first, second) for r in ran.records["cornect_credits"]] == [1000, left]


def test_the_bookmark_of_a_snapshot_keeps_the_settling_time(tmp_path: Path) -> None:
    """It is as old as its request, however late its turn comes; a clock some seconds behind dates a charge earlier."""
    with sandbox(job_seconds=4) as box:
        began = datetime.now(timezone.utc)
        shared = {"closient": box.config("closient")["closient"], "settling_seconds": 3}
        ran = tap(tmp_path, {**config(box), **shared}).succeeded()
    bookmark = ran.states[-1]["bookmarks"]["cornect_credit_transactions"]
    assert from_text(bookmark["replication_key_value"]) < began


def test_transactions_that_may_be_missed_are_warned_of(tmp_path: Path) -> None:
    old = {"replication_key": "created_at", "replication_key_value": "2020-01-01T00:00:00.000Z"}
    with sandbox() as box:
        ran = tap(tmp_path, config(box), state={"bookmarks": {"cornect_credit_transactions": old}}).succeeded()
    assert "all transactions shown are newer than the last run; some may be missed" in ran.stderr


def test_exports_are_those_of_the_transactions_and_the_configuration(tmp_path: Path) -> None:
    with sandbox() as box:
        entries: list[Json] = [
            {"name": "software", "search_filters": SOFTWARE},
            {"name": "given", "export_id": given_id(box)},
        ]
        ran = tap(tmp_path, config(box, *entries)).succeeded()
        there = {e["id"]: e for e in box.truth("cornect/exports")}
    got = {r["id"]: r for r in ran.records["cornect_exports"]}
    assert set(got) >= {entries[1]["export_id"], receipt(ran)["job_id"]}
    assert {k: v["status"] for k, v in got.items()} == {k: there[k]["status"] for k in got}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"search_filters": {}}, "an export of a search needs a name"),
        ({"name": "x"}, "x: search_filters or export_id is missing"),
        ({"name": "x", "source_type": "list"}, "x: list_id or export_id is missing"),
        ({"export_id": "00000000-0000-4000-8000-000000000000"}, "404"),
    ],
)
def test_an_entry_without_a_source_is_refused(tmp_path: Path, entry: Json, message: str) -> None:
    with sandbox() as box:
        ran = tap(tmp_path, config(box, entry))
    assert ran.code == 1
    assert message in ran.errors[0]


def test_a_full_table_is_never_resumed_inside_a_file() -> None:
    """Rows of one version only: activating it would drop those that a crashed run had written under another."""
    with sandbox() as box:
        stream = TapExports(config=config(box)).streams[ROWS]
    assert isinstance(stream, ExportStream)
    assert isinstance(stream.reader(), SamplingReader)
    assert not stream.reader().resumes
