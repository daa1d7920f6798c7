"""A window that is read again from another job leaves each row once at a target that merges on keys (P4)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from tap_exports.engine.clock import to_text
from tap_exports.sandbox import Sandbox
from tests.tap.harness import Json, Ran, arguments_of, tap
from tests.tap.test_batches import batched, rows
from tests.tap.test_resume import LOAD, killed_inside_the_file, one_load

Boxes = Callable[..., Sandbox]
Table = dict[tuple[Any, ...], Json]
KEY = ["_sdc_window_start", "_sdc_row_digest", "_sdc_row_copy"]
FORMER = ["_sdc_job_id", "_sdc_file", "_sdc_row"]
ROWS = 20_000


def merged(table: Table, rows: list[Json]) -> Table:
    """Merge rows into a table by the key."""
    return {**table, **{tuple(_text(row[name]) for name in KEY): row for row in rows}}


def _text(value: object) -> object:
    """Return what JSON shows of a value; parquet has instants."""
    return to_text(value) if isinstance(value, datetime) else value


def delete(box: Sandbox, config: Json, job: str) -> None:
    """Delete an export at the provider, as somebody else may."""
    block = config["exelensia"]
    headers = {"x-api-key": block["api_key"]}
    requests.delete(f"{block['api_url']}/v1/exports/{job}", headers=headers, timeout=5).raise_for_status()


def test_a_lost_job_leaves_each_row_once(tmp_path: Path, sandbox: Boxes) -> None:
    """The tap is killed inside a file whose job is then gone: another job brings all its rows again."""
    box = sandbox(rows=ROWS)
    config = {**one_load(box), "job_grace_seconds": 0}
    before, state = killed_inside_the_file(arguments_of(tmp_path, config))
    (job,) = state["bookmarks"][LOAD]["ledger"]["jobs"]
    delete(box, config, job["id"])
    after = tap(tmp_path, config, state=state).succeeded()
    assert after.schema(LOAD)["key_properties"] == KEY
    assert {row["_sdc_job_id"] for row in before}.isdisjoint(row["_sdc_job_id"] for row in after.records[LOAD])
    assert (len(before) > 0, len(after.records[LOAD])) == (True, ROWS)
    assert len(merged(merged({}, before), after.records[LOAD])) == ROWS


def by_months(box: Sandbox, **entry: object) -> Json:
    """Return a configuration that cuts three years into months, of which all but the last ones are empty."""
    config = {**one_load(box), "start_date": "2022-06-01T00:00:00Z", "ledger": "none", "job_reuse_seconds": 0}
    (export,) = config["exelensia"]["exports"]
    del export["max_window_days"]
    export |= entry
    return config


def test_an_older_state_leaves_each_row_once(tmp_path: Path, sandbox: Boxes) -> None:
    """Windows are cut as before, whichever STATE of the run before is given: their starts are part of the key."""
    config = by_months(sandbox(rows=300))
    first = tap(tmp_path, config).succeeded()
    marks = [state["bookmarks"].get(LOAD, {}).get("replication_key_value") for state in first.states]
    older = [first.states[marks.index(mark)] for mark in sorted({mark for mark in marks if mark})[:3]]
    table = merged({}, first.records[LOAD])
    for state in older:
        again = tap(tmp_path, config, state=state).succeeded()
        assert len(again.records[LOAD]) == 300
        table = merged(table, again.records[LOAD])
    assert len(table) == 300


def test_windows_grow_where_their_start_is_no_key(tmp_path: Path, sandbox: Boxes) -> None:
    """Rows with keys of their own do not care how windows are cut."""
    box = sandbox(rows=10)
    jobs = [
        sum(row["stream"] == LOAD for row in tap(tmp_path, by_months(box, **entry)).succeeded().records["export_jobs"])
        for entry in ({}, {"primary_keys": ["record_id"]})
    ]
    assert jobs[1] < jobs[0]


@pytest.mark.parametrize(("form", "suffix"), [("jsonl", ".gz"), ("parquet", ".parquet")])
def test_batches_of_a_lost_job_leave_each_row_once(tmp_path: Path, sandbox: Boxes, form: str, suffix: str) -> None:
    """RECORD messages of a run that was killed, then parts of another job: the same keys in either form."""
    box = sandbox(rows=ROWS)
    config = {**one_load(box), "job_grace_seconds": 0}
    before, state = killed_inside_the_file(arguments_of(tmp_path, config))
    (job,) = state["bookmarks"][LOAD]["ledger"]["jobs"]
    delete(box, config, job["id"])
    after = tap(tmp_path, {**config, **batched(tmp_path, form)}, state=state).succeeded()
    assert not after.records.get(LOAD)
    manifests = [m["manifest"] for m in after.messages if m["type"] == "BATCH" and m["stream"] == LOAD]
    assert {Path(url).suffix for manifest in manifests for url in manifest} == {suffix}
    brought = rows(after, LOAD)
    assert (len(before) > 0, len(brought)) == (True, ROWS)
    assert {row["_sdc_job_id"] for row in brought}.isdisjoint({job["id"]})
    assert len(merged(merged({}, before), brought)) == ROWS


def catalog_of(ran: Ran, *, key: list[str]) -> Json:
    schema = ran.schema(LOAD)["schema"]
    metadata = [{"breadcrumb": ["properties", name], "metadata": {"selected": False}} for name in KEY]
    stream = {"tap_stream_id": LOAD, "stream": LOAD, "schema": schema, "key_properties": key}
    return {"streams": [{**stream, "metadata": [{"breadcrumb": [], "metadata": {"selected": True}}, *metadata]}]}


@pytest.mark.parametrize(("key", "warns"), [(KEY, False), (FORMER, True), (["record_id"], False)])
def test_a_catalog_decides_the_key(tmp_path: Path, sandbox: Boxes, key: list[str], warns: bool) -> None:  # noqa: FBT001 - a parameter of pytest
    """Its key columns come even if it deselects them; a former key is obeyed with a warning, and costs no digests."""
    config = one_load(sandbox(rows=50))
    first = tap(tmp_path, config).succeeded()
    again = tap(tmp_path, config, catalog=copy.deepcopy(catalog_of(first, key=key))).succeeded()
    assert again.schema(LOAD)["key_properties"] == key
    assert all(set(key) <= set(row) for row in again.records[LOAD])
    assert ("_sdc_row_digest" in again.records[LOAD][0]) == (key == KEY)
    assert ("has the key of an older version" in again.stderr) == warns


@pytest.mark.parametrize("start", [{}, {"start_date": "2020-01-01T00:00:00Z"}])
def test_rows_of_a_lookback_keep_their_key(tmp_path: Path, sandbox: Boxes, start: Json) -> None:
    """Windows are cut by days then, so that rows that are read again have the key that they had."""
    box = sandbox(rows=20)
    config = {name: value for name, value in one_load(box).items() if name not in {"start_date", "end_date"}} | start
    config["exelensia"]["exports"][0] |= {"lookback": 10_000, "max_window_days": 3000}
    first = tap(tmp_path, {**config, "ledger": "none"}).succeeded()
    again = tap(tmp_path, {**config, "ledger": "none"}, state=first.states[-1]).succeeded()
    keys = [sorted(tuple(row[name] for name in KEY) for row in ran.records[LOAD]) for ran in (first, again)]
    assert (len(keys[0]), keys[0]) == (20, keys[1])
